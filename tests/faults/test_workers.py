"""Workers that freeze, vanish or are asked to leave."""

from __future__ import annotations

import asyncio
import signal
import time

import pytest

from modellix_server.tasks.concurrency_limiter import FIRST_PLACES


@pytest.mark.full
async def test_a_frozen_worker_wakes_up_to_nothing(stage) -> None:
    """Paused past its lease, overtaken, and woken: it changes no row (fencing by epoch)."""
    task = await stage.submit(prompt="[sandbox:slow=4] overtaken")
    frozen = stage.worker()
    await stage.reach(task, "running")
    frozen.send_signal(signal.SIGSTOP)
    await asyncio.sleep(stage.settings.lease_s + 0.5)
    stage.worker()
    before = await stage.reach(task, "succeeded")
    assert before["epoch"] >= 2
    frozen.send_signal(signal.SIGCONT)
    await asyncio.sleep(1.5)
    assert await stage.row(task) == before
    assert len(await stage.emulator.bill(task)) == 1
    await stage.books_are_clean()


@pytest.mark.full
async def test_an_answer_that_comes_too_late_is_recorded(stage, picture) -> None:
    task = await stage.submit("alibaba/qwen-image-edit-plus", prompt="[sandbox:slow=4] late", images=[picture])
    frozen = stage.worker()
    await stage.reach(task, "submitting")
    await stage.posted(task)
    frozen.send_signal(signal.SIGSTOP)
    await asyncio.sleep(stage.settings.lease_s + 0.5)
    stage.worker()
    before = await stage.reach(task, "failed")
    assert before["error_code"] == "submission_outcome_unknown"
    frozen.send_signal(signal.SIGCONT)
    reasons: list[str] = []
    give_up = time.monotonic() + 60
    while len(reasons) < 2 and time.monotonic() < give_up:
        await asyncio.sleep(0.5)
        reasons = [row["reason"] for row in await stage.pool.fetch("select reason from tasks.review order by id")]
    assert reasons == ["submission outcome unknown", "late answer"]
    assert await stage.row(task) == before
    await stage.books_are_clean()


async def test_a_draining_worker_finishes_its_submission_and_hands_over_the_rest(stage) -> None:
    waiting = await stage.submit(prompt="[sandbox:slow=30] handed over")
    first = stage.worker()
    await stage.reach(waiting, "running")
    first.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(first.wait, 60) == 0
    row = await stage.row(waiting)
    assert (row["state"], row["owner"]) == ("running", None)
    assert await stage.pool.fetchval("select count(*) from tasks.worker") == 0
    await stage.books_are_clean()


@pytest.mark.full
@pytest.mark.parametrize(("point", "posts"), [("intent_committed", 0), ("before_ticket", FIRST_PLACES)])
async def test_a_worker_that_dies_while_it_catches_up_loses_few(stage, point: str, posts: int) -> None:
    """Before the POSTs have left, or with their answers in hand: the rest was not begun, and ends well."""
    tasks = await asyncio.gather(*(stage.submit(prompt=f"number {number}") for number in range(3 * FIRST_PLACES)))
    doomed = stage.worker(hold_at=point)
    await stage.until(f"select count(*) >= {FIRST_PLACES} from tasks.task where state = 'submitting'")
    await asyncio.sleep(1.5)  # in which more would come
    assert await count(stage, "state = 'submitting'") == FIRST_PLACES
    doomed.kill()
    await asyncio.to_thread(doomed.wait)
    stage.worker()
    await stage.until("select count(*) = 0 from tasks.task where finished_at is null", 90)
    assert await count(stage, "error_code = 'submission_outcome_unknown'") == FIRST_PLACES
    assert await count(stage, "state = 'succeeded'") == len(tasks) - FIRST_PLACES
    lost = [row["id"] for row in await stage.pool.fetch("select id from tasks.task where state = 'failed'")]
    assert sum([len(await stage.emulator.bill(task)) for task in lost]) == posts
    await stage.books_are_clean()


async def count(stage, where: str) -> int:
    return await stage.pool.fetchval(f"select count(*) from tasks.task where {where}")
