"""The index: pieces of pages in tantivy, in memory, one for each language."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import chain
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
    """Something that a query asks for: as it is said there, and in other ways. Each is one word, or some together."""

    said: tuple[tuple[str, ...], ...]
    alternatives: tuple[tuple[str, ...], ...] = ()

    @cached_property
    def ways(self) -> tuple[frozenset[str], ...]:
        """Any of these sets of words fulfils it."""
        return tuple(map(frozenset, (*self.said, *self.alternatives)))


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
        self._in: dict[str, set[str]] = {name: set() for name in ranking.FIELDS}
        """Field -> the words in it."""
        self._pieces_with: Counter[str] = Counter()
        words_of = []
        with index.writer(_WRITER_BYTES, 1) as writer:
            for number, chunk in enumerate(chunks):
                document = tantivy.Document(number=number, kind=chunk.page.kind.value)
                for name, found in fields_of[id(chunk)].items():
                    document.add_text(name, " ".join(found))
                    self._in[name].update(found)
                words_of.append(frozenset(chain.from_iterable(fields_of[id(chunk)].values())))
                self._pieces_with.update(words_of[-1])
                writer.add_document(document)
        index.reload()
        self._searcher = index.searcher()
        self._vocabulary = sorted(self._pieces_with)
        everything = self._searcher.search(tantivy.Query.all_query(), max(len(chunks), 1), order_by_field="number")
        self._at = {_place(address): (chunks[number], words_of[number]) for number, address in everything.hits}
        self._ways: dict[tuple[_Wish, bool], tantivy.Query | None] = {}

    def find(self, query: str, kinds: frozenset[Kind], *, typing: bool) -> list[RankedChunk]:
        wishes = self._understood(_wishes(query))
        must: list[tuple[tantivy.Occur, tantivy.Query]] = []
        if kinds:
            must.append((tantivy.Occur.Must, _any([self._term("kind", kind.value) for kind in kinds])))
        last = (tuple(asked(query)[-1:]),) if typing else None
        should = [way for wish in wishes if (way := self._kept(wish, unfinished=wish.said == last))]
        should += [_boosted(self._term("pairs", pair), ranking.FIELDS["pairs"]) for pair in bigrams(query)]
        if not should:
            return []
        whole = tantivy.Query.boolean_query([*must, (tantivy.Occur.Must, _any(should))])
        weights = [(wish.ways, self._rarity(wish)) for wish in wishes]
        found = []
        for score, address in self._searcher.search(whole, ranking.MOST_PIECES, count=False).hits:
            chunk, there = self._at[_place(address)]
            found.append(RankedChunk(chunk, score * (1 + ranking.COVERED * _share(weights, there))))
        return found

    def _understood(self, wishes: Sequence[_Wish]) -> Sequence[_Wish]:
        """Without the words that are in no page, but for the first few, which may be mistyped."""
        unknown = [wish for wish in wishes if not wish.alternatives and wish.said[0][0] not in self._pieces_with]
        return [wish for wish in wishes if wish not in unknown[ranking.MOST_UNKNOWN :]]

    def _rarity(self, wish: _Wish) -> float:
        """How much it says about a piece that it fulfils a wish; nothing where none does."""
        fitting = sum(min(self._pieces_with[word] for word in way) for way in wish.ways)
        generic = ranking.GENERIC if all(_weight(said) == ranking.GENERIC for said in wish.said) else 1.0
        return generic * math.log(1 + len(self._at) / fitting) if fitting else 0.0

    def _kept(self, wish: _Wish, *, unfinished: bool) -> tantivy.Query | None:
        if (wish, unfinished) not in self._ways:
            if len(self._ways) >= _MOST_WISHES:
                self._ways.clear()
            self._ways[wish, unfinished] = self._wish(wish, unfinished=unfinished)
        return self._ways[wish, unfinished]

    def _wish(self, wish: _Wish, *, unfinished: bool) -> tantivy.Query | None:
        """Any of the ways to say a word; the best counts. None where no page has any of its words."""
        ways = [self._some(said) for said in wish.said]
        ways += [self._all(alternative) for alternative in wish.alternatives]
        for word in [said[0] for said in wish.said if len(said) == 1]:
            if unfinished:
                ways += [_boosted(self._word(longer), ranking.PREFIX) for longer in self._beginning_with(word)]
            if word not in self._pieces_with and len(word) >= ranking.FUZZY_FROM:
                ways += [_boosted(self._word(alike), ranking.TYPO) for alike in self._alike(word)]
        known = [way for way in ways if way]
        return tantivy.Query.disjunction_max_query(known, 0.1) if known else None

    def _some(self, said: Sequence[str]) -> tantivy.Query | None:
        """What the query says: each of its words counts."""
        known = [_boosted(self._word(word), _weight(said)) for word in said if word in self._pieces_with]
        return _any(known) if known else None

    def _all(self, alternative: Sequence[str]) -> tantivy.Query | None:
        """Another way to say it: only as a whole."""
        if not all(word in self._pieces_with for word in alternative):
            return None
        weight = ranking.SYNONYM * _weight(alternative)
        parts = [(tantivy.Occur.Must, _boosted(self._word(word), weight)) for word in alternative]
        return parts[0][1] if len(parts) == 1 else tantivy.Query.boolean_query(parts)

    def _word(self, word: str) -> tantivy.Query:
        fields = [
            _boosted(self._term(name, word), boost)
            for name, boost in ranking.FIELDS.items()
            if name != "pairs" and word in self._in[name]
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
    rows: dict[int, list[_Phrase]] = {}
    for row, phrase in _phrases_in(query):
        rows.setdefault(row, []).append(phrase)
    wishes, known = [], set()
    for row in sorted(rows):
        own = tuple(dict.fromkeys(phrase.words for phrase in rows[row]))
        wishes.append(_Wish(own, tuple(phrase.words for phrase in _SYNONYMS[row] if phrase.words not in own)))
        known |= {word for phrase in own for word in phrase}
    return (*wishes, *(_Wish(((word,),)) for word in asked(query) if word not in known))


def _phrases_in(query: str) -> Iterator[tuple[int, _Phrase]]:
    """The phrases of a query with their rows, without those that are a part of a longer one."""
    said, lower = words(query), query.lower()
    found = [
        (place, place + len(phrase.said), row, phrase)
        for place, word in enumerate(said)
        for row, phrase in _BEGINNING_WITH.get(word, ())
        if tuple(said[place : place + len(phrase.said)]) == phrase.said
    ]
    # Chinese has no spaces: a place there is one of characters, kept apart from those of words.
    found += [
        (-1 - place, -1 - place - len(phrase.text), row, phrase)
        for row, phrase in _NOT_ENGLISH
        if (place := lower.find(phrase.text)) >= 0
    ]
    for start, end, row, phrase in found:
        spans = ((other, until) for other, until, _row, _phrase in found if abs(until - other) > abs(end - start))
        if not any(min(span) <= min(start, end) and max(start, end) <= max(span) for span in spans):
            yield row, phrase


class _Phrase(NamedTuple):
    """A way to say something."""

    text: str
    said: tuple[str, ...]
    """Its words in their order, as a query has them."""
    words: tuple[str, ...]
    """Those that are looked for."""


_SYNONYMS = tuple(
    tuple(_Phrase(text, tuple(words(text)), tuple(asked(text))) for text in row) for row in ranking.SYNONYMS
)
_NOT_ENGLISH = [(row, phrase) for row, found in enumerate(_SYNONYMS) for phrase in found if not phrase.text.isascii()]
_BEGINNING_WITH: dict[str, list[tuple[int, _Phrase]]] = {}
for _row, _found in enumerate(_SYNONYMS):
    for _phrase in _found:
        if _phrase.text.isascii():
            _BEGINNING_WITH.setdefault(_phrase.said[0], []).append((_row, _phrase))


_GENERIC = frozenset(word for text in ranking.GENERIC_WORDS for word in words(text))


def _weight(together: Sequence[str]) -> float:
    """Of each of some words that belong together: a single one may be in most questions."""
    return ranking.GENERIC if len(together) == 1 and together[0] in _GENERIC else 1 / len(together)


def _share(weights: Sequence[tuple[Sequence[frozenset[str]], float]], there: frozenset[str]) -> float:
    """The share of a query that a piece answers to."""
    met = whole = 0.0
    for ways, weight in weights:
        whole += weight
        for way in ways:
            if way <= there:
                met += weight
                break
    return met / whole if whole else 0.0


def _place(address: tantivy.DocAddress) -> tuple[int, int]:
    return address.segment_ord, address.doc


def _any(queries: Sequence[tantivy.Query]) -> tantivy.Query:
    if len(queries) == 1:
        return queries[0]
    return tantivy.Query.boolean_query([(tantivy.Occur.Should, query) for query in queries])


def _boosted(query: tantivy.Query, boost: float) -> tantivy.Query:
    return tantivy.Query.boost_query(query, boost)
