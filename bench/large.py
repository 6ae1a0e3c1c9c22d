"""Whether 20 edits of 10 MB at once are felt by everybody else's submissions."""

from __future__ import annotations

import asyncio
import re
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from statistics import median, quantiles

import msgspec

from bench import programs
from bench.edits import Sent
from bench.figures import Figure, Sample, interleaved
from bench.programs import CannotMeasureError, Meter
from bench.requests import Extent
from bench.stage import PROMPT, SUBMIT_PATH, Stage, World

EDITS = 20
_CONNECTIONS = 4
_PAUSE_S = 0.01
_FINISH_LIMIT_S = 300.0
_REFUSED = f"{PROMPT} [sandbox:refuse]"  # a whole task that draws nothing: the edits are what is heavy

Say = Callable[[str], None]


async def measure(stage: Stage, extent: Extent, say: Say) -> dict[str, Figure]:
    """The 99th percentile of small submissions alone and beside the edits, in turns, on the whole platform."""
    async with stage.world() as world:
        await world.emulate(instant=False)
        serve = await world.serve()
        world.work()
        async with _sender(world) as sender:
            small = _Small(world)
            volleys = _Volleys(world, sender, small, serve.pid)

            async def alone() -> Sample:
                return _sample(await small.during(asyncio.sleep(2 * extent.seconds)))

            say("warming up")
            await alone()
            await volleys.measure()
            subjects = {"small_alone": alone, "small_beside": volleys.measure}
            figures = await interleaved(subjects, 2 * extent.rounds, "ms", say)
        say("reconciling tasks and money")
        await world.require_reconciled()
        return figures


def _sample(took: list[float], **details: float) -> Sample:
    p99_ms = quantiles(took, n=100)[98] * 1000
    return Sample(p99_ms, {"p50_ms": median(took) * 1000, "requests": float(len(took)), **details})


class _Small:
    """A stream of small submissions of one team, each noted with the seconds it took."""

    def __init__(self, world: World) -> None:
        self._port = world.settings.port
        body = msgspec.json.encode({"prompt": _REFUSED})
        head = f"POST {SUBMIT_PATH} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {world.teams[0].key}\r\n"
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        self._request = head.encode() + body

    async def during(self, other: Awaitable[object]) -> list[float]:
        """Submit over and over until the other is done."""
        took: list[float] = []
        streams = [asyncio.create_task(self._stream(took)) for _ in range(_CONNECTIONS)]
        try:
            await other
        finally:
            for stream in streams:
                stream.cancel()
            ended = await asyncio.gather(*streams, return_exceptions=True)
        if broken := [error for error in ended if not isinstance(error, asyncio.CancelledError)]:
            raise CannotMeasureError(f"a small submission failed: {broken[0]!r}")
        return took

    async def _stream(self, took: list[float]) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            while True:
                begun = time.perf_counter()
                writer.write(self._request)
                head = await reader.readuntil(b"\r\n\r\n")
                length = re.search(rb"content-length: ([0-9]+)", head)
                if not head.startswith(b"HTTP/1.1 200 ") or length is None:
                    raise CannotMeasureError(f"a small submission was answered with {head!r}")
                await reader.readexactly(int(length[1]))
                took.append(time.perf_counter() - begun)
                await asyncio.sleep(_PAUSE_S)
        finally:
            writer.close()


class _Volleys:
    """Twenty edits at once, again and again; what they cost the platform goes into the details."""

    def __init__(self, world: World, sender: asyncio.subprocess.Process, small: _Small, serve_pid: int) -> None:
        self._world = world
        self._sender = sender
        self._small = small
        self._serve_pid = serve_pid

    async def measure(self) -> Sample:
        """Small submissions from the first byte of the edits until the last one is accepted, and those after that."""
        meter = Meter(**{program.name: program.pid for program in self._world.programs})
        written = programs.disk_bytes(self._serve_pid)
        sent: list[Sent] = []
        took = await self._small.during(self._send(sent))
        written = programs.disk_bytes(self._serve_pid) - written
        after = await self._small.during(self._finish())
        if sent[0].statuses != [200] * EDITS:
            raise CannotMeasureError(f"the edits were answered with {sent[0].statuses}")
        cpu_ms = {f"{name}_cpu_ms": spent / 1000 for name, spent in meter.us_per(EDITS).items()}
        await _ready(self._sender)
        return _sample(
            took,
            edits_s=sent[0].seconds,
            p99_ms_while_they_are_drawn=quantiles(after, n=100)[98] * 1000,
            serve_disk_mb=written / EDITS / 1e6,
            **cpu_ms,
        )

    async def _send(self, sent: list[Sent]) -> None:
        assert self._sender.stdin is not None
        assert self._sender.stdout is not None
        self._sender.stdin.write(b"go\n")
        sent.append(msgspec.json.decode(await self._sender.stdout.readline(), type=Sent))

    async def _finish(self) -> None:
        give_up = time.monotonic() + _FINISH_LIMIT_S
        unfinished = "select count(*) from tasks.task where team_id = $1 and finished_at is null"
        while await self._world.pool.fetchval(unfinished, self._world.teams[1].id):
            if time.monotonic() > give_up:
                raise CannotMeasureError(f"{EDITS} edits were not finished in {_FINISH_LIMIT_S:.0f} s")
            await asyncio.sleep(0.2)


@asynccontextmanager
async def _sender(world: World) -> AsyncIterator[asyncio.subprocess.Process]:
    """The process that sends the edits, its first ones made."""
    host, port, key = "127.0.0.1", str(world.settings.port), world.teams[1].key
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.edits", host, port, key, str(EDITS),
        cwd=programs.HERE.parent, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        start_new_session=True,
    )  # fmt: skip
    try:
        await _ready(process)
        yield process
    finally:
        process.kill()
        await process.wait()


async def _ready(sender: asyncio.subprocess.Process) -> None:
    assert sender.stdout is not None
    if await sender.stdout.readline() != b"ready\n":
        raise CannotMeasureError("the sender of the edits failed")
