"""The database restarted, killed and frozen while clients and workers use it; clocks that jump."""

from __future__ import annotations

import asyncio
import itertools
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest
from bench.clocks import faked
from tests.support.own_postgres_server import MODEL, PRICE, START, ended_well, frozen, insist, served_from, timed

from modellix_server.base import time_budget

EDIT = "alibaba/qwen-image-edit-plus"
EDIT_PRICE = 30_000


@pytest.fixture
async def own_server(postgres_server) -> AsyncIterator:
    folder = Path(tempfile.mkdtemp(prefix="modellix-test-"))
    folder.chmod(0o711)
    try:
        async with served_from(type(postgres_server), folder) as server:
            yield server
    finally:
        shutil.rmtree(folder)


@pytest.mark.full
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
                await asyncio.sleep(0.4)

        clients = [asyncio.create_task(client()) for _ in range(4)]
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
        assert await platform.balance_of(team) == (START - len(edits) * EDIT_PRICE - len(tasks) * PRICE, 0)
        await platform.books_are_clean()


@pytest.mark.full
async def test_a_frozen_database(own_server, stage, tmp_path) -> None:
    """It neither answers nor breaks off: everybody is told 503 within a bound, and what was written late is found."""
    async with stage(own_server, tmp_path) as platform:
        team = await platform.team()
        task = (await team.submit(MODEL, prompt="[sandbox:slow=2]")).data["task_id"]
        with frozen(own_server.postgres):
            calls = {
                "submission": timed(team.post(f"/api/v1/{MODEL}", {"prompt": "a"}, headers={"Idempotency-Key": "k"})),
                "another": timed(team.post(f"/api/v1/{MODEL}", {"prompt": "b"}, headers={"Idempotency-Key": "l"})),
                "status": timed(team.get(f"/api/v1/tasks/{task}")),
                "balance": timed(team.get("/api/v1/team/balance")),
                "list": timed(team.get("/api/v1/tasks")),
                "readiness": timed(team.get("/readyz")),
            }
            answers = dict(zip(calls, await asyncio.gather(*calls.values()), strict=True))
            # The caches know by now that they may be blind: even who calls must be asked for.
            answers["later"] = await timed(
                team.post(f"/api/v1/{MODEL}", {"prompt": "c"}, headers={"Idempotency-Key": "m"})
            )
            assert (await team.get("/healthz")).status == 200
        print({what: round(spent_s, 1) for what, (_, spent_s) in answers.items()})
        for what, (answer, spent_s) in answers.items():
            assert answer.status == 503, (what, answer.body)
            assert int(answer.headers["retry-after"]) > 0, what
            assert spent_s < time_budget.REQUEST_S + 5, what
        assert answers["readiness"][1] < time_budget.REQUEST_S
        again = [await insist(team, key, prompt) for key, prompt in (("k", "a"), ("l", "b"), ("m", "c"))]
        await ended_well(platform, team, [task, *again])
        assert await platform.tasks_of(team) == 4
        assert await platform.balance_of(team) == (START - 4 * PRICE, 0)
        await platform.books_are_clean()


@pytest.mark.full
async def test_an_api_process_ends_in_time_although_its_database_is_frozen(own_server, stage, tmp_path) -> None:
    async with stage(own_server, tmp_path) as platform:
        team = await platform.team()
        await team.get("/api/v1/team/balance")
        with frozen(own_server.postgres):
            waiting = asyncio.create_task(team.get("/api/v1/team/balance"))
            await asyncio.sleep(0.5)
            platform.serving.terminate()
            try:
                code, spent_s = await timed(asyncio.to_thread(platform.serving.wait, 60))
            except subprocess.TimeoutExpired:
                pytest.fail("it has not ended:\n" + (platform.folder / "serve.log").read_text()[-8_000:])
            print(f"ended after {spent_s:.1f} s")
            assert (code, (await waiting).status) == (0, 503)
            assert spent_s < 30


@pytest.mark.full
@pytest.mark.timeout(300)
@pytest.mark.skipif(not faked(Path()), reason="on this machine Debian's package libfaketime is needed")
@pytest.mark.parametrize("jump_s", [7200, -7200])
async def test_a_clock_that_jumps(postgres_server, stage, tmp_path, jump_s: int) -> None:
    """The wall clocks of worker and API jump by two hours: no task dies of age, none is sent twice."""
    clock = tmp_path / "clock"
    clock.write_text("+0")
    async with stage(postgres_server, tmp_path) as platform:
        for process in platform.processes[1:]:
            process.terminate()
            process.wait(30)
        platform.start("serve", **faked(clock))
        platform.start("work", **faked(clock))
        await platform.until_ready()
        team = await platform.team()
        before = [(await team.submit(MODEL, prompt=f"[sandbox:slow=4] {n}")).data["task_id"] for n in range(10)]
        for task in before:
            await platform.reach(task, lambda row: row["state"] == "running")
        clock.write_text(f"{jump_s:+d}")
        after = [await insist(team, f"k{n}", f"after {n}") for n in range(10)]
        await ended_well(platform, team, before + after)
        assert await platform.balance_of(team) == (START - 20 * PRICE, 0)
        assert await platform.pool.fetchval("select max(epoch) from tasks.task") == 1
        await platform.books_are_clean()
