"""The index: pieces of pages in tantivy, in memory, one for each language. It knows them by their numbers."""

from __future__ import annotations

import math
import pickle
from array import array
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from functools import reduce
from itertools import compress
from operator import and_, itemgetter
from pathlib import Path
from typing import NamedTuple

import tantivy

from modellix_server.docsite import ranking
from modellix_server.docsite.chunks import Chunk
from modellix_server.docsite.page import DocPage, Kind
from modellix_server.docsite.page_ranking import PageRanking
from modellix_server.docsite.wishes import GENERIC, Wish, as_whole, is_phrase, weight_of, wishes_of, with_phrases
from modellix_server.docsite.words import asked, bigrams, distance, stem, words

_WRITER_BYTES = 15_000_000
_MOST_ANSWERS = 500
_TABLES = "words"
_ONE_TYPO, _TWO_TYPOS = 1, 2
_LONG = 8
_FROM_DIGITS = bytes.maketrans(b"01", b"\0\1")
_MOST_WISHES = 2_000
"""Of which is kept what they find, some KB each: most words of a question were in another one before."""
_WORDS_AHEAD, _PAIRS_AHEAD = 2_000, 2_000
"""The commonest: what they find is in the folder, half a KB each. The first 500 searches took twice the CPU without."""
_PAIRS = 1 << list(ranking.FIELDS).index("pairs")


class Question(NamedTuple):
    """What is looked for."""

    query: str
    language: str
    """One that the index has."""
    kinds: frozenset[Kind] = frozenset()
    """Of pages; none: all of them."""
    code_only: bool = False
    """Of pieces only those that have code."""
    limit: int = 10
    """Pages."""
    typing: bool = False
    """The last word may be unfinished."""


class SearchIndex:
    """The pieces of all pages, by language."""

    def __init__(self, of: Mapping[str, _LanguageIndex]) -> None:
        """Use `made` or `opened`."""
        self._of = of
        self._answers: dict[Question, list[int]] = {}

    @classmethod
    def made(cls, chunks: Mapping[str, Sequence[Chunk]], folder: Path | None = None) -> SearchIndex:
        """One of these pieces, in memory or in an empty folder."""
        if folder is None:
            return cls({language: _made(found) for language, found in chunks.items()})
        for language, found in chunks.items():
            _write(found, folder / language)
        return cls.opened(folder)

    @classmethod
    def opened(cls, folder: Path) -> SearchIndex:
        """The one that was made in a folder, which then is not needed any more."""
        return cls({one.name: _opened(one) for one in folder.iterdir()})

    def find(self, question: Question) -> list[int]:
        """The number of the best piece of each page that fits, the best first. What was asked lately is kept."""
        index = self._of[question.language]
        if not question.typing:
            question = question._replace(query=index.without_strange_numbers(question.query))
        found = self._answers.get(question)
        if found is None:
            if len(self._answers) >= _MOST_ANSWERS:
                self._answers.clear()
            self._answers[question] = found = index.find(question)[: question.limit]
        return found


_Key = tuple[Wish, int, bool] | str
"""A wish, how many pieces are wanted at most, and whether it is unfinished; or a pair of Chinese characters."""
_Scores = Mapping[int, float]
"""Pieces by their number, and how well each of them fits."""
_Ahead = dict[_Key, tuple["array[int]", "array[float]"]]
"""The same as numbers and scores, which takes a tenth of the memory."""


class _Known(NamedTuple):
    """What the index knows of a wish."""

    scores: _Scores
    """Of the pieces that fit it best."""
    fulfilled: bytes = b""
    """For each piece 1 if it fulfils the wish, else 0."""
    rarity: float = 0.0
    """How much it says about a piece that it does; 0 where none does."""


_NOTHING = _Known({})


def _filled(index: tantivy.Index, chunks: Sequence[Chunk]) -> tuple[dict[str, int], dict[str, int]]:
    """Put the pieces into an index. Returns for each word the fields and the pieces that have it, as bits."""
    fields: dict[str, int] = {}
    pieces: dict[str, int] = {}
    with index.writer(_WRITER_BYTES, 1) as writer:
        for number, chunk in enumerate(chunks):
            document = tantivy.Document(number=number)
            for place, (name, found) in enumerate(_fields(chunk).items()):
                document.add_text(name, " ".join(found))
                for word in set(found):
                    fields[word] = fields.get(word, 0) | 1 << place
                    pieces[word] = pieces.get(word, 0) | 1 << number
            writer.add_document(document)
    return fields, pieces


