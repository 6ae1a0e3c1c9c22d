"""A request waits for the database once, for all that it asks; what it gave up is waited for by nobody."""

from __future__ import annotations

import asyncio
import contextvars
import os
import signal
import time

import psutil
import pytest
from tests.support.waiting import eventually

from modellix_server.base import time_budget
from modellix_server.base.batcher import Batcher
from modellix_server.base.database import Pool, open_pool


def request(coroutine, left_s: float) -> asyncio.Task:
    """Run it as a request does: with a context and a time budget of its own."""
    context = contextvars.copy_context()
    context.run(time_budget.begin, left_s)
    return asyncio.get_running_loop().create_task(coroutine, context=context)


async def test_several_statements_have_one_time_budget(pool: Pool) -> None:
    async def ask() -> None:
        for _ in range(20):
            await pool.fetchval("select pg_sleep(0.2)")

    started = time.monotonic()
    with pytest.raises(TimeoutError):
        await request(ask(), 0.7)
    assert 0.6 < time.monotonic() - started < 3.5  # and not the four seconds that all would take


async def test_only_the_database_takes_of_it(pool: Pool) -> None:
    async def ask() -> None:
        await pool.fetchval("select 1")
        await asyncio.sleep(2.2)
        await pool.fetchval("select pg_sleep(0.1)")

    await request(ask(), 2)


async def test_what_runs_for_no_request_is_not_hurried(pool: Pool) -> None:
    await pool.fetchval("select pg_sleep(0.3)")


@pytest.mark.parametrize("whole", [False, True], ids=["a statement", "a transaction"])
async def test_a_connection_that_does_not_answer_is_cut_off(settings, pool: Pool, whole: bool) -> None:
    """Its backend is frozen, so that it cannot be asked to stop either; the next one gets another connection."""
    own = await open_pool(settings.database_url, size=1, name="frozen")
    backend = await own.fetchval("select pg_backend_pid()")
    os.kill(backend, signal.SIGSTOP)

    async def ask() -> None:
        if whole:
            async with own.acquire() as db, db.transaction():
                await db.execute("select 1")
        else:
            await own.fetchval("select 1")

    started = time.monotonic()
    try:
        with pytest.raises(TimeoutError):
            await request(ask(), 0.5)
        assert await own.fetchval("select pg_backend_pid()") != backend
        assert time.monotonic() - started < 20  # and not a minute, after which the driver gives up
    finally:
        os.kill(backend, signal.SIGCONT)
        await own.close()


async def test_closing_does_not_wait_for_a_frozen_server(settings, monkeypatch) -> None:
    monkeypatch.setattr("modellix_server.base.database._CLOSE_S", 0.3)
    own = await open_pool(settings.database_url, size=1, name="frozen")
    backend = await own.fetchval("select pg_backend_pid()")
    os.kill(backend, signal.SIGSTOP)
    asking = asyncio.create_task(own.fetchval("select 1"))
    await asyncio.sleep(0.1)
    started = time.monotonic()
    try:
        await own.close()
        assert time.monotonic() - started < 20  # and not a minute, as above
        with pytest.raises(Exception, match="closed"):
            await asking
    finally:
        os.kill(backend, signal.SIGCONT)


async def test_a_statement_whose_client_has_gone_ends(settings) -> None:
    own = await open_pool(settings.database_url, size=1, name="sleeper", statement_timeout_ms=120_000)

    async def ask() -> None:
        async with own.acquire() as db:
            pids.append(await db.fetchval("select pg_backend_pid()"))
            await db.execute("select pg_sleep(100)")

    pids: list[int] = []
    with pytest.raises(TimeoutError):
        await request(ask(), 1)
    await eventually(lambda: not psutil.pid_exists(pids[0]))
    await own.close()


async def test_an_item_is_waited_for_as_long_as_its_request_is_patient() -> None:
    """Whoever waits behind a call that hangs is told too, and is not carried out when it ends at last."""
    hanging, flushed = asyncio.Event(), []

    async def flush(items: list[str]) -> list[str]:
        flushed.append(items)
        await hanging.wait()
        return items

    batcher: Batcher[str, str] = Batcher(flush)
    first = request(batcher("first"), 0.3)
    patient = asyncio.create_task(batcher("patient"))
    await asyncio.sleep(0.05)
    behind = request(batcher("behind"), 0.3)
    for asked in (first, behind):
        with pytest.raises(TimeoutError):
            await asked
    hanging.set()
    assert await patient == "patient"
    assert flushed == [["first", "patient"]]
    assert await request(batcher("later"), 5) == "later"


async def test_an_item_whose_caller_has_gone_is_carried_out() -> None:
    """A write that was asked for is written, whoever has stopped waiting for it."""
    gate, flushed = asyncio.Event(), []

    async def flush(items: list[str]) -> list[str]:
        flushed.extend(items)
        await gate.wait()
        return items

    batcher: Batcher[str, str] = Batcher(flush)
    first = asyncio.create_task(batcher("first"))
    await asyncio.sleep(0)
    gone = asyncio.create_task(batcher("gone"))
    await asyncio.sleep(0)
    gone.cancel()
    gate.set()
    assert await first == "first"
    await asyncio.sleep(0.01)
    assert flushed == ["first", "gone"]
