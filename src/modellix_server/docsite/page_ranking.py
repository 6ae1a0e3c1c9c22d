"""From pieces that fit a query to pages, the best first."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from operator import itemgetter

from modellix_server.docsite import ranking
from modellix_server.docsite.chunks import Chunk
from modellix_server.docsite.page import Names
from modellix_server.docsite.words import asked

RankedPiece = tuple[int, float]
"""The number of a piece, and how well it fits a query."""


class PageRanking:
    """The pages of an index.

    A query looks at some twenty of them. What that needs stands in a few tables, as objects all over the memory are
    slow to reach.
    """

    def __init__(self, chunks: Sequence[Chunk]) -> None:
        """The pieces have their numbers by their order."""
        numbers: dict[str, int] = {}
        self._page_of = array("H", (numbers.setdefault(chunk.page.slug, len(numbers)) for chunk in chunks))
        pages = [chunk.page for chunk in {chunk.page.slug: chunk for chunk in chunks}.values()]
        self._weights = [ranking.KINDS[page.kind] * ranking.SLUGS.get(page.slug, 1.0) for page in pages]
        self._names = [page.called for page in pages]
        self._called: dict[str, int] = {}
        """A word without which a query names no page -> those that it may name: bit n for page n."""
        common = Counter(word for names in self._names for _plain, parts in names for word in parts)
        for number, names in enumerate(self._names):
            for plain, parts in names:
                rarest = min(parts, key=common.__getitem__, default="") if " " in plain else plain
                self._called[rarest] = self._called.get(rarest, 0) | 1 << number

    def ranked(self, pieces: Iterable[RankedPiece], query: str) -> list[int]:
        """The best piece of each page, by its number; with the pages' own weights the best first."""
        best: dict[int, RankedPiece] = {}
        further: dict[int, float] = {}
        for piece in sorted(pieces, key=itemgetter(1), reverse=True):
            page = self._page_of[piece[0]]
            if page in best:
                further[page] = further.get(page, 0.0) + piece[1]
            else:
                best[page] = piece
        whole, lower, called = frozenset(asked(query)), f" {query.lower()} ", 0
        for word in whole:
            called |= self._called.get(word, 0)
        found = []
        for page, (number, most) in best.items():
            score = (most + ranking.MORE * further.get(page, 0.0)) * self._weights[page]
            if called >> page & 1:
                score *= 1 + ranking.NAMED * _named(self._names[page], whole, lower)
            found.append((number, score))
        found.sort(key=itemgetter(1), reverse=True)
        return [number for number, _score in found]


def _named(names: Names, whole: frozenset[str], lower: str) -> float:
    """The share of a query that is the page's own name."""
    most = 0
    for plain, parts in names:
        if parts.isdisjoint(whole):
            continue
        if plain.isalpha() and len(whole) > 1:
            continue  # `submit`, `canceled`: a word of many questions
        shared = len(parts & whole)
        if shared > most and (plain in whole if " " not in plain else (shared == len(parts) or f" {plain} " in lower)):
            most = shared
    return most / max(len(whole), 1)
