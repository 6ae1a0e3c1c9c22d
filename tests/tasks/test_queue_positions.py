"""Followers of waiting tasks hear of their positions: each change before long, no change never, and by few queries."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from types import SimpleNamespace
from uuid import UUID

import pytest

from modellix_server import limits
from modellix_server.base.database import Pool
from modellix_server.base.notify import follow
from modellix_server.base.team_mode import TeamMode
from modellix_server.tasks import Reader, Submissions, SubscriptionHub, TaskQuery, cancel, queue_positions, store
from modellix_server.tasks.follow import Subscription
from modellix_server.tasks.journal import Finish, Journal

SOON_S, NEVER_S = 60.0, 1.6


class Counting:
    """The database, as far as a hub needs it, and how often it was asked."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self.asked = 0

    async def fetch(self, query: str, *arguments: object) -> list:
        self.asked += "row_number" in query
        return await self._pool.fetch(query, *arguments)


class Queue:
    """A team with one slot, a worker that ends what has it, and followers in an API process of their own."""

    def __init__(self, pool: Pool, database, customer) -> None:
        self.pool, self.customer = pool, customer
        self.dsn = database.app_dsn
        self.db = Counting(pool)
        self.subscriptions = SubscriptionHub(self.db)  # type: ignore[arg-type]
        self.hears = asyncio.Event()
        self.accept = Submissions(pool, asyncio.Event())
        self.reader = Reader(pool, 3600)

    async def listens(self) -> list[asyncio.Task]:
        positions = self.subscriptions.positions
        following, positions.following = positions.following, lambda: (following(), self.hears.set())
        background = [
            asyncio.create_task(follow(self.dsn, [positions])),
            asyncio.create_task(positions.keep_counting()),
        ]
        await self.hears.wait()
        return background

    async def fill(self, waiting: int) -> list[UUID]:
        wishes = [self.customer.wants(1, slots=1, wait=True) for _ in range(waiting + 1)]
        accepted = [await self.accept.accept(wish) for wish in wishes]
        assert [one.queue_position for one in accepted] == [None, *range(1, waiting + 1)]
        return [one.task_id for one in accepted]

    async def end_first(self) -> None:
        """What is at work ends, and the next starts."""
        number = await store.register(self.pool, "test", 30)
        (job,) = await store.claim(self.pool, number, 1)
        ending = Finish(error_code="x", error_message="y")
        assert await Journal(self.pool, number, 3600).settle((job, ending))

    async def follow(self, task_id: UUID) -> Subscription:
        """A follower that knows how the task is now."""
        subscription = self.subscriptions.open(TeamMode(self.customer.team_id, live=False), self.customer.key_id)
        subscription.follow(TaskQuery(task_id, self.customer.team_id, live=False, key_id=self.customer.key_id))
        await self.read(subscription)
        return subscription

    async def read(self, subscription: Subscription) -> None:
        subscription.unread = False
        subscription.waits((await self.reader.read(subscription.query)).queue_position)


async def until(subscription: Subscription, position: int) -> None:
    async with asyncio.timeout(SOON_S):
        while subscription.position != position:
            assert await subscription.news(SOON_S)
    assert not subscription.unread, "a position is no reason to read the task"


@pytest.fixture
async def new_queue(pool: Pool, database, new_customer: Callable) -> Callable:
    async def make(name: str, most_waiting: int = 100) -> Queue:
        customer = await new_customer(name, micros=10_000)
        await limits.set_for_team(pool, customer.team_id, concurrency=1, most_waiting=most_waiting)
        return Queue(pool, database, customer)

    return make


@pytest.fixture
async def queue(new_queue) -> AsyncIterator[Queue]:
    made = await new_queue("patient")
    background = await made.listens()
    yield made
    for task in background:
        task.cancel()
    await asyncio.gather(*background, return_exceptions=True)


