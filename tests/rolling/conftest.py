"""A platform whose processes come and go, a load balancer in front of it, and clients who mind every failed request."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from modellix_server.base.database import Pool, open_pool
from modellix_server.base.ids import parse_task_name
from modellix_server.tasks import verify

PROGRAM, PROGRAM_OF_THE_FIRST_RELEASE = "modellix_server.cli.app", "modellix_server.main.cli"
_numbers = count(1)


def program(python: str | Path) -> list[str]:
    """How an installation's commands are run: this one's, or the first release's."""
    return [str(python), "-m", PROGRAM if python == sys.executable else PROGRAM_OF_THE_FIRST_RELEASE]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def until_ready(url: str, within_s: float = 60) -> None:
    give_up = time.monotonic() + within_s
    async with aiohttp.ClientSession() as http:
        while True:
            with contextlib.suppress(aiohttp.ClientConnectionError):
                async with http.get(url) as answer:
                    if answer.status == 200:
                        return
            assert time.monotonic() < give_up, f"{url} is not ready"
            await asyncio.sleep(0.05)


@dataclass
class Fleet:
    """Processes on one database, of one version of the program or of several."""

    env: dict[str, str]
    folder: Path
    pool: Pool
    sandbox: str
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self, *arguments: str, python: str | Path = sys.executable, **env: str) -> subprocess.Popen[bytes]:
        with (self.folder / "log").open("ab") as log:
            process = subprocess.Popen(
                [*program(python), *arguments], env=self.env | env, stdout=log, stderr=log, cwd=self.folder
            )
        self.processes.append(process)
        return process

    async def command(self, *arguments: str, python: str | Path = sys.executable, told: str = "") -> str:
        """Run a command to its end, with `told` on its standard input; what it prints."""
        done = await asyncio.to_thread(
            subprocess.run,
            [*program(python), *arguments],
            env=self.env,
            capture_output=True,
            text=True,
            input=told,
            cwd=self.folder,
        )
        assert done.returncode == 0, f"{arguments}: {done.stderr[-2000:]}"
        return done.stdout

    async def emulate(self, *options: str, python: str | Path = sys.executable) -> None:
        """Start the sandbox's vendors and wait until they answer."""
        self.start("emulate", *options, "--instant", "--port", self.sandbox.rpartition(":")[2], python=python)
        await until_ready(f"{self.sandbox}/healthz")

    async def serve(self, *, python: str | Path = sys.executable, **env: str) -> tuple[subprocess.Popen[bytes], int]:
        """Start an API process and wait until it is ready; it and its port."""
        port = free_port()
        process = self.start("serve", python=python, MODELLIX_PORT=str(port), **env)
        await until_ready(f"http://127.0.0.1:{port}/readyz")
        return process, port

    async def work(self, *, python: str | Path = sys.executable, **env: str) -> tuple[subprocess.Popen[bytes], int]:
        """Start a worker and wait until it has signed on; it and its number."""
        before = await self._workers()
        process = self.start("work", python=python, **env)
        give_up = time.monotonic() + 60
        while not (new := await self._workers() - before):
            assert time.monotonic() < give_up
            await asyncio.sleep(0.05)
        return process, new.pop()

    async def _workers(self) -> set[int]:
        return {row[0] for row in await self.pool.fetch("select id from tasks.worker")}

    async def stop(self, process: subprocess.Popen[bytes], within_s: float = 40) -> float:
        """Ask it to end, as an operator does; how long that took, in seconds."""
        started = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(process.wait, within_s) == 0, self.log()
        return time.monotonic() - started

    def log(self) -> str:
        return (self.folder / "log").read_text()[-5000:]

    async def team(self, python: str | Path = sys.executable) -> None:
        """Make the team `acme`, with few limits."""
        limits = ("--concurrency", "100000", "--rpm", "1000000", "--key-rpm", "1000000")
        await self.command("admin", "team", "create", "acme", python=python)
        await self.command("admin", "team", "limits", "acme", *limits, python=python)

    async def key(self, python: str | Path = sys.executable, *, live: bool = False) -> str:
        """Give the team money; the text of a new key of it."""
        mode = () if live else ("--test",)
        await self.command("admin", "team", "credit", "acme", "--usd", "10000", *mode, python=python)
        made = await self.command("admin", "key", "create", "--team", "acme", *mode, "--json", python=python)
        return str(json.loads(made)["key"])

    async def ended_by(self, tasks: list[str]) -> set[int]:
        """The workers that ended these tasks."""
        rows = await self.pool.fetch(
            "select distinct worker from tasks.move where state = 'succeeded' and task_id = any ($1)",
            [parse_task_name(task) for task in tasks],
        )
        return {row["worker"] for row in rows}

    async def posts(self) -> dict[str, int]:
        """By task: how many submissions the vendor received, by its own bill."""
        async with aiohttp.ClientSession() as http, http.get(f"{self.sandbox}/dashscope/_bill") as answer:
            lines = (await answer.json())["lines"]
        received: dict[str, int] = {}
        for line in lines:
            task = line["attempt"].rpartition("-")[0]
            received[task] = received.get(task, 0) + 1
        return received

    async def nothing_is_lost_or_doubled(self, accepted: list[str]) -> None:
        """Every task that a client was given exists, ended well and was sent once; and there are no others."""
        rows = await self.pool.fetch("select id, state, error_code from tasks.task")
        states = {f"task-{row['id'].hex}": (row["state"], row["error_code"]) for row in rows}
        assert sorted(states) == sorted(accepted)
        assert set(states.values()) == {("succeeded", None)}, states
        assert await self.posts() == dict.fromkeys(accepted, 1)
        async with self.pool.acquire() as db:
            assert await verify(db) == []


