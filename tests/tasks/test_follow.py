"""Followers are woken by every move of their task, by nothing else, and also when a notice was missed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from types import SimpleNamespace

import pytest
from msgspec.structs import replace
from tests.support.waiting import eventually

from modellix_server import identity
from modellix_server.base.database import Pool, connect
from modellix_server.base.errors import Unavailable
from modellix_server.base.ids import uuid7
from modellix_server.base.notify import follow
from modellix_server.base.team_mode import TeamMode
from modellix_server.tasks import Reader, Submissions, SubscriptionHub, TaskQuery, TooManyFollowers, store
from modellix_server.tasks import follow as module
from modellix_server.tasks.follow import Subscription
from modellix_server.tasks.journal import Finish, Journal, Move

SOON_S, NEVER_S = 60.0, 0.4


@pytest.fixture
async def customer(new_customer: Callable):
    return await new_customer(micros=100_000)


class Listening(SubscriptionHub):
    """A hub that tells when it can hear, and how often it has looked."""

    def __init__(self, db: Pool) -> None:
        super().__init__(db)
        self.hears = False
        self.looks = 0

    def following(self) -> None:
        super().following()
        self.hears = True

    async def _look(self) -> None:
        await super()._look()
        self.looks += 1


@pytest.fixture
async def subscriptions(pool: Pool, database) -> AsyncIterator[SubscriptionHub]:
    """A hub that hears notices, and looks by itself only when it must."""
    made = Listening(pool)
    background = [
        asyncio.create_task(follow(database.app_dsn, [made, made.keys])),
        asyncio.create_task(made.keep_looking()),
    ]
    await eventually(
        lambda: made.hears and made.looks and not made._doubt.is_set()
    )  # each connection begins with a look
    yield made
    for task in background:
        task.cancel()
    await asyncio.gather(*background, return_exceptions=True)


class Stage:
    """Tasks of one customer, one worker that moves them, and followers."""

    def __init__(self, pool: Pool, subscriptions: SubscriptionHub, customer) -> None:
        self.pool, self.subscriptions, self.customer = pool, subscriptions, customer
        self.accept = Submissions(pool, asyncio.Event())
        self.reader = Reader(pool, 3600)

    async def start(self, count: int = 1) -> list[store.Job]:
        await asyncio.gather(*(self.accept.accept(self.customer.wants(1, slots=10_000)) for _ in range(count)))
        number = await store.register(self.pool, "test", 30)
        self.journal = Journal(self.pool, number, 3600)
        return await store.claim(self.pool, number, count)

    async def follow(self, job: store.Job, key_id: int | None = None) -> Subscription:
        """A follower that knows how the task is now."""
        key_id = key_id or self.customer.key_id
        subscription = self.subscriptions.open(TeamMode(self.customer.team_id, live=False), key_id)
        subscription.follow(TaskQuery(job.id, self.customer.team_id, live=False, key_id=key_id))
        subscription.seen = (await self.reader.read(subscription.query)).moves
        return subscription


@pytest.fixture
def stage(pool: Pool, subscriptions: SubscriptionHub, customer) -> Stage:
    return Stage(pool, subscriptions, customer)


async def test_a_move_wakes_its_followers_and_nobody_else(stage: Stage) -> None:
    moved, still = await stage.start(2)
    followers = [await stage.follow(moved), await stage.follow(moved)]
    other = await stage.follow(still)
    assert await stage.journal.advance((moved, Move("preparing")))
    for subscription in followers:
        assert await subscription.news(SOON_S)
        subscription.seen = (await stage.reader.read(subscription.query)).moves  # or a comparison tells it again
    assert not await other.news(NEVER_S)
    assert not await followers[0].news(NEVER_S), "one move is one piece of news"
    preparing = replace(moved, state="preparing")
    await stage.journal.settle((preparing, Finish(error_code="x", error_message="y")))
    assert await followers[0].news(SOON_S)
    followers[1].close()
    assert len(stage.subscriptions) == 2


async def test_one_notice_a_batch_and_none_for_an_accept(stage: Stage, database) -> None:
    heard: list[str] = []
    connection = await connect(database.app_dsn, name="test")
    await connection.add_listener("modellix_moves", lambda *about: heard.append(about[3]))
    jobs = await stage.start(200)
    await asyncio.sleep(0.2)
    assert heard == []
    await asyncio.gather(*(stage.journal.advance((job, Move("preparing"))) for job in jobs))
    await eventually(lambda: len("".join(heard)) >= 200 * 32)
    await connection.close()
    named = [payload[at : at + 32] for payload in heard for at in range(0, len(payload), 32)]
    assert sorted(named) == sorted(job.id.hex for job in jobs)
    assert len(heard) <= 3  # the first goes alone, what has piled up meanwhile goes together


async def test_a_batch_too_large_to_be_named_is_heard_all_the_same(stage: Stage, pool: Pool) -> None:
    jobs = await stage.start(300)
    subscription = await stage.follow(jobs[-1])
    await pool.execute(
        "insert into tasks.move (task_id, seq, state) select id, 99, 'preparing' from unnest($1::uuid[]) as id",
        [job.id for job in jobs[:-1]],
    )
    assert not await subscription.news(NEVER_S * 2), "it has not moved"
    await pool.execute("update tasks.task set moves = 1 where id = $1", jobs[-1].id)
    await pool.execute(
        "insert into tasks.move (task_id, seq, state) select id, 100, 'preparing' from unnest($1::uuid[]) as id",
        [job.id for job in jobs],
    )
    assert await subscription.news(SOON_S)


async def test_what_happened_while_the_connection_was_down_is_found(stage: Stage, pool: Pool, postgres_server) -> None:
    (job,) = await stage.start()
    subscription = await stage.follow(job)
    setup = postgres_server.setup
    name = await pool.fetchval("select current_database()")
    cut = "select pg_terminate_backend(pid) from pg_stat_activity where application_name = $1 and datname = $2"
    assert await setup.fetch(cut, "modellix-listen", name)
    await stage.journal.advance((job, Move("preparing")))
    assert await subscription.news(SOON_S)


async def test_the_regular_look_needs_no_notice(stage: Stage, pool: Pool, monkeypatch) -> None:
    monkeypatch.setattr(module, "_LOOK_EVERY_S", 0.2)
    lonely = SubscriptionHub(pool)
    looking = asyncio.create_task(lonely.keep_looking())
    stage.subscriptions = lonely
    (job,) = await stage.start()
    subscription = await stage.follow(job)
    assert not await subscription.news(NEVER_S)
    await stage.journal.advance((job, Move("preparing")))
    assert await subscription.news(SOON_S)
    looking.cancel()


async def test_a_revoked_key_wakes_its_followers_alone(stage: Stage, pool: Pool, settings) -> None:
    (job,) = await stage.start()
    _, other = await identity.create_key(
        pool, settings.secret, stage.customer.team_id, live=False, name="other", created_by="tests"
    )
    await asyncio.sleep(0.5)
    stays, goes = await stage.follow(job), await stage.follow(job, other.id)
    await identity.revoke_key(pool, other.id)
    assert await goes.news(SOON_S)
    assert not await stays.news(NEVER_S)


@pytest.mark.parametrize("limit", ["_MOST_OF_KEY", "_MOST_OF_TEAM", "MOST_FOLLOWERS"])
async def test_places_are_limited_and_given_back(pool: Pool, monkeypatch, limit: str) -> None:
    monkeypatch.setattr(module, limit, 2)
    subscriptions = SubscriptionHub(pool)
    about = (TeamMode(1, live=False), 1)
    first, _ = subscriptions.open(*about), subscriptions.open(*about)
    with pytest.raises(Unavailable if limit == "MOST_FOLLOWERS" else TooManyFollowers):
        subscriptions.open(*about)
    first.close()
    first.close()
    again = subscriptions.open(*about)
    again.follow(TaskQuery(uuid7(), 1, live=False, key_id=1))
    again.close()
    subscriptions.open(*about)
    assert len(subscriptions) == 2


async def test_a_closing_process_sends_everybody_away(pool: Pool) -> None:
    subscriptions = SubscriptionHub(pool)
    subscription = subscriptions.open(TeamMode(1, live=False), 1)
    subscriptions.close()
    assert await subscription.news(SOON_S)
    assert subscription.left
    with pytest.raises(Unavailable):
        subscriptions.open(TeamMode(1, live=False), 1)


async def test_a_database_that_is_away_is_asked_again(monkeypatch) -> None:
    monkeypatch.setattr(module, "_BETWEEN_LOOKS_S", 0.01)
    tries = 0

    async def fetch(*_: object) -> list:
        nonlocal tries
        tries += 1
        if tries < 3:
            raise OSError
        return []

    subscriptions = SubscriptionHub(SimpleNamespace(fetch=fetch))
    subscription = subscriptions.open(TeamMode(1, live=False), 1)
    subscriptions.following()
    looking = asyncio.create_task(subscriptions.keep_looking())
    assert await subscription.news(SOON_S)  # nobody vouches for its key
    assert tries == 3
    looking.cancel()


async def test_progress_reaches_the_followers_of_its_task(stage: Stage, database) -> None:
    (job,) = await stage.start()
    subscription = await stage.follow(job)
    following = asyncio.create_task(follow(database.app_dsn, [stage.subscriptions.progress]))
    await asyncio.sleep(0.5)
    for progress in (0.25, 0.5):
        await asyncio.gather(*(stage.journal.progress((task, progress)) for task in (uuid7(), job.id, uuid7())))
        assert await subscription.news(SOON_S)
        assert subscription.progress == progress
    await stage.journal.progress((uuid7(), 0.75))
    assert not await subscription.news(NEVER_S)
    following.cancel()
