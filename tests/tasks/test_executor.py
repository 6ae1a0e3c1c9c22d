"""One task at a time: whatever goes wrong inside it, the task comes to an end and nothing is sent too late."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from types import SimpleNamespace

import msgspec
import pytest
from tests.support.destinations import MAIN
from tests.support.waiting import LONG_S

from modellix_server.catalogue import Catalogue, Measurement
from modellix_server.results import FetchLater, FetchNever, Resource
from modellix_server.tasks import VendorAccount, Worker, store, worker
from modellix_server.tasks import executor as executor_module
from modellix_server.tasks import rules as executor_rules
from modellix_server.tasks.concurrency_limiter import AdaptiveConcurrencyLimiter
from modellix_server.tasks.executor import Executor
from modellix_server.tasks.inputs import Resolved
from modellix_server.tasks.journal import Finish
from modellix_server.tasks.steps import Store, TaskClock, prepare
from modellix_server.tasks.steps import store as storing
from modellix_server.upstreams.contract import AnswerLost, Done, Failed, NothingDelivered, RemoteFile

CATALOGUE = Catalogue.load()
DONE = Done((RemoteFile("https://vendor.test/1.png", "image"),), Measurement(images=1))


def bug() -> object:
    raise KeyError("a bug in the adapter")


async def test_an_adapter_that_breaks_is_asked_again_and_ends_at_the_deadline(stage) -> None:
    await stage.bring_to("submitting", "running", ticket="t-1")
    stage.vendor.polled = bug
    row = await stage.run()
    assert (row["state"], row["owner"], row["ticket"]) == ("running", None, "t-1")
    await stage.pool.execute("update tasks.task set due_at = now()")
    (again,) = await store.claim(stage.pool, stage.worker, 1)
    stage.job = again
    row = await stage.run(left_s=-1)
    assert (row["state"], row["error_code"]) == ("failed", "deadline")
    assert await stage.pool.fetchval("select detail from tasks.review") == "broke off: KeyError while running"
    await stage.clean()


@pytest.mark.parametrize(
    "states", [("preparing",), ("submitting", "running"), ("submitting", "running", "storing")], ids=lambda way: way[-1]
)
async def test_a_task_of_a_model_that_is_gone_ends(stage, states) -> None:
    """One whose attempt does not say where it went: a former version made it."""
    verdict = msgspec.json.encode(DONE).decode()
    await stage.bring_to(*states, **({"verdict": verdict} if "storing" in states else {}))
    row = await stage.run(model="alibaba/gone", destination=None)
    assert (row["state"], row["owner"]) == (states[-1], None)
    await stage.pool.execute("update tasks.task set owner = $1", stage.worker)
    row = await stage.run(model="alibaba/gone", destination=None, left_s=-1000)
    assert (row["state"], row["error_code"]) == ("failed", "deadline")
    await stage.clean()


async def test_a_running_task_is_polled_by_the_route_it_was_sent_by_whatever_the_catalogue_says_now(stage) -> None:
    former = replace(MAIN, route=msgspec.structs.replace(MAIN.route, wire={**MAIN.route.wire, "endpoint": "/former"}))
    assert await stage.tools.journal.advance((stage.job, await stage.tools.journal.intent(former)))
    await stage.pool.execute("update tasks.task set owner = null, state = 'running', ticket = 't-1', due_at = now()")
    (job,) = await store.claim(stage.pool, stage.worker, 1)
    assert (job.destination, job.tried) == (former, ("dashscope",))
    stage.vendor.polled = lambda: Failed("content_rejected", "no")
    stage.job = msgspec.structs.replace(job, model="alibaba/gone")
    row = await stage.run()
    assert row["error_code"] == "content_rejected"
    assert stage.vendor.orders[-1].route == former.route
    await stage.clean()


async def test_a_running_task_whose_account_is_gone_keeps_its_ticket(stage, monkeypatch) -> None:
    """Back in the queue it would be sent, and paid for, a second time."""

    async def gone(*_: object, **__: object) -> None:
        return None

    monkeypatch.setattr(stage.tools.routing, "former", gone, raising=False)
    await stage.bring_to("submitting", "running", ticket="t-1")
    row = await stage.run(destination=None)
    assert (row["state"], row["ticket"], row["owner"], stage.vendor.posts) == ("running", "t-1", None, 0)
    await stage.pool.execute("update tasks.task set owner = $1", stage.worker)
    row = await stage.run(destination=None, left_s=-1)
    assert (row["state"], row["error_code"], stage.vendor.posts) == ("failed", "deadline", 0)
    await stage.clean()


async def test_a_database_that_is_away_breaks_nothing_off(stage) -> None:
    await stage.bring_to("submitting", "running", ticket="t-1")
    stage.vendor.polled = lambda: Failed("content_rejected", "no\0 such \udc80 words")
    find, left = stage.tools.routing.account, [True]

    async def away_once(*about, **mode) -> VendorAccount | None:
        if left:
            left.clear()
            raise ConnectionRefusedError
        return await find(*about, **mode)

    stage.tools.routing.account = away_once
    row = await stage.run()
    assert (row["error_code"], row["error_message"]) == ("content_rejected", "no\N{REPLACEMENT CHARACTER} such ? words")
    await stage.clean()


async def test_nothing_is_posted_after_the_deadline(stage) -> None:
    turns = stage.tools.posting[stage.job.model] = asyncio.Semaphore(1)
    await turns.acquire()
    running = asyncio.create_task(stage.run(left_s=0.2))
    await asyncio.sleep(0.4)
    turns.release()
    assert ((await running)["error_code"], stage.vendor.posts) == ("deadline", 0)
    await stage.clean()


async def test_nothing_is_posted_without_a_fresh_lease(stage) -> None:
    """The intent is written, and meanwhile another worker may have judged it."""
    executor = Executor(stage.job, stage.tools, SimpleNamespace(fresh=lambda: False))
    await asyncio.wait_for(executor.run(), LONG_S)
    assert ((await stage.row())["state"], stage.vendor.posts) == ("submitting", 0)
    await stage.clean()


async def test_a_lost_answer_ends_the_task_and_is_not_sent_again(stage) -> None:
    def lost() -> object:
        raise AnswerLost("cut off")

    stage.vendor.submitted = lost
    row = await stage.run()
    assert (row["state"], row["error_code"], stage.vendor.posts) == ("failed", "submission_outcome_unknown", 1)
    await stage.clean()


@pytest.mark.parametrize("at_once", [True, False], ids=["in the call", "in a poll"])
async def test_finished_with_nothing_ends_the_task_without_a_charge(stage, monkeypatch, at_once) -> None:
    """A poll is asked a few times more: the vendor may be about to write it down."""
    monkeypatch.setattr(executor_rules, "_GONE_RETRIES_S", (0.01, 0.01, 0.01))
    polls = []

    def nothing() -> object:
        polls.append(1)
        raise NothingDelivered("dashscope", "result", "finished, with no link and no failure")

    if at_once:
        stage.vendor.submitted = nothing
    else:
        await stage.bring_to("submitting", "running", ticket="t-1")
        stage.vendor.polled = nothing
    row = await stage.run()
    assert (row["state"], row["error_code"], len(polls)) == ("failed", "result_unavailable", 1 if at_once else 4)
    review = await stage.pool.fetchval("select detail from tasks.review")
    assert "finished, with no link" in review
    await stage.clean()


async def test_a_file_that_is_named_a_little_later_is_taken(stage, monkeypatch) -> None:
    monkeypatch.setattr(executor_rules, "_GONE_RETRIES_S", (0.01, 0.01, 0.01))
    answers = [NothingDelivered("ark", "result", "no clip"), Failed("content_rejected", "no")]

    def later() -> object:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    await stage.bring_to("submitting", "running", ticket="t-1")
    stage.vendor.polled = later
    assert (await stage.run())["error_code"] == "content_rejected"
    await stage.clean()


async def test_a_refusal_that_no_adapter_knows_is_told_to_client_and_operator(stage) -> None:
    stage.vendor.submitted = lambda: Failed(
        "upstream_refused", "the vendor refused it: too spicy", unmapped="HTTP 400 X: too spicy"
    )
    row = await stage.run()
    assert (row["error_code"], row["error_message"]) == ("upstream_refused", "the vendor refused it: too spicy")
    assert "HTTP 400 X" in await stage.pool.fetchval("select detail from tasks.review")
    await stage.clean()


async def test_a_task_that_killed_three_workers_is_set_aside(stage) -> None:
    row = await stage.run(deaths=3)
    assert (row["state"], row["error_code"], stage.vendor.posts) == ("failed", "quarantined", 0)
    await stage.clean()


async def test_files_of_a_task_that_another_worker_finished_stay(stage, monkeypatch) -> None:
    await stage.bring_to("submitting", "running", "storing", verdict=msgspec.json.encode(DONE).decode())
    forgotten = []

    class Gone:
        async def fetch(self, *_: object) -> Resource:
            await stage.tools.journal.settle((stage.job, Finish(capture=100, resources="{}", bytes=0)))
            raise FetchNever("no picture")

    async def forget(task_id: object, _tools: object) -> None:
        forgotten.append(task_id)

    stage.tools.fetcher = Gone()
    monkeypatch.setattr(executor_module, "forget", forget)
    row = await stage.run()
    assert (row["state"], forgotten) == ("succeeded", [])
    await stage.clean()


async def test_a_result_that_cannot_be_had_yet_holds_up_no_other(settings, stage) -> None:
    class Slow:
        async def fetch(self, remote, _origins: object) -> Resource:
            if remote.url.endswith("later"):
                raise FetchLater("503")
            return Resource("image", "png", 1, 1, 1, None, "primary", "p", "0" * 64)

    tools = replace(stage.tools, fetcher=Slow(), copying=asyncio.Semaphore(1))

    async def stored(done: Done) -> Finish:
        verdict = await storing.put_down(stage.job, Store(done), tools)
        job = msgspec.structs.replace(stage.job, state="storing", verdict=verdict.verdict)
        return await storing.store(job, None, tools, TaskClock(0, 60))

    stuck = asyncio.create_task(stored(replace(DONE, files=(RemoteFile("https://vendor.test/later", "image"),))))
    await asyncio.sleep(0.05)
    ending = await asyncio.wait_for(stored(DONE), 30)  # the other goes on for a minute
    assert (ending.left_out, ending.error_code, ending.capture) == ([], None, 100)
    stuck.cancel()


async def test_a_worker_whose_keeper_breaks_ends(stage, database, monkeypatch) -> None:
    async def broken(*_: object) -> bool:
        raise RuntimeError("not foreseen")

    monkeypatch.setattr(store, "renew", broken)
    one = Worker(stage.pool, database.app_dsn, stage.tools, name="test", lease_s=0.3)
    with pytest.raises(RuntimeError):
        await asyncio.wait_for(one.run(asyncio.Event()), LONG_S)


class CountedLimiter(AdaptiveConcurrencyLimiter):
    """A limiter that counts how often it was narrowed."""

    narrowed = 0

    def narrow(self) -> None:
        self.narrowed += 1


async def test_who_takes_over_submits_with_care(stage, database, monkeypatch) -> None:
    """There is much to catch up with, and whatever killed the other worker may be next to kill this one."""
    monkeypatch.setattr(worker, "_IDLE_S", 0.01)
    one = Worker(stage.pool, database.app_dsn, stage.tools, name="test", lease_s=30)
    stage.tools.limiters["a/a", True] = limiter = CountedLimiter()
    freed = [0, 0, 7]

    async def release(*_: object) -> int:
        return freed.pop()

    monkeypatch.setattr(store, "release_dead_workers", release)
    with pytest.raises(IndexError):
        await asyncio.wait_for(one._release_dead_workers(), LONG_S)
    assert limiter.narrowed == 1


async def test_a_lock_that_cannot_be_had_leaves_no_connection_behind(stage, database, monkeypatch) -> None:
    open_connection = worker.connect

    async def impatient(dsn: str, *, name: str, statement_timeout_ms: int):
        del statement_timeout_ms
        return await open_connection(dsn, name=name, statement_timeout_ms=100)

    monkeypatch.setattr(worker, "connect", impatient)
    one = Worker(stage.pool, database.app_dsn, stage.tools, name="test", lease_s=30)
    async with stage.pool.acquire() as other:
        await other.execute("select pg_advisory_lock($1, 0)", store.WORKER_LOCK)
        for _ in range(3):
            with pytest.raises(worker.DATABASE_ERRORS):
                await one._open_connection()
        open_now = """select count(*) from pg_stat_activity
                   where application_name = 'modellix-worker-lease' and datname = current_database()"""
        async with asyncio.timeout(LONG_S):
            while await other.fetchval(open_now):  # noqa: ASYNC110 - the server takes a moment to notice
                await asyncio.sleep(0.05)


async def test_a_submission_on_its_way_outlives_being_claimed_again(stage, database) -> None:
    one = Worker(stage.pool, database.app_dsn, stage.tools, name="test", lease_s=30)
    first = asyncio.create_task(asyncio.sleep(30))
    one._jobs[stage.job.id] = (stage.job, first)
    stage.tools.submitting.add(stage.job.id)
    one._start(msgspec.structs.replace(stage.job, epoch=2))
    await asyncio.sleep(0)
    assert one._jobs[stage.job.id] == (stage.job, first)
    assert not first.cancelled()
    first.cancel()


async def test_who_waits_for_a_turn_to_post_holds_no_inputs(stage, monkeypatch) -> None:
    await stage.bring_to("preparing")
    resolved = []

    async def resolve(_tools, model, _upstream, params, *, team_id: int, sandbox: bool) -> Resolved:
        resolved.append(model)
        return Resolved(params)

    monkeypatch.setattr(prepare.inputs, "resolve", resolve)
    turns = stage.tools.posting[stage.job.model] = asyncio.Semaphore(1)
    await turns.acquire()
    running = asyncio.create_task(stage.run())
    await asyncio.sleep(0.1)
    assert resolved == []
    stage.vendor.polled = lambda: Failed("content_rejected", "no")
    turns.release()
    assert ((await running)["error_code"], len(resolved)) == ("content_rejected", 1)


async def test_a_task_with_media_may_be_the_one_that_tries_a_vendor_that_was_away(stage, monkeypatch) -> None:
    """Its way to `preparing` must not use up the try that an open breaker allows."""
    breakers = stage.tools.breakers
    for _ in range(5):
        await breakers.failed("submit", "dashscope", live=stage.job.live, reason="gone", connection=True)
    await stage.pool.execute("update tasks.breaker set probe_at = now()")
    await breakers.refresh()
    assert breakers.is_open("dashscope", live=stage.job.live)
    monkeypatch.setattr(prepare.inputs, "needed", lambda *_: True)

    async def resolve(_tools, _model, _upstream, params, *, team_id: int, sandbox: bool) -> Resolved:
        return Resolved(params)

    monkeypatch.setattr(prepare.inputs, "resolve", resolve)
    stage.vendor.polled = lambda: Failed("content_rejected", "no")
    row = await stage.run()
    assert (row["error_code"], stage.vendor.posts) == ("content_rejected", 1)
    assert not breakers.is_open("dashscope", live=stage.job.live)
    await stage.clean()
