"""What a query asks for: its words and phrases, and other ways to say them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

from modellix_server.docsite import ranking
from modellix_server.docsite.words import asked, said, words


class Wish(NamedTuple):
    """Something that a query asks for: as it is said there, and in other ways. Each is one word, or some together."""

    said: tuple[tuple[str, ...], ...]
    alternatives: tuple[tuple[str, ...], ...] = ()


@lru_cache(maxsize=512)
def wishes_of(query: str) -> tuple[Wish, ...]:
    """The words of a query, those that belong together as one, with their synonyms."""
    rows: dict[int, list[_Phrase]] = {}
    for row, phrase in _phrases_in(query):
        rows.setdefault(row, []).append(phrase)
    wishes, known = [], set()
    for row in sorted(rows):
        own = tuple(dict.fromkeys(phrase.words for phrase in rows[row]))
        wishes.append(_one_of(row, own))
        known |= {word for phrase in own for word in phrase}
    return (*wishes, *(Wish(((word,),)) for word in asked(query) if word not in known))


@lru_cache(maxsize=512)
def _one_of(row: int, own: tuple[tuple[str, ...], ...]) -> Wish:
    return Wish(own, tuple(phrase.words for phrase in _SYNONYMS[row] if phrase.words not in own))


def _phrases_in(query: str) -> Iterator[tuple[int, _Phrase]]:
    """The phrases of a query with their rows, without those that are a part of a longer one."""
    spoken, lower = said(query), query.lower()
    found = [
        (place, place + len(phrase.said), row, phrase)
        for place, word in enumerate(spoken)
        if word in _BEGINNING_WITH
        for row, phrase in _BEGINNING_WITH[word]
        if spoken[place : place + len(phrase.said)] == phrase.said
    ]
    # Chinese has no spaces: a place there is one of characters, kept apart from those of words.
    apart = len(spoken)
    found += [
        (apart + place, apart + place + len(phrase.text), row, phrase)
        for letter in (() if lower.isascii() else dict.fromkeys(lower))
        if letter in _CHINESE_FROM
        for row, phrase in _CHINESE_FROM[letter]
        if (place := lower.find(phrase.text)) >= 0
    ]
    for start, end, row, phrase in found:
        if not any(
            other <= start and end <= until and until - other > end - start for other, until, _row, _phrase in found
        ):
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
_BEGINNING_WITH: dict[str, list[tuple[int, _Phrase]]] = {}
"""English phrases by their first word."""
_CHINESE_FROM: dict[str, list[tuple[int, _Phrase]]] = {}
"""All others by their first character."""
for _row, _found in enumerate(_SYNONYMS):
    for _phrase in _found:
        if _phrase.text.isascii():
            _BEGINNING_WITH.setdefault(_phrase.said[0], []).append((_row, _phrase))
        else:
            _CHINESE_FROM.setdefault(_phrase.text[0], []).append((_row, _phrase))


GENERIC = frozenset(word for text in ranking.GENERIC_WORDS for word in words(text))
"""Words of most questions."""


_TOGETHER = "="


def as_whole(phrase: Sequence[str]) -> str:
    """What stands in the index for words that are found as a whole."""
    return _TOGETHER.join(phrase)


def is_phrase(word: str) -> bool:
    """Whether a word of the index stands for a phrase."""
    return _TOGETHER in word


_PHRASES_WITH: dict[str, list[tuple[frozenset[str], str]]] = {}
"""Those of several words by one of them, with what stands for them."""
for _found in _SYNONYMS:
    for _phrase in _found:
        if len(_phrase.words) > 1:
            one = frozenset(_phrase.words), as_whole(_phrase.words)
            _PHRASES_WITH.setdefault(_phrase.words[-1], []).append(one)


def with_phrases(found: list[str]) -> list[str]:
    """The words of a field, and what stands for the phrases of which all words are among them.

    So a phrase is looked for as quickly as a word; a query for several words within another one takes ten times that.
    """
    there = set(found)
    phrases = (phrase for word in there for phrase in _PHRASES_WITH.get(word, ()))
    return [*found, *(token for wanted, token in phrases if wanted <= there)]


def weight_of(words: Sequence[str]) -> float:
    """Of each of some words that belong together: a single one may be in most questions."""
    return ranking.GENERIC if len(words) == 1 and words[0] in GENERIC else 1 / len(words)