class Front:
    """A load balancer for TCP connections: each new one goes to the next process that is in, and stays there.

    `health_s` makes it look at /readyz as often as that, as most of them do, and take out who is not ready.
    """

    def __init__(self, health_s: float | None = None) -> None:
        self.port = free_port()
        self._in: list[int] = []
        self._open: dict[int, int] = {}
        self._turn = count()
        self._health_s = health_s
        self._known: set[int] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Front:
        self._server = await asyncio.start_server(self._connection, "127.0.0.1", self.port)
        if self._health_s is not None:
            self._tasks.add(asyncio.create_task(self._look()))
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def add(self, port: int) -> None:
        self._known.add(port)
        self._in.append(port)

    def forget(self, port: int) -> None:
        """A process that has ended."""
        self._known.discard(port)

    async def drain(self, port: int) -> None:
        """No new connections; wait until those there are have ended."""
        self._known.discard(port)
        self._in.remove(port)
        while self._open.get(port):  # noqa: ASYNC110
            await asyncio.sleep(0.02)

    async def _look(self) -> None:
        assert self._health_s is not None
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as http:
            while True:
                for port in list(self._known):
                    ready = False
                    with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                        async with http.get(f"http://127.0.0.1:{port}/readyz") as answer:
                            ready = answer.status == 200
                    if not ready and port in self._in:
                        self._in.remove(port)
                    elif ready and port not in self._in and port in self._known:
                        self._in.append(port)
                await asyncio.sleep(self._health_s)

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        port = self._in[next(self._turn) % len(self._in)]
        self._open[port] = self._open.get(port, 0) + 1
        try:
            with contextlib.suppress(ConnectionError, asyncio.CancelledError):
                behind_reader, behind_writer = await asyncio.open_connection("127.0.0.1", port)
                await asyncio.gather(_pump(reader, behind_writer), _pump(behind_reader, writer))
        finally:
            self._open[port] -= 1
            writer.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    with contextlib.suppress(ConnectionError, OSError):
        writer.close()