class _Tables(NamedTuple):
    """What the index knows beside tantivy."""

    fields_with: dict[str, int]
    """Word -> the fields that have it: bit n for the n-th of `ranking.FIELDS`."""
    pieces_with: dict[str, int]
    """Word -> the pieces that have it: bit n for piece n. Sets of words would be ten times as large."""
    kinds: list[str]
    """Of each piece's page."""
    has_code: list[bool]
    """Of each piece."""
    pages: PageRanking


def _made(chunks: Sequence[Chunk], folder: Path | None = None) -> _LanguageIndex:
    index = tantivy.Index(_SCHEMA, str(folder) if folder else None)
    words_ = _filled(index, chunks)
    kinds, has_code = [chunk.page.kind.value for chunk in chunks], [bool(chunk.code) for chunk in chunks]
    return _LanguageIndex(index, _Tables(*words_, kinds, has_code, PageRanking(chunks)))


def _write(chunks: Sequence[Chunk], folder: Path) -> None:
    folder.mkdir(parents=True)
    made = _made(chunks, folder)
    (folder / _TABLES).write_bytes(pickle.dumps((made.tables, made.found_ahead())))


def _opened(folder: Path) -> _LanguageIndex:
    tables, ahead = pickle.loads((folder / _TABLES).read_bytes())  # noqa: S301 - as written above
    return _LanguageIndex(tantivy.Index.open(str(folder)), tables, ahead)


