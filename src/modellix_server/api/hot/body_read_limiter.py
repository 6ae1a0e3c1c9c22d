"""Paces the reading of large request bodies, so that they do not delay other requests."""

from __future__ import annotations

import asyncio
import heapq

_PAUSE_S = 0.001
_MOST_PAUSES = 4  # with chunks of 256 KB: half a gigabit a second, however many bodies arrive at once


class BodyReadLimiter:
    """Grants reads of one chunk at a time, with pauses that grow with the number of waiting bodies.

    In the pauses the event loop serves other requests. Of the waiting bodies the oldest is next, so that its
    processing overlaps with the reading of the others. A body with a slow client does not wait here and blocks none.
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
        """Wait until this body may read its next chunk."""
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
