"""A database server of one test's own, to be ill-treated, and clients that follow the rules meanwhile."""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import psutil

from modellix_server.base.database import open_pool
from modellix_server.base.functions import discover_functions
from modellix_server.base.migrations import discover, migrate
from modellix_server.embedded.data_directory import OWNER, SUPERUSER, DataDirectory
from modellix_server.embedded.postgres import EmbeddedPostgres
from modellix_server.operations.maintenance.migrate import ROOMS

MODEL = "alibaba/qwen-image-plus"
PRICE = 17_200
START = 100_000_000


@asynccontextmanager
async def served_from(kind: type, folder: Path, wal: Path | None = None) -> AsyncIterator:
    """A database server of one test's own, as the shared one is; `setup` survives its restarts.

    With `wal` its write-ahead log is there.
    """
    data_directory = DataDirectory(folder / "data")
    data_directory.create()
    postgres = EmbeddedPostgres(data_directory)
    await postgres.start()
    if wal is not None:
        await postgres.stop()
        await asyncio.to_thread(_move, data_directory.cluster / "pg_wal", wal)
        await postgres.start()
    setup = await open_pool(data_directory.dsn(SUPERUSER, "postgres"), size=1, name="test")
    try:
        await setup.execute(f"create database template_modellix owner {OWNER}")
        await migrate(data_directory.dsn(OWNER, "template_modellix"), discover(ROOMS), discover_functions(ROOMS))
        yield kind(data_directory, postgres, setup)
    finally:
        await setup.close()
        await postgres.stop()


def _move(folder: Path, there: Path) -> None:
    owner = folder.stat()
    shutil.copytree(folder, there)
    for path in (there, *there.rglob("*")):
        os.chown(path, owner.st_uid, owner.st_gid)
    there.chmod(0o700)
    shutil.rmtree(folder)
    folder.symlink_to(there)


async def insist(team, key: str, prompt: str, until_s: float = 60) -> str:
    """What a client does that follows the rules: ask again with the same key; the task's id."""
    give_up = time.monotonic() + until_s
    while True:
        try:
            answer = await team.post(f"/api/v1/{MODEL}", {"prompt": prompt}, headers={"Idempotency-Key": key})
            if answer.status == 200:
                return str(answer.data["task_id"])
            assert answer.status == 503, answer.body
            assert int(answer.headers["retry-after"]) > 0
        except aiohttp.ClientConnectionError:
            pass
        assert time.monotonic() < give_up
        await asyncio.sleep(0.2)


async def ended_well(platform, team, tasks: list[str], price: int = PRICE) -> None:
    ends = await asyncio.gather(*(patiently(team, task) for task in tasks))
    assert [end["error"] for end in ends if end["status"] != "success"] == []
    for task in tasks:
        assert len(await platform.bill(task)) == 1
    assert len(set(tasks)) == len(tasks)


async def patiently(team, task: str, within_s: float = 90) -> dict:
    """As `finish`, and a 503 is no end."""
    give_up = time.monotonic() + within_s
    while True:
        answer = await team.get(f"/api/v1/tasks/{task}")
        if answer.status == 200 and answer.data["status"] != "pending":
            return answer.data
        assert answer.status in (200, 503)
        assert time.monotonic() < give_up, f"{task} has not ended"
        await asyncio.sleep(0.2)


@contextmanager
def frozen(postgres: EmbeddedPostgres) -> Iterator[None]:
    """The server and all of its processes stand still while the block runs."""
    postmaster = psutil.Process(postgres.pid)
    processes = [postmaster, *postmaster.children(recursive=True)]
    for process in processes:
        process.suspend()
    try:
        yield
    finally:
        for process in processes:
            process.resume()


async def timed(call: Awaitable) -> tuple[Any, float]:
    started = time.monotonic()
    answer = await call
    return answer, time.monotonic() - started
