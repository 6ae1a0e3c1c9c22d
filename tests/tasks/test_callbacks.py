"""Vendors' callbacks: whose address is known again, whom it reaches, and how seldom a vendor is asked because of it."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from functools import partial
from itertools import pairwise
from uuid import uuid4

import pytest
from tests.support.waiting import eventually

from modellix_server.base.database import Pool, connect
from modellix_server.base.external_link import PUBLIC_ONLY
from modellix_server.base.settings import Settings
from modellix_server.tasks import CallbackNotifier, Callbacks, VendorAccount, Worker, rules, signals
from modellix_server.tasks.signals import Signal
from modellix_server.upstreams.contract import Capabilities, Failed, Pending

TASK = uuid4()


def account(*, sandbox: bool) -> VendorAccount:
    return VendorAccount("ark", "https://vendor.test", "cn", PUBLIC_ONLY, "sk-1", None, sandbox=sandbox)


def token(settings: Settings, attempt: int = 1) -> str:
    url = Callbacks(settings).url(account(sandbox=True), TASK, attempt)
    assert url is not None
    return url.rpartition("/")[2]


def test_an_address_stands_for_one_attempt_of_one_vendor(settings: Settings) -> None:
    callbacks = Callbacks(settings)
    known = token(settings, 7)
    assert callbacks.read("ark", known) == Signal(TASK, 7)
    assert callbacks.read("minimax", known) is None
    assert callbacks.read("ark", known[:-1] + ("A" if known[-1] != "A" else "B")) is None
    assert callbacks.read("ark", known.replace("-7.", "-8.")) is None
    assert callbacks.read("ark", f"{known}\n") is None
    assert Callbacks(replace(settings, secret=settings.master_key)).read("ark", known) is None


@pytest.mark.parametrize(
    ("origin", "offered"),
    [
        ("https://api.example.com", True),
        ("https://8.8.8.8", True),
        ("http://api.example.com", False),
        ("https://localhost", False),
        ("https://modellix.internal", False),
        ("https://10.0.0.1", False),
        ("https://[::1]", False),
        ("http://127.0.0.1:8000", False),
    ],
)
def test_a_vendor_is_given_only_an_address_it_can_reach(settings: Settings, origin: str, offered: bool) -> None:
    callbacks = Callbacks(replace(settings, public_url=origin))
    assert (callbacks.url(account(sandbox=False), TASK, 1) is not None) == offered
    assert callbacks.url(account(sandbox=True), TASK, 1).startswith(f"{origin}/callbacks/ark/task-{TASK.hex}-1.")


def test_words_between_processes_are_understood_and_others_are_not() -> None:
    for signal in (Signal(TASK, 3), Signal(TASK, None)):
        assert Signal.read(signal.payload) == signal
    for strange in ("", "x", TASK.hex, f"{TASK.hex} 1 2", f"{TASK.hex} retry"):
        assert Signal.read(strange) is None


async def test_fifty_calls_within_a_second_are_passed_on_once(pool: Pool, database) -> None:
    listener = await connect(database.app_dsn, name="test")
    heard: list[str] = []
    await listener.add_listener(signals.CHANNEL, lambda *said: heard.append(said[3]))
    notifier = CallbackNotifier(pool)
    started = time.monotonic()
    await asyncio.gather(*(notifier.notify(Signal(TASK, 1)) for _ in range(50)), notifier.notify(Signal(TASK, 2)))
    await eventually(lambda: len(heard) >= 2)
    await asyncio.sleep(0.2)
    assert sorted(heard) == [f"{TASK.hex} 1", f"{TASK.hex} 2"]
    await asyncio.sleep(1.05 - (time.monotonic() - started))
    await notifier.notify(Signal(TASK, 1))
    await eventually(lambda: len(heard) == 3)
    await listener.close()


@pytest.fixture
def seldom_polled(stage, monkeypatch) -> None:
    """Half a minute between polls, in test mode too."""
    stage.vendor.capabilities = Capabilities("none", 20, 30, 30, {"cn": "https://vendor.test"})
    monkeypatch.setattr(rules, "poll_in_s", partial(lambda ask, *about, live: ask(*about, live=True), rules.poll_in_s))


@pytest.mark.usefixtures("seldom_polled")
async def test_calls_make_the_vendor_asked_at_once_but_not_more_than_once_a_second(stage, pool, database) -> None:
    await stage.bring_to("submitting", "running", ticket="t-1")
    polls: list[float] = []
    stage.vendor.polled = lambda: polls.append(time.monotonic()) or Pending()
    worker = Worker(pool, database.app_dsn, stage.tools, name="test", lease_s=30)
    await pool.execute("update tasks.task set owner = null, due_at = now()")
    running = asyncio.create_task(worker.run(stop := asyncio.Event()))
    notifier = CallbackNotifier(pool)
    try:
        await eventually(lambda: stage.job.id in worker._executors)
        await notifier.notify(Signal(stage.job.id, 9))  # another attempt's
        await notifier.notify(Signal(uuid4(), 1))
        await asyncio.sleep(0.3)
        assert polls == []
        started = time.monotonic()
        for _ in range(50):
            worker._signal(Signal(stage.job.id, 1).payload)
            await asyncio.sleep(0.02)
        await eventually(lambda: len(polls) >= 2)
        lasted_s = time.monotonic() - started
        await asyncio.sleep(1.2)
        assert 2 <= len(polls) <= lasted_s + 2
        assert all(later - earlier > 0.95 for earlier, later in pairwise(polls))
        stage.vendor.polled = lambda: Failed("content_rejected", "no")
        await notifier.notify(Signal(stage.job.id, 1))
        await eventually(lambda: pool.fetchval("select state = 'failed' from tasks.task"))
    finally:
        stop.set()
        await running
    await stage.clean()


@pytest.mark.usefixtures("seldom_polled")
async def test_a_call_that_overtakes_the_answer_to_the_submission_is_remembered(stage) -> None:
    stage.vendor.polled = lambda: Failed("content_rejected", "no")

    async def answer_late(*_: object):
        stage.vendor.posting.set()
        await asyncio.sleep(0.3)
        return await type(stage.vendor).submit(stage.vendor)

    stage.vendor.posting = asyncio.Event()
    stage.vendor.submit = answer_late
    executor = stage.executor()
    running = asyncio.create_task(executor.run())
    await stage.vendor.posting.wait()
    executor.inbox.receive(Signal(stage.job.id, 1))
    await asyncio.wait_for(running, 20)  # half a minute would be the next poll
    assert (await stage.row())["error_code"] == "content_rejected"


async def test_progress_is_told_when_it_changes_and_written_nowhere(stage, pool: Pool, database) -> None:
    listener = await connect(database.app_dsn, name="test")
    heard: list[str] = []
    await listener.add_listener(signals.PROGRESS_CHANNEL, lambda *said: heard.append(said[3]))
    await stage.bring_to("submitting", "running", ticket="t-1")
    told = iter([None, 0.25, 0.25, 0.5, None, 0.5, 1.0])
    before = await stage.row()
    seen = []

    def polled() -> object:
        share = next(told, "over")
        if share == "over":
            return Failed("content_rejected", "no")
        return Pending(share)

    async def noted(*_: object) -> object:
        seen.append(await stage.row())
        return polled()

    stage.vendor.poll = noted
    await stage.run()
    await eventually(lambda: len(heard) >= 3)
    await asyncio.sleep(0.2)
    assert heard == [f"{stage.job.id.hex}:{percent}" for percent in (25, 50, 100)]
    assert all(row == before for row in seen)
    await listener.close()
