"""Canceling: before the vendor has the task, after it has it, and never with money that is still owed."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from modellix_server import ledger
from modellix_server.base.database import Pool
from modellix_server.ledger import Balance
from modellix_server.tasks import NotCancelable, TaskQuery, Worker, cancel, canceling, signals, store
from modellix_server.upstreams.contract import AnswerLost, Busy, Failed, UnmappedAnswer

HELD, FREE = Balance(1000, 100), Balance(1000, 0)


def stopping(stage, how: Callable[[], object]) -> list[str]:
    """Teach the vendor to stop tasks; the tickets it is asked about."""
    asked: list[str] = []

    async def stop(ticket: str, *_: object) -> object:
        asked.append(ticket)
        answer = how()
        if isinstance(answer, Exception):
            raise answer
        return answer

    stage.vendor.cancel = stop
    return asked


@contextlib.asynccontextmanager
async def at_work(stage, dsn: str, lease_s: float = 30) -> AsyncIterator[Worker]:
    """A worker that has taken over the stage's task."""
    worker = Worker(stage.pool, dsn, stage.tools, name="test", lease_s=lease_s)
    await stage.pool.execute("update tasks.task set owner = null, due_at = now()")
    running = asyncio.create_task(worker.run(stop := asyncio.Event()))
    async with asyncio.timeout(60):
        while stage.job.id not in worker._executors:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    try:
        yield worker
    finally:
        stop.set()
        await running


def ask(stage) -> Awaitable[bool]:
    job = stage.job
    return cancel(stage.pool, TaskQuery(job.id, job.team_id, job.live, key_id=0))


async def balance(stage) -> Balance:
    return await ledger.balance(stage.pool, stage.job.team_id, live=False)


async def ended(stage) -> dict[str, Any]:
    async with asyncio.timeout(60):
        while (row := await stage.row())["finished_at"] is None:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    return row


async def test_what_the_vendor_stops_costs_nothing_and_it_is_asked_once(stage, database) -> None:
    await stage.bring_to("submitting", "running", ticket="t-1")
    asked = stopping(stage, lambda: True)
    async with at_work(stage, database.app_dsn):
        assert await asyncio.gather(*(ask(stage) for _ in range(20))) == [True] * 20
    row = await stage.row()
    assert (row["state"], row["error_code"], asked) == ("failed", "canceled", ["t-1"])
    assert await balance(stage) == FREE
    assert await ask(stage) is True
    await stage.clean()


@pytest.mark.parametrize("how", [False, AnswerLost("cut"), UnmappedAnswer("dashscope", "answer", "?"), None])
async def test_what_the_vendor_does_not_stop_runs_on_and_is_told_so(stage, database, how) -> None:
    await stage.bring_to("submitting", "running", ticket="t-1")
    asked = stopping(stage, lambda: how) if how is not None else []
    async with at_work(stage, database.app_dsn):
        for _ in range(2):
            with pytest.raises(NotCancelable, match="not stopped by the vendor; it runs on and is charged"):
                await ask(stage)
        assert (await stage.row())["state"] == "running"
        assert await balance(stage) == HELD
        stage.vendor.polled = lambda: Failed("content_rejected", "no")
        assert (await ended(stage))["error_code"] == "content_rejected"
    assert asked == (["t-1"] if how is not None else [])
    with pytest.raises(NotCancelable, match="has ended"):
        await ask(stage)
    await stage.clean()


async def test_a_delivered_task_is_not_canceled(stage) -> None:
    await stage.bring_to("submitting", "running", "storing", verdict="{}")
    with pytest.raises(NotCancelable, match="has been delivered and is charged"):
        await ask(stage)
    assert (await stage.row())["cancel"] is None


async def test_who_waits_for_a_turn_to_post_is_never_posted(stage, database) -> None:
    turns = stage.tools.posting[stage.job.model] = asyncio.Semaphore(1)
    await turns.acquire()
    async with at_work(stage, database.app_dsn):
        asking = asyncio.create_task(ask(stage))
        await asyncio.sleep(0.3)
        turns.release()
        assert await asking is True
    assert stage.vendor.posts == 0
    assert await balance(stage) == FREE
    await stage.clean()


async def test_a_word_that_got_lost_is_found_with_the_next_renewal(stage, database, monkeypatch) -> None:
    monkeypatch.setattr(signals.Signal, "read", lambda _: None)
    await stage.bring_to("submitting", "running", ticket="t-1")
    stopping(stage, lambda: True)
    async with at_work(stage, database.app_dsn, lease_s=3):
        assert await ask(stage) is True
    await stage.clean()


async def test_the_next_owner_knows(stage, monkeypatch) -> None:
    monkeypatch.setattr(canceling, "_DECIDED_WITHIN_S", 0.2)
    await stage.bring_to("submitting", "running", ticket="t-1")
    asked = stopping(stage, lambda: True)
    assert await ask(stage) is False
    await stage.pool.execute("update tasks.task set owner = null, due_at = now()")
    (stage.job,) = await store.claim(stage.pool, stage.worker, 1)
    assert (await stage.run())["error_code"] == "canceled"
    assert asked == ["t-1"]
    await stage.clean()


async def test_an_attempt_that_never_ran_is_not_stopped_at_the_vendor(stage) -> None:
    """Between a refused attempt and the next there is nothing at the vendor to stop."""
    asked = stopping(stage, lambda: True)

    async def busy(*_: object) -> Busy:
        return Busy("throttled", retry_in_s=0)

    stage.vendor.submit = busy
    row = await stage.run()
    assert (row["state"], row["attempt"], row["ticket"], row["owner"]) == ("queued", 1, None, None)
    assert await ask(stage) is True
    assert await store.claim(stage.pool, stage.worker, 1) == []
    assert (asked, await balance(stage)) == ([], FREE)
    await stage.clean()


async def test_cancel_and_verdict_race_with_one_outcome(stage, database) -> None:
    await stage.bring_to("submitting", "running", ticket="t-1")
    stopping(stage, lambda: True)
    async with at_work(stage, database.app_dsn):
        stage.vendor.polled = lambda: Failed("upstream_refused", "over")
        with contextlib.suppress(NotCancelable):
            await ask(stage)
    assert (await stage.row())["error_code"] in ("canceled", "upstream_refused")
    endings = await stage.pool.fetchval("select count(*) from tasks.move where state = 'failed'")
    assert endings == 1
    await stage.clean()


async def test_a_signal_about_another_attempt_is_no_news(stage) -> None:
    inbox = stage.executor().inbox
    inbox.receive(signals.Signal(stage.job.id, 9))
    assert (inbox.called, inbox.cancel_wanted) == (False, False)


async def test_a_stranger_cancels_nothing(pool: Pool, stage) -> None:
    other = TaskQuery(stage.job.id, stage.job.team_id + 1, live=False, key_id=0)
    for query in (other, TaskQuery(stage.job.id, stage.job.team_id, live=True, key_id=0)):
        with pytest.raises(canceling.NotFound):
            await cancel(pool, query)
    assert (await stage.row())["cancel"] is None