class _LanguageIndex:
    def __init__(self, index: tantivy.Index, tables: _Tables, ahead: _Ahead | None = None) -> None:
        """`ahead`: what was found when the index was made."""
        index.reload()
        self.tables = tables
        self._in, self._pieces_with, self._count = tables.fields_with, tables.pieces_with, len(tables.kinds)
        self._ahead = ahead or {}
        self._searcher = index.searcher()
        self._vocabulary = sorted(self._pieces_with)
        everything = self._searcher.search(tantivy.Query.all_query(), max(self._count, 1), order_by_field="number")
        self._number_at = {_place(address): number for number, address in everything.hits}
        self._known: dict[_Key, _Known] = {}

    def found_ahead(self) -> _Ahead:
        """What is found of each way to say something that has synonyms, and of the commonest other words and pairs."""
        common = sorted(self._in, key=lambda word: self._pieces_with[word].bit_count(), reverse=True)
        single = [word for word in common if self._in[word] & ~_PAIRS and not is_phrase(word)][:_WORDS_AHEAD]
        wishes = [wish for row in ranking.SYNONYMS for text in row for wish in wishes_of(text)]
        wishes += [Wish(((word,),)) for word in single]
        most = ranking.MOST_OF_A_WISH
        found: dict[_Key, _Scores] = {(wish, most, False): self._best(self._wish(wish), most) for wish in wishes}
        pairs = [word for word in common if self._in[word] & _PAIRS][:_PAIRS_AHEAD]
        found |= {pair: self._best_of_pair(pair) for pair in pairs}
        return {key: (array("I", scores), array("f", scores.values())) for key, scores in found.items()}

    def find(self, question: Question) -> list[int]:
        query, tables = question.query, self.tables
        last = (asked(query)[-1:],) if question.typing else None
        most = self._count if question.kinds or question.code_only else ranking.MOST_OF_A_WISH
        known = [self._kept(wish, most, unfinished=wish.said == last) for wish in self._understood(wishes_of(query))]
        found = _added_up([*known, *map(self._kept_pair, bigrams(query))])
        if question.kinds:
            fitting = {kind.value for kind in question.kinds}
            found = {number: score for number, score in found.items() if tables.kinds[number] in fitting}
        if question.code_only:
            found = {number: score for number, score in found.items() if tables.has_code[number]}
        least = min(sorted(found.values(), reverse=True)[: ranking.MOST_PIECES], default=0.0)
        best = [number for number, score in found.items() if score >= least]
        covered = _covered(best, [one for one in known if one.rarity])
        pieces = [(number, found[number] * factor) for number, factor in zip(best, covered, strict=True)]
        return tables.pages.ranked(pieces, query)

    def without_strange_numbers(self, query: str) -> str:
        """A query without the numbers that no page has, as nothing is known of them; itself if it is nothing else."""
        known = [word for word in query.split(" ") if not word.isdecimal() or word in self._pieces_with]
        return " ".join(known) or query

    def _understood(self, wishes: Sequence[Wish]) -> Sequence[Wish]:
        """Without the words that are in no page, but for the first few, which may be mistyped."""
        unknown = [wish for wish in wishes if not wish.alternatives and wish.said[0][0] not in self._pieces_with]
        left_out = unknown[ranking.MOST_UNKNOWN :]
        return [wish for wish in wishes if wish not in left_out] if left_out else wishes

    def _kept(self, wish: Wish, most: int, *, unfinished: bool) -> _Known:
        key = wish, most, unfinished
        known = self._known.get(key)
        if known is None:
            ahead = self._ahead.get(key)
            scores = (
                dict(zip(*ahead, strict=True)) if ahead else self._best(self._wish(wish, unfinished=unfinished), most)
            )
            known = self._keep(key, _Known(scores, *self._fulfilled(wish)))
        return known

    def _kept_pair(self, pair: str) -> _Known:
        if not self._in.get(pair, 0) & _PAIRS:
            return _NOTHING
        known = self._known.get(pair)
        if known is None:
            ahead = self._ahead.get(pair)
            known = self._keep(pair, _Known(dict(zip(*ahead, strict=True)) if ahead else self._best_of_pair(pair)))
        return known

    def _keep(self, key: _Key, found: _Known) -> _Known:
        if len(self._known) >= _MOST_WISHES:
            self._known.clear()
        self._known[key] = found
        return found

    def _best_of_pair(self, pair: str) -> _Scores:
        return self._best(_boosted(self._term("pairs", pair), ranking.FIELDS["pairs"]), ranking.MOST_OF_A_PAIR)

    def _best(self, query: tantivy.Query | None, most: int) -> _Scores:
        hits = self._searcher.search(query, max(most, 1), count=False).hits if query else []
        return {self._number_at[_place(address)]: score for score, address in hits}

    def _fulfilled(self, wish: Wish) -> tuple[bytes, float]:
        """Whether each piece fulfils a wish, and its rarity."""
        pieces = fitting = 0
        for way in (*wish.said, *wish.alternatives):
            having = [self._pieces_with.get(word, 0) for word in way]
            pieces |= reduce(and_, having)
            fitting += min(one.bit_count() for one in having)
        if not fitting:
            return b"", 0.0
        generic = ranking.GENERIC if all(weight_of(said) == ranking.GENERIC for said in wish.said) else 1.0
        digits = f"{pieces:0{self._count}b}".encode()[::-1]
        return digits.translate(_FROM_DIGITS), generic * math.log(1 + self._count / fitting)

    def _wish(self, wish: Wish, *, unfinished: bool = False) -> tantivy.Query | None:
        """Any of the ways to say a word; the best counts. None where no page has any of its words.

        The fields of all single words stand side by side: each query within another one costs tantivy a buffer.
        """
        ways = [way for phrase in wish.said for way in self._some(phrase)]
        ways += [way for alternative in wish.alternatives for way in self._all(alternative)]
        for word in [phrase[0] for phrase in wish.said if len(phrase) == 1]:
            if unfinished:
                ways += [
                    way for longer in self._beginning_with(word) for way in self._in_fields(longer, ranking.PREFIX)
                ]
            if word not in self._pieces_with and len(word) >= ranking.FUZZY_FROM:
                ways += [way for alike in self._alike(word) for way in self._in_fields(alike, ranking.TYPO)]
        return tantivy.Query.disjunction_max_query(ways, ranking.FURTHER) if ways else None

    def _some(self, said: Sequence[str]) -> list[tantivy.Query]:
        """What the query says: each of its words counts."""
        known = [word for word in said if word in self._pieces_with]
        if len(known) == 1:
            return self._in_fields(known[0], weight_of(said))
        return [_any([self._word(word, weight_of(said)) for word in known])] if known else []

    def _all(self, alternative: Sequence[str]) -> list[tantivy.Query]:
        """Another way to say it: only as a whole."""
        if len(alternative) == 1 and alternative[0] in self._pieces_with:
            return self._in_fields(alternative[0], ranking.SYNONYM * weight_of(alternative))
        whole = as_whole(alternative)
        return self._in_fields(whole, ranking.PHRASE) if whole in self._pieces_with else []

    def _word(self, word: str, weight: float) -> tantivy.Query:
        return tantivy.Query.disjunction_max_query(self._in_fields(word, weight), ranking.FURTHER)

    def _in_fields(self, word: str, weight: float) -> list[tantivy.Query]:
        """A known word in each field that has it."""
        there = self._in[word]
        return [
            _boosted(self._term(name, word), boost * weight)
            for place, (name, boost) in enumerate(ranking.FIELDS.items())
            if name != "pairs" and there >> place & 1
        ]

    def _term(self, field: str, word: str) -> tantivy.Query:
        return tantivy.Query.term_query(_SCHEMA, field, word, "freq")

    def _alike(self, word: str) -> list[str]:
        """Known words that are a letter away, long ones two, and begin alike: the first letter is rarely wrong."""
        most = _TWO_TYPOS if len(word) >= _LONG else _ONE_TYPO
        begin, end = bisect_left(self._vocabulary, word[0]), bisect_left(self._vocabulary, chr(ord(word[0]) + 1))
        letters = set(word)
        near = [
            one
            for one in self._vocabulary[begin:end]
            if abs(len(one) - len(word)) <= most and len(letters.symmetric_difference(one)) <= 2 * most
        ]  # a letter in place of another one: both are in one of the words only
        return [one for one in near if distance(word, one, most) <= most][: ranking.MOST_ALIKE]

    def _beginning_with(self, word: str) -> list[str]:
        place = bisect_left(self._vocabulary, word)
        near = self._vocabulary[place : place + ranking.MOST_ALIKE]
        return [longer for longer in near if longer.startswith(word) and longer != word]


