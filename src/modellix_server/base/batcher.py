"""Natural batching: the items that arrive during one call form the next call.

No timer: at low load a batch holds one item and does not wait; under load the batch grows with the time that a
call takes. This is what makes durable submissions cheap (docs/adr/0001).
"""

import asyncio
import contextvars
import math
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from modellix_server.base import time_budget

_LOOK_EVERY_S = 0.25

Item = TypeVar("Item")
Answer = TypeVar("Answer")


class Again(Exception):
    """Set as an item's answer by a flush to put the item into the next batch."""


class Batcher(Generic[Item, Answer]):
    """Joins concurrent calls into calls of `flush`, at most `flushers` of them at a time.

    `flush` gets the items in order and returns one answer each, in the same order; an answer that is
    an exception is raised in its caller. An exception raised by `flush` itself goes to all.
    """

    def __init__(
        self,
        flush: Callable[[list[Item]], Awaitable[Sequence[Answer | BaseException]]],
        *,
        flushers: int = 1,
        most: int = 256,
        gathering: bool = False,
    ) -> None:
        """`gathering`: between two batches the event loop goes round once, so that what has come meanwhile joins.

        That pays where an item costs much less in a larger batch, and delays none that comes alone.
        """
        self._flush = flush
        self._idle = flushers
        self._most = most
        self._gathering = gathering
        # Each item with its waiting future, and the end of its caller's time budget, by the monotonic clock.
        self._waiting: deque[tuple[Item, asyncio.Future[Answer], float]] = deque()
        self._under_way: list[list[tuple[Item, asyncio.Future[Answer], float]]] = []
        self._running: set[asyncio.Task[None]] = set()
        self._looking = False
        # Not the context of the first caller: a batch is for many, and its log lines must not name one of them.
        self._context = contextvars.copy_context()
        self._context.run(time_budget.end)

    async def __call__(self, item: Item, *, until_done: bool = False) -> Answer:
        """Hand in one item and wait for its own answer.

        Raises TimeoutError when the caller's time budget ends first: the item may be executed all the same. With
        `until_done` there is no time limit.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Answer] = loop.create_future()
        limit = None if until_done else time_budget.current()
        if limit is None:
            self._take(item, future, math.inf)
            return await future
        asked = time.monotonic()
        self._take(item, future, asked + limit.left_s)
        if not self._looking:
            self._looking = True
            loop.call_later(_LOOK_EVERY_S, self._look_for_the_impatient)
        try:
            return await future
        finally:
            limit.left_s -= time.monotonic() - asked

    def _take(self, item: Item, future: asyncio.Future[Answer], until: float) -> None:
        self._waiting.append((item, future, until))
        if self._idle:
            self._idle -= 1
            task = asyncio.create_task(self._drain(), context=self._context)
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    def _look_for_the_impatient(self) -> None:
        """Raise TimeoutError in callers whose time budget has ended. One timer for all, if there are any."""
        now = time.monotonic()
        for batch in (self._waiting, *self._under_way):
            for _, future, until in batch:
                if now >= until and not future.done():
                    future.set_exception(TimeoutError("the database did not answer in time"))
        self._looking = bool(self._waiting or self._under_way)
        if self._looking:
            asyncio.get_running_loop().call_later(_LOOK_EVERY_S, self._look_for_the_impatient)

    async def _drain(self) -> None:
        try:
            while self._waiting:
                size = min(len(self._waiting), self._most)
                batch = [self._waiting.popleft() for _ in range(size)]
                # An item whose caller has timed out is dropped; one whose caller was cancelled is executed.
                if wanted := [one for one in batch if not one[1].done() or one[1].cancelled()]:
                    await self._one(wanted)
                if self._gathering:
                    await asyncio.sleep(0)
        finally:
            self._idle += 1

    async def _one(self, batch: list[tuple[Item, asyncio.Future[Answer], float]]) -> None:
        self._under_way.append(batch)
        try:
            answers = await self._flush([item for item, _, _ in batch])
        except BaseException as error:
            for _, future, _ in batch:
                if not future.done():
                    future.set_exception(error if isinstance(error, Exception) else ConnectionAbortedError())
            if not isinstance(error, Exception):
                raise
            return
        finally:
            self._under_way.remove(batch)
        for (item, future, until), answer in zip(batch, answers, strict=True):
            if future.done():  # the caller was cancelled
                continue
            if isinstance(answer, Again):
                self._waiting.append((item, future, until))
            elif isinstance(answer, BaseException):
                future.set_exception(answer)
            else:
                future.set_result(answer)
