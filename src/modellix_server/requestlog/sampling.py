"""Which calls of unknown callers are written down: the first of each minute, and of the others their number."""

from __future__ import annotations

import time
from collections.abc import Callable

from modellix_server.requestlog.store import LogEntry

_WINDOW_S = 60
_MOST_ROWS = 300
_MOST_CHARACTERS = 200_000  # of paths, inputs and answers
_MOST_KINDS = 20  # of status and code


class UnknownCallers:
    """Anybody may send requests without a key, as many as they like: what they leave in the log is bounded here."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._ends = 0.0
        self._rows = self._characters = 0
        self._counted: dict[tuple[int, str | None], tuple[LogEntry, int]] = {}

    def take(self, row: LogEntry) -> LogEntry | None:
        """The row, if it is to be written; None for one that is only counted."""
        self._rows += 1
        self._characters += len(row.path) + len(row.input or "") + len(row.answer or "")
        if self._rows <= _MOST_ROWS and self._characters <= _MOST_CHARACTERS:
            return row
        kind = (row.status, row.code)
        if kind not in self._counted and len(self._counted) >= _MOST_KINDS:
            kind = next(iter(self._counted))
        first, count = self._counted.get(kind, (row, 0))
        self._counted[kind] = (first, count + 1)
        return None

    def ended(self, *, at_once: bool = False) -> list[LogEntry]:
        """Once a minute has ended, a row for each kind of the calls that were only counted, with their number."""
        now = self._clock()
        if now < self._ends and not at_once:
            return []
        self._ends, self._rows, self._characters = now + _WINDOW_S, 0, 0
        counted, self._counted = self._counted, {}
        return [first._replace(input=None, answer=None, calls=count) for first, count in counted.values()]
