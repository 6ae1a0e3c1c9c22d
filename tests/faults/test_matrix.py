"""Tasks of every kind, with vendors of every manner, brought to one point and bereaved of their worker there.

Each ends as the table says, whoever takes over; the vendor's bill and the books say the same, and while it all
happens an observer reads the books in one snapshot after another.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import secrets
import shutil
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from uuid import UUID

import aiohttp
import pytest
from tests.support.worker_deaths import KINDS, MANNERS, POINTS, RECOVERIES, Case, cases

import modellix_server
from modellix_server.base.faults import HELD
from modellix_server.base.ids import task_name
from modellix_server.sandbox import load_all
from modellix_server.tasks import NotCancelable, TaskQuery, cancel, verify

SOURCE = Path(modellix_server.__file__).parents[1]
SAMPLE = 8
ENOUGH_S = 90.0


def test_there_are_a_thousand() -> None:
    assert len(cases()) * len(RECOVERIES) >= 1000
    assert len(set(map(str, cases()))) == len(cases())
    assert {(case.manner.mark, case.kind) for case in cases()} == {(m.mark, kind) for m in MANNERS for kind in m.kinds}


async def test_a_sample(stage, picture: str) -> None:
    seed = int(os.environ.get("FAULTS_SEED") or secrets.randbelow(2**32))
    print(f"FAULTS_SEED={seed}")  # the one to repeat it with
    dice = random.Random(seed)
    point = dice.choice(POINTS)
    quick = [case for case in cases() if case.point == point and case.manner.mark not in ("vanish", "never")]
    await tried(stage, picture, dice.sample(quick, min(SAMPLE, len(quick))), dice.choice(RECOVERIES))


@pytest.mark.full
@pytest.mark.timeout(400)
@pytest.mark.parametrize("recovery", RECOVERIES)
@pytest.mark.parametrize("point", POINTS)
async def test_every_case(stage, picture: str, point: str, recovery: str, record_property) -> None:
    snapshots = await tried(stage, picture, [case for case in cases() if case.point == point], recovery)
    record_property("snapshots", snapshots)


@pytest.mark.full
async def test_a_worker_that_sends_again_is_caught(stage, picture: str, tmp_path: Path) -> None:
    """Negative control: whoever takes over submits what it finds submitted."""
    changed = tmp_path / "source"
    shutil.copytree(SOURCE, changed)
    rules = changed / "modellix_server/tasks/rules.py"
    guard = 'return state in ("queued", "preparing")'
    assert guard in rules.read_text()
    rules.write_text(rules.read_text().replace(guard, "return True"))
    found = [case for case in cases() if case.point == "before_ticket" and case.manner.mark == ""]
    with pytest.raises(AssertionError, match="paid for twice"):
        await tried(stage, picture, found, "new", source=changed)


async def tried(stage, picture: str, chosen: Sequence[Case], recovery: str, source: Path | None = None) -> int:
    """Bring all of them to their point, kill the worker there, and see how they end; how often the books were read."""
    async with observed(stage) as snapshots:
        tasks = {await submitted(stage, picture, case): case for case in chosen}
        (point,) = {case.point for case in chosen}
        doomed = stage.worker(hold_at=point)
        await held(stage, 1 if point == "claimed" else len(chosen))
        if recovery == "another":
            stage.worker()
            await stage.until("select count(*) = 2 from tasks.worker")
        doomed.kill()
        await asyncio.to_thread(doomed.wait)
        if recovery == "new":
            stage.worker(source=source)
        await asyncio.gather(*(canceled(stage, task) for task, case in tasks.items() if case.manner.cancel))
        await stage.until("select count(*) = 0 from tasks.task where finished_at is null", ENOUGH_S)
        bill = await whole_bill(stage)
        wrong = [
            f"{case}: {what}" for task, case in tasks.items() for what in await amiss(stage, case, task, bill[task])
        ]
    assert not wrong, "\n".join([*wrong, stage.log.read_text()[-3000:]])
    await stage.books_are_clean()
    paid = await stage.pool.fetchval("select sum(amount) from ledger.transfer where kind = 'topup'")
    assert await stage.pool.fetchval("select posted from ledger.balance where not live") == paid - sum(
        case.charged for case in chosen
    )
    assert len(snapshots) > 3
    return len(snapshots)


async def submitted(stage, picture: str, case: Case) -> UUID:
    kind = KINDS[case.kind]
    mark = f"[sandbox:{case.manner.mark}] " if case.manner.mark else ""
    # Never the same words twice: the vendor counts what it throttles by them.
    given = {"prompt": f"{mark}{case.kind} at {case.point} {secrets.token_hex(8)}", **kind.given}
    return await stage.submit(kind.model, **given | ({"images": [picture]} if kind.pictures else {}))


async def held(stage, wanted: int) -> None:
    """Wait until so many are at the armed point."""
    give_up = time.monotonic() + ENOUGH_S
    while (there := stage.log.read_text().count(f"{HELD} ")) < wanted:
        assert time.monotonic() < give_up, f"{there} of {wanted} came there\n{stage.log.read_text()[-3000:]}"
        await asyncio.sleep(0.05)


async def canceled(stage, task: UUID) -> None:
    """As its team would: ask until it has an answer."""
    with contextlib.suppress(NotCancelable):
        while not await cancel(stage.pool, TaskQuery(task, stage.team_id, live=False, key_id=stage.key_id)):
            pass


async def whole_bill(stage) -> dict[UUID, list[dict]]:
    """What the vendors got and charged, task by task, once they have finished what will finish."""
    lines: list[dict] = []
    async with aiohttp.ClientSession() as http:
        for vendor in load_all():
            async with http.get(f"{stage.emulator.url}/{vendor}/_bill") as answer:
                lines += (await answer.json())["lines"]
    tasks = await stage.pool.fetch("select id from tasks.task")
    return {row["id"]: [one for one in lines if one["attempt"].startswith(task_name(row["id"]))] for row in tasks}


async def amiss(stage, case: Case, task: UUID, bill: list[dict]) -> list[str]:
    """What is not as the table says."""
    row = await stage.row(task)
    wrong = []
    if row["error_code"] != case.error:
        wrong.append(f"ended as {row['error_code']}, not {case.error}: {row['error_message']}")
    if (row["captured"] or 0) != case.charged:
        wrong.append(f"charged {row['captured']}, not {case.charged}")
    if not case.posts_fit(len(bill)):
        wrong.append(f"{len(bill)} POSTs")
    if len({line["attempt"] for line in bill}) < len(bill) or sum(line["accepted"] for line in bill) > 1:
        wrong.append(f"paid for twice: {bill}")
    endings = await stage.pool.fetchval(
        "select count(*) from tasks.move where task_id = $1 and state in ('succeeded', 'failed')", task
    )
    if endings != 1:
        wrong.append(f"{endings} endings")
    if case.error and sum(line["images"] for line in bill):
        told = await stage.pool.fetchval("select count(*) from tasks.review where task_id = $1", task)
        if not told or not case.may_come_to_a_vendor_s_charge():
            wrong.append(f"the vendor charges what nobody paid for, {told} times told")
    if not case.error and sum(line["images"] for line in bill) * KINDS[case.kind].price < case.charged:
        wrong.append("charged more than the vendor made")
    return wrong


@contextlib.asynccontextmanager
async def observed(stage) -> AsyncIterator[list[None]]:
    """Read the books again and again meanwhile; one entry for each snapshot. Fails at the first odd one."""
    seen: list[None] = []

    async def look() -> None:
        async with stage.pool.acquire() as db:
            while True:
                assert await verify(db) == []
                seen.append(None)
                await asyncio.sleep(0.05)

    observer = asyncio.create_task(look())
    try:
        yield seen
    finally:
        observer.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await observer
