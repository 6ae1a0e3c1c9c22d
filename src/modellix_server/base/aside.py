"""Work of milliseconds off the event loop."""

from __future__ import annotations

import asyncio
import contextvars
import time
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

from modellix_server.base.turn_queue import FairSemaphore

_Given = ParamSpec("_Given")
_Made = TypeVar("_Made")
_LEAST_BYTES, _MOST_BYTES, _MOST_GROWTH = 4 * 1024, 128 * 1024, 4.0  # of data that is taken in pieces
_PIECE_S = 0.001


class Aside:
    """Computes in one thread, whoever gives up: each that computes keeps the interpreter from the event loop.

    Who has much to compute takes turns with those who have little: so long work is to be given in short pieces.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="aside")
        self._turns = FairSemaphore(1)

    async def run(
        self, who: Hashable, compute: Callable[_Given, _Made], *given: _Given.args, **more: _Given.kwargs
    ) -> _Made:
        """What `compute` returns or raises, in the caller's context; not begun when its caller has given up.

        `who` asks: a team, an address.
        """
        await self._turns.acquire(who)
        try:
            call = partial(contextvars.copy_context().run, compute, *given, **more)
            return await asyncio.get_running_loop().run_in_executor(self._thread, call)
        finally:
            self._turns.release()

    async def feed(self, who: Hashable, take: Callable[[bytes], object], data: bytes) -> None:
        """Have data taken in pieces of about a millisecond each. Raises what `take` raises."""
        at, size = 0, _LEAST_BYTES
        while at < len(data):
            spent_s = await self.run(who, _timed, take, data[at : at + size])
            at += size
            growth = min(_PIECE_S / max(spent_s, 1e-9), _MOST_GROWTH)
            size = min(max(int(size * growth), _LEAST_BYTES), _MOST_BYTES)


def _timed(take: Callable[[bytes], object], piece: bytes) -> float:
    """How long the thread computed, not how long it waited for a disk or for its turn at the interpreter."""
    begun = time.thread_time()
    take(piece)
    return time.thread_time() - begun
