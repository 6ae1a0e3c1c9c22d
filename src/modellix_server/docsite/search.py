"""Search in the documentation: pages, the best first, each with the passage that answers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version as installed_version
from operator import itemgetter
from typing import NamedTuple

from modellix_server.base.errors import InvalidParameters
from modellix_server.docsite import ranking
from modellix_server.docsite.index import RankedChunk
from modellix_server.docsite.page import DocPage, Kind
from modellix_server.docsite.site import Library
from modellix_server.docsite.words import asked
from modellix_server.web.texts import LANGUAGES

MOST_QUERY_CHARACTERS = 400
"""What is behind is not read: no question is longer, and each word costs time."""
MOST_PASSAGE_CHARACTERS = 4_000
_MOST_KEPT = 500
_MOST_QUICK_CHARACTERS, _MOST_STRANGE = 150, 1
VERSION = installed_version("modellix-server")


@dataclass(frozen=True, slots=True)
class Filter:
    """Which pages."""

    language: str = "en"
    """One that the site does not have means English: see `Hit.language`."""
    kinds: frozenset[Kind] = frozenset()
    """None: all of them."""
    code_only: bool = False
    """Only passages that have code, and of them only the code."""
    version: str = ""
    """Of the platform: `0.1.0`, `v0.1`. Empty or `latest`: this one."""


class Hit(NamedTuple):
    """A page that fits."""

    slug: str
    title: str
    heading: str
    """Of the passage; empty above the first one."""
    url: str
    """Absolute, with the heading's anchor."""
    language: str
    kind: Kind
    passage: str
    """Markdown, at most 4,000 characters."""
    score: float


def search(
    library: Library,
    query: str,
    wanted: Filter = Filter(),
    limit: int = 10,
    *,
    typing: bool = False,
) -> list[Hit]:
    """The pages that answer a query, the best first; none for an empty one.

    With `typing`, the last word may be unfinished. Raises InvalidParameters for a version that is not this one.
    """
    _check_version(wanted.version)
    found = answered_before(library, query, wanted, limit, typing=typing)
    if found is None:
        if len(library.answers) >= _MOST_KEPT:
            library.answers.pop(next(iter(library.answers)))
        query = _plain(query)
        found = _search(library, query, wanted, limit, typing=typing) if query else []
        library.answers[query, wanted, limit, typing] = found
    return found


def is_quick(library: Library, query: str, wanted: Filter) -> bool:
    """Whether it is found in less time than another thread takes to begin: what people ask, not what attackers do."""
    query = _plain(query)
    if len(query) > _MOST_QUICK_CHARACTERS:
        return False
    return library.index.strange_words(query, language_of(wanted.language)) <= _MOST_STRANGE


def answered_before(
    library: Library, query: str, wanted: Filter, limit: int = 10, *, typing: bool = False
) -> list[Hit] | None:
    """What `search` found for the same, lately; at once."""
    found: list[Hit] | None = library.answers.get((_plain(query), wanted, limit, typing))
    return found


def _plain(query: str) -> str:
    return " ".join(query[:MOST_QUERY_CHARACTERS].split())


def _search(library: Library, query: str, wanted: Filter, limit: int, *, typing: bool) -> list[Hit]:
    language = language_of(wanted.language)
    pieces = library.index.find(query, language, wanted.kinds, code_only=wanted.code_only, typing=typing)
    ranked = sorted(_by_page(pieces, query), key=itemgetter(1), reverse=True)[:limit]
    return [_hit(library, found, language, wanted) for found in ranked]


def language_of(name: str) -> str:
    """`zh-CN` as `zh`; English for one that the site does not have."""
    known = name.strip().lower().replace("_", "-").partition("-")[0]
    return known if known in LANGUAGES else "en"


def _check_version(asked_for: str) -> None:
    name = asked_for.strip().lower().removeprefix("v")
    if name and name != "latest" and not f"{VERSION}.".startswith(f"{name}."):
        raise InvalidParameters(f"there is no documentation of version {asked_for[:40]!r}; there is {VERSION}")


def _by_page(pieces: Sequence[RankedChunk], query: str) -> Iterator[RankedChunk]:
    """The best piece of each page, with the page's own weight."""
    best: dict[str, RankedChunk] = {}
    sums: dict[str, float] = {}
    for piece in pieces:
        slug, score = piece[0].page.slug, piece[1]
        sums[slug] = sums.get(slug, 0.0) + score
        if slug not in best or score > best[slug][1]:
            best[slug] = piece
    whole, lower = frozenset(asked(query)), f" {query.lower()} "
    for slug, (chunk, most) in best.items():
        page = chunk.page
        score = most + ranking.MORE * (sums[slug] - most)
        score *= ranking.KINDS[page.kind] * ranking.SLUGS.get(slug, 1.0)
        if not page.name_words.isdisjoint(whole):
            score *= 1 + ranking.NAMED * _named(page, whole, lower)
        yield chunk, score


def _named(page: DocPage, whole: frozenset[str], lower: str) -> float:
    """The share of a query that is the page's own name."""
    most = 0
    for plain, parts in page.called:
        if parts.isdisjoint(whole):
            continue
        if plain.isalpha() and len(whole) > 1:
            continue  # `submit`, `canceled`: a word of many questions
        shared = len(parts & whole)
        if shared > most and (plain in whole if " " not in plain else (shared == len(parts) or f" {plain} " in lower)):
            most = shared
    return most / max(len(whole), 1)


def _hit(library: Library, found: RankedChunk, language: str, wanted: Filter) -> Hit:
    chunk, score = found
    page = chunk.page
    url, passage = library.passage(chunk, language)
    if wanted.code_only:
        passage = f"```\n{chunk.code.strip()}\n```"
    return Hit(page.slug, page.title, chunk.heading, url, page.language, page.kind, _shortened(passage), score)


def _shortened(text: str) -> str:
    return text if len(text) <= MOST_PASSAGE_CHARACTERS else f"{text[: MOST_PASSAGE_CHARACTERS - 1]}…"
