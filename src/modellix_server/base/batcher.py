"""Natural batching: whatever has piled up while the previous call ran goes out as the next call.

No timer: at low load a batch holds one item and waits for nobody; under load the batch grows with
the time a call takes. This is what makes durable submissions cheap (docs/adr/0001).
"""

from __future__ import annotations

import asyncio
import contextvars
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

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
    ) -> None:
        self._flush = flush
        self._idle = flushers
        self._most = most
        self._waiting: deque[tuple[Item, asyncio.Future[Answer]]] = deque()
        self._running: set[asyncio.Task[None]] = set()
        # Not the context of whoever comes first: a batch is about many, and its log lines must not name one.
        self._context = contextvars.copy_context()

    async def __call__(self, item: Item) -> Answer:
        """Hand in one item and wait for its own answer."""
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        if self._idle:
            self._idle -= 1
            task = asyncio.create_task(self._drain(), context=self._context)
            self._running.add(task)
            task.add_done_callback(self._running.discard)
        return await future

    async def _drain(self) -> None:
        try:
            while self._waiting:
                size = min(len(self._waiting), self._most)
                await self._one([self._waiting.popleft() for _ in range(size)])
        finally:
            self._idle += 1

    async def _one(self, batch: list[tuple[Item, asyncio.Future[Answer]]]) -> None:
        try:
            answers = await self._flush([item for item, _ in batch])
        except BaseException as error:
            for _, future in batch:
                if not future.done():
                    future.set_exception(error if isinstance(error, Exception) else ConnectionAbortedError())
            if not isinstance(error, Exception):
                raise
            return
        for (item, future), answer in zip(batch, answers, strict=True):
            if future.done():  # the caller went away
                continue
            if isinstance(answer, Again):
                self._waiting.append((item, future))
            elif isinstance(answer, BaseException):
                future.set_exception(answer)
            else:
                future.set_result(answer)
