"""What is searched for in inputs: words from their beginning, and for scripts without spaces any run of characters.

The same rules make the words of a block, the query for blocks, and the decision about one task, so that a task is found
alike wherever it stands.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from modellix_server.base.team_mode import TeamMode

MOST_TERMS = 8
MOST_CHARACTERS = 128 * 1024
"""Of one task, and of a block beyond its first task: the words of a block must fit a `tsvector` (1 MB)."""

_LONGEST = 40
_WORD = re.compile(r"[^\W_]+")
_CJK = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff"
_RUNS = re.compile(rf"[{_CJK}]+|[^{_CJK}]+")
_IS_CJK = re.compile(rf"[{_CJK}]")
_NO_WORDS = ("http://", "https://", "data:", "sha256:", "file-")


@dataclass(frozen=True, slots=True)
class Term:
    """One thing that every match contains."""

    text: str
    cjk: bool

    @property
    def query(self) -> str:
        """As a `tsquery`; letters and digits only, so that nothing needs to be escaped."""
        if not self.cjk or len(self.text) == 1:
            return f"'{self.text}':*"
        return " & ".join(f"'{pair}'" for pair in _pairs(self.text))

    @property
    def plain(self) -> bool:
        """Whether the database finds it in the stored text as it is, in any locale."""
        return self.cjk or self.text.isascii()


def terms_of(text: str) -> list[Term]:
    """What a search asks for; empty when there is no letter or digit in it."""
    found = (
        Term(run[:_LONGEST], bool(_IS_CJK.match(run)))
        for word in _WORD.finditer(text.lower())
        for run in _RUNS.findall(word[0])
    )
    return list(dict.fromkeys(found))[:MOST_TERMS]


def words_of(texts: list[str]) -> set[str]:
    """All words of some texts."""
    words: set[str] = set()
    for text in texts:
        for word in _WORD.finditer(text.lower()):
            for run in _RUNS.findall(word[0]):
                if _IS_CJK.match(run):
                    words.update(_pairs(run))
                    words.add(run[-1])
                else:
                    words.add(run[:_LONGEST])
    return words


def texts_of(params: str) -> list[str]:
    """The texts among a task's inputs, without links and digests, up to MOST_CHARACTERS together."""
    texts, left = [], MOST_CHARACTERS
    for text in _texts(msgspec.json.decode(params)):
        texts.append(text[:left])
        left -= len(text)
        if left <= 0:
            break
    return texts


def matches(params: str, terms: list[Term]) -> bool:
    """Whether a task with these inputs is what was searched for."""
    texts = texts_of(params)
    words = words_of(texts)
    lower = "\n".join(texts).lower()
    return all(term.text in lower if term.cjk else any(word.startswith(term.text) for word in words) for term in terms)


def owner_word(owner: TeamMode) -> str:
    """Stands for a team in one mode: no input has a word with a colon."""
    return f"team:{owner.team_id}:{owner.mode}"


def _texts(value: Any) -> Iterator[str]:
    match value:
        case str() if not value.startswith(_NO_WORDS):
            yield value
        case dict():
            for one in value.values():
                yield from _texts(one)
        case list():
            for one in value:
                yield from _texts(one)


def _pairs(run: str) -> Iterator[str]:
    return (run[at : at + 2] for at in range(len(run) - 1))