class Load:
    """Clients who submit at a steady rate and poll each task to its end. They never send anything twice."""

    def __init__(self, origin: str, key: str, *, per_s: float, keep_alive: bool) -> None:
        self.accepted: list[str] = []
        self.requests = 0
        self.slowest_s = 0.0
        self.failures: list[str] = []
        self._origin = origin
        self._headers = {"Authorization": f"Bearer {key}"}
        self._pause_s = 1 / per_s
        self._keep_alive = keep_alive
        self._stop = asyncio.Event()

    async def __aenter__(self) -> Load:
        self._http = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, force_close=not self._keep_alive), headers=self._headers
        )
        self._running = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._stop.set()
        await self._running
        await self._http.close()

    async def finish(self) -> None:
        """Submit no more, and wait until every task has ended."""
        self._stop.set()
        await self._running

    async def submit(self, prompt: str, origin: str | None = None) -> str | None:
        body = {"prompt": prompt}
        path = "/api/v1/text-to-image/alibaba/qwen-image-plus/async"
        data = await self._call("POST", (origin or self._origin) + path, json=body)
        if data is not None:
            self.accepted.append(data["task_id"])
        return data["task_id"] if data else None

    async def _run(self) -> None:
        async with asyncio.TaskGroup() as lives:
            for number in count():
                lives.create_task(self._life(number))
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._stop.wait(), self._pause_s)
                if self._stop.is_set():
                    return

    async def _life(self, number: int) -> None:
        wish = "[sandbox:slow=2] " if number % 15 == 7 else ""  # few, as the vendor draws a picture for each of these
        if task := await self.submit(f"{wish}number {number}"):
            await self.follow(task)

    async def follow(self, task: str) -> None:
        give_up = time.monotonic() + 90
        while data := await self._call("GET", f"{self._origin}/api/v1/tasks/{task}"):
            if data["status"] != "pending":
                return
            if time.monotonic() > give_up:
                self.failures.append(f"{task} has not ended")
                return
            await asyncio.sleep(0.25)

    async def _call(self, method: str, url: str, **about: object) -> dict | None:
        self.requests += 1
        started = time.monotonic()
        try:
            async with self._http.request(method, url, **about) as answer:
                body = await answer.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            self.failures.append(f"{method} {url}: {error!r}")
            return None
        self.slowest_s = max(self.slowest_s, time.monotonic() - started)
        if answer.status != 200:
            self.failures.append(f"{method} {url}: {answer.status} {body[:200]!r}")
            return None
        return json.loads(body)["data"]


@contextlib.asynccontextmanager
async def open_fleet(postgres_server: Any, folder: Path) -> AsyncIterator[Fleet]:
    """On an empty database: its first migration is the test's."""
    name = f"rolling_{next(_numbers)}"
    database = await postgres_server.create(name, "template1")
    sandbox_port = free_port()
    spool = folder / "spool"
    spool.mkdir()
    env = dict(os.environ) | {
        "MODELLIX_DATABASE_URL": database.app_dsn,
        "MODELLIX_OWNER_DATABASE_URL": database.owner_dsn,
        "MODELLIX_STORAGE_URL": (folder / "storage").as_uri(),
        "MODELLIX_SPOOL_DIR": str(spool),
        "MODELLIX_SECRET": base64.b64encode(secrets.token_bytes(32)).decode(),
        "MODELLIX_MASTER_KEY": base64.b64encode(secrets.token_bytes(32)).decode(),
        "MODELLIX_SANDBOX_URL": f"http://127.0.0.1:{sandbox_port}",
        "MODELLIX_PUBLIC_URL": "http://127.0.0.1:8000",
    }
    pool = await open_pool(database.app_dsn, size=4, name="rolling")
    opened = Fleet(env, folder, pool, f"http://127.0.0.1:{sandbox_port}")
    yield opened
    for process in opened.processes:
        if process.poll() is None:
            process.kill()
        process.wait()
    await pool.close()
    await postgres_server.setup.execute(f"drop database {name} with (force)")


@pytest.fixture
async def fleet(postgres_server, tmp_path: Path) -> AsyncIterator[Fleet]:
    async with open_fleet(postgres_server, tmp_path) as opened:
        yield opened


@pytest.fixture(scope="session")
def fleets() -> Callable[..., contextlib.AbstractAsyncContextManager[Fleet]]:
    """For tests that share one."""
    return open_fleet


@pytest.fixture(scope="session")
def front() -> type[Front]:
    return Front


@pytest.fixture(scope="session")
def load() -> type[Load]:
    return Load
