"""Paces the reading of large request bodies, so that they do not delay other requests, and bounds what they hold."""

from __future__ import annotations

import asyncio
import heapq
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from modellix_server.base.errors import Unavailable

_PAUSE_S = 0.001
_MOST_PAUSES = 4  # with chunks of 256 KB: half a gigabit a second, however many bodies arrive at once


_MOST_BYTES_OF_A_TEAM = 256 << 20
_MOST_BYTES = 1 << 30


class BodyReadLimiter:
    """Bounds the bytes of large bodies that are being received, of a team and in all, and grants reads of one chunk.

    Between two reads there is a pause, which grows with the number of waiting bodies: in it the event loop serves other
    requests. Of the waiting bodies the oldest is next, so that its processing overlaps with the reading of the others.
    A body with a slow client does not wait here and blocks none.
    """

    def __init__(self) -> None:
        self._bodies = 0
        self._bytes: Counter[int] = Counter()
        self._waiting: list[tuple[int, asyncio.Future[None]]] = []
        self._pausing = False

    @contextmanager
    def join(self, team_id: int, most_bytes: int) -> Iterator[int]:
        """The number of a team's new body, for `take`. Raises Unavailable when there is no room for its bytes."""
        if self._bytes[team_id] + most_bytes > _MOST_BYTES_OF_A_TEAM:
            raise Unavailable("this team sends large bodies of more than 256 MB at a time", retry_after_s=5)
        if self._bytes.total() + most_bytes > _MOST_BYTES:
            raise Unavailable("too many large bodies are being received", retry_after_s=5)
        self._bodies += 1
        self._bytes[team_id] += most_bytes
        try:
            yield self._bodies
        finally:
            self._bytes[team_id] -= most_bytes
            if not self._bytes[team_id]:
                del self._bytes[team_id]

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
