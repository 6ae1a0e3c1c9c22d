"""The documentation of a running installation."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator
from contextlib import contextmanager

from modellix_server.base import log
from modellix_server.base.aside import Aside
from modellix_server.docsite.making import NotMadeError, made_elsewhere
from modellix_server.docsite.site import Library, SiteAddress, make_library
from modellix_server.operations.context import ServingContext
from modellix_server.operations.models import ModelDetails, ModelFilter, list_details
from modellix_server.operations.principal import anybody
from modellix_server.web.texts import LANGUAGES

_ANYBODY = anybody("documentation")
_LOG = log.get("docs")


class DocSite:
    """The documentation of a running installation: the library is made anew when prices have changed."""

    def __init__(self, ctx: ServingContext) -> None:
        self._ctx = ctx
        settings_ = ctx.settings
        base = "" if settings_.docs_url else "/docs"
        self.where = SiteAddress(settings_.public_origin, base, settings_.docs_origin)
        self._library: Library | None = None
        self._version: int | None = None
        self._making = asyncio.Lock()
        self.aside = Aside()
        """For searching and rendering, which take milliseconds."""

    async def library(self) -> Library:
        """The pages with the prices in force; while new ones are made, others get the former ones."""
        if self._library is not None and (self._making.locked() or self._ctx.prices().version == self._version):
            return self._library
        async with self._making:
            version = self._ctx.prices().version
            if self._library is None or version != self._version:
                details = list_details(self._ctx, _ANYBODY, ModelFilter())
                self._library = await self._made(details)
                self._version = version
            return self._library

    async def _made(self, details: list[ModelDetails]) -> Library:
        with _beside_the_loop():
            try:
                return await made_elsewhere(details, self.where, self._ctx.settings.spool_dir)
            except NotMadeError as error:
                _LOG.warning("the documentation is made within this process", why=str(error))
            return await asyncio.to_thread(make_library, details, self.where)

    async def page(self, name: str, language: str) -> str | None:
        """A page as Markdown, by its address or its name, `alibaba/wan2.6-t2v`; None where there is none."""
        library = await self.library()
        slug = name.strip("/").removesuffix(".md")
        first, _, rest = slug.partition("/")
        if first in LANGUAGES and library.find(slug, "en") is None:
            language, slug = first, rest
        found = library.find(slug, language) or library.find(library.known_as(slug) or "", language)
        return None if found is None else await self.aside.run(None, library.markdown, found, language)


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
