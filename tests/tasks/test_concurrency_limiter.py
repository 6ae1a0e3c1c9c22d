"""Few submissions are lost with a worker, and any number may be at a vendor that takes its time."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from tests.support.waiting import eventually

from modellix_server.tasks import Submissions, concurrency_limiter, store
from modellix_server.tasks.concurrency_limiter import FIRST_PLACES, AdaptiveConcurrencyLimiter, SubmissionSlot
from modellix_server.tasks.executor import Executor
from modellix_server.tasks.journal import Job, Move
from modellix_server.upstreams.contract import AnswerLost, Failed, Ticket

MANY = 80
SUBMITTING = "select count(*) from tasks.task where state = 'submitting'"
SHORTLY_S, NEVER_S = 60.0, 0.05


async def test_first_come_first_served() -> None:
    limiter, order = AdaptiveConcurrencyLimiter(2), []

    async def submission(number: int) -> None:
        async with SubmissionSlot(limiter):
            order.append(number)
            await asyncio.sleep(0)

    await asyncio.gather(*map(submission, range(20)))
    assert order == list(range(20))


async def test_who_gives_up_waiting_takes_nobody_s_place() -> None:
    limiter = AdaptiveConcurrencyLimiter(1)
    await limiter.take()
    waiting = [asyncio.create_task(limiter.take()) for _ in range(3)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    await asyncio.sleep(0)
    limiter.give_back()  # to the second, who leaves before it knows
    waiting[1].cancel()
    await asyncio.wait(waiting, timeout=SHORTLY_S)
    assert [one.cancelled() for one in waiting] == [True, True, False]
    limiter.give_back()
    await asyncio.wait_for(limiter.take(), SHORTLY_S)


async def test_what_the_vendor_has_had_for_a_moment_makes_room_until_it_is_answered(monkeypatch) -> None:
    monkeypatch.setattr(concurrency_limiter, "_MOMENT_S", 0.5)
    limiter = AdaptiveConcurrencyLimiter(1)
    async with SubmissionSlot(limiter) as post:
        with post.at_the_vendor():
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(limiter.take(), NEVER_S)
            await asyncio.wait_for(limiter.take(), SHORTLY_S)
        limiter.give_back()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(limiter.take(), NEVER_S)
    await asyncio.wait_for(limiter.take(), SHORTLY_S)


async def test_an_answer_that_comes_at_once_keeps_its_place(monkeypatch) -> None:
    monkeypatch.setattr(concurrency_limiter, "_MOMENT_S", 0.1)
    limiter = AdaptiveConcurrencyLimiter(1)
    async with SubmissionSlot(limiter) as post:
        with contextlib.suppress(AnswerLost), post.at_the_vendor():
            raise AnswerLost
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(limiter.take(), 0.3)
    await asyncio.wait_for(limiter.take(), SHORTLY_S)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(limiter.take(), NEVER_S)


async def places(limiter: AdaptiveConcurrencyLimiter) -> int:
    """How many are free; they are taken for it, and given back."""
    count = 0
    with contextlib.suppress(TimeoutError):
        while True:
            await asyncio.wait_for(limiter.take(), NEVER_S)
            count += 1
    for _ in range(count):
        limiter.give_back()
    return count


async def test_answers_open_the_limiter_and_a_take_over_narrows_it(monkeypatch) -> None:
    monkeypatch.setattr(concurrency_limiter, "_MOST_PLACES", 5)
    limiter = AdaptiveConcurrencyLimiter(2)

    async def submission(*, answered: bool) -> None:
        async with SubmissionSlot(limiter) as post:
            with contextlib.suppress(AnswerLost), post.at_the_vendor():
                if not answered:
                    raise AnswerLost

    for answered, opened in ((False, 2), (True, 4), (False, 4), (True, 5)):
        await asyncio.gather(*(submission(answered=answered) for _ in range(2 * concurrency_limiter._ANSWERS_A_PLACE)))
        assert await places(limiter) == opened
    await limiter.take()
    limiter.narrow()
    assert await places(limiter) == 1
    limiter.give_back()
    await asyncio.gather(*(submission(answered=True) for _ in range(concurrency_limiter._ANSWERS_A_PLACE)))
    assert await places(limiter) == 3


class Crowd:
    """Many claimed tasks of one model."""

    def __init__(self, stage, jobs: list[Job]) -> None:
        self.stage, self.jobs = stage, jobs

    def run(self) -> list[asyncio.Task[None]]:
        fresh = self.stage.executor()._lease
        return [asyncio.create_task(Executor(job, self.stage.tools, fresh).run()) for job in self.jobs]

    async def submitting(self, expected: int) -> int:
        """How many there are when there come no more; so many as are expected are waited for longer."""
        before, count = -1, "select count(*) from tasks.attempt"
        await eventually(lambda: self.reached(expected))
        while (now := await self.stage.pool.fetchval(count)) != before:
            before = now
            await asyncio.sleep(0.5)
        return await self.stage.pool.fetchval(SUBMITTING)

    async def reached(self, expected: int) -> bool:
        return await self.stage.pool.fetchval(SUBMITTING) >= expected

    async def ends(self, running: list[asyncio.Task[None]]) -> None:
        await asyncio.wait_for(asyncio.gather(*running), SHORTLY_S)
        assert await self.stage.pool.fetchval("select count(*) from tasks.attempt") == MANY


@pytest.fixture
async def crowd(stage, new_customer: Callable[..., Awaitable]) -> AsyncIterator[Crowd]:
    customer = await new_customer("crowd", micros=100_000)
    accept = Submissions(stage.pool, asyncio.Event())
    await asyncio.gather(*(accept.accept(customer.wants(1)) for _ in range(MANY)))
    jobs = await store.claim(stage.pool, stage.worker, MANY)
    assert len(jobs) == MANY
    stage.vendor.polled = lambda: Failed("content_rejected", "no")
    yield Crowd(stage, jobs)
    await stage.clean()


async def test_no_more_are_on_their_way_than_the_limiter_has_places(crowd: Crowd, monkeypatch) -> None:
    monkeypatch.setattr(concurrency_limiter, "_MOMENT_S", 60.0)
    gate = asyncio.Event()

    async def submit(*_: object) -> Ticket:
        await gate.wait()
        return Ticket("t-1")

    crowd.stage.vendor.submit = submit
    running = crowd.run()
    assert await crowd.submitting(FIRST_PLACES) == FIRST_PLACES
    gate.set()
    await crowd.ends(running)


async def test_a_vendor_that_takes_its_time_gets_them_all(crowd: Crowd, monkeypatch) -> None:
    monkeypatch.setattr(concurrency_limiter, "_MOMENT_S", 0.1)
    gate = asyncio.Event()

    async def submit(*_: object) -> Ticket:
        await gate.wait()
        return Ticket("t-1")

    crowd.stage.vendor.submit = submit
    running = crowd.run()
    assert await crowd.submitting(MANY) == MANY > FIRST_PLACES
    gate.set()
    await crowd.ends(running)


async def test_nothing_more_leaves_while_answers_cannot_be_written_down(crowd: Crowd, monkeypatch) -> None:
    """However long that takes: these are not at the vendor."""
    monkeypatch.setattr(concurrency_limiter, "_MOMENT_S", 0.1)
    journal, gate = crowd.stage.tools.journal, asyncio.Event()
    advance = journal.advance

    async def slow(change: tuple[Job, Move]) -> bool:
        if change[1].becomes == "running":
            await gate.wait()
        return await advance(change)

    journal.advance = slow
    running = crowd.run()
    assert await crowd.submitting(FIRST_PLACES) == FIRST_PLACES
    gate.set()
    await crowd.ends(running)


async def test_models_and_modes_do_not_wait_for_each_other(stage) -> None:
    limiters = stage.tools.limiters
    assert len({id(limiters[model, live]) for model in ("a/a", "a/b") for live in (True, False)}) == 4
    assert limiters["a/a", True] is limiters["a/a", True]
