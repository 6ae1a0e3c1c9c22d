"""The database restarted, killed, frozen and out of room while clients and workers use it; clocks that jump."""

from __future__ import annotations

import asyncio
import itertools
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import psutil
import pytest

from modellix_server.base.database import open_pool
from modellix_server.base.migrations import discover, migrate
from modellix_server.main.home import OWNER, SUPERUSER, Home
from modellix_server.main.postgres import EmbeddedPostgres
from modellix_server.main.rooms import ROOMS

MODEL, EDIT = "alibaba/qwen-image-plus", "alibaba/qwen-image-edit-plus"
PRICE, EDIT_PRICE = 17_200, 30_000
START = 100_000_000
CLOCKS = [Path(name) for name in (
    os.environ.get("FAKETIME_LIB", ""), "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketime.so.1") if name and Path(name).is_file()]  # fmt: skip


@asynccontextmanager
async def served_from(kind: type, folder: Path) -> AsyncIterator:
    """A database server of one test's own, as the shared one is; `setup` survives its restarts."""
    home = Home(folder / "data")
    home.create()
    postgres = EmbeddedPostgres(home)
    await postgres.start()
    setup = await open_pool(home.dsn(SUPERUSER, "postgres"), size=1, name="test")
    try:
        await setup.execute(f"create database template_modellix owner {OWNER}")
        await migrate(home.dsn(OWNER, "template_modellix"), discover(ROOMS))
        yield kind(home, postgres, setup)
    finally:
        await setup.close()
        await postgres.stop()


@pytest.fixture
async def own_server(postgres_server) -> AsyncIterator:
    folder = Path(tempfile.mkdtemp(prefix="modellix-test-"))
    folder.chmod(0o711)
    try:
        async with served_from(type(postgres_server), folder) as server:
            yield server
    finally:
        shutil.rmtree(folder)


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


async def test_restarts_under_load(own_server, stage, tmp_path, draw) -> None:
    """Stopped and started, then killed and started: no running POST becomes an unknown outcome, nothing is lost."""
    async with stage(own_server, tmp_path) as platform:
        team = await platform.team()
        picture = draw.data_uri(draw.picture())
        edits = [
            (await team.submit(EDIT, prompt=f"[sandbox:slow=6] {n}", images=[picture], size="512*512")).data["task_id"]
            for n in range(4)
        ]
        for task in edits:
            await platform.reach(task, lambda row: row["state"] == "submitting")
        tasks: list[str] = []
        numbers, over = itertools.count(), asyncio.Event()

        async def client() -> None:
            while not over.is_set():
                number = next(numbers)
                tasks.append(await insist(team, f"key-{number}", f"[sandbox:slow=1] {number}"))
                await asyncio.sleep(0.25)

        clients = [asyncio.create_task(client()) for _ in range(5)]
        await asyncio.sleep(1)
        await own_server.postgres.stop()
        await own_server.postgres.start()
        await asyncio.sleep(2)
        psutil.Process(own_server.postgres.pid).kill()
        await own_server.postgres.wait()
        await own_server.postgres.start()
        await asyncio.sleep(1)
        over.set()
        await asyncio.gather(*clients)
        await ended_well(platform, team, edits + tasks)
        assert await platform.tasks_of(team) == len(edits) + len(tasks) >= 20
        assert await platform.purse(team) == (START - len(edits) * EDIT_PRICE - len(tasks) * PRICE, 0)
        await platform.books_are_clean()


@pytest.mark.full
@pytest.mark.timeout(300)
async def test_a_frozen_database(own_server, stage, tmp_path) -> None:
    """It neither answers nor breaks off: clients are told 503 within a bound, and what was written late is found."""
    async with stage(own_server, tmp_path) as platform:
        team = await platform.team()
        task = (await team.submit(MODEL, prompt="[sandbox:slow=2]")).data["task_id"]
        postmaster = psutil.Process(own_server.postgres.pid)
        frozen = [postmaster, *postmaster.children(recursive=True)]
        for process in frozen:
            process.suspend()
        started = time.monotonic()
        try:
            key = {"Idempotency-Key": "k"}
            answer = await asyncio.wait_for(team.post(f"/api/v1/{MODEL}", {"prompt": "a"}, headers=key), 120)
            assert answer.status == 503, answer.body
            print(f"503 after {time.monotonic() - started:.1f} s")
            assert (await team.get("/healthz")).status == 200
        finally:
            for process in frozen:
                process.resume()
        again = await insist(team, "k", "a")
        await ended_well(platform, team, [task, again])
        assert await platform.tasks_of(team) == 2
        assert await platform.purse(team) == (START - 2 * PRICE, 0)
        await platform.books_are_clean()


