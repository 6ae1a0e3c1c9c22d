"""Large bodies are read a part at a time, so that all of them together are hardly felt by anybody else."""

from __future__ import annotations

import asyncio
import heapq

_PAUSE_S = 0.001
_MOST_PAUSES = 4  # with parts of 256 KB: half a gigabit a second, however many bodies come at once


class BodyReadLimiter:
    """Turns at reading a part, a moment apart, a longer one in a crowd: in between the event loop belongs to others.

    Of the bodies that wait, the one that came first is next. What is done with it then goes on while the others are
    read. A body whose client is slow does not wait here, and holds up nobody.
    """

    def __init__(self) -> None:
        self._bodies = 0
        self._waiting: list[tuple[int, asyncio.Future[None]]] = []
        self._pausing = False

    def join(self) -> int:
        """The number of a new body, for `take`."""
        self._bodies += 1
        return self._bodies

    async def take(self, body: int) -> None:
        """Wait for this body's next turn, one at a time."""
        if self._pausing:
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            heapq.heappush(self._waiting, (body, turn))
            await turn
        else:
            self._pause()

    def _pause(self) -> None:
        self._pausing = True
        asyncio.get_running_loop().call_later(_PAUSE_S * min(1 + len(self._waiting), _MOST_PAUSES), self._next)

    def _next(self) -> None:
        self._pausing = False
        while self._waiting:
            _, turn = heapq.heappop(self._waiting)
            if not turn.done():
                turn.set_result(None)
                self._pause()
                return
