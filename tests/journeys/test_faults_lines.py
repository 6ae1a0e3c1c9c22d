"""Bad lines: between a worker and its vendor, and between the API and its database, in a proxy of our own."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

import aiohttp
import pytest
from tests.support.ports import free_port

MODEL = "alibaba/qwen-image-plus"
PRICE = 17_200
UNKNOWN = "submission_outcome_unknown"
KEY = {"Idempotency-Key": "line-1"}

Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass
class Fault:
    """What the line does from the moment that a request passes with `marker` in it."""

    marker: bytes
    delay_s: float = 0
    """Before the request goes on."""
    lose_request: bool = False
    """The line is cut before the request has left."""
    answer_bytes: int | None = None
    """The line is cut when so much of the answer has come back; None: never."""
    trickle_s: float = 0
    """Pause before each byte of the answer."""
    times: int = 1
    """How often it happens."""
    happened: int = 0


@dataclass
class Line:
    """A proxy that knows nothing but bytes."""

    onwards: Callable[[], Awaitable[Ends]]
    place: int | Path
    """A port of this machine, or a Unix socket."""
    faults: list[Fault] = field(default_factory=list)
    _open: set[asyncio.Task] = field(default_factory=set)
    _server: asyncio.Server | None = None

    async def listen(self) -> None:
        if isinstance(self.place, int):
            self._server = await asyncio.start_server(self.serve, "127.0.0.1", self.place)
        else:
            self._server = await asyncio.start_unix_server(self.serve, str(self.place))

    async def stop_listening(self) -> None:
        """Let nobody in any more, and cut off who is connected."""
        self._server.close()
        for task in list(self._open):
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        self._open.add(task)
        try:
            there = await self.onwards()
        except OSError:
            writer.transport.abort()
            self._open.discard(task)
            return
        struck: list[Fault] = []
        both = [
            asyncio.create_task(self._up(reader, there[1], struck)),
            asyncio.create_task(self._down(there[0], writer, struck)),
        ]
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in both:
                pump.cancel()
            await asyncio.gather(*both, return_exceptions=True)
            for end in (writer, there[1]):
                end.transport.abort()
            self._open.discard(task)

    async def _up(self, reader: asyncio.StreamReader, onwards: asyncio.StreamWriter, struck: list[Fault]) -> None:
        while data := await reader.read(65536):
            for fault in self.faults:
                if fault.marker in data and fault.happened < fault.times:
                    fault.happened += 1
                    struck[:] = [fault]
                    await asyncio.sleep(fault.delay_s)
                    if fault.lose_request:
                        return
            onwards.write(data)
            await onwards.drain()

    async def _down(self, reader: asyncio.StreamReader, back: asyncio.StreamWriter, struck: list[Fault]) -> None:
        passed = 0
        while data := await reader.read(65536):
            fault = struck[0] if struck else None
            if fault is not None and fault.answer_bytes is not None:
                back.write(data[: max(0, fault.answer_bytes - passed)])
                passed += len(data)
                if passed >= fault.answer_bytes:
                    await back.drain()
                    back.close()
                    await back.wait_closed()
                    return
            elif fault is not None and fault.trickle_s:
                for place in range(len(data)):
                    back.write(data[place : place + 1])
                    await asyncio.sleep(fault.trickle_s)
            else:
                back.write(data)
            await back.drain()


@pytest.fixture(scope="module")
async def lined(postgres_server, tmp_path_factory, stage) -> AsyncIterator[tuple]:
    """A platform whose sandbox is reached over a line."""
    port = free_port()
    async with stage(
        postgres_server, tmp_path_factory.mktemp("lined"), sandbox_url=f"http://127.0.0.1:{port}"
    ) as platform:
        there = urlsplit(platform.sandbox).port
        line = Line(lambda: asyncio.open_connection("127.0.0.1", there), port)
        await line.listen()
        yield platform, line
        await platform.books_are_clean()
        platform.stop()
        await line.stop_listening()


# (what the line does, how the task ends, how many POSTs the vendor gets)
AT_THE_SUBMISSION = {
    "slow": (Fault(b"marked", delay_s=1.5), None, 1),
    "a byte at a time": (Fault(b"marked", trickle_s=0.01), None, 1),
    "lost on the way": (Fault(b"marked", lose_request=True), UNKNOWN, 0),
    "no answer": (Fault(b"marked", answer_bytes=0), UNKNOWN, 1),
    "half a status line": (Fault(b"marked", answer_bytes=7), UNKNOWN, 1),
    "headers and no body": (Fault(b"marked", answer_bytes=140), UNKNOWN, 1),
}
LATER = {
    "three polls cut": Fault(b"GET /dashscope/api/v1/tasks/", answer_bytes=0, times=3),
    "a poll in half": Fault(b"GET /dashscope/api/v1/tasks/", answer_bytes=200),
    "a file in half": Fault(b"GET /dashscope/files/", answer_bytes=3000),
}


@pytest.mark.parametrize(
    "what",
    [
        pytest.param(what, marks=pytest.mark.full if "slow" in what or "byte" in what else ())
        for what in AT_THE_SUBMISSION
    ],
)
async def test_a_vendor_behind_a_bad_line(lined, what: str) -> None:
    platform, line = lined
    fault, error, posts = AT_THE_SUBMISSION[what]
    line.faults = [dataclasses.replace(fault)]
    team = await platform.team()
    task = (await team.submit(MODEL, prompt=f"marked {what}")).data["task_id"]
    end = await team.finish(task, 90)
    assert line.faults[0].happened == 1
    assert end.get("error", {}).get("code") == error
    assert len(await platform.bill(task)) == posts
    assert await platform.balance_of(team) == (100_000_000 - (0 if error else PRICE), 0)


@pytest.mark.parametrize("what", LATER)
async def test_what_breaks_later_is_asked_for_again(lined, what: str) -> None:
    platform, line = lined
    line.faults = [dataclasses.replace(LATER[what])]
    team = await platform.team()
    task = (await team.submit(MODEL, prompt=what)).data["task_id"]
    assert (await team.finish(task, 90))["status"] == "success"
    assert line.faults[0].happened == line.faults[0].times
    assert len(await platform.bill(task)) == 1
    assert await platform.balance_of(team) == (100_000_000 - PRICE, 0)


async def test_nobody_at_the_other_end(lined) -> None:
    """Refused connections prove that nothing was sent: it is sent when somebody is there again."""
    platform, line = lined
    line.faults = []
    team = await platform.team()
    await line.stop_listening()
    task = (await team.submit(MODEL, prompt="nobody there")).data["task_id"]
    await platform.reach(task, lambda row: row["state"] == "queued" and row["attempt"] > 0)
    await line.listen()
    assert (await team.finish(task, 60))["status"] == "success"
    assert len(await platform.bill(task)) == 1
    assert await platform.balance_of(team) == (100_000_000 - PRICE, 0)


# What the line to the database does to the call that accepts, and whether that call is committed.
AT_THE_COMMIT = {
    "the answer is lost": (Fault(b"marked", answer_bytes=0), True),
    "half of the answer": (Fault(b"marked", answer_bytes=20), True),
    "the call is lost": (Fault(b"marked", lose_request=True), False),
}


@pytest.fixture
async def wired(platform, tmp_path) -> AsyncIterator[tuple]:
    """One more API process, whose database is reached over a line; and a witness that watches the real one."""
    dsn = platform.env["MODELLIX_DATABASE_URL"]
    query = parse_qs(urlsplit(dsn).query)
    name = f".s.PGSQL.{query['port'][0]}"
    real = Path(query["host"][0]) / name
    folder = tmp_path / "line"
    folder.mkdir()
    line = Line(lambda: asyncio.open_unix_connection(str(real)), folder / name)
    await line.listen()
    port = free_port()
    changed = dsn.replace(quote(query["host"][0], safe=""), quote(str(folder), safe=""))
    assert changed != dsn
    process = platform.start("serve", MODELLIX_PORT=str(port), MODELLIX_DATABASE_URL=changed)
    origin, give_up = f"http://127.0.0.1:{port}", time.monotonic() + 90
    while True:
        with contextlib.suppress(aiohttp.ClientConnectionError):
            async with platform.http.get(f"{origin}/readyz") as answer:
                if answer.status == 200:
                    break
        assert process.poll() is None
        assert time.monotonic() < give_up
        await asyncio.sleep(0.05)
    yield line, origin
    process.terminate()
    await asyncio.to_thread(process.wait, 30)
    await line.stop_listening()


async def test_the_answer_of_a_commit_is_lost(platform, wired) -> None:
    """That the call failed is not that nothing was written: the ids tell, and the client has its one task."""
    line, origin = wired
    for what, (fault, committed) in AT_THE_COMMIT.items():
        line.faults = [dataclasses.replace(fault)]
        team = await platform.team()
        door = dataclasses.replace(team, origin=origin)
        answer = await door.post(f"/api/v1/{MODEL}", {"prompt": f"marked {what}"}, headers=KEY)
        assert line.faults[0].happened == 1, what
        if answer.status == 503:  # the call is not repeated: the client does, with its key
            assert answer.headers["retry-after"], what
            answer = await door.post(f"/api/v1/{MODEL}", {"prompt": f"marked {what}"}, headers=KEY)
        assert await platform.tasks_of(team) == 1, what
        assert committed or "idempotency-replayed" not in answer.headers
        assert (await door.finish(answer.data["task_id"]))["status"] == "success"
        assert await platform.balance_of(team) == (100_000_000 - PRICE, 0), what
        assert len(await platform.bill(answer.data["task_id"])) == 1
    await platform.books_are_clean()