async def test_who_moves_up_is_told_and_nobody_else(queue: Queue, new_queue) -> None:
    _, _, third, fourth = await queue.fill(3)
    strangers = await new_queue("stranger")
    strangers.subscriptions = queue.subscriptions
    stranger = await strangers.follow((await strangers.fill(1))[1])
    near, far = await queue.follow(third), await queue.follow(fourth)
    assert (near.position, far.position, stranger.position) == (2, 3, 1)
    await queue.end_first()
    await asyncio.gather(until(near, 1), until(far, 2))
    cancelled = TaskQuery(third, queue.customer.team_id, live=False, key_id=queue.customer.key_id)
    assert await cancel(queue.pool, cancelled)
    await until(far, 1)
    assert not await stranger.news(NEVER_S)
    assert not await near.news(0), "its end is told by its move"


async def test_many_followers_and_many_changes_are_few_queries(queue: Queue) -> None:
    tasks = await queue.fill(60)
    followers = [await queue.follow(tasks[-1 - number % 20]) for number in range(400)]
    before, started = queue.db.asked, time.monotonic()
    for _ in range(30):
        await queue.end_first()
    await asyncio.gather(*(until(one, 60 - number % 20 - 30) for number, one in enumerate(followers)))
    counts = (time.monotonic() - started) / queue_positions._BETWEEN_COUNTS_S
    assert 1 <= queue.db.asked - before <= counts + 2


async def test_who_has_left_or_started_costs_nothing(queue: Queue) -> None:
    _, second, third, fourth = await queue.fill(3)
    starting, leaving = await queue.follow(second), await queue.follow(third)
    leaving.close()
    await queue.end_first()
    await queue.read(starting)
    assert starting.position is None
    before = queue.db.asked
    await queue.end_first()
    await asyncio.sleep(NEVER_S)
    assert queue.db.asked == before
    assert (await queue.follow(fourth)).position == 1


async def test_what_was_read_late_takes_nothing_back(queue: Queue) -> None:
    *_, last = await queue.fill(4)
    subscription = await queue.follow(last)
    subscription.tell_position(2)
    subscription.waits(3)
    assert subscription.position == 2
    subscription.tell_position(3)
    assert subscription.position == 2


async def test_what_happened_while_the_connection_was_down_is_found(queue: Queue, postgres_server) -> None:
    *_, last = await queue.fill(2)
    subscription = await queue.follow(last)
    name = await queue.pool.fetchval("select current_database()")
    cut = "select pg_terminate_backend(pid) from pg_stat_activity where application_name = $1 and datname = $2"
    assert await postgres_server.setup.fetch(cut, "modellix-listen", name)
    await queue.end_first()
    await until(subscription, 1)


async def test_the_regular_count_needs_no_notice(new_queue, monkeypatch) -> None:
    monkeypatch.setattr(queue_positions, "_LOOK_EVERY_S", 0.2)
    monkeypatch.setattr(queue_positions, "_BETWEEN_COUNTS_S", 0.1)
    queue = await new_queue("deaf")
    *_, last = await queue.fill(2)
    subscription = await queue.follow(last)
    counting = asyncio.create_task(queue.subscriptions.positions.keep_counting())
    await queue.end_first()
    await until(subscription, 1)
    counting.cancel()


async def test_a_database_that_is_away_is_asked_again(monkeypatch) -> None:
    monkeypatch.setattr(queue_positions, "_BETWEEN_COUNTS_S", 0.01)
    task = UUID(int=7)
    tries = 0

    async def fetch(*_: object) -> list:
        nonlocal tries
        tries += 1
        if tries < 3:
            raise OSError
        return [{"id": task, "place": 1}]

    subscriptions = SubscriptionHub(SimpleNamespace(fetch=fetch))  # type: ignore[arg-type]
    subscription = subscriptions.open(TeamMode(1, live=False), 1)
    subscription.follow(TaskQuery(task, 1, live=False, key_id=1))
    subscription.unread = False
    subscription.waits(5)
    subscriptions.positions.heard("1:live")
    subscriptions.positions.heard("1:test")
    counting = asyncio.create_task(subscriptions.positions.keep_counting())
    await until(subscription, 1)
    assert tries == 3
    counting.cancel()
