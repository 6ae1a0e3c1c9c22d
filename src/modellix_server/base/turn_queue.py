"""Turns on the event loop, for requests that compute for milliseconds: between two of them all others go on."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Hashable

_PAUSES = 4
"""Passes of the event loop between two turns: a submission that waits for the database has most of its steps done."""


class TurnQueue:
    """Lets one caller begin at a time; those who ask again and again take turns with those who ask once."""

    def __init__(self) -> None:
        self._waiting: dict[Hashable, deque[asyncio.Future[None]]] = {}
        self._busy = False

    async def wait(self, who: Hashable) -> None:
        """Return when it is the turn of `who`: a team, an address."""
        loop = asyncio.get_running_loop()
        turn: asyncio.Future[None] = loop.create_future()
        self._waiting.setdefault(who, deque()).append(turn)
        if not self._busy:
            self._busy = True
            self._pause(loop, _PAUSES)
        await turn

    def _pause(self, loop: asyncio.AbstractEventLoop, left: int) -> None:
        if left:
            loop.call_soon(self._pause, loop, left - 1)
        elif self._begin_next():
            self._pause(loop, _PAUSES)
        else:
            self._busy = False

    def _begin_next(self) -> bool:
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
