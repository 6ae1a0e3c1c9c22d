"""A platform whose processes come and go."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import aiohttp
from tests.support.platform_processes import MANY
from tests.support.ports import free_port

from modellix_server import identity, ledger
from modellix_server.base.database import Pool, open_pool
from modellix_server.base.ids import parse_task_name
from modellix_server.base.secret import Secret
from modellix_server.limits.store import set_for_team
from modellix_server.tasks import verify

PROGRAM = (sys.executable, "-m", "modellix_server.cli.app")
_numbers = count(1)


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

    def start(self, *arguments: str, program: Sequence[str] = PROGRAM, **env: str) -> subprocess.Popen[bytes]:
        with (self.folder / "log").open("ab") as log:
            process = subprocess.Popen(
                [*program, *arguments], env=self.env | env, stdout=log, stderr=log, cwd=self.folder
            )
        self.processes.append(process)
        return process

    async def command(self, *arguments: str, program: Sequence[str] = PROGRAM, told: str = "") -> str:
        """Run a command to its end, with `told` on its standard input; what it prints."""
        done = await asyncio.to_thread(
            subprocess.run,
            [*program, *arguments],
            env=self.env,
            capture_output=True,
            text=True,
            input=told,
            cwd=self.folder,
        )
        assert done.returncode == 0, f"{arguments}: {done.stderr[-2000:]}"
        return done.stdout

    async def emulate(self, *options: str, program: Sequence[str] = PROGRAM) -> None:
        """Start the sandbox's vendors and wait until they answer."""
        self.start("emulate", *options, "--instant", "--port", self.sandbox.rpartition(":")[2], program=program)
        await until_ready(f"{self.sandbox}/healthz")

    async def serve(self, *, program: Sequence[str] = PROGRAM, **env: str) -> tuple[subprocess.Popen[bytes], int]:
        """Start an API process and wait until it is ready; it and its port."""
        port = free_port()
        process = self.start("serve", program=program, MODELLIX_PORT=str(port), **env)
        await until_ready(f"http://127.0.0.1:{port}/readyz")
        return process, port

    async def work(self, *, program: Sequence[str] = PROGRAM, **env: str) -> tuple[subprocess.Popen[bytes], int]:
        """Start a worker and wait until it has signed on; it and its number."""
        before = await self._workers()
        process = self.start("work", program=program, **env)
        give_up = time.monotonic() + 60
        while not (new := await self._workers() - before):
            assert time.monotonic() < give_up
            await asyncio.sleep(0.05)
        return process, new.pop()

    async def _workers(self) -> set[int]:
        return {row[0] for row in await self.pool.fetch("select id from tasks.worker")}

    async def stop(self, process: subprocess.Popen[bytes], within_s: float = 90) -> float:
        """Ask it to end, as an operator does; how long that took, in seconds."""
        started = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(process.wait, within_s) == 0, self.log()
        return time.monotonic() - started

    def log(self) -> str:
        return (self.folder / "log").read_text()[-5000:]

    async def team(self, program: Sequence[str] = ()) -> None:
        """Make the team `acme`, with few limits: by the commands of a program, or by those of this one's rooms."""
        if not program:
            async with self.pool.acquire() as db, db.transaction():
                team = await identity.create_team(db, "acme")
                await db.execute("select ledger.open_team($1), tasks.open_team($1)", team.id)
                await set_for_team(db, team.id, concurrency=100_000, rpm=MANY, key_rpm=MANY)
            return
        limits = ("--concurrency", "100000", "--rpm", "1000000", "--key-rpm", "1000000")
        await self.command("admin", "team", "create", "acme", program=program)
        await self.command("admin", "team", "limits", "acme", *limits, program=program)

    async def key(self, program: Sequence[str] = (), *, live: bool = False) -> str:
        """Give the team money; the text of a new key of it."""
        if not program:
            team = await self.pool.fetchval("select id from identity.team where name = 'acme'")
            secret = Secret(base64.b64decode(self.env["MODELLIX_SECRET"]))
            async with self.pool.acquire() as db, db.transaction():
                await ledger.credit(db, team, 10_000_000_000, live=live, actor="tests", note=None)
                text, _ = await identity.create_key(db, secret, team, live=live, name="k", created_by="tests")
            return text
        mode = () if live else ("--test",)
        await self.command("admin", "team", "credit", "acme", "--usd", "10000", *mode, program=program)
        made = await self.command("admin", "key", "create", "--team", "acme", *mode, "--json", program=program)
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
