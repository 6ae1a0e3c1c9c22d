"""An account whose books are wrong takes no new tasks, at once and alone, until an operator has put it right."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time

import pytest

from modellix_server.embedded.data_directory import DataDirectory
from modellix_server.operations import reconciliation
from modellix_server.operations.context import Context
from modellix_server.operations.principal import system

MODEL = "alibaba/qwen-image-plus"
FROZEN = (
    "Service unavailable: this account takes no new tasks until its books have been checked; the operator has been told"
)


async def command(platform, *arguments: str) -> str:
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "modellix_server.cli.app", *arguments],
        env=os.environ | platform.env,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


async def until(status: int, team, within_s: float = 60):
    """Submit until the answer is that one; every API process knows within a second or two."""
    give_up = time.monotonic() + within_s
    while (answer := await team.submit(MODEL, prompt="a")).status != status:
        assert time.monotonic() < give_up, answer.body
        await asyncio.sleep(0.2)
    return answer


@pytest.fixture
async def wronged(platform, superuser):
    """A team with a running task and a kept key, whose balance somebody has changed by hand."""
    team = await platform.team()
    key = {"Idempotency-Key": "before"}
    running = (await team.submit(MODEL, prompt="[sandbox:slow=4]")).data["task_id"]
    earlier = (await team.post(f"/api/v1/{MODEL}", {"prompt": "b"}, headers=key)).data["task_id"]
    await superuser.execute("update ledger.balance set posted = posted + 5 where team_id = $1 and not live", team.id)
    settings = DataDirectory("none").settings(platform.env)
    await reconciliation.monitor_once(Context(settings, platform.pool), system("ledger monitor", "host-1"))
    yield team, running, earlier
    await superuser.execute("select ledger.rebuild_balance($1, false)", team.id)  # whatever the test has come to
    await superuser.execute("delete from ledger.frozen where team_id = $1", team.id)


@pytest.mark.full
async def test_a_frozen_account(platform, wronged) -> None:
    team, running, earlier = wronged
    other = await platform.team()
    answer = await until(503, team)
    answer.refused(503, FROZEN)
    assert answer.headers["retry-after"] == "60"
    held = await platform.tasks_of(team)
    assert (await other.submit(MODEL, prompt="c")).status == 200
    again = await team.post(f"/api/v1/{MODEL}", {"prompt": "b"}, headers={"Idempotency-Key": "before"})
    assert again.data["task_id"] == earlier  # a replay makes no task
    assert (await team.post(f"/api/v1/{MODEL}/stream", {"prompt": "d"})).status == 503
    assert (await team.finish(running))["status"] == "success"  # what runs goes on, and is settled
    assert (await team.get("/api/v1/team/balance")).status == 200
    assert await platform.tasks_of(team) == held

    name = await platform.pool.fetchval("select name from identity.team where id = $1", team.id)
    assert name in await command(platform, "ledger", "frozen")
    await command(platform, "ledger", "unfreeze", name, "--test", "--restate", "--note", "somebody's hand")
    answer = await until(200, team)
    assert (await team.finish(answer.data["task_id"]))["status"] == "success"
    await platform.books_are_clean()
