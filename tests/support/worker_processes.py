"""Worker processes that may die, on a database of their own; the emulator's bill as second witness."""

from __future__ import annotations

import asyncio
import base64
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

import aiohttp
import msgspec
from tests.support.ports import free_port

from modellix_server.base.database import Pool
from modellix_server.base.ids import task_name, uuid7
from modellix_server.base.settings import Settings
from modellix_server.catalogue import Catalogue
from modellix_server.inspection import take_inputs
from modellix_server.results import Storage, save_inputs
from modellix_server.sandbox import load_all
from modellix_server.tasks import Submission, Submissions, verify


def start(*arguments: str, env: dict[str, str], log: Path) -> subprocess.Popen[bytes]:
    with log.open("ab") as file:
        return subprocess.Popen(
            [sys.executable, "-m", "modellix_server.cli.app", *arguments], env=env, stdout=file, stderr=file
        )


@dataclass(frozen=True)
class Emulator:
    """The vendor, as far as the platform can tell."""

    url: str

    async def bill(self, task_id: UUID) -> list[dict]:
        """Every POST received for one task, by whichever vendor."""
        found = []
        async with aiohttp.ClientSession() as http:
            for vendor in load_all():
                async with http.get(f"{self.url}/{vendor}/_bill") as answer:
                    found += (await answer.json())["lines"]
        return [line for line in found if line["attempt"].startswith(task_name(task_id))]


@contextmanager
def open_emulator(log: Path) -> Iterator[Emulator]:
    """The vendors' emulators in a process of their own."""
    port = free_port()
    process = start("emulate", "--port", str(port), env=dict(os.environ), log=log)
    give_up = time.monotonic() + 60
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        assert time.monotonic() < give_up, log.read_text()
        time.sleep(0.05)
    yield Emulator(f"http://127.0.0.1:{port}")
    process.terminate()
    process.wait(60)


@dataclass
class Stage:
    """One database, one emulator, and as many workers as a test needs."""

    settings: Settings
    pool: Pool
    emulator: Emulator
    log: Path
    team_id: int
    key_id: int
    catalogue: Catalogue
    own_models: Path
    submissions: Submissions
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def worker(
        self, *, kill_at: str = "", hold_at: str = "", source: Path | None = None, **settings: str
    ) -> subprocess.Popen[bytes]:
        """Start a worker; armed with a point, running changed source, or with MODELLIX_* settings of its own."""
        env = dict(os.environ) | {
            "MODELLIX_DATABASE_URL": self.settings.database_url,
            "MODELLIX_STORAGE_URL": self.settings.storage_url,
            "MODELLIX_SPOOL_DIR": self.settings.spool_dir,
            "MODELLIX_SECRET": base64.b64encode(self.settings.secret.value).decode(),
            "MODELLIX_MASTER_KEY": base64.b64encode(self.settings.master_key.value).decode(),
            "MODELLIX_SANDBOX_URL": self.emulator.url,
            "MODELLIX_LEASE_S": str(self.settings.lease_s),
            "MODELLIX_ALLOW_NETWORKS": "127.0.0.0/8",
            "MODELLIX_KILL_AT": kill_at,
            "MODELLIX_HOLD_AT": hold_at,
            "MODELLIX_CATALOGUE_DIR": str(self.own_models),
            **{f"MODELLIX_{name.upper()}": value for name, value in settings.items()},
        }
        if source is not None:
            env["PYTHONPATH"] = str(source)
        process = start("work", env=env, log=self.log)
        self.workers.append(process)
        return process

    async def submit(self, model: str = "alibaba/qwen-image-plus", **given: object) -> UUID:
        found = self.catalogue.models[model]
        slim, files = take_inputs(given, [medium.name for medium in found.media])
        if files:
            await save_inputs(self.pool, Storage(self.settings.storage_url), files)
        params = found.check(slim)
        quote = found.quote(params, None, live=False)
        submission = Submission(
            task_id=uuid7(),
            team_id=self.team_id,
            live=False,
            key_id=self.key_id,
            model=model,
            params=msgspec.json.encode(params).decode(),
            price=msgspec.json.encode(quote).decode(),
            quote=quote.amount_micros,
            deadline_s=found.deadline_s,
            slots=10_000,
        )
        return (await self.submissions.accept(submission)).task_id

    async def row(self, task_id: UUID) -> dict:
        return dict(await self.pool.fetchrow("select * from tasks.task where id = $1", task_id))

    async def reach(self, task_id: UUID, *states: str, within_s: float = 90) -> dict:
        """Wait until the task is in one of the states."""
        give_up = time.monotonic() + within_s
        while (row := await self.row(task_id))["state"] not in states:
            assert time.monotonic() < give_up, f"still {row['state']}\n{self.log.read_text()[-3000:]}"
            await asyncio.sleep(0.05)
        return row

    async def until(self, true: str, within_s: float = 90) -> None:
        """Wait until a query says so."""
        give_up = time.monotonic() + within_s
        while not await self.pool.fetchval(true):
            assert time.monotonic() < give_up, f"not so: {true}\n{self.log.read_text()[-3000:]}"
            await asyncio.sleep(0.05)

    async def posted(self, task_id: UUID, within_s: float = 60) -> None:
        """Wait until the vendor has received the task's submission."""
        give_up = time.monotonic() + within_s
        while not await self.emulator.bill(task_id):
            assert time.monotonic() < give_up
            await asyncio.sleep(0.05)

    async def died(self, worker: subprocess.Popen[bytes], within_s: float = 90) -> None:
        """Wait until the worker has killed itself at its point."""
        code = await asyncio.to_thread(worker.wait, within_s)
        assert code == -signal.SIGKILL, f"ended with {code}\n{self.log.read_text()[-3000:]}"

    async def books_are_clean(self) -> None:
        async with self.pool.acquire() as db:
            assert await verify(db) == []
