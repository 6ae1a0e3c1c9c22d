"""From text to the words that the index holds and a query asks for. Both sides use the same functions."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from importlib.resources import files

_WORD = re.compile(r"[a-z0-9]+(?:[._/*:-]+[a-z0-9]+)*")
_JOINTS = re.compile(r"[/_*:-]+")
_NUMBERED = re.compile(r"([a-z]{3,})([0-9][0-9.]*)")
_CHINESE = re.compile(r"[\u3400-\u9fff]+")
_ENDINGS = (
    *(("ies", "y"), ("ied", "y"), ("sses", "ss"), ("ing", ""), ("ations", "at"), ("ation", "at"), ("ed", "")),
    *(("es", "e"), ("s", "")),
)
_STOP = frozenset(
    re.findall(
        r"\S+",
        """
        a an and are as at be by can do does for from how i if in into is it its me my of on or so that the their then
        there these this to was we what when where which who why will with you your want need should would could have
        has am get one many more than any some may might must let us our its his them they he she also just only very
        was were been being does did don doesn isn there here it's i'm see
        know find show tell want please actually really right using uses used not no
        的 了 和 是 在 我 有 吗 呢 怎么 如何 什么 怎样 一个 可以 能 不能 要 想 把 被 给 用 就 都 也 吧 啊 请问
        哪里 哪些 多少 为什么 到 得 会 还 先 里 从 对 等 该 应该 需要 时 时候 后 前 来 去 让 为 与 及 或 而 但
        如果 这 那 个 我们 你们 它 很 最 哪 哪个 啥 怎么办 怎么回事 是不是 里面 里边 上 下 就是 一下 那个 这个
        没有 不 查看 知道 使用 进行 支持 想要 请 来说 通过 以及
        """,
    )
)
"""Words that are in every question, and say nothing of what it is about."""


_CHINESE_WORDS = frozenset(files(__package__).joinpath("chinese_words.txt").read_text(encoding="utf-8").split())
"""The Chinese words of the pages, of what they are called otherwise, and of questions: `scripts/chinese_words.py`.

What a page does not say cannot be found in it: so few words cut as well as a whole dictionary, which takes 34 MB.
"""
_LONGEST = {word[0]: len(word) for word in sorted(_CHINESE_WORDS, key=len)}
"""How many characters the words have at most that begin with one."""


def words(text: str) -> list[str]:
    """The words of a text: ids whole and in parts, English ones without endings, Chinese ones that are known."""
    text = text.lower()
    found: list[str] = []
    for word in _WORD.findall(text):
        found += _in_parts(word)
    for run in () if text.isascii() else _CHINESE.findall(text):
        found += _cut(run)
    return found


def bigrams(text: str) -> list[str]:
    """Chinese by pairs of characters: they find what was cut in another way."""
    return [run[place : place + 2] for run in _CHINESE.findall(text) for place in range(max(len(run) - 1, 1))]


@lru_cache(maxsize=64)
def said(text: str) -> tuple[str, ...]:
    """The words of a query."""
    return tuple(words(text))


@lru_cache(maxsize=64)
def asked(text: str) -> tuple[str, ...]:
    """The words of a query that say something, each once; all of them where none does."""
    found = tuple(dict.fromkeys(said(text)))
    return tuple(word for word in found if word not in _STOP) or found


def stem(word: str) -> str:
    """An English word without its ending; crude, but the same on both sides."""
    for ending, instead in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= 3 and not (ending == "s" and word[-2] in "su"):
            word = word[: len(word) - len(ending)] + instead
            break
    if len(word) > 4 and word[-1] == word[-2] and word[-1] not in "aeolsz":
        word = word[:-1]  # canceling, cancelled, canceled
    return word[:-1] if len(word) > 4 and word.endswith("e") else word


def distance(one: str, other: str, most: int = 100) -> int:
    """The letters by which two words differ; two that changed places count once. More than `most` is not counted on."""
    before: list[int] = []
    last = list(range(len(other) + 1))
    for row, letter in enumerate(one, 1):
        now = [row]
        for column, against in enumerate(other, 1):
            cost = min(last[column] + 1, now[-1] + 1, last[column - 1] + (letter != against))
            if row > 1 and column > 1 and letter == other[column - 2] and one[row - 2] == against:
                cost = min(cost, before[column - 2] + 1)
            now.append(cost)
        if min(now) > most:
            return most + 1
        before, last = last, now
    return last[-1]


@lru_cache(maxsize=20_000)
def _in_parts(word: str) -> tuple[str, ...]:
    """A word as it is looked for; an id also in parts."""
    if word.isalpha():
        return (word if word in _STOP else stem(word),)
    parts = _JOINTS.split(word)
    found = [word]
    if len(parts) > 1:
        found += [stem(part) if part.isalpha() else part for part in parts]
    for part in parts:
        if numbered := _NUMBERED.fullmatch(part):
            found += stem(numbered[1]), numbered[2]
    return tuple(found)


def _cut(run: str) -> Iterator[str]:
    """Chinese as words: always the longest that is known, after the shorter ones in it; else single characters."""
    start = 0
    while start < len(run):
        size = min(_LONGEST.get(run[start], 1), len(run) - start)
        while size > 1 and run[start : start + size] not in _CHINESE_WORDS:
            size -= 1
        for part in range(2, size):
            inner = (run[place : place + part] for place in range(start, start + size - part + 1))
            yield from (word for word in inner if word in _CHINESE_WORDS)
        yield run[start : start + size]
        start += size


def chinese_stop_words() -> frozenset[str]:
    """Those of `_STOP` that are Chinese."""
    return frozenset(word for word in _STOP if _CHINESE.fullmatch(word))
