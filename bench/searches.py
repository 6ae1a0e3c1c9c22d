"""Agents that search the documentation all at once: how long the last ones wait, and what submissions feel of it."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Sequence

import aiohttp

from bench import programs
from bench.figures import Figure, Sample, interleaved
from bench.programs import CannotMeasureError, Meter
from bench.requests import Extent
from bench.stage import PROMPT, SUBMIT_PATH, Stage, World

AT_ONCE = 500
_PAUSE_S = 0.01
_LIMIT_S = 60.0
_ASKED = programs.HERE.parent / "tests" / "docsite" / "questions.tsv"


async def measure(stage: Stage, extent: Extent, say: Callable[[str], None]) -> dict[str, Figure]:
    """The 99th percentile of many different searches sent in one moment, and of submissions alone and beside them."""
    questions = [line.split("\t")[:2] for line in _ASKED.read_text(encoding="utf-8").splitlines()]
    async with stage.world() as world:
        say("starting the API and its documentation")
        # Each search comes from an address of its own, as the agents of many people do.
        serve = await world.serve(MODELLIX_TRUSTED_PROXIES="127.0.0.0/8")
        await _ready(world)
        alone: list[float] = []
        rounds = 0

        async def burst() -> Sample:
            nonlocal rounds
            rounds += 1
            alone_until = time.monotonic() + 1
            alone[:] = await _submissions(world, until=lambda: time.monotonic() >= alone_until)
            asked = [questions[number % len(questions)] for number in range(AT_ONCE)]
            # A number makes each search one that nobody sent before.
            requests = [
                _search(world, number, language, f"{query} {rounds * 10 + number // len(questions)}")
                for number, (language, query) in enumerate(asked)
            ]
            clients = [await _connect(world) for _ in requests]
            ended = asyncio.Event()
            beside = asyncio.create_task(_submissions(world, until=ended.is_set))
            await asyncio.sleep(5 * _PAUSE_S)
            meter = Meter(serve=serve.pid)
            async with asyncio.timeout(_LIMIT_S):
                took = sorted(await asyncio.gather(*map(_Client.ask, clients, requests)))
            spent = meter.us_per(AT_ONCE)["serve"]
            ended.set()
            meanwhile = await beside
            for client in clients:
                client.close()
            return Sample(
                _ms(took, 0.99),
                {
                    "p50_ms": _ms(took, 0.5),
                    "serve_cpu_us": spent,
                    "submission_p50_ms": _ms(alone, 0.5),
                    "submission_p99_ms": _ms(alone, 0.99),
                    "submission_beside_p50_ms": _ms(meanwhile, 0.5),
                    "submission_beside_p99_ms": _ms(meanwhile, 0.99),
                },
            )

        figures = await interleaved({"searches_p99": burst}, extent.rounds, "ms", say)
        figures["serve_searching_rss"] = Figure(programs.rss_bytes(serve.pid) / 1e6, "MB", [], {})
        return figures


def _ms(took: Sequence[float], share: float) -> float:
    return round(sorted(took)[min(int(len(took) * share), len(took) - 1)] * 1e3, 1) if took else 0.0


async def _ready(world: World) -> None:
    """Wait until the documentation is made and the server of tools loaded, as both are by the first who ask."""
    page = f"{world.origin}/docs/quickstart"
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(_LIMIT_S)) as http, http.get(page) as answer:
        await answer.read()
    client = await _connect(world)
    for number in range(20):
        await asyncio.wait_for(client.ask(_search(world, number, "en", "webhooks")), _LIMIT_S)
    client.close()


def _request(world: World, path: str, headers: dict[str, str], body: object) -> bytes:
    text = json.dumps(body).encode()
    told = {"Host": f"127.0.0.1:{world.settings.port}", "Content-Type": "application/json", **headers}
    lines = [f"POST {path} HTTP/1.1", *(f"{name}: {value}" for name, value in told.items())]
    return "\r\n".join([*lines, f"Content-Length: {len(text)}", "", ""]).encode() + text


def _search(world: World, number: int, language: str, query: str) -> bytes:
    headers = {
        "Accept": "application/json, text/event-stream",
        "MCP-Protocol-Version": "2025-06-18",
        "X-Forwarded-For": f"10.1.{number // 250}.{number % 250 + 1}",
    }
    arguments = {"query": query, "language": language}
    params = {"name": "SearchModellix", "arguments": arguments}
    return _request(world, "/mcp", headers, {"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params})


async def _submissions(world: World, until: Callable[[], bool]) -> list[float]:
    """Submit again and again, with pauses; how long each took."""
    client = await _connect(world)
    headers = {"Authorization": f"Bearer {world.teams[0].key}"}
    request = _request(world, SUBMIT_PATH, headers, {"prompt": PROMPT})
    took: list[float] = []
    while not until():
        took.append(await asyncio.wait_for(client.ask(request), _LIMIT_S))
        await asyncio.sleep(_PAUSE_S)
    client.close()
    return took


async def _connect(world: World) -> _Client:
    _, client = await asyncio.get_running_loop().create_connection(_Client, "127.0.0.1", world.settings.port)
    return client


class _Client(asyncio.Protocol):
    """A connection that asks one thing at a time: a client of a library would cost more than the server."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._got = bytearray()
        self._length: int | None = None
        self._answered: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self._begun = 0.0

    def ask(self, request: bytes) -> asyncio.Future[float]:
        """Seconds until the whole answer. Raises CannotMeasureError if it is a refusal."""
        self._got.clear()
        self._length = None
        self._answered = asyncio.get_running_loop().create_future()
        self._begun = time.perf_counter()
        self._transport.write(request)
        return self._answered

    def data_received(self, data: bytes) -> None:
        self._got += data
        if self._length is None:
            head, end, _ = self._got.partition(b"\r\n\r\n")
            if not end:
                return
            lengths = [int(line[15:]) for line in head.lower().split(b"\r\n") if line[:15] == b"content-length:"]
            self._length = len(head) + len(end) + lengths[0] if lengths else 0
        whole = len(self._got) >= self._length if self._length else self._got.endswith(b"\r\n0\r\n\r\n")
        if not whole or self._answered.done():
            return
        if self._got.startswith(b"HTTP/1.1 200 ") and b'"isError":true' not in self._got:
            self._answered.set_result(time.perf_counter() - self._begun)
        else:
            said = bytes(self._got[:300])
            self._answered.set_exception(CannotMeasureError(f"a search or submission was refused: {said!r}"))

    def connection_lost(self, error: Exception | None) -> None:
        if not self._answered.done():
            self._answered.set_exception(CannotMeasureError(f"the connection was broken off: {error}"))

    def close(self) -> None:
        """Close the connection."""
        if not self._answered.done():
            self._answered.cancel()
        self._transport.close()
