"""The documentation of a running installation."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Hashable, Iterator
from contextlib import contextmanager

from modellix_server.base import log
from modellix_server.base.aside import Aside
from modellix_server.base.errors import Unavailable
from modellix_server.docsite.finding import FinderGoneError, ThreadFinder
from modellix_server.docsite.index import SearchIndex
from modellix_server.docsite.making import MadeLibrary, NotMadeError, made_elsewhere
from modellix_server.docsite.search import MOST_HITS, Filter, Hit, hits_of, question_of
from modellix_server.docsite.site import Library, SiteAddress, make_library
from modellix_server.operations.context import ServingContext
from modellix_server.operations.models import ModelDetails, ModelFilter, list_details
from modellix_server.operations.principal import anybody

_TRIES = 2
_MOST_ANSWERS = 500
_ANYBODY = anybody("documentation")
_LOG = log.get("docs")


class DocSite:
    """The documentation of a running installation: the library is made anew when prices have changed."""

    def __init__(self, ctx: ServingContext) -> None:
        self._ctx = ctx
        settings_ = ctx.settings
        base = "" if settings_.docs_url else "/docs"
        self.where = SiteAddress(settings_.public_origin, base, settings_.docs_origin)
        self._made: MadeLibrary | None = None
        self._version: int | None = None
        self._making = asyncio.Lock()
        self.aside = Aside()
        """For rendering, which takes milliseconds."""

    async def library(self) -> Library:
        """The pages with the prices in force; while new ones are made, others get the former ones."""
        return (await self._in_force()).library

    async def search(
        self, who: Hashable, query: str, wanted: Filter, limit: int = MOST_HITS, *, typing: bool = False
    ) -> list[Hit]:
        """The pages that answer a query, the best first; none for an empty one. Who asks much takes turns with others.

        With `typing`, the last word may be unfinished. Raises InvalidParameters for a version that is not this one,
        Unavailable.
        """
        question = question_of(query, wanted, limit, typing=typing)
        if question is None:
            return []
        made = await self._in_force()
        for _ in range(_TRIES):
            if (kept := made.answers.get(question)) is not None:
                return kept
            try:
                numbers = await made.finder.find(who, question)
            except FinderGoneError:
                made = await self._instead_of(made)
                continue
            if len(made.answers) >= _MOST_ANSWERS:
                made.answers.clear()
            made.answers[question] = found = hits_of(made.library, question, numbers)
            return found
        raise Unavailable("the search is starting again, please retry", retry_after_s=5)

    def close(self) -> None:
        """Search no more."""
        if self._made is not None:
            self._made.finder.close()

    async def _in_force(self) -> MadeLibrary:
        if self._made is not None and (self._making.locked() or self._ctx.prices().version == self._version):
            return self._made
        async with self._making:
            version = self._ctx.prices().version
            if self._made is None or version != self._version:
                self._made = await self._make(version)
            return self._made

    async def _instead_of(self, lost: MadeLibrary) -> MadeLibrary:
        """One that can be searched."""
        async with self._making:
            if self._made is None or self._made is lost:
                _LOG.warning("what searched the documentation has ended: another one is started")
                self._made = await self._make(self._ctx.prices().version)
            return self._made

    async def _make(self, version: int) -> MadeLibrary:
        details = list_details(self._ctx, _ANYBODY, ModelFilter())
        with _beside_the_loop():
            try:
                made = await made_elsewhere(details, self.where, self._ctx.settings.spool_dir)
            except NotMadeError as error:
                _LOG.warning("the documentation is made within this process", why=str(error))
                made = await asyncio.to_thread(self._made_here, details)
        self.close()  # the former one
        self._version = version
        return made

    def _made_here(self, details: list[ModelDetails]) -> MadeLibrary:
        library = make_library(details, self.where)
        return MadeLibrary(library, ThreadFinder(SearchIndex.made(library.chunks), self.aside))


@contextmanager
def _beside_the_loop() -> Iterator[None]:
    """While a thread computes for a second or two: garbage is looked for in short steps.

    What stays then need not be looked at again.
    """
    threshold = gc.get_threshold()
    gc.set_threshold(2_000, 1_000, 1_000)
    try:
        yield
    finally:
        gc.freeze()
        gc.set_threshold(*threshold)
