"""A whole platform as its clients see it: `serve`, `work` and the sandbox in processes of their own, over HTTP."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import secrets
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import aiohttp
from tests.support.api_client import Client, Team
from tests.support.openapi_conformance import checked_session
from tests.support.ports import free_port

from modellix_server import identity, ledger
from modellix_server.base.database import Pool, open_pool
from modellix_server.base.ids import parse_task_name
from modellix_server.base.secret import Secret
from modellix_server.limits.store import set_for_team
from modellix_server.tasks import verify

MANY = 1_000_000
_numbers = count(1)


@dataclass
class Platform:
    """Everything that runs, and the doors an operator has to it."""

    origin: str
    sandbox: str
    database: str
    pool: Pool
    http: aiohttp.ClientSession
    env: dict[str, str]
    secret: Secret
    folder: Path
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    open_files: int = 0
    """What the API process may have open; 0: as many as we."""

    @property
    def serving(self) -> subprocess.Popen[bytes]:
        """The API process."""
        return next(process for process in self.processes if "serve" in process.args)

    def start(self, *arguments: str, **env: str) -> subprocess.Popen[bytes]:
        if arguments[0] != "serve":  # one address is for one process
            env = {"MODELLIX_METRICS_ADDRESS": ""} | env
        limit = ["prlimit", f"--nofile={self.open_files}", "--"] if self.open_files and arguments[0] == "serve" else []
        with (self.folder / f"{arguments[0]}.log").open("ab") as log:
            process = subprocess.Popen(
                [*limit, sys.executable, "-m", "modellix_server.cli.app", *arguments],
                env=self.env | env,
                stdout=log,
                stderr=log,
            )
        self.processes.append(process)
        return process

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text()

    def anyone(self, authorization: str | None = None) -> Client:
        return Client(self.origin, self.http, authorization)

    async def team(
        self,
        micros: int = 100_000_000,
        *,
        live: bool = False,
        concurrency: int | None = MANY,
        rpm: int | None = MANY,
        key_rpm: int | None = MANY,
    ) -> Team:
        """A new team with money, and generous limits unless told otherwise (None: the defaults)."""
        async with self.pool.acquire() as db, db.transaction():
            team = await identity.create_team(db, f"team {next(_numbers)}")
            await db.execute("select ledger.open_team($1), tasks.open_team($1)", team.id)
            await set_for_team(db, team.id, concurrency=concurrency, rpm=rpm, key_rpm=key_rpm)
            if micros:
                await ledger.credit(db, team.id, micros, live=live, actor="tests", note=None)
        made = Team(self.origin, self.http, id=team.id)
        return await self.key(made, live=live)

    async def key(self, team: Team, *, live: bool = False) -> Team:
        """The same team with another key."""
        text, key = await identity.create_key(self.pool, self.secret, team.id, live=live, name="k", created_by="tests")
        return Team(self.origin, self.http, f"Bearer {text}", team.id, key, text)

    async def tasks_of(self, team: Team) -> int:
        return int(await self.pool.fetchval("select count(*) from tasks.task where team_id = $1", team.id))

    async def balance_of(self, team: Team) -> tuple[int, int]:
        """Posted and held, of the key's mode."""
        assert team.key is not None
        found = await ledger.balance(self.pool, team.id, live=team.key.live)
        return found.posted, found.held

    async def row(self, task: str) -> dict[str, Any]:
        found = await self.pool.fetchrow("select * from tasks.task where id = $1", parse_task_name(task))
        return dict(found)

    async def reach(self, task: str, there: Callable[[dict[str, Any]], bool], within_s: float = 60) -> dict[str, Any]:
        """Wait until the task's row is as wanted."""
        give_up = time.monotonic() + within_s
        while not there(row := await self.row(task)):
            assert time.monotonic() < give_up, f"{task} is still {row['state']}"
            await asyncio.sleep(0.05)
        return row

    async def reviews(self, task: str) -> list[str]:
        rows = await self.pool.fetch("select reason from tasks.review where task_id = $1", parse_task_name(task))
        return [row["reason"] for row in rows]

    async def log_is_written(self, team: Team, within_s: float = 60) -> None:
        """Wait until the request log has what the team did so far."""
        await team.get("/api/v1/team/balance")
        give_up = time.monotonic() + within_s
        while not await self.pool.fetchval(
            "select count(*) from requestlog.entry where team_id = $1 and path = '/api/v1/team/balance'", team.id
        ):
            assert time.monotonic() < give_up, "the request log is not written"
            await asyncio.sleep(0.1)

    async def bill(self, task: str, upstream: str = "dashscope") -> list[dict[str, Any]]:
        """Every POST the vendor got for one task."""
        async with self.http.get(f"{self.sandbox}/{upstream}/_bill", params={"task": task}) as answer:
            lines: list[dict[str, Any]] = (await answer.json())["lines"]
        return lines

    async def totals(self, upstream: str) -> dict[str, Any]:
        """The sums of a vendor's whole bill."""
        async with self.http.get(f"{self.sandbox}/{upstream}/_bill") as answer:
            totals: dict[str, Any] = (await answer.json())["totals"]
        return totals

    async def books_are_clean(self) -> None:
        async with self.pool.acquire() as db:
            assert await verify(db) == []

    def spooled(self) -> list[Path]:
        """The scratch files of what is under way."""
        return [path for path in (self.folder / "spool").rglob("modellix-spool-*/**/*") if path.is_file()]

    async def spool_is_empty(self, within_s: float = 60) -> None:
        """Wait until no scratch file is left; what is still under way may have some for a moment."""
        give_up = time.monotonic() + within_s
        while left := self.spooled():
            assert time.monotonic() < give_up, left
            await asyncio.sleep(0.1)

    async def until_ready(self, within_s: float = 90) -> None:
        give_up = time.monotonic() + within_s
        for url in (f"{self.origin}/readyz", f"{self.sandbox}/healthz"):
            while True:
                with contextlib.suppress(aiohttp.ClientConnectionError):
                    async with self.http.get(url) as answer:
                        if answer.status == 200:
                            break
                assert time.monotonic() < give_up, f"{url} is not ready\n{self.log('serve')}"
                await asyncio.sleep(0.05)

    def stop(self) -> None:
        running = [process for process in self.processes if process.poll() is None]
        for process in running:
            process.terminate()
        for process in running:
            process.wait(30)


