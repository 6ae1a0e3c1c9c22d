"""Helper processes of one kind, and whose turn it is: batches, time-outs, restarts, fair shares of teams."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from modellix_server.base import log
from modellix_server.inspection import LENGTH, Reply, Request, decode_replies, encode_requests

_LOG = log.get("results")
_BATCH_TIMEOUT_S = 60.0  # of a helper that gets no processor; one that computes for ever is ended by its own limit

# A write to a pipe that was found closed is a RuntimeError of uvloop's.
_BROKEN = (TimeoutError, ConnectionError, asyncio.IncompleteReadError, msgspec.MsgspecError, RuntimeError)


class Crashed(Exception):
    """The helper died or hung while it handled this request; `spent` when it had used up its processor time."""

    def __init__(self, *, spent: bool = False) -> None:
        super().__init__()
        self.spent = spent


class HelperProcess:
    """One process, started when first needed, killed and started again when it fails."""

    def __init__(self, give_way_by: int) -> None:
        self._give_way_by = give_way_by
        self.process: asyncio.subprocess.Process | None = None

    async def stop(self) -> None:
        """End it, with what it is doing."""
        process, self.process = self.process, None
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    async def answer(self, batch: Sequence[Request]) -> list[Reply | Exception]:
        """One reply or error for each request. A file that ends the process twice, or takes too long, is blamed."""
        try:
            return [*await self.exchange(batch)]
        except OSError as error:
            return [error for _ in batch]
        except Crashed as crash:
            if crash.spent and len(batch) == 1:
                return [crash]
        return [await self._alone(request) for request in batch]

    async def _alone(self, request: Request) -> Reply | Exception:
        try:
            return (await self.exchange([request]))[0]
        except (Crashed, OSError) as error:
            return error

    async def exchange(self, batch: Sequence[Request]) -> list[Reply]:
        """Send a batch and read its replies. Raises Crashed, or OSError if no helper starts."""
        if self.process is not None and self.process.returncode is not None:
            await self.stop()  # it died while it had nothing to do
        process = self.process or await self.start()
        assert process.stdin is not None
        assert process.stdout is not None
        frame = encode_requests(list(batch))
        try:
            async with asyncio.timeout(_BATCH_TIMEOUT_S):
                process.stdin.write(LENGTH.pack(len(frame)))
                process.stdin.write(frame)
                await process.stdin.drain()
                (length,) = LENGTH.unpack(await process.stdout.readexactly(LENGTH.size))
                replies = decode_replies(await process.stdout.readexactly(length))
        except _BROKEN as error:
            await self.stop()
            _LOG.warning("helper failed", error=type(error).__name__, batch=len(batch), status=process.returncode)
            raise Crashed(spent=process.returncode == -signal.SIGXCPU) from error
        except BaseException:  # canceled half-way: the pipe is out of step
            await self.stop()
            raise
        if len(replies) != len(batch):
            await self.stop()
            raise Crashed
        return replies

    async def start(self) -> asyncio.subprocess.Process:
        """A helper that has reported ready. Raises OSError if none does, which proves nothing about any file."""
        self.process = process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "modellix_server.inspection.helper",
            str(os.getpid()),
            str(self._give_way_by),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env={"LC_ALL": "C.UTF-8"},
            start_new_session=True,
            limit=4 << 20,
        )
        assert process.stdout is not None
        try:
            async with asyncio.timeout(_BATCH_TIMEOUT_S):
                await process.stdout.readexactly(LENGTH.size)
        except (TimeoutError, ConnectionError, asyncio.IncompleteReadError) as error:
            _LOG.error("the helper does not start", error=type(error).__name__)
            await self.stop()
            raise OSError("the helper process does not start") from error
        except BaseException:
            await self.stop()
            raise
        return process


@dataclass(eq=False, slots=True)
class _Asked:
    """A request that waits, or that a process has."""

    request: Request
    reply: asyncio.Future[Reply]
    work: _Work | None = None


@dataclass(eq=False, slots=True)
class _Work:
    """A batch that a process has."""

    batch: list[_Asked]
    helper: HelperProcess
    task: asyncio.Task[None] | None = None


class HelperLane:
    """A few processes, of which a team has one at a time; teams that wait take turns.

    So the files of one team, however long they take, hold up other teams for one batch at most, and only when as many
    teams as there are processes send such files at the same time.
    """

    def __init__(self, *, processes: int, most: int, give_way_by: int) -> None:
        self._most = most
        self.helpers = tuple(HelperProcess(give_way_by) for _ in range(processes))
        self._idle = list(self.helpers)
        self._waiting: dict[int | None, deque[_Asked]] = {}
        self._served: dict[int | None, asyncio.Task[None]] = {}
        self._starting: set[asyncio.Task[None]] = set()

    async def ask(self, request: Request, team_id: int | None) -> Reply:
        """Have one request handled; None is who belongs to no team.

        When the caller is cancelled, it is handled no more once this returns. Raises Crashed, or OSError if no helper
        starts.
        """
        asked = _Asked(request, asyncio.get_running_loop().create_future())
        self._waiting.setdefault(team_id, deque()).append(asked)
        self._assign()
        try:
            return await asked.reply
        except asyncio.CancelledError:
            work = asked.work
            if work is not None and work.task is not None and all(one.reply.done() for one in work.batch):
                work.task.cancel()  # which ends the process
                await asyncio.gather(work.task, return_exceptions=True)
            raise

    def get_ready(self) -> None:
        """Start one, if none is: it takes a fraction of a second, which who asks next need not wait for."""
        if not self._starting and all(one.process is None for one in self.helpers):
            self._begin_with(self._idle[0])

    def _begin_with(self, helper: HelperProcess) -> None:
        self._idle.remove(helper)
        self._starting.add(asyncio.create_task(self._start(helper)))

    async def stop(self) -> None:
        """End the processes, and what they are doing."""
        served = [*self._served.values(), *self._starting]
        for task in served:
            task.cancel()
        await asyncio.gather(*served, return_exceptions=True)
        for helper in self.helpers:
            await helper.stop()

    def _assign(self) -> None:
        """Give idle processes to the teams that have waited longest and have none.

        One that still has to start takes a second for it, in which another one may be done: nobody waits for that one.
        """
        for team_id in [one for one in self._waiting if one not in self._served]:
            ready = next((one for one in self._idle if one.process is not None), None)
            if ready is None:
                break
            queue = self._waiting.pop(team_id)
            batch: list[_Asked] = []
            while queue and len(batch) < self._most:
                if not (asked := queue.popleft()).reply.done():
                    batch.append(asked)
            if queue:
                self._waiting[team_id] = queue  # behind the others
            if batch:
                self._idle.remove(ready)
                self._served[team_id] = asyncio.create_task(self._serve(team_id, _Work(batch, ready)))
        while len(self._starting) < sum(one not in self._served for one in self._waiting):
            new = next((one for one in self._idle if one.process is None), None)
            if new is None:
                return
            self._begin_with(new)

    async def _start(self, helper: HelperProcess) -> None:
        try:
            await helper.start()
        except OSError as error:
            for asked in (one for queue in self._waiting.values() for one in queue if not one.reply.done()):
                asked.reply.set_exception(error)
            self._waiting.clear()
        finally:
            self._idle.append(helper)
            self._starting.discard(asyncio.current_task())
        self._assign()

    async def _serve(self, team_id: int | None, work: _Work) -> None:
        work.task = asyncio.current_task()
        for asked in work.batch:
            asked.work = work
        try:
            answers = await work.helper.answer([asked.request for asked in work.batch])
            for asked, answer in zip(work.batch, answers, strict=True):
                if asked.reply.done():  # its caller was cancelled
                    continue
                if isinstance(answer, Exception):
                    asked.reply.set_exception(answer)
                else:
                    asked.reply.set_result(answer)
        finally:
            for asked in work.batch:
                asked.work = None
                if not asked.reply.done():
                    asked.reply.cancel()
            self._idle.append(work.helper)
            del self._served[team_id]
            self._assign()
