"""Tasks that wait for a slot: in order, bounded, with their money held, and never more at work than may."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import Callable
from uuid import UUID

import pytest

from modellix_server import ledger, limits
from modellix_server.base.database import Pool
from modellix_server.ledger import Balance, InsufficientBalance
from modellix_server.tasks import Reader, Submissions, TaskQuery, cancel, start_waiting, store
from modellix_server.tasks.errors import ConcurrencyExceeded
from modellix_server.tasks.journal import Finish, Job, Journal, TaskFence
from modellix_server.tasks.submit import Accepted
from modellix_server.tasks.verify import verify

SLOTS = 2


@pytest.fixture
def accept(pool: Pool) -> Submissions:
    return Submissions(pool, asyncio.Event())


@pytest.fixture
async def customer(pool: Pool, new_customer: Callable):
    made = await new_customer("patient", micros=10_000)
    await limits.set_for_team(pool, made.team_id, concurrency=SLOTS)
    return made


@pytest.fixture
async def worker(pool: Pool) -> int:
    return await store.register(pool, "test", 30)


async def clean(pool: Pool) -> None:
    async with pool.acquire() as db:
        assert await verify(db) == []


async def end(pool: Pool, worker: int, job: Job) -> bool:
    ending = Finish(error_code="deadline", error_message="late")
    return await Journal(pool, worker, 3600).settle((job, ending))


async def fill(accept: Submissions, customer, waiting: int) -> list[UUID]:
    """Take all slots and let more wait; the ids of these, in order."""
    for _ in range(SLOTS):
        assert (await accept.accept(customer.wants(slots=SLOTS))).queue_position is None
    ids = []
    for place in range(1, waiting + 1):
        accepted = await accept.accept(customer.wants(slots=SLOTS, wait=True))
        assert accepted.queue_position == place
        ids.append(accepted.task_id)
    return ids


async def place(pool: Pool, customer, task_id: UUID) -> int | None:
    query = TaskQuery(task_id, customer.team_id, live=False, key_id=customer.key_id)
    view = await Reader(pool, 3600).read(query)
    assert view.status == "pending"
    return view.queue_position


async def test_who_waits_holds_money_and_no_slot_and_starts_in_order(pool: Pool, accept, customer, worker) -> None:
    first, second, third = await fill(accept, customer, 3)
    assert await ledger.balance(pool, customer.team_id, live=False) == Balance(10_000, 500)
    assert tuple(await pool.fetchrow("select running, waiting from tasks.slot where not live")) == (2, 3)
    running = await store.claim(pool, worker, 10)
    assert len(running) == SLOTS
    assert [await place(pool, customer, task) for task in (first, second, third)] == [1, 2, 3]
    await clean(pool)
    assert await end(pool, worker, running[0])
    assert [await place(pool, customer, task) for task in (first, second, third)] == [None, 1, 2]
    assert [job.id for job in await store.claim(pool, worker, 10)] == [first]
    story = await pool.fetch("select seq, state, note from tasks.move where task_id = $1", first)
    assert [tuple(row) for row in story] == [(1, "queued", "has a slot")]
    assert await end(pool, worker, running[1])
    assert [job.id for job in await store.claim(pool, worker, 10)] == [second]
    await clean(pool)


async def test_several_endings_at_once_start_as_many(pool: Pool, accept, customer, worker) -> None:
    ids = await fill(accept, customer, 3)
    journal = Journal(pool, worker, 3600)
    jobs = await store.claim(pool, worker, 10)
    endings = [(job, Finish(error_code="x", error_message="y")) for job in jobs]
    assert await asyncio.gather(*map(journal.settle, endings)) == [True, True]
    assert {job.id for job in await store.claim(pool, worker, 10)} == set(ids[:2])
    await clean(pool)


async def test_without_the_word_a_full_team_is_refused_as_before(pool: Pool, accept, customer) -> None:
    await fill(accept, customer, 1)
    with pytest.raises(ConcurrencyExceeded):
        await accept.accept(customer.wants(slots=SLOTS))
    await clean(pool)


async def test_nobody_passes_those_that_wait(pool: Pool, accept, customer) -> None:
    (waiting,) = await fill(accept, customer, 1)
    with pytest.raises(ConcurrencyExceeded):  # the limit was raised a moment ago
        await accept.accept(customer.wants(slots=SLOTS + 5))
    behind = await accept.accept(customer.wants(slots=SLOTS + 5, wait=True))
    assert behind.queue_position == 2
    await limits.set_for_team(pool, customer.team_id, concurrency=SLOTS + 1)
    assert await start_waiting(pool) == 1
    assert await place(pool, customer, waiting) is None
    assert await place(pool, customer, behind.task_id) == 1
    await clean(pool)


async def test_the_queue_is_bounded_and_money_comes_first(pool: Pool, accept, customer) -> None:
    await limits.set_for_team(pool, customer.team_id, most_waiting=3)
    await fill(accept, customer, 1)
    wishes = [customer.wants(slots=SLOTS, wait=True) for _ in range(20)]
    answers = await asyncio.gather(*map(accept.accept, wishes), return_exceptions=True)
    assert Counter(type(answer) for answer in answers) == {Accepted: 2, ConcurrencyExceeded: 18}
    assert {answer.queue_position for answer in answers if isinstance(answer, Accepted)} == {2, 3}
    with pytest.raises(ConcurrencyExceeded, match="wait for a slot"):
        await accept.accept(customer.wants(slots=SLOTS, wait=True))
    with pytest.raises(InsufficientBalance):
        await accept.accept(customer.wants(100_000, slots=SLOTS, wait=True))
    await clean(pool)


async def test_a_mixed_crowd_takes_the_slots_and_then_the_queue(pool: Pool, accept, customer) -> None:
    wishes = [customer.wants(slots=SLOTS, wait=bool(n % 2)) for n in range(40)]
    answers = await asyncio.gather(*map(accept.accept, wishes), return_exceptions=True)
    places = [answer.queue_position for answer in answers if isinstance(answer, Accepted)]
    started, waiting = places.count(None), [one for one in places if one is not None]
    assert started == SLOTS
    assert sorted(waiting) == list(range(1, len(waiting) + 1))
    assert 18 <= len(waiting) <= 20
    await clean(pool)


async def test_cancel_while_waiting_frees_the_money_and_starts_nobody(pool: Pool, accept, customer, worker) -> None:
    first, second = await fill(accept, customer, 2)
    assert await cancel(pool, TaskQuery(first, customer.team_id, live=False, key_id=customer.key_id))
    assert await ledger.balance(pool, customer.team_id, live=False) == Balance(10_000, 300)
    assert await place(pool, customer, second) == 1
    assert tuple(await pool.fetchrow("select running, waiting from tasks.slot where not live")) == (2, 1)
    await clean(pool)
    assert len(await store.claim(pool, worker, 10)) == SLOTS


async def test_the_deadline_counts_from_the_acceptance(stage, pool: Pool, accept, customer) -> None:
    (waiting,) = await fill(accept, customer, 1)
    await pool.execute("update tasks.task set deadline_at = now(), due_at = now() where id = $1", waiting)
    (stage.job,) = [job for job in await store.claim(pool, stage.worker, 10) if job.id == waiting]
    row = await stage.run()
    assert (row["error_code"], stage.vendor.posts) == ("deadline", 0)
    assert tuple(await pool.fetchrow("select running, waiting from tasks.slot where team_id = $1 and not live",
                                     customer.team_id)) == (2, 0)  # fmt: skip
    await clean(pool)


async def test_a_repeated_request_finds_its_waiting_task(pool: Pool, accept, customer) -> None:
    await fill(accept, customer, 0)
    wishes = [customer.wants(slots=SLOTS, wait=True, key="k") for _ in range(10)]
    answers = await asyncio.gather(*map(accept.accept, wishes))
    assert len({answer.task_id for answer in answers}) == 1
    assert await pool.fetchval("select waiting from tasks.slot where not live") == 1
    await clean(pool)


async def test_older_code_ends_and_accepts_beside_it(pool: Pool, accept, customer, worker) -> None:
    """The functions that the first version calls: slots stay exact, and an ending starts who waits."""
    (waiting,) = await fill(accept, customer, 1)
    wish = customer.wants(slots=SLOTS)
    verdicts = await pool.fetchval(
        "select verdicts from tasks.accept($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
        [wish.task_id], [wish.team_id], [wish.live], [wish.key_id], [wish.model], [wish.params], [wish.price],
        [wish.quote], [wish.deadline_s], [wish.slots], [None], [None],
    )  # fmt: skip
    assert verdicts == ["concurrency"]
    job = (await store.claim(pool, worker, 1))[0]
    ended = await pool.fetchval(
        "select tasks.settle($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)",
        [job.id], [job.epoch], ["queued"], [job.team_id], [job.live], worker, [0], [None], [None], 3600,
        ["deadline"], ["late"], [None], [None], [None], [None],
    )  # fmt: skip
    assert ended == [1]
    assert await place(pool, customer, waiting) is None
    await clean(pool)


async def test_accepting_ending_and_canceling_at_random_leaks_no_slot(pool: Pool, customer, worker) -> None:
    """Three API processes, a worker and impatient clients; at no moment are more tasks at work than may be."""
    seed = random.randrange(2**32)
    print("seed", seed)
    dice = random.Random(seed)
    apis = [Submissions(pool, asyncio.Event()) for _ in range(3)]
    accepted: list[UUID] = []

    async def submit() -> None:
        wish = customer.wants(10, slots=SLOTS, wait=dice.random() < 0.8)
        with contextlib.suppress(ConcurrencyExceeded):
            accepted.append((await apis[dice.randrange(3)].accept(wish)).task_id)

    async def give_up() -> None:
        if accepted:
            task = dice.choice(accepted)
            row = await pool.fetchrow("select state, owner, epoch from tasks.task where id = $1", task)
            if row["state"] == "queued" and row["owner"] is None:
                fence = TaskFence(task, customer.team_id, False, "queued", row["epoch"])
                ending = Finish(error_code="canceled", error_message="x")
                await Journal(pool, None, 3600).settle((fence, ending))

    async def work() -> None:
        for job in await store.claim(pool, worker, dice.randrange(1, 4)):
            await asyncio.sleep(dice.random() / 100)
            await end(pool, worker, job)

    async def watch() -> None:
        busy = await pool.fetchval("select count(*) from tasks.task where finished_at is null and queue_no is null")
        assert busy <= SLOTS
        await clean(pool)

    for _ in range(15):
        jobs = [dice.choice((submit, submit, submit, give_up, work, watch))() for _ in range(30)]
        await asyncio.gather(*jobs)
    async with asyncio.timeout(60):
        while await pool.fetchval("select count(*) from tasks.task where finished_at is null"):
            await work()
    await clean(pool)
    assert tuple(await pool.fetchrow("select running, waiting from tasks.slot where not live")) == (0, 0)
    assert await ledger.balance(pool, customer.team_id, live=False) == Balance(10_000, 0)
