"""Faults on request: `[sandbox:NAME]` or `[sandbox:NAME=VALUE]` anywhere in the prompt.

They correspond to the test card numbers of payment sandboxes. For models without a prompt any other text
field may carry them. Several may be combined. An unknown name or value is refused, never ignored.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from modellix_server.sandbox.store import MemoryStore

_MARK = re.compile(r"\[sandbox:([^\]=]{0,40})(?:=([^\]]{0,60}))?\]")
_WORD = re.compile(r"[A-Za-z]+(\.[A-Za-z]+)*", re.ASCII)
LONGEST_S = 3600.0


class UnknownDirective(ValueError):
    """The text asks for something the sandbox does not know."""


@dataclass(frozen=True, slots=True)
class Spec:
    """One directive: what its value means and what it does."""

    value: Literal["none", "seconds", "count", "word"]
    does: str
    otherwise: str = ""
    """The value when none is given; with `none` and no default a value is required."""


KNOWN: dict[str, Spec] = {
    "refuse": Spec("none", "the submission is refused as an invalid parameter"),
    "moderate": Spec("none", "the submission is refused by content moderation"),
    "arrears": Spec("none", "the submission is refused because the vendor account owes money"),
    "throttle": Spec("count", "the first N submissions of this prompt are refused with 429", "1"),
    "error": Spec("count", "the first N submissions of this prompt are answered with 500, nothing is accepted", "1000"),
    "error-accepted": Spec("none", "the submission is accepted and charged, and answered with 500"),
    "lost": Spec("none", "the submission is accepted and charged, then the connection is cut without an answer"),
    "garbage": Spec("none", "the submission is accepted and charged, and answered with 200 and a page of HTML"),
    "queue": Spec("seconds", "the task stays queued for N seconds (it can be cancelled meanwhile)", "3"),
    "slow": Spec("seconds", "the task needs N seconds to finish", "3"),
    "badword": Spec("seconds", "the task's status is a word nobody knows for N seconds, then it goes on", "2"),
    "never": Spec("none", "the task runs for ever"),
    "fail": Spec("word", "the task fails after a second, with the given vendor code", "InternalError.Algo"),
    "partial": Spec("none", "the last of the results fails; if it is the only one the task fails"),
    "overbill": Spec("none", "the usage report names more than was asked for and made"),
    "vanish": Spec("none", "the result links answer 404"),
    "huge": Spec("none", "the result files never end"),
    "mistyped": Spec("none", "the result files are pages of HTML under a picture's or clip's name"),
}


@dataclass(frozen=True, slots=True)
class Directives:
    """What a text asks for. Numbers are 0 where it does not ask."""

    names: frozenset[str] = frozenset()
    throttle: int = 0
    error: int = 0
    queue_s: float = 0.0
    slow_s: float = 0.0
    badword_s: float = 0.0
    fail: str = ""

    def __contains__(self, name: str) -> bool:
        return name in self.names


NONE = Directives()


def read(texts: Iterable[str]) -> Directives:
    """The directives in `texts`. Raises UnknownDirective."""
    found: dict[str, str] = {}
    for text in texts:
        if "[sandbox:" not in text:
            continue
        for mark in _MARK.finditer(text):
            found[mark[1]] = _value(mark[1], mark[2])
    if not found:
        return NONE
    return Directives(
        names=frozenset(found),
        throttle=int(found.get("throttle", 0)),
        error=int(found.get("error", 0)),
        queue_s=float(found.get("queue", 0)),
        slow_s=float(found.get("slow", 0)),
        badword_s=float(found.get("badword", 0)),
        fail=found.get("fail", ""),
    )


def _value(name: str, given: str | None) -> str:
    spec = KNOWN.get(name)
    if spec is None:
        raise UnknownDirective(f"unknown sandbox directive: {name}")
    value = spec.otherwise if given is None else given
    match spec.value:
        case "none":
            fits = given is None
        case "count":
            fits = value.isascii() and value.isdigit() and 0 < int(value) <= 1000
        case "seconds":
            fits = re.fullmatch(r"\d{1,4}(\.\d{1,3})?", value, re.ASCII) is not None and float(value) <= LONGEST_S
        case "word":
            fits = _WORD.fullmatch(value) is not None
    if not fits:
        raise UnknownDirective(f"sandbox directive {name} cannot have the value: {value}")
    return value


class FirstTimes:
    """Counts submissions of a prompt, for the directives that fail the first ones."""

    def __init__(self) -> None:
        self._seen: MemoryStore[list[int]] = MemoryStore(most=10_000)

    def fault(self, asked: Directives, prompt: str) -> Literal["throttle", "error"] | None:
        """The fault of this submission, by name; counts it."""
        if not asked.throttle and not asked.error:
            return None
        count = self._seen.get(prompt)
        if count is None:
            count = [0]
            self._seen.put(prompt, count)
        count[0] += 1
        if count[0] <= asked.throttle:
            return "throttle"
        return "error" if count[0] - asked.throttle <= asked.error else None
