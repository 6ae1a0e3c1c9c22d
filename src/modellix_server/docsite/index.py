"""The index: pieces of pages in tantivy, in memory, one for each language."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import tantivy

from modellix_server.docsite import ranking
from modellix_server.docsite.chunks import Chunk
from modellix_server.docsite.page import DocPage, Kind
from modellix_server.docsite.words import asked, bigrams, distance, words

_WRITER_BYTES = 15_000_000
_ONE_TYPO, _TWO_TYPOS = 1, 2
_LONG = 8


class RankedChunk(NamedTuple):
    """A piece that fits a query, and how well."""

    chunk: Chunk
    score: float


@dataclass(frozen=True, slots=True)
class _Wish:
    """One word of a query with what may stand in its place."""

    words: tuple[str, ...]
    alternatives: tuple[tuple[str, ...], ...] = ()


class SearchIndex:
    """The pieces of all pages, by language."""

    def __init__(self, chunks: Mapping[str, Sequence[Chunk]]) -> None:
        fields: dict[int, dict[str, list[str]]] = {}
        for found in chunks.values():
            for chunk in found:
                if id(chunk) not in fields:  # one that is not translated is in several languages
                    fields[id(chunk)] = _fields(chunk)
        self._of = {language: _LanguageIndex(found, fields) for language, found in chunks.items()}

    def find(self, query: str, language: str, kinds: Iterable[Kind], *, typing: bool) -> list[RankedChunk]:
        """The pieces that fit, the best first."""
        return self._of[language].find(query, frozenset(kinds), typing=typing)


class _LanguageIndex:
    def __init__(self, chunks: Sequence[Chunk], fields_of: Mapping[int, Mapping[str, list[str]]]) -> None:
        builder = tantivy.SchemaBuilder()
        for name in ranking.FIELDS:
            builder.add_text_field(name, tokenizer_name="whitespace", index_option="freq")
        builder.add_text_field("kind", tokenizer_name="raw", index_option="basic")
        builder.add_unsigned_field("number", stored=True)
        self._schema = builder.build()
        self._index = tantivy.Index(self._schema)
        self._chunks = chunks
        self._words: list[frozenset[str]] = []
        with self._index.writer(_WRITER_BYTES, 1) as writer:
            for number, chunk in enumerate(chunks):
                fields = fields_of[id(chunk)]
                self._words.append(frozenset(word for found in fields.values() for word in found))
                document = tantivy.Document(number=number, kind=chunk.page.kind.value)
                for name, found in fields.items():
                    document.add_text(name, " ".join(found))
                writer.add_document(document)
        self._index.reload()
        self._searcher = self._index.searcher()
        self._vocabulary = sorted(frozenset().union(*self._words))

    def find(self, query: str, kinds: frozenset[Kind], *, typing: bool) -> list[RankedChunk]:
        wishes = _wishes(query)
        must: list[tuple[tantivy.Occur, tantivy.Query]] = []
        if kinds:
            must.append((tantivy.Occur.Must, _any([self._term("kind", kind.value) for kind in kinds])))
        last = asked(query)[-1:] if typing else []
        should = [(tantivy.Occur.Should, self._wish(wish, unfinished=list(wish.words) == last)) for wish in wishes]
        should += [
            (tantivy.Occur.Should, tantivy.Query.boost_query(self._term("pairs", pair), ranking.FIELDS["pairs"]))
            for pair in bigrams(query)
        ]
        if not should:
            return []
        whole = tantivy.Query.boolean_query([*must, (tantivy.Occur.Must, tantivy.Query.boolean_query(should))])
        hits = self._searcher.search(whole, ranking.MOST_PIECES, count=False).hits
        found = []
        for score, address in hits:
            number = self._searcher.doc(address)["number"][0]
            covered = _share(wishes, self._words[number])
            found.append(RankedChunk(self._chunks[number], score * (1 + ranking.COVERED * covered)))
        return found

    def _wish(self, wish: _Wish, *, unfinished: bool) -> tantivy.Query:
        """Any of the ways to say a word; the best counts."""
        ways = [_any([_boosted(self._word(word), _weight(word)) for word in wish.words])]
        ways += [
            _boosted(_any([self._word(word) for word in alternative]), ranking.SYNONYM / len(alternative))
            for alternative in wish.alternatives
        ]
        for word in wish.words:
            if unfinished:
                ways += [_boosted(self._word(longer), ranking.PREFIX) for longer in self._beginning_with(word)]
            if not self._knows(word) and len(word) >= ranking.FUZZY_FROM:
                ways += [_boosted(self._word(alike), ranking.TYPO) for alike in self._alike(word)]
        return tantivy.Query.disjunction_max_query(ways, 0.1)

    def _word(self, word: str) -> tantivy.Query:
        fields = [_boosted(self._term(name, word), boost) for name, boost in ranking.FIELDS.items() if name != "pairs"]
        return tantivy.Query.disjunction_max_query(fields, 0.3)

    def _term(self, field: str, word: str) -> tantivy.Query:
        return tantivy.Query.term_query(self._schema, field, word, "freq" if field != "kind" else "basic")

    def _knows(self, word: str) -> bool:
        place = bisect_left(self._vocabulary, word)
        return place < len(self._vocabulary) and self._vocabulary[place] == word

    def _alike(self, word: str) -> list[str]:
        """Known words that are a letter away, long ones two, and begin alike: the first letter is rarely wrong."""
        most = _TWO_TYPOS if len(word) >= _LONG else _ONE_TYPO
        begin, end = bisect_left(self._vocabulary, word[0]), bisect_left(self._vocabulary, chr(ord(word[0]) + 1))
        near = [one for one in self._vocabulary[begin:end] if abs(len(one) - len(word)) <= most]
        return [one for one in near if distance(word, one) <= most][: ranking.MOST_ALIKE]

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
    """What a page is called: a model also by the parts of its id, as people say `wan 2.6`."""
    if page.kind is not Kind.MODEL:
        return [name.lower() for name in page.names]
    return [word for word in dict.fromkeys(word for name in page.names for word in words(name)) if word not in _GENERIC]


@lru_cache(maxsize=512)
def _wishes(query: str) -> tuple[_Wish, ...]:
    """The words of a query, those that belong together as one, with their synonyms."""
    left = asked(query)
    lower = query.lower()
    wishes, known = [], set()
    for row in _SYNONYMS:
        there = [
            found for phrase, found in row if found and (_within(found, left) if phrase.isascii() else phrase in lower)
        ]
        if there:
            own = tuple(dict.fromkeys(word for found in there for word in found))
            wishes.append(_Wish(own, tuple(found for _phrase, found in row if found and found not in there)))
            known |= set(own)
    return (*wishes, *(_Wish((word,)) for word in left if word not in known))


_SYNONYMS = tuple(tuple((phrase, tuple(asked(phrase))) for phrase in row) for row in ranking.SYNONYMS)


_GENERIC = frozenset(word for text in ranking.GENERIC_WORDS for word in words(text))


def _weight(word: str) -> float:
    return ranking.GENERIC if word in _GENERIC else 1.0


def _within(few: Sequence[str], many: Sequence[str]) -> bool:
    return any(tuple(many[start : start + len(few)]) == tuple(few) for start in range(len(many) - len(few) + 1))


def _share(wishes: Sequence[_Wish], there: frozenset[str]) -> float:
    """The share of a query that a piece answers to."""
    if not wishes:
        return 0.0
    met = sum(any(set(way) <= there for way in (wish.words, *wish.alternatives)) for wish in wishes)
    return met / len(wishes)


def _any(queries: Sequence[tantivy.Query]) -> tantivy.Query:
    if len(queries) == 1:
        return queries[0]
    return tantivy.Query.boolean_query([(tantivy.Occur.Should, query) for query in queries])


def _boosted(query: tantivy.Query, boost: float) -> tantivy.Query:
    return tantivy.Query.boost_query(query, boost)
