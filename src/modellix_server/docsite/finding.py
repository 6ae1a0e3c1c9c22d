"""Searching off the event loop: in a process of its own, or, where none can be had, in a thread.

A search computes for a third of a millisecond, one that is made to take long for ten. Hundreds at once would keep the
event loop from everybody's submissions.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol, cast

import msgspec

from modellix_server.base.aside import Aside
from modellix_server.base.turn_queue import FairSemaphore
from modellix_server.docsite.index import Question, SearchIndex

_AT_ONCE = 16
"""Questions that the process has: enough to work on while we are busy, and few, as they are answered in their order."""
_LIMIT_S = 30.0
"""After which the process is taken for hanging."""


class Asked(NamedTuple):
    """A question as it is sent."""

    number: int
    question: Question


class FoundPieces(NamedTuple):
    """The answer to it."""

    number: int
    found: list[int]
    failed: str = ""
    """Why there is none."""


class FinderGoneError(Exception):
    """The process that searches has ended, or does not answer."""


class SearchFailedError(Exception):
    """The message says why."""


class Finder(Protocol):
    """Searches in one library."""

    async def find(self, who: Hashable, question: Question) -> Sequence[int]:
        """The pieces that fit best, by their numbers; who asks much takes turns with others.

        Raises FinderGoneError, SearchFailedError.
        """

    def close(self) -> None:
        """Answer what was asked, and nothing more."""


class ThreadFinder:
    """Searches in this process."""

    def __init__(self, index: SearchIndex, aside: Aside) -> None:
        self._index = index
        self._aside = aside

    async def find(self, who: Hashable, question: Question) -> Sequence[int]:
        """As of a Finder."""
        return await self._aside.run(who, self._index.find, question)

    def close(self) -> None:
        """There is nothing to be closed."""


class ProcessFinder:
    """Searches in a process of its own (`docsite/finder.py`)."""

    def __init__(self, process: _Process) -> None:
        """Use `start`."""
        self._process = process
        self._turns = FairSemaphore(_AT_ONCE)

    @classmethod
    async def start(cls, folder: Path) -> ProcessFinder:
        """One that has opened the index in a folder. Raises FinderGoneError, OSError."""
        _, process = await asyncio.get_running_loop().subprocess_exec(
            _Process,
            *(sys.executable, "-m", "modellix_server.docsite.finder", str(os.getpid()), str(folder)),
            stderr=None,  # ours
            env={"LC_ALL": "C.UTF-8"},  # it needs no settings, and gets no secrets
            start_new_session=True,
        )
        try:
            async with asyncio.timeout(_LIMIT_S):
                await process.ready
        except BaseException as error:
            process.kill()
            if isinstance(error, TimeoutError):
                raise FinderGoneError from None
            raise
        return cls(process)

    async def find(self, who: Hashable, question: Question) -> Sequence[int]:
        """As of a Finder."""
        await self._turns.acquire(who)
        try:
            return await self._process.ask(question)
        finally:
            self._turns.release()

    def close(self) -> None:
        """Answer what was asked, and nothing more."""
        self._process.close()


class _Process(asyncio.SubprocessProtocol):
    """The process: takes questions and gives answers, each in a line."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.ready: asyncio.Future[None] = self._loop.create_future()
        self._ended = self._watched = False
        self._heard = 0.0  # when it answered last, or was asked while it had nothing to do
        self._unsent = bytearray()
        self._asked: dict[int, asyncio.Future[list[int]]] = {}
        self._last = 0
        self._rest = b""
        self._answers = msgspec.json.Decoder(FoundPieces)

    async def ask(self, question: Question) -> list[int]:
        """The answer. Raises FinderGoneError, SearchFailedError."""
        if self._ended:
            raise FinderGoneError
        if not self._asked:
            self._heard = self._loop.time()
        if not self._watched:
            self._watched = True
            self._loop.call_later(_LIMIT_S, self._watch)
        number = self._last = self._last + 1
        answered: asyncio.Future[list[int]] = self._loop.create_future()
        self._asked[number] = answered
        if not self._unsent:
            self._loop.call_soon(self._send)
        self._unsent += msgspec.json.encode(Asked(number, question)) + b"\n"
        try:
            return await answered
        finally:
            self._asked.pop(number, None)

    def _send(self) -> None:
        """All that was asked in one pass of the event loop."""
        if self._unsent and not self._questions.is_closing():
            self._questions.write(bytes(self._unsent))
        self._unsent.clear()

    def _watch(self) -> None:
        """Kill it if it has not answered for too long."""
        left = self._heard + _LIMIT_S - self._loop.time()
        if self._asked and left > 0:
            self._loop.call_later(left, self._watch)
            return
        self._watched = False
        if self._asked:
            self.kill()

    def close(self) -> None:
        """Have it answer what was asked, and end."""
        self._ended = True
        self._send()
        self._questions.close()

    def kill(self) -> None:
        """End it."""
        self._ended = True
        with contextlib.suppress(ProcessLookupError):
            self._transport.kill()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It has been started."""
        self._transport = cast("asyncio.SubprocessTransport", transport)
        self._questions = cast("asyncio.WriteTransport", self._transport.get_pipe_transport(0))

    def pipe_data_received(self, fd: int, data: bytes) -> None:  # noqa: ARG002 - only its answers are read
        """It answers, or is ready, as it says by an empty line."""
        self._heard = self._loop.time()
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            if not line:
                self.ready.set_result(None)
                continue
            answer = self._answers.decode(line)
            asker = self._asked.get(answer.number)
            if asker is None or asker.done():
                continue
            if answer.failed:
                asker.set_exception(SearchFailedError(answer.failed))
            else:
                asker.set_result(answer.found)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's interface
        """It has ended, and all its answers are read: nobody waits any longer."""
        self._ended = True
        self._transport.close()
        waiting: list[asyncio.Future[Any]] = [self.ready, *self._asked.values()]
        for one in waiting:
            if not one.done():
                one.set_exception(FinderGoneError())
