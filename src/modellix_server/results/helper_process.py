"""The platform's side of the helper processes: batching, time-outs, restarts."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import Collection
from pathlib import Path
from typing import Any

import msgspec

from modellix_server.base import log
from modellix_server.base.batcher import Batcher
from modellix_server.base.errors import InvalidFormat, Unavailable
from modellix_server.inspection import (
    LENGTH,
    Extract,
    Extracted,
    InputFile,
    Probe,
    Probed,
    Refused,
    Reply,
    Request,
    Wanted,
    decode_replies,
    encode_requests,
)
from modellix_server.results.spool import Spool

_LOG = log.get("results")
_BATCH_TIMEOUT_S = 60.0  # of a helper that gets no processor; one that computes for ever is ended by its own limit
_QUICK_BYTES = 256 * 1024
_SLOW_GIVES_WAY_BY = 15


class Crashed(Exception):
    """The helper died or hung while it handled this request."""


class Helper:
    """Examines untrusted files in separate processes; one per platform process, `close` it at the end.

    Small images have a process of their own, so that a long video or a hostile file does not delay them. It has this
    process's priority: tasks wait for it. The other one, which computes for seconds, yields to everybody.
    """

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._quick = _Lane(most=32, give_way_by=0)
        self._slow = _Lane(most=2, give_way_by=_SLOW_GIVES_WAY_BY)

    async def probe(self, kind: Wanted, content: bytes | Path) -> Probed | Refused:
        """The format of a file of an expected kind, or why it is refused. Raises OSError if no helper starts."""
        if isinstance(content, Path):
            return await self._probe(self._slow, Probe(kind, None, str(content)))
        if len(content) <= _QUICK_BYTES:
            return await self._probe(self._quick if kind == "image" else self._slow, Probe(kind, content, None))
        scratch = self._spool.scratch(len(content))  # a pipe takes it in a hundred small pieces
        try:
            await scratch.write(content)
            return await self._probe(self._slow, Probe(kind, None, str(scratch.path)))
        finally:
            scratch.close()

    async def _probe(self, lane: _Lane, request: Probe) -> Probed | Refused:
        try:
            reply = await lane.ask(request, until_done=True)  # the time budget is for the database
        except Crashed:
            return Refused("the file could not be examined safely")
        assert isinstance(reply, Probed | Refused)
        return reply

    async def extract(self, body: Path, media: Collection[str]) -> tuple[Any, list[InputFile]]:
        """`take_inputs` for a big JSON body in a file, without holding up the event loop.

        The files are scratch files, which the caller saves or drops. A body that is no object is returned unchanged.
        Raises InvalidFormat, or Unavailable when the helper fails.
        """
        target = self._spool.path()
        try:
            # Without a time-out: a caller that stopped earlier would delete files that the helper has yet to write.
            reply = await self._slow.ask(Extract(str(body), tuple(media), str(target)), until_done=True)
            if isinstance(reply, Refused):
                raise InvalidFormat(reply.why)
            assert isinstance(reply, Extracted)
        except BaseException as error:
            for left in target.parent.glob(f"{target.name}.*"):
                left.unlink()
            if isinstance(error, Crashed | OSError):
                raise Unavailable("the request body could not be examined", retry_after_s=5) from None
            raise
        return msgspec.json.decode(reply.slim), [
            InputFile(file.sha256, file.mime, file.kind, file.size, Path(file.path), file.found, file.given)
            for file in reply.files
        ]

    async def close(self) -> None:
        """End the processes."""
        await self._quick.stop()
        await self._slow.stop()


class _Lane:
    """One helper process, started when first needed, killed and started again when it fails."""

    def __init__(self, most: int, give_way_by: int) -> None:
        self._process: asyncio.subprocess.Process | None = None
        self._give_way_by = give_way_by
        self.ask = Batcher[Request, Reply](self._flush, most=most)

    async def stop(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    async def _flush(self, batch: list[Request]) -> list[Reply | BaseException]:
        try:
            return [*await self._exchange(batch)]
        except Crashed:  # each alone, once: only a file that kills the helper twice is blamed
            return [await self._alone(request) for request in batch]

    async def _alone(self, request: Request) -> Reply | BaseException:
        try:
            return (await self._exchange([request]))[0]
        except (Crashed, OSError) as error:
            return error

    async def _exchange(self, batch: list[Request]) -> list[Reply]:
        process = self._process or await self._start()
        assert process.stdin is not None
        assert process.stdout is not None
        frame = encode_requests(batch)
        try:
            async with asyncio.timeout(_BATCH_TIMEOUT_S):
                process.stdin.write(LENGTH.pack(len(frame)))
                process.stdin.write(frame)
                await process.stdin.drain()
                (length,) = LENGTH.unpack(await process.stdout.readexactly(LENGTH.size))
                replies = decode_replies(await process.stdout.readexactly(length))
        except (TimeoutError, ConnectionError, asyncio.IncompleteReadError, msgspec.MsgspecError) as error:
            _LOG.warning("helper failed", error=type(error).__name__, batch=len(batch))
            await self.stop()
            raise Crashed from error
        except BaseException:  # canceled half-way: the pipe is out of step
            await self.stop()
            raise
        if len(replies) != len(batch):
            await self.stop()
            raise Crashed
        return replies

    async def _start(self) -> asyncio.subprocess.Process:
        """A helper that has reported ready. Raises OSError if none does, which proves nothing about any file."""
        self._process = process = await asyncio.create_subprocess_exec(
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
