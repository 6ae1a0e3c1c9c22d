"""A window for the paid submissions of one model: of those that a worker's death would lose, few at once.

A submission is lost with its worker from its intent until the vendor's answer is on record. When there is much to
catch up with, as after a start or when another worker has died, many of them at once are hardly faster than few: they
wait for each other, for the database, or for a vendor that answers at once anyway. So the window is small then, and
opens as answers come (slow start, RFC 5681, but not as fast): what a worker's death loses is little beside what that
worker has brought home.

A vendor that takes its time is another matter: what it has had for a moment is not counted until its answer comes, so
that any number may wait there.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType

FIRST_PLACES = 24
_MOST_PLACES = 128
_ANSWERS_A_PLACE = 32
_MOMENT_S = 1.0


class AdaptiveConcurrencyLimiter:
    """Places for so many submissions at once, first come first served."""

    def __init__(self, places: int = FIRST_PLACES) -> None:
        self._first = self._places = self._free = places
        self._answers = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def take(self) -> None:
        """Wait for a place."""
        if self._free > 0:
            self._free -= 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():  # the place had been given just then
                self.give_back()
            raise

    def take_at_once(self) -> None:
        """A place for an answer that is here, whether there is one or not: the next has to wait for two."""
        self._free -= 1

    def heard(self) -> None:
        """The vendor has answered one."""
        self._answers += 1
        if self._answers % _ANSWERS_A_PLACE == 0 and self._places < _MOST_PLACES:
            self._places += 1
            self.give_back()

    def narrow(self) -> None:
        """As at the beginning: there may be much to catch up with."""
        self._free -= self._places - self._first
        self._places, self._answers = self._first, 0

    def give_back(self) -> None:
        """A place is free; whoever has waited longest gets it."""
        self._free += 1
        while self._waiting and self._free > 0:
            turn = self._waiting.popleft()
            if not turn.done():
                self._free -= 1
                turn.set_result(None)


class SubmissionSlot:
    """One submission, as a context: entered when the window has a place for it."""

    def __init__(self, window: AdaptiveConcurrencyLimiter) -> None:
        self._window = window
        self._counted = False

    async def __aenter__(self) -> SubmissionSlot:
        await self._window.take()
        self._counted = True
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leave()

    @contextmanager
    def at_the_vendor(self) -> Iterator[None]:
        """While the vendor has it: after a moment its place is free for the next."""
        moment = asyncio.get_running_loop().call_later(_MOMENT_S, self._leave)
        try:
            yield
            self._window.heard()
        finally:
            moment.cancel()
            if not self._counted:
                self._counted = True
                self._window.take_at_once()

    def _leave(self) -> None:
        if self._counted:
            self._counted = False
            self._window.give_back()


class Pace:
    """Spreads calls over time: at most `per_s` a second over all workers, first come first served."""

    def __init__(self, per_s: float) -> None:
        self._per_s = per_s
        self._next = 0.0

    async def turn(self, workers: int) -> None:
        """Wait for the next free place of this worker, one of so many that share the limit evenly."""
        now = time.monotonic()
        place = max(self._next, now)
        self._next = place + workers / self._per_s
        if place > now:
            await asyncio.sleep(place - now)
