"""A vendor that stops answering, and comes back: tasks wait, new ones are refused, and nothing is sent in vain."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Literal

import aiohttp
import pytest

SUBMIT = "/api/v1/text-to-image/alibaba/qwen-image-plus/async"
FAULT = b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 2\r\nconnection: close\r\n\r\nno"
Mode = Literal["open", "shut", "fault"]


class Door:
    """The way to the vendor: open, shut (connections are refused) or at fault (500 to everything)."""

    def __init__(self, behind: int) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self.faults = 0
        self._behind = behind
        self._mode: Mode = "shut"
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    async def turn(self, mode: Mode) -> None:
        self._mode = mode
        for writer in list(self._writers):
            writer.transport.abort()
        if self._server is not None:
            self._server.close()
            self._server = None
        if mode != "shut":
            self._server = await asyncio.start_server(self._connection, "127.0.0.1", self.port)

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            self._writers.add(writer)
            if self._mode == "fault":
                await reader.readuntil(b"\r\n\r\n")
                self.faults += 1
                writer.write(FAULT)
                await writer.drain()
            else:
                there, back = await asyncio.open_connection("127.0.0.1", self._behind)
                self._writers.add(back)
                await asyncio.gather(_pump(reader, back), _pump(there, writer))
        self._writers.discard(writer)
        writer.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    writer.close()


@pytest.fixture
async def door(fleet) -> AsyncIterator[Door]:
    made = Door(int(fleet.sandbox.rpartition(":")[2]))
    yield made
    await made.turn("shut")


Call = Callable[..., Awaitable[tuple[int, dict, dict]]]


@pytest.fixture
async def call(fleet, door) -> AsyncIterator[Call]:
    """A platform with a live account behind the door; calls of its API by the live key, or by the test key."""
    await fleet.command("migrate")
    fleet.env["MODELLIX_DRAIN_S"] = "0"
    await fleet.emulate()
    await fleet.team()
    keys = {True: await fleet.key(live=True), False: await fleet.key()}
    account = ("--base-url", f"http://127.0.0.1:{door.port}/dashscope/api/v1", "--polls-per-second", "1000")
    await fleet.command("admin", "upstream", "set", "dashscope", *account, told="sk-emulated-vendor-key\n")
    await door.turn("open")
    _, port = await fleet.serve()
    await fleet.work()
    await fleet.work()
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as http:

        async def call(method: str, path: str, body: object = None, *, live: bool = True) -> tuple[int, dict, dict]:
            headers = {"Authorization": f"Bearer {keys[live]}"}
            async with http.request(method, path, json=body, headers=headers) as answer:
                return answer.status, await answer.json(), dict(answer.headers)

        yield call


async def submit(call: Call, prompt: str, *, live: bool = True) -> str:
    status, answer, _ = await call("POST", SUBMIT, {"prompt": prompt}, live=live)
    assert status == 200, answer
    return answer["data"]["task_id"]


async def ended(fleet, most_s: float = 60) -> dict[str, int]:
    """Wait until no task is unfinished; how they ended."""
    async with asyncio.timeout(most_s):
        while await fleet.pool.fetchval("select count(*) from tasks.task where finished_at is null"):  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    rows = await fleet.pool.fetch("select coalesce(error_code, 'success') as how, count(*) from tasks.task group by 1")
    return {row["how"]: row["count"] for row in rows}


async def until_open(fleet, *, opened: bool) -> None:
    async with asyncio.timeout(30):
        while opened != bool(  # noqa: ASYNC110
            await fleet.pool.fetchval("select count(*) from tasks.breaker where opened_at is not null")
        ):
            await asyncio.sleep(0.05)


@pytest.mark.full
@pytest.mark.timeout(240)
async def test_a_vendor_that_refuses_connections_is_waited_for(fleet, door, call) -> None:
    first = await submit(call, "while all is well")
    assert await ended(fleet) == {"success": 1}
    await door.turn("shut")
    tasks = [await submit(call, f"number {number}") for number in range(12)]
    await until_open(fleet, opened=True)

    async with asyncio.timeout(30):
        while True:
            status, answer, headers = await call("POST", SUBMIT, {"prompt": "too late"})
            if status == 503:
                break
            tasks.append(answer["data"]["task_id"])  # not heard of yet, or just when a try was due
            await asyncio.sleep(0.5)
    assert answer == {"code": 503, "message": "Service unavailable: provider temporarily unavailable"}
    left_s = await fleet.pool.fetchval("select extract(epoch from probe_at - now())::float8 from tasks.breaker")
    assert 1 <= int(headers["Retry-After"]) <= left_s + 3, "as long as the pause lasts, and a look at it ago"
    assert await fleet.pool.fetchval("select sum(running) from tasks.slot") == len(tasks)
    assert (await call("POST", SUBMIT, {"prompt": "a test"}, live=False))[0] == 200
    (listed,) = json.loads(await fleet.command("admin", "upstream", "list", "--json"))
    assert listed["answers"].startswith("no, since")
    before = await fleet.pool.fetchval("select count(*) from tasks.attempt")
    await asyncio.sleep(6)
    assert await fleet.pool.fetchval("select count(*) from tasks.attempt") - before <= 3  # the probes of two pauses
    assert await fleet.pool.fetchval("select count(*) from tasks.task where error_code is not null") == 0

    await door.turn("open")
    assert await ended(fleet) == {"success": len(tasks) + 2}
    await until_open(fleet, opened=False)
    await asyncio.sleep(1.5)
    assert await submit(call, "again")
    assert await ended(fleet) == {"success": len(tasks) + 3}
    posts = await fleet.posts()
    assert {posts[task] for task in (first, *tasks)} == {1}


@pytest.mark.full
@pytest.mark.timeout(240)
async def test_unknown_outcomes_do_not_multiply(fleet, door, call) -> None:
    """Each submission that is answered with 500 is lost: after a few the others wait instead."""
    await door.turn("fault")
    accepted = 0
    for number in range(40):
        status, *_ = await call("POST", SUBMIT, {"prompt": f"number {number}"})
        accepted += status == 200
        await asyncio.sleep(0.15)
    await until_open(fleet, opened=True)
    assert accepted < 40
    lost = await fleet.pool.fetchval("select count(*) from tasks.task where error_code = 'submission_outcome_unknown'")
    assert 5 <= lost <= 16  # five by each of two workers, those on their way meanwhile, and the probes
    assert door.faults == lost
    await door.turn("open")
    how = await ended(fleet)
    assert how["submission_outcome_unknown"] <= lost + 1
    assert sum(how.values()) == accepted


@pytest.mark.full
@pytest.mark.timeout(240)
async def test_a_vendor_that_comes_back_to_an_empty_queue_is_found(fleet, door, call) -> None:
    """What was submitted is lost and nothing waits: only new submissions can be the try."""
    await door.turn("fault")
    for number in range(40):
        if not await fleet.pool.fetchval("select count(*) from tasks.breaker where opened_at is not null"):
            await call("POST", SUBMIT, {"prompt": f"number {number}"})
            await ended(fleet)
    await until_open(fleet, opened=True)
    await door.turn("open")
    refused = 0
    async with asyncio.timeout(60):
        while await fleet.pool.fetchval("select count(*) from tasks.breaker where opened_at is not null"):
            status, _, headers = await call("POST", SUBMIT, {"prompt": "is it back?"})
            refused += status == 503
            await asyncio.sleep(int(headers.get("Retry-After", "1")))
    assert refused
    assert (await ended(fleet))["success"] >= 1
