"""Search in the documentation: pages, the best first, each with the passage that answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version as installed_version
from typing import NamedTuple

from modellix_server.base.errors import InvalidParameters
from modellix_server.docsite.chunks import Chunk
from modellix_server.docsite.index import Question
from modellix_server.docsite.page import Kind
from modellix_server.docsite.site import Library
from modellix_server.web.texts import LANGUAGES

MOST_QUERY_CHARACTERS = 400
"""What is behind is not read: no question is longer, and each word costs time."""
MOST_PASSAGE_CHARACTERS = 4_000
MOST_HITS = 10
"""Unless its caller says otherwise."""
VERSION = installed_version("modellix-server")


class Filter(NamedTuple):
    """Which pages."""

    language: str = "en"
    """One that the site does not have means English: see `Hit.language`."""
    kinds: frozenset[Kind] = frozenset()
    """None: all of them."""
    code_only: bool = False
    """Only passages that have code, and of them only the code."""
    version: str = ""
    """Of the platform: `0.1.0`, `v0.1`. Empty or `latest`: this one."""


@dataclass(frozen=True, slots=True, eq=False)
class Hit:
    """A page that fits, by one of its pieces. Each is made once: what is made of it can be kept by it."""

    slug: str
    title: str
    heading: str
    """Of the piece; empty above the first one."""
    url: str
    """Absolute, with the heading's anchor."""
    language: str
    kind: Kind
    text: str
    """Markdown, at most 4,000 characters."""


def question_of(query: str, wanted: Filter, limit: int = MOST_HITS, *, typing: bool = False) -> Question | None:
    """What to look for; None for an empty query. With `typing`, the last word may be unfinished.

    Raises InvalidParameters for a version that is not this one.
    """
    _check_version(wanted.version)
    plain = " ".join(query[:MOST_QUERY_CHARACTERS].split())
    if not plain:
        return None
    return Question(plain, language_of(wanted.language), wanted.kinds, wanted.code_only, limit, typing)


def hits_of(library: Library, question: Question, numbers: Sequence[int]) -> list[Hit]:
    """The pieces that were found, to be shown."""
    pieces = library.chunks[question.language]
    return [_hit(library, pieces[number], question.language, code_only=question.code_only) for number in numbers]


def language_of(name: str) -> str:
    """`zh-CN` as `zh`; English for one that the site does not have."""
    known = name.strip().lower().replace("_", "-").partition("-")[0]
    return known if known in LANGUAGES else "en"


def _check_version(asked_for: str) -> None:
    name = asked_for.strip().lower().removeprefix("v")
    if name and name != "latest" and not f"{VERSION}.".startswith(f"{name}."):
        raise InvalidParameters(f"there is no documentation of version {asked_for[:40]!r}; there is {VERSION}")


def _hit(library: Library, chunk: Chunk, language: str, *, code_only: bool) -> Hit:
    key = id(chunk), language, code_only
    hit: Hit | None = library.hits.get(key)
    if hit is None:
        page = chunk.page
        url, text = library.passage(chunk, language)
        if code_only:
            text = f"```\n{chunk.code.strip()}\n```"
        library.hits[key] = hit = Hit(
            page.slug, page.title, chunk.heading, url, page.language, page.kind, _shortened(text)
        )
    return hit


def _shortened(text: str) -> str:
    return text if len(text) <= MOST_PASSAGE_CHARACTERS else f"{text[: MOST_PASSAGE_CHARACTERS - 1]}…"