def _schema() -> tantivy.Schema:
    builder = tantivy.SchemaBuilder()
    for name in ranking.FIELDS:
        builder.add_text_field(name, tokenizer_name="whitespace", index_option="freq")
    builder.add_integer_field("number", fast=True)
    return builder.build()


_SCHEMA = _schema()


def _fields(chunk: Chunk) -> dict[str, list[str]]:
    """The words of each of `ranking.FIELDS`, in their order."""
    page = chunk.page
    found = {
        "title": words(page.title),
        "heading": words(chunk.heading),
        "names": _names(page),
        "ids": words(chunk.ids),
        "text": words(chunk.text),
        "code": words(chunk.code),
        "pairs": bigrams(f"{page.title} {chunk.heading} {chunk.text}"),
        "about": words(page.summary) if chunk.heading != page.title else [],
    }
    return {name: with_phrases(own) for name, own in found.items()}


def _names(page: DocPage) -> list[str]:
    """What a page is called: a name of several words by each, a model also by the parts of its id (`wan 2.6`)."""
    if page.kind is Kind.MODEL:
        found = (word for name in page.names for word in words(name))
    else:
        found = (stem(part) if part.isalpha() else part for name in page.names for part in name.lower().split())
    return [word for word in dict.fromkeys(found) if word not in GENERIC]


def _added_up(known: Sequence[_Known]) -> dict[int, float]:
    """The score of each piece for all wishes together.

    To have tantivy search for all wishes at once takes longer, as a wish is some words, each in some fields.
    """
    found = dict(known[0].scores) if known else {}
    before = found.get
    for one in known[1:]:
        for number, score in one.scores.items():
            found[number] = before(number, 0.0) + score
    return found


def _covered(best: Sequence[int], wanted: Sequence[_Known]) -> list[float]:
    """The factor of each piece for how much of the wishes it fulfils. Many fulfil the same ones."""
    if not (best and wanted):
        return [1.0] * len(best)
    rarities = [one.rarity for one in wanted]
    everything = sum(rarities)
    pick = itemgetter(*best, best[0])  # one more, as of a single one it makes no tuple
    found, factors = [], {}
    for met in zip(*[pick(one.fulfilled) for one in wanted], strict=True):
        if met not in factors:
            factors[met] = 1 + ranking.COVERED * sum(compress(rarities, met)) / everything
        found.append(factors[met])
    return found[:-1]


def _place(address: tantivy.DocAddress) -> tuple[int, int]:
    return address.segment_ord, address.doc


def _any(queries: Sequence[tantivy.Query]) -> tantivy.Query:
    if len(queries) == 1:
        return queries[0]
    return tantivy.Query.boolean_query([(tantivy.Occur.Should, query) for query in queries])


def _boosted(query: tantivy.Query, boost: float) -> tantivy.Query:
    return tantivy.Query.boost_query(query, boost)
