"""The order of letters in a line whose parts are read in both directions.

Unicode's bidirectional algorithm (UAX 9) for one line, without the invisible characters that steer it.
"""

import unicodedata
from itertools import groupby

Run = tuple[int, int, int]
"""Where a part begins and ends in the text, and its level: odd ones are read from right to left."""
_STRONG = {"L": "L", "R": "R", "AL": "R"}


def leftwards(text: str) -> bool:
    """Whether the first letter with a direction is of a script that is read from right to left (rules P2, P3)."""
    return next((_STRONG[kind] == "R" for char in text if (kind := unicodedata.bidirectional(char)) in _STRONG), False)


def runs(text: str) -> list[Run]:
    """The parts of one direction, from left to right as they are seen (rule L2)."""
    levels = _levels(text)
    parts = []
    start = 0
    for level, group in groupby(levels):
        end = start + len(list(group))
        parts.append((start, end, level))
        start = end
    for level in range(max(levels, default=0), 0, -1):
        parts = _turned(parts, level)
    return parts


def _turned(parts: list[Run], level: int) -> list[Run]:
    """The parts with each stretch of this level or above it in reverse order."""
    turned: list[Run] = []
    stretch: list[Run] = []
    for part in parts:
        if part[2] >= level:
            stretch.insert(0, part)
        else:
            turned += [*stretch, part]
            stretch = []
    return turned + stretch


def _levels(text: str) -> list[int]:
    base = int(leftwards(text))
    kinds = _numbers([unicodedata.bidirectional(char) or "L" for char in text], "RL"[not base])
    kinds = _neutrals(kinds, "RL"[not base])
    steps = ({"L": 0, "R": 1, "EN": 2, "AN": 2}, {"L": 1, "R": 0, "EN": 1, "AN": 1})[base]
    return [base + steps[kind] for kind in kinds]


def _numbers(kinds: list[str], outside: str) -> list[str]:
    """Marks and what stands in and around numbers resolved (rules W1 to W7)."""
    strong, before = outside, outside
    resolved = []
    for kind in kinds:
        now = before if kind == "NSM" else kind
        if now in _STRONG:
            strong = now
        elif now == "EN" and strong == "AL":
            now = "AN"
        resolved.append(now)
        before = now
    _separators(resolved)
    strong = outside
    for at, kind in enumerate(resolved):
        if kind in _STRONG:
            strong = resolved[at] = _STRONG[kind]
        elif kind == "EN" and strong == "L":
            resolved[at] = "L"
    return resolved


def _separators(kinds: list[str]) -> None:
    """What stands between the digits of a number, or beside it, becomes a part of it (rules W4, W5)."""
    for at in range(1, len(kinds) - 1):
        before, after = kinds[at - 1], kinds[at + 1]
        if before == after and (kinds[at], before) in (("ES", "EN"), ("CS", "EN"), ("CS", "AN")):
            kinds[at] = before
    for order, step in ((range(1, len(kinds)), -1), (range(len(kinds) - 2, -1, -1), 1)):
        for at in order:
            if kinds[at] == "ET" and kinds[at + step] == "EN":
                kinds[at] = "EN"


def _neutrals(kinds: list[str], outside: str) -> list[str]:
    """What has no direction takes that of both its neighbours, or else that of the line (rules N1, N2)."""
    resolved = []
    groups = [
        (neutral, list(group)) for neutral, group in groupby(kinds, lambda kind: kind not in ("L", "R", "EN", "AN"))
    ]
    for at, (neutral, group) in enumerate(groups):
        if not neutral:
            resolved += group
            continue
        before = "L" if (groups[at - 1][1][-1] if at else outside) == "L" else "R"
        after = "L" if (groups[at + 1][1][0] if at + 1 < len(groups) else outside) == "L" else "R"
        resolved += [before if before == after else outside] * len(group)
    return resolved
