"""Two accounts at one vendor: the quota of `main` is used up, `backup` works. Each attempt keeps its account."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.support.api_client import Team
from tests.support.platform_processes import Platform
from tests.support.web_servers import refusing_vendor

from modellix_server import vault
from modellix_server.base.ids import parse_task_name
from modellix_server.base.settings import load

PICTURE, WAN = "alibaba/qwen-image-plus", "alibaba/wan2.6-t2i"
PRICES = {PICTURE: 17_200, WAN: 30_000}
REFUSALS = (
    (429, {"code": "Throttling.AllocationQuota", "message": "Allocated quota exceeded.", "request_id": "r-1"}),
    (403, {"code": "AllocationQuota.FreeTierOnly", "message": "The free tier is exhausted.", "request_id": "r-2"}),
    (400, {"code": "Arrearage", "message": "Access denied, your account is overdue.", "request_id": "r-3"}),
)
Calls = list[tuple[str, str | None]]


@pytest.fixture(scope="module")
async def two(postgres_server, tmp_path_factory, stage) -> AsyncIterator[tuple[Platform, Calls]]:
    """A platform with both accounts, nearly all of the weight on the one that refuses; and what that one is asked."""
    calls: Calls = []
    folder = tmp_path_factory.mktemp("accounts")
    with refusing_vendor(REFUSALS, calls) as empty:
        async with stage(postgres_server, folder) as platform:
            keyring = load(platform.env).keyring
            good = f"{platform.sandbox}/dashscope/api/v1"
            for name, url, weight in (("main", f"{empty}/api/v1", 100), ("backup", good, 1)):
                about = {"name": name, "weight": weight, "base_url": url, "region": "cn"}
                await vault.set_account(platform.pool, keyring, "dashscope", f"sk-{name}", **about)
            yield platform, calls
            await command(platform, "ledger", "verify")


async def command(platform: Platform, *arguments: str) -> str:
    """Run a command as the operator does; what it prints."""
    program = [sys.executable, "-m", "modellix_server.cli.app", *arguments]
    done = await asyncio.to_thread(subprocess.run, program, env=platform.env, capture_output=True, text=True)
    assert done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}"
    return done.stdout


async def attempts(platform: Platform, tasks: list[str]) -> dict[str, list[tuple[str, str]]]:
    """By task: account and outcome of each of its attempts."""
    rows = await platform.pool.fetch(
        """select task_id, account, outcome from tasks.attempt
           where upstream = 'dashscope' and region = 'cn' and task_id = any ($1) order by task_id, n""",
        [parse_task_name(task) for task in tasks],
    )
    found: dict[str, list[tuple[str, str]]] = {task: [] for task in tasks}
    for row in rows:
        found[f"task-{row['task_id'].hex}"].append((row["account"], row["outcome"]))
    return found


async def submit(team: Team, model: str, prompt: str) -> str:
    """Submit, again while the API does not know of the accounts yet: two seconds at most."""
    given: dict[str, Any] = {"prompt": prompt} | ({"n": 1} if model == WAN else {})
    give_up = time.monotonic() + 10
    while (answer := await team.submit(model, **given)).status == 503:
        assert time.monotonic() < give_up
        await asyncio.sleep(0.1)
    return str(answer.data["task_id"])


async def settle(platform: Platform, team: Team, tasks: list[str]) -> None:
    """Every task ends well, was accepted by the vendor once, and is charged for once."""
    ends = await asyncio.gather(*(team.finish(task, 40) for task in tasks))
    assert [end["status"] for end in ends] == ["success"] * len(tasks), ends
    bills = {task: await platform.bill(task) for task in tasks}
    assert all([line["accepted"] for line in bill] == [True] for bill in bills.values()), bills
    rows = [await platform.row(task) for task in tasks]
    assert [row["captured"] for row in rows] == [PRICES[row["model"]] for row in rows]
    assert await platform.balance_of(team) == (100_000_000 - sum(row["captured"] for row in rows), 0)
    kinds = await platform.pool.fetch(
        "select kind from ledger.transfer where team_id = $1 and kind <> 'topup'", team.id
    )
    assert Counter(row["kind"] for row in kinds) == {"hold": len(tasks), "capture": len(tasks)}


@pytest.mark.full
async def test_every_task_succeeds_at_the_other_account(two) -> None:
    platform, calls = two
    team = await platform.team(live=True)
    tasks = await asyncio.gather(*(submit(team, (PICTURE, WAN)[n % 2], f"{n}") for n in range(20)))
    await settle(platform, team, tasks)

    found = await attempts(platform, tasks)
    refused = [task for task, made in found.items() if made[0] == ("main", "busy")]
    assert len(refused) >= 2, "of each model, one at least: the first are drawn by weight"
    assert found == {task: [("main", "busy")] * (task in refused) + [("backup", "accepted")] for task in tasks}, (
        "never twice at an account that has refused it"
    )
    assert sorted(calls) == sorted(("POST", f"{task}-1") for task in refused)

    shown = json.loads(await command(platform, "admin", "task", "show", refused[0], "--json"))
    first, second = shown["attempts"]
    assert (first["account"], first["outcome"]) == ("main", "busy")
    assert (second["account"], second["outcome"]) == ("backup", "accepted")
    assert any((first["status"], json.loads(first["answer"])) == refusal for refusal in REFUSALS)
    assert not re.search("sk-(main|backup)", json.dumps(shown))


@pytest.mark.full
async def test_a_running_task_stays_at_its_account_though_that_is_disabled(two) -> None:
    """Also over the death of its worker: the next one polls where the attempt went, and sends nothing again."""
    platform, calls = two
    team = await platform.team(live=True)
    worker = next(process for process in platform.processes if "work" in process.args)
    tasks = await asyncio.gather(*(submit(team, PICTURE, f"[sandbox:slow=4] {n}") for n in range(5)))
    for task in tasks:
        await platform.reach(task, lambda row: row["state"] == "running")
    await vault.change_account(platform.pool, "dashscope", "backup", enabled=False)
    worker.send_signal(signal.SIGKILL)
    await asyncio.to_thread(worker.wait)
    rows = [await platform.row(task) for task in tasks]
    assert {row["state"] for row in rows} == {"running"}
    before = await attempts(platform, tasks)
    assert {made[-1] for made in before.values()} == {("backup", "accepted")}

    platform.start("work")
    await settle(platform, team, tasks)
    assert await attempts(platform, tasks) == before
    ended_by = await platform.pool.fetch(
        "select worker from tasks.move where state = 'succeeded' and task_id = any ($1)", [row["id"] for row in rows]
    )
    assert {row["worker"] for row in ended_by}.isdisjoint({row["owner"] for row in rows})
    assert {method for method, _ in calls} == {"POST"}, "the other account was never asked about them"