@contextlib.asynccontextmanager
async def open_platform(server: Any, folder: Path, open_files: int = 0, **settings: str) -> AsyncIterator[Platform]:
    """A platform on a fresh database; `settings` are MODELLIX_* variables without the prefix."""
    name = f"journeys_{next(_numbers)}"
    database = await server.create(name)
    port, sandbox_port = int(settings.get("port", free_port())), free_port()
    secret = Secret(secrets.token_bytes(32))
    spool = folder / "spool"
    spool.mkdir()
    env = dict(os.environ) | {
        "MODELLIX_DATABASE_URL": database.app_dsn,
        "MODELLIX_OWNER_DATABASE_URL": database.owner_dsn,
        "MODELLIX_STORAGE_URL": (folder / "storage").as_uri(),
        "MODELLIX_SPOOL_DIR": str(spool),
        "MODELLIX_SECRET": base64.b64encode(secret.value).decode(),
        "MODELLIX_MASTER_KEY": base64.b64encode(secrets.token_bytes(32)).decode(),
        "MODELLIX_SANDBOX_URL": f"http://127.0.0.1:{sandbox_port}",
        "MODELLIX_PORT": str(port),
        "MODELLIX_ALLOW_NETWORKS": "127.0.0.0/8",
        "MODELLIX_DRAIN_S": "0",
        **{f"MODELLIX_{key.upper()}": value for key, value in settings.items()},
    }
    pool = await open_pool(database.app_dsn, size=4, name="journeys")
    http = checked_session()
    origin, sandbox = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{sandbox_port}"
    platform = Platform(origin, sandbox, database.superuser_dsn, pool, http, env, secret, folder, open_files=open_files)
    try:
        platform.start("sandbox", "--data", str(folder / "sandbox"), "--port", str(sandbox_port))
        platform.start("serve")
        platform.start("work")
        await platform.until_ready()
        yield platform
    finally:
        platform.stop()
        await http.close()
        await pool.close()
        await server.setup.execute(f"drop database {name} with (force)")
