"""Turns on the event loop, for requests that compute for milliseconds: between two of them all others go on."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Hashable

_PAUSES = 4
"""Passes of the event loop between two turns: a submission that waits for the database has most of its steps done."""


class FairQueue:
    """Those who wait; who asks again and again takes turns with those who ask once."""

    def __init__(self) -> None:
        self._waiting: dict[Hashable, deque[asyncio.Future[None]]] = {}

    def add(self, who: Hashable) -> asyncio.Future[None]:
        """Done when it is the turn of `who`."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(who, deque()).append(turn)
        return turn

    def begin_next(self) -> bool:
        """Begin with the one who has waited longest of those whose last turn is longest ago; False when none waits."""
        while self._waiting:
            who = next(iter(self._waiting))
            turns = self._waiting.pop(who)
            while turns and turns[0].done():  # gone meanwhile
                turns.popleft()
            if turns:
                turns.popleft().set_result(None)
                if turns:
                    self._waiting[who] = turns  # behind the others
                return True
        return False


class FairSemaphore:
    """Lets some go on at a time; the others wait for fair turns."""

    def __init__(self, at_once: int) -> None:
        self._left = at_once
        self._waiting = FairQueue()

    async def acquire(self, who: Hashable) -> None:
        """Return when it is the turn of `who`; then `release` is due."""
        if self._left:
            self._left -= 1
            return
        turn = self._waiting.add(who)
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():  # it was the caller's turn already
                self.release()
            raise

    def release(self) -> None:
        """Let the next one go on."""
        if not self._waiting.begin_next():
            self._left += 1


class TurnQueue:
    """Lets one caller begin at a time, in fair turns."""

    def __init__(self, shared_s: float = 0.0) -> None:
        """A turn is of one caller; or of several one after another, until they have taken `shared_s` seconds."""
        self._waiting = FairQueue()
        self._busy = False
        self._shared_s = shared_s
        self._until = 0.0
        self._begun = 0

    async def wait(self, who: Hashable) -> int:
        """Return when it is the turn of `who`: a team, an address. The number is for `is_over`."""
        await self._ask(who)
        return self._begun

    def is_over(self, turn: int) -> bool:
        """Whether others had theirs since, as who had this one had to wait for something."""
        return turn != self._begun

    def call(self, who: Hashable, do: Callable[[], object]) -> None:
        """Call `do` when it is the turn of `who`."""
        self._ask(who).add_done_callback(lambda _: do())

    def _ask(self, who: Hashable) -> asyncio.Future[None]:
        turn = self._waiting.add(who)
        if not self._busy:
            self._busy = True
            self._pause(asyncio.get_running_loop(), _PAUSES)
        return turn

    def _pause(self, loop: asyncio.AbstractEventLoop, left: int) -> None:
        if left:
            loop.call_soon(self._pause, loop, left - 1)
        elif self._waiting.begin_next():
            self._until = time.perf_counter() + self._shared_s
            loop.call_soon(self._go_on, loop)
        else:
            self._busy = False

    def _go_on(self, loop: asyncio.AbstractEventLoop) -> None:
        """Called when who began has computed."""
        self._begun += 1
        if time.perf_counter() < self._until and self._waiting.begin_next():
            loop.call_soon(self._go_on, loop)
        else:
            self._pause(loop, _PAUSES - 1)
