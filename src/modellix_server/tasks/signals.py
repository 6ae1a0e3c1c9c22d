"""Hints to the worker that has a task, sent to all of them; they may get lost without harm."""

from __future__ import annotations

import asyncio
import re
import time
from dataclasses import dataclass
from uuid import UUID

CHANNEL = "modellix_signals"
PROGRESS_CHANNEL = "modellix_progress"
"""What vendors tell of unfinished tasks, for those who follow them: `<task in hex>:<percent>`, several apart by spaces.

It is written nowhere: a row for each poll would say next to nothing (docs/adr/0002)."""

_PAYLOAD = re.compile(r"([0-9a-f]{32}) ([0-9]{1,9}|cancel)", re.ASCII)
_CALLED_GAP_S = 1.0


@dataclass(frozen=True, slots=True)
class Signal:
    """Look at this task now: the vendor has called about one attempt, or (None) its team wants it canceled."""

    task_id: UUID
    attempt: int | None

    @property
    def payload(self) -> str:
        """As it travels in a NOTIFY."""
        return f"{self.task_id.hex} {'cancel' if self.attempt is None else self.attempt}"

    @classmethod
    def read(cls, payload: str) -> Signal | None:
        """None for words of another version of the program."""
        found = _PAYLOAD.fullmatch(payload)
        if found is None:
            return None
        return cls(UUID(hex=found[1]), None if found[2] == "cancel" else int(found[2]))


class SignalInbox:
    """What was heard of one claimed task and not yet acted on; waits for the task are cut short by it."""

    __slots__ = ("_looked_at", "_waiting", "attempt", "called", "cancel_wanted")

    def __init__(self, attempt: int, *, cancel_wanted: bool) -> None:
        self.attempt = attempt
        """Calls of the vendor about any other are no news."""
        self.called = False
        self.cancel_wanted = cancel_wanted
        self._looked_at = 0.0
        self._waiting: asyncio.Future[None] | None = None

    def receive(self, signal: Signal) -> None:
        """Take note, and end the present wait."""
        if signal.attempt is None:
            self.cancel_wanted = True
        elif signal.attempt == self.attempt:
            self.called = True
        else:
            return
        self._wake()

    async def wait(self, seconds: float) -> None:
        """Sleep, unless there is news; because of the vendor's calls alone a wait ends at most once a second."""
        due = time.monotonic() + seconds
        if not (self.called or self.cancel_wanted):
            loop = asyncio.get_running_loop()
            self._waiting = loop.create_future()
            timer = loop.call_later(seconds, self._wake)
            try:
                await self._waiting
            finally:
                timer.cancel()
                self._waiting = None
        if self.called:
            await asyncio.sleep(min(due, self._looked_at + _CALLED_GAP_S) - time.monotonic())
            self.called = False
        self._looked_at = time.monotonic()

    def _wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)
