"""The index: pieces of pages in tantivy, in memory, one for each language."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import NamedTuple

import tantivy

from modellix_server.docsite import ranking
from modellix_server.docsite.chunks import Chunk
from modellix_server.docsite.page import DocPage, Kind
from modellix_server.docsite.words import asked, bigrams, distance, stem, words

_WRITER_BYTES = 15_000_000
_ONE_TYPO, _TWO_TYPOS = 1, 2
_LONG = 8
_MOST_WISHES = 2_000
"""Kept as they are asked of the index: most words of a question were in another one before."""


class RankedChunk(NamedTuple):
    """A piece that fits a query, and how well."""

    chunk: Chunk
    score: float


@dataclass(frozen=True)
class _Wish:
    """One word of a query with what may stand in its place."""

    words: tuple[str, ...]
    alternatives: tuple[tuple[str, ...], ...] = ()

    @cached_property
    def ways(self) -> tuple[frozenset[str], ...]:
        """Any of these sets of words fulfils it."""
        return tuple(map(frozenset, (self.words, *self.alternatives)))


class SearchIndex:
    """The pieces of all pages, by language."""

    def __init__(self, chunks: Mapping[str, Sequence[Chunk]]) -> None:
        fields: dict[int, dict[str, list[str]]] = {}
        for found in chunks.values():
            for chunk in found:
                if id(chunk) not in fields:  # one that is not translated is in several languages
                    fields[id(chunk)] = _fields(chunk)
        self._of = {language: _LanguageIndex(found, fields) for language, found in chunks.items()}

    def find(self, query: str, language: str, kinds: frozenset[Kind], *, typing: bool) -> list[RankedChunk]:
        """The pieces that fit, the best first."""
        return self._of[language].find(query, kinds, typing=typing)


class _LanguageIndex:
    def __init__(self, chunks: Sequence[Chunk], fields_of: Mapping[int, Mapping[str, list[str]]]) -> None:
        builder = tantivy.SchemaBuilder()
        for name in ranking.FIELDS:
            builder.add_text_field(name, tokenizer_name="whitespace", index_option="freq")
        builder.add_text_field("kind", tokenizer_name="raw", index_option="basic")
        builder.add_integer_field("number", fast=True)
        self._schema = builder.build()
        index = tantivy.Index(self._schema)
        self._fields: dict[str, set[str]] = {}
        """Word -> where it occurs."""
        words_of = []
        with index.writer(_WRITER_BYTES, 1) as writer:
            for number, chunk in enumerate(chunks):
                fields = fields_of[id(chunk)]
                words_of.append(frozenset(word for found in fields.values() for word in found))
                document = tantivy.Document(number=number, kind=chunk.page.kind.value)
                for name, found in fields.items():
                    document.add_text(name, " ".join(found))
                    for word in found:
                        self._fields.setdefault(word, set()).add(name)
                writer.add_document(document)
        index.reload()
        self._searcher = index.searcher()
        self._vocabulary = sorted(self._fields)
        everything = self._searcher.search(tantivy.Query.all_query(), max(len(chunks), 1), order_by_field="number")
        self._at = {_place(address): (chunks[number], words_of[number]) for number, address in everything.hits}
        self._ways: dict[tuple[_Wish, bool], tantivy.Query | None] = {}

    def find(self, query: str, kinds: frozenset[Kind], *, typing: bool) -> list[RankedChunk]:
        wishes = self._understood(_wishes(query))
        must: list[tuple[tantivy.Occur, tantivy.Query]] = []
        if kinds:
            must.append((tantivy.Occur.Must, _any([self._term("kind", kind.value) for kind in kinds])))
        last = asked(query)[-1:] if typing else []
        should = [way for wish in wishes if (way := self._kept(wish, unfinished=list(wish.words) == last))]
        should += [_boosted(self._term("pairs", pair), ranking.FIELDS["pairs"]) for pair in bigrams(query)]
        if not should:
            return []
        whole = tantivy.Query.boolean_query([*must, (tantivy.Occur.Must, _any(should))])
        found = []
        for score, address in self._searcher.search(whole, ranking.MOST_PIECES, count=False).hits:
            chunk, there = self._at[_place(address)]
            found.append(RankedChunk(chunk, score * (1 + ranking.COVERED * _share(wishes, there))))
        return found

    def _understood(self, wishes: Sequence[_Wish]) -> Sequence[_Wish]:
        """Without the words that are in no page, but for the first few, which may be mistyped."""
        unknown = [wish for wish in wishes if not wish.alternatives and wish.words[0] not in self._fields]
        return [wish for wish in wishes if wish not in unknown[ranking.MOST_UNKNOWN :]]

    def _kept(self, wish: _Wish, *, unfinished: bool) -> tantivy.Query | None:
        if (wish, unfinished) not in self._ways:
            if len(self._ways) >= _MOST_WISHES:
                self._ways.clear()
            self._ways[wish, unfinished] = self._wish(wish, unfinished=unfinished)
        return self._ways[wish, unfinished]

    def _wish(self, wish: _Wish, *, unfinished: bool) -> tantivy.Query | None:
        """Any of the ways to say a word; the best counts. None where no page has any of its words."""
        ways = [self._together(wish.words, [_weight(word) for word in wish.words])]
        ways += [
            self._together(alternative, [ranking.SYNONYM / len(alternative)] * len(alternative))
            for alternative in wish.alternatives
        ]
        for word in wish.words:
            if unfinished:
                ways += [self._together([longer], [ranking.PREFIX]) for longer in self._beginning_with(word)]
            if word not in self._fields and len(word) >= ranking.FUZZY_FROM:
                ways += [self._together([alike], [ranking.TYPO]) for alike in self._alike(word)]
        known = [way for way in ways if way]
        return tantivy.Query.disjunction_max_query(known, 0.1) if known else None

    def _together(self, together: Sequence[str], weights: Sequence[float]) -> tantivy.Query | None:
        """Words that count together, as far as any page has them."""
        known = [
            _boosted(self._word(word), weight)
            for word, weight in zip(together, weights, strict=True)
            if word in self._fields
        ]
        return _any(known) if known else None

    def _word(self, word: str) -> tantivy.Query:
        fields = [
            _boosted(self._term(name, word), boost)
            for name, boost in ranking.FIELDS.items()
            if name != "pairs" and name in self._fields[word]
        ]
        return tantivy.Query.disjunction_max_query(fields, 0.3)

    def _term(self, field: str, word: str) -> tantivy.Query:
        return tantivy.Query.term_query(self._schema, field, word, "freq" if field != "kind" else "basic")

    def _alike(self, word: str) -> list[str]:
        """Known words that are a letter away, long ones two, and begin alike: the first letter is rarely wrong."""
        most = _TWO_TYPOS if len(word) >= _LONG else _ONE_TYPO
        begin, end = bisect_left(self._vocabulary, word[0]), bisect_left(self._vocabulary, chr(ord(word[0]) + 1))
        near = [one for one in self._vocabulary[begin:end] if abs(len(one) - len(word)) <= most]
        return [one for one in near if distance(word, one, most) <= most][: ranking.MOST_ALIKE]

    def _beginning_with(self, word: str) -> list[str]:
        place = bisect_left(self._vocabulary, word)
        near = self._vocabulary[place : place + ranking.MOST_ALIKE]
        return [longer for longer in near if longer.startswith(word) and longer != word]


def _fields(chunk: Chunk) -> dict[str, list[str]]:
    page = chunk.page
    return {
        "title": words(page.title),
        "heading": words(chunk.heading),
        "names": _names(page),
        "ids": words(chunk.ids),
        "text": words(chunk.text),
        "code": words(chunk.code),
        "about": words(page.summary) if chunk.heading != page.title else [],
        "pairs": bigrams(f"{page.title} {chunk.heading} {chunk.text}"),
    }


def _names(page: DocPage) -> list[str]:
    """What a page is called: a name of several words by each, a model also by the parts of its id (`wan 2.6`)."""
    if page.kind is Kind.MODEL:
        found = (word for name in page.names for word in words(name))
    else:
        found = (stem(part) if part.isalpha() else part for name in page.names for part in name.lower().split())
    return [word for word in dict.fromkeys(found) if word not in _GENERIC]


@lru_cache(maxsize=512)
def _wishes(query: str) -> tuple[_Wish, ...]:
    """The words of a query, those that belong together as one, with their synonyms."""
    left, lower = asked(query), query.lower()
    said: dict[int, list[Sequence[str]]] = {}
    for place, word in enumerate(left):
        for row, phrase in _BEGINNING_WITH.get(word, ()):
            if tuple(left[place : place + len(phrase)]) == phrase:
                said.setdefault(row, []).append(phrase)
    for text, row, phrase in _CHINESE:
        if text in lower:
            said.setdefault(row, []).append(phrase)
    wishes, known = [], set()
    for row in sorted(said):
        own = tuple(dict.fromkeys(word for phrase in said[row] for word in phrase))
        wishes.append(_Wish(own, tuple(phrase for _text, phrase in _SYNONYMS[row] if phrase not in said[row])))
        known |= set(own)
    return (*wishes, *(_Wish((word,)) for word in left if word not in known))


_SYNONYMS = tuple(tuple((text, phrase) for text in row if (phrase := tuple(asked(text)))) for row in ranking.SYNONYMS)
_CHINESE = [
    (text, number, phrase) for number, row in enumerate(_SYNONYMS) for text, phrase in row if not text.isascii()
]
_BEGINNING_WITH: dict[str, list[tuple[int, tuple[str, ...]]]] = {}
for _number, _row in enumerate(_SYNONYMS):
    for _text, _phrase in _row:
        if _text.isascii():
            _BEGINNING_WITH.setdefault(_phrase[0], []).append((_number, _phrase))


_GENERIC = frozenset(word for text in ranking.GENERIC_WORDS for word in words(text))


def _weight(word: str) -> float:
    return ranking.GENERIC if word in _GENERIC else 1.0


def _share(wishes: Sequence[_Wish], there: frozenset[str]) -> float:
    """The share of a query that a piece answers to."""
    met = 0
    for wish in wishes:
        for way in wish.ways:
            if way <= there:
                met += 1
                break
    return met / max(len(wishes), 1)


def _place(address: tantivy.DocAddress) -> tuple[int, int]:
    return address.segment_ord, address.doc


def _any(queries: Sequence[tantivy.Query]) -> tantivy.Query:
    if len(queries) == 1:
        return queries[0]
    return tantivy.Query.boolean_query([(tantivy.Occur.Should, query) for query in queries])


def _boosted(query: tantivy.Query, boost: float) -> tantivy.Query:
    return tantivy.Query.boost_query(query, boost)