@pytest.fixture
def small_disk() -> AsyncIterator[Path]:
    """A file system of its own for the database, of 400 MB."""
    if os.getuid() != 0:
        pytest.skip("only root can mount a small disk")
    folder = Path(tempfile.mkdtemp(prefix="modellix-test-"))
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=400m,mode=711", "tmpfs", folder], capture_output=True, text=True
    )
    if mounted.returncode != 0:
        folder.rmdir()
        pytest.skip(f"a small disk cannot be mounted here: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)
        folder.rmdir()


def fill(file: Path) -> None:
    with file.open("wb", buffering=0) as place:
        while True:
            place.write(bytes(65536))


@pytest.mark.full
@pytest.mark.timeout(300)
async def test_a_full_disk(postgres_server, small_disk, stage, tmp_path) -> None:
    """What cannot be written is not accepted; what was accepted ends; with room again all is well."""
    async with served_from(type(postgres_server), small_disk) as server, stage(server, tmp_path) as platform:
        team = await platform.team()
        filler = small_disk / "filler"
        accepted: list[str] = []
        with pytest.raises(OSError, match="No space left"):
            fill(filler)
        for number in range(2000):
            body = {"prompt": f"{number} " + "x" * 700}
            answer = await team.post(f"/api/v1/{MODEL}", body, headers={"Idempotency-Key": f"k{number}"})
            if answer.status != 200:
                break
            accepted.append(answer.data["task_id"])
        assert answer.status == 503, answer.body
        assert int(answer.headers["retry-after"]) > 0
        filler.unlink()
        give_up = time.monotonic() + 60
        while (
            again := await team.post(f"/api/v1/{MODEL}", body, headers={"Idempotency-Key": f"k{number}"})
        ).status != 200:
            assert time.monotonic() < give_up
            await asyncio.sleep(0.3)
        tasks = [*accepted, again.data["task_id"]]
        await ended_well(platform, team, tasks)
        assert await platform.tasks_of(team) == len(tasks)
        assert await platform.purse(team) == (START - len(tasks) * PRICE, 0)
        await platform.books_are_clean()


@pytest.mark.full
@pytest.mark.timeout(300)
@pytest.mark.skipif(not CLOCKS, reason="needs Debian's package libfaketime, or its library in FAKETIME_LIB")
@pytest.mark.parametrize("jump_s", [7200, -7200])
async def test_a_clock_that_jumps(postgres_server, stage, tmp_path, jump_s: int) -> None:
    """The wall clocks of worker and API jump by two hours: no task dies of age, none is sent twice."""
    clock = tmp_path / "clock"
    clock.write_text("+0")
    faked = {
        "LD_PRELOAD": str(CLOCKS[0]), "FAKETIME_TIMESTAMP_FILE": str(clock), "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }  # fmt: skip
    async with stage(postgres_server, tmp_path) as platform:
        for process in platform.processes[1:]:
            process.terminate()
            process.wait(30)
        platform.start("serve", **faked)
        platform.start("work", **faked)
        await platform.until_ready()
        team = await platform.team()
        before = [(await team.submit(MODEL, prompt=f"[sandbox:slow=4] {n}")).data["task_id"] for n in range(10)]
        for task in before:
            await platform.reach(task, lambda row: row["state"] == "running")
        clock.write_text(f"{jump_s:+d}")
        after = [await insist(team, f"k{n}", f"after {n}") for n in range(10)]
        await ended_well(platform, team, before + after)
        assert await platform.purse(team) == (START - 20 * PRICE, 0)
        assert await platform.pool.fetchval("select max(epoch) from tasks.task") == 1
        await platform.books_are_clean()
