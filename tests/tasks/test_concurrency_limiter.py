"""Few submissions are lost with a worker, and any number may be at a vendor that takes its time."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from modellix_server.tasks import Submissions, concurrency_limiter, store
from modellix_server.tasks.concurrency_limiter import FIRST_PLACES, AdaptiveConcurrencyLimiter, SubmissionSlot
from modellix_server.tasks.life import Life
from modellix_server.tasks.store import Move
from modellix_server.upstreams.contract import AnswerLost, Failed, Ticket

MANY = 80
SHORTLY_S, NEVER_S = 5.0, 0.05


async def test_first_come_first_served() -> None:
    window, order = AdaptiveConcurrencyLimiter(2), []

    async def life(number: int) -> None:
        async with SubmissionSlot(window):
            order.append(number)
            await asyncio.sleep(0)

    await asyncio.gather(*map(life, range(20)))
    assert order == list(range(20))


async def test_who_gives_up_waiting_takes_nobody_s_place() -> None:
    window = AdaptiveConcurrencyLimiter(1)
    await window.take()
    waiting = [asyncio.create_task(window.take()) for _ in range(3)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    await asyncio.sleep(0)
    window.give_back()  # to the second, who leaves before it knows
    waiting[1].cancel()
    await asyncio.wait(waiting, timeout=SHORTLY_S)
    assert [one.cancelled() for one in waiting] == [True, True, False]
    window.give_back()
    await asyncio.wait_for(window.take(), SHORTLY_S)


async def test_what_the_vendor_has_had_for_a_moment_makes_room_until_it_is_answered(monkeypatch) -> None:
    monkeypatch.setattr(concurrency_limiter, "_MOMENT_S", 0.2)
    window = AdaptiveConcurrencyLimiter(1)
    async with SubmissionSlot(window) as post:
        with post.at_the_vendor():
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(window.take(), NEVER_S)
            await asyncio.wait_for(window.take(), SHORTLY_S)
        window.give_back()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(window.take(), NEVER_S)
    await asyncio.wait_for(window.take(), SHORTLY_S)


async def test_an_answer_that_comes_at_once_keeps_its_place(monkeypatch) -> None:
    monkeypatch.setattr(concurrency_limiter, "_MOMENT_S", 0.1)
    window = AdaptiveConcurrencyLimiter(1)
    async with SubmissionSlot(window) as post:
        with contextlib.suppress(AnswerLost), post.at_the_vendor():
            raise AnswerLost
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(window.take(), 0.3)
    await asyncio.wait_for(window.take(), SHORTLY_S)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(window.take(), NEVER_S)


async def places(window: AdaptiveConcurrencyLimiter) -> int:
    """How many are free; they are taken for it, and given back."""
    count = 0
    with contextlib.suppress(TimeoutError):
        while True:
            await asyncio.wait_for(window.take(), NEVER_S)
            count += 1
    for _ in range(count):
        window.give_back()
    return count


async def test_answers_open_the_window_and_a_take_over_narrows_it(monkeypatch) -> None:
    monkeypatch.setattr(concurrency_limiter, "_MOST_PLACES", 5)
    window = AdaptiveConcurrencyLimiter(2)

    async def life(*, answered: bool) -> None:
        async with SubmissionSlot(window) as post:
            with contextlib.suppress(AnswerLost), post.at_the_vendor():
                if not answered:
                    raise AnswerLost

    for answered, opened in ((False, 2), (True, 4), (False, 4), (True, 5)):
        await asyncio.gather(*(life(answered=answered) for _ in range(2 * concurrency_limiter._ANSWERS_A_PLACE)))
        assert await places(window) == opened
    await window.take()
    window.narrow()
    assert await places(window) == 1
    window.give_back()
    await asyncio.gather(*(life(answered=True) for _ in range(concurrency_limiter._ANSWERS_A_PLACE)))
    assert await places(window) == 3


class Crowd:
    """Many claimed tasks of one model."""

    def __init__(self, stage, jobs: list[store.Job]) -> None:
        self.stage, self.jobs = stage, jobs

    def live(self) -> list[asyncio.Task[None]]:
        fresh = self.stage.life()._lease
        return [asyncio.create_task(Life(job, self.stage.tools, fresh).run()) for job in self.jobs]

    async def submitting(self) -> int:
        """How many there are when there come no more."""
        before = -1
        while (now := await self.stage.pool.fetchval("select count(*) from tasks.attempt")) != before:
            before = now
            await asyncio.sleep(0.5)
        return await self.stage.pool.fetchval("select count(*) from tasks.task where state = 'submitting'")

    async def ends(self, lives: list[asyncio.Task[None]]) -> None:
        await asyncio.wait_for(asyncio.gather(*lives), 20)
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


async def test_no_more_are_on_their_way_than_the_window_has_places(crowd: Crowd, monkeypatch) -> None:
    monkeypatch.setattr(concurrency_limiter, "_MOMENT_S", 60.0)
    gate = asyncio.Event()

    async def submit(*_: object) -> Ticket:
        await gate.wait()
        return Ticket("t-1")

    crowd.stage.vendor.submit = submit
    lives = crowd.live()
    assert await crowd.submitting() == FIRST_PLACES
    gate.set()
    await crowd.ends(lives)


async def test_a_vendor_that_takes_its_time_gets_them_all(crowd: Crowd, monkeypatch) -> None:
    monkeypatch.setattr(concurrency_limiter, "_MOMENT_S", 0.1)
    gate = asyncio.Event()

    async def submit(*_: object) -> Ticket:
        await gate.wait()
        return Ticket("t-1")

    crowd.stage.vendor.submit = submit
    lives = crowd.live()
    assert await crowd.submitting() == MANY > FIRST_PLACES
    gate.set()
    await crowd.ends(lives)


async def test_nothing_more_leaves_while_answers_cannot_be_written_down(crowd: Crowd, monkeypatch) -> None:
    """However long that takes: these are not at the vendor."""
    monkeypatch.setattr(concurrency_limiter, "_MOMENT_S", 0.1)
    journal, gate = crowd.stage.tools.journal, asyncio.Event()
    advance = journal.advance

    async def slow(move: Move) -> bool:
        if move.becomes == "running":
            await gate.wait()
        return await advance(move)

    journal.advance = slow
    lives = crowd.live()
    assert await crowd.submitting() == FIRST_PLACES
    gate.set()
    await crowd.ends(lives)


async def test_models_and_modes_do_not_wait_for_each_other(stage) -> None:
    windows = stage.tools.window
    assert len({id(windows[model, live]) for model in ("a/a", "a/b") for live in (True, False)}) == 4
    assert windows["a/a", True] is windows["a/a", True]
