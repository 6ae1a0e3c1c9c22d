"""Moves and endings: compare-and-set, once, with exact money, whoever races."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta

import asyncpg
import msgspec
import pytest
from msgspec.structs import replace

from modellix_server import ledger
from modellix_server.base.database import Pool, connect
from modellix_server.base.errors import NotFound, Unauthorized
from modellix_server.ledger import Balance
from modellix_server.tasks import Reader, Submissions, TaskQuery, cancel, forget_idempotency_keys, store
from modellix_server.tasks.journal import AttemptRecord, Finish, Job, Journal, Move
from modellix_server.tasks.verify import verify

LEASE_S = 30


@pytest.fixture
async def customer(new_customer: Callable):
    return await new_customer(micros=1000)


@pytest.fixture
def accept(pool: Pool) -> Submissions:
    return Submissions(pool, asyncio.Event())


async def hire(pool: Pool) -> tuple[int, Journal]:
    number = await store.register(pool, "test", LEASE_S)
    return number, Journal(pool, number, 3600)


async def claimed(pool: Pool, accept, customer, worker: int, quote: int = 100) -> Job:
    await accept.accept(customer.wants(quote))
    (job,) = await store.claim(pool, worker, 1)
    return job


def move(job: Job, was: str, becomes: str, **about) -> tuple[Job, Move]:
    return replace(job, state=was), Move(becomes, **about)


def ending(job: Job, was: str, **about) -> tuple[Job, Finish]:
    return replace(job, state=was), Finish(**about)


async def clean(pool: Pool) -> None:
    async with pool.acquire() as db:
        assert await verify(db) == []


async def test_no_index_looks_at_what_each_move_changes(pool: Pool) -> None:
    """Else each move of a task would be entered into all of its indexes."""
    seen = await pool.fetch(
        """select i.indexrelid::regclass::text as index, a.attname from pg_index i
           join pg_depend d on d.objid = i.indexrelid and d.refobjid = i.indrelid
           join pg_attribute a on a.attrelid = i.indrelid and a.attnum = d.refobjsubid
           where i.indrelid = 'tasks.task'::regclass"""
    )
    assert {"due_at", "error_code"} <= {row["attname"] for row in seen}  # columns and conditions of indexes
    changed = ("state", "moves", "attempt", "ticket", "verdict")
    assert [tuple(row) for row in seen if row["attname"] in changed] == []


async def test_from_the_queue_to_success(pool: Pool, accept, customer) -> None:
    worker, journal = await hire(pool)
    job = await claimed(pool, accept, customer, worker)
    assert await journal.advance(move(job, "queued", "submitting", upstream="dashscope"))
    assert await journal.advance(move(job, "submitting", "running", ticket="t", record=AttemptRecord("accepted", 200)))
    assert await journal.advance(move(job, "running", "storing", verdict="{}"))
    assert await journal.settle(ending(job, "storing", capture=60, resources='{"resources":[]}', bytes=5))
    assert await ledger.balance(pool, customer.team_id, live=False) == Balance(940, 0)
    kinds = [(t.kind, t.amount) for t in await ledger.transfers_of_task(pool, job.id)]
    assert kinds == [("hold", 100), ("capture", 60), ("release", 40)]
    moves = await pool.fetch("select seq, state from tasks.move order by seq")
    assert [tuple(row) for row in moves] == [(1, "submitting"), (2, "running"), (3, "storing"), (4, "succeeded")]
    attempt = await pool.fetchrow("select n, outcome, ticket, status from tasks.attempt")
    assert tuple(attempt) == (1, "accepted", "t", 200)
    await clean(pool)


async def test_a_task_ends_once_whoever_races(pool: Pool, accept, customer) -> None:
    worker, journal = await hire(pool)
    job = await claimed(pool, accept, customer, worker)
    rivals = [Journal(pool, worker, 3600) for _ in range(10)]
    wishes = [
        rival.settle(ending(job, "queued", error_code="deadline", error_message="late") if n % 2 else
                     ending(job, "queued", capture=100, resources="{}", bytes=0))
        for n, rival in enumerate(rivals)
    ]  # fmt: skip
    assert sum(await asyncio.gather(*wishes)) == 1
    assert not await journal.advance(move(job, "queued", "preparing"))
    await clean(pool)


async def test_a_former_owner_changes_nothing(pool: Pool, accept, customer) -> None:
    first, old = await hire(pool)
    second, new = await hire(pool)
    job = await claimed(pool, accept, customer, first)
    await store.give_back(pool, first, leave=False)
    (again,) = await store.claim(pool, second, 1)
    assert again.epoch == job.epoch + 1
    assert not await old.advance(move(job, "queued", "submitting", upstream="dashscope"))
    assert not await old.settle(ending(job, "queued", error_code="deadline", error_message="late"))
    # Even with the right epoch the task is not his.
    assert not await old.advance(move(again, "queued", "submitting", upstream="dashscope"))
    assert await new.advance(move(again, "queued", "submitting", upstream="dashscope"))
    assert await pool.fetchval("select count(*) from tasks.attempt") == 1
    await clean(pool)


async def test_a_move_from_another_state_is_none(pool: Pool, accept, customer) -> None:
    worker, journal = await hire(pool)
    job = await claimed(pool, accept, customer, worker)
    assert await journal.advance(move(job, "queued", "submitting", upstream="dashscope"))
    assert not await journal.advance(move(job, "queued", "preparing"))
    assert not await journal.settle(ending(job, "queued", error_code="deadline", error_message="late"))
    assert await pool.fetchval("select state from tasks.task") == "submitting"
    await clean(pool)


async def test_an_earlier_claim_of_one_s_own_changes_nothing(pool: Pool, accept, customer) -> None:
    """The same worker lost the task and has it again: what its former run still wants is too late."""
    worker, journal = await hire(pool)
    former = await claimed(pool, accept, customer, worker)
    await store.give_back(pool, worker, leave=False)
    (job,) = await store.claim(pool, worker, 1)
    assert job.epoch == former.epoch + 1
    assert not await journal.advance(move(former, "queued", "preparing"))
    assert not await journal.settle(ending(former, "queued", error_code="deadline", error_message="late"))
    assert await journal.advance(move(job, "queued", "preparing"))
    await clean(pool)


async def test_an_ending_is_the_owner_s(pool: Pool, accept, customer) -> None:
    worker, journal = await hire(pool)
    _, stranger = await hire(pool)
    job = await claimed(pool, accept, customer, worker)
    end = ending(job, "queued", error_code="deadline", error_message="late")
    assert not await stranger.settle(end)
    assert not await Journal(pool, None, 3600).settle(end)
    assert await journal.settle(end)
    await clean(pool)


async def test_one_bad_row_harms_no_neighbour(pool: Pool, accept, customer) -> None:
    """A ticket that got lost over somebody else's row would be a paid job that nobody collects."""
    worker, journal = await hire(pool)
    good, odd = [await claimed(pool, accept, customer, worker) for _ in "12"]
    both = [move(good, "queued", "submitting", upstream="dashscope"), move(odd, "queued", "nonsense")]
    moved = await asyncio.gather(*map(journal.advance, both), return_exceptions=True)
    assert moved[0] is True
    assert isinstance(moved[1], asyncpg.CheckViolationError)
    too_much = ending(odd, "queued", capture=10**6, resources="{}", bytes=0)
    both = [ending(good, "submitting", error_code="x", error_message="\0"), too_much]
    ended = await asyncio.gather(*map(journal.settle, both), return_exceptions=True)
    assert ended[0] is True
    assert isinstance(ended[1], asyncpg.CheckViolationError)
    await clean(pool)


async def test_a_move_whose_answer_was_lost_is_known_again(pool: Pool, accept, customer) -> None:
    worker, journal = await hire(pool)
    job = await claimed(pool, accept, customer, worker)
    intent = move(job, "queued", "submitting", upstream="dashscope")
    assert [await journal.advance(intent) for _ in "12"] == [True, True]
    assert await pool.fetchval("select count(*) from tasks.attempt") == 1
    _, stranger = await hire(pool)
    assert not await stranger.advance(intent)
    assert not await journal.advance((replace(intent[0], epoch=job.epoch - 1), intent[1]))
    assert await journal.advance(move(job, "submitting", "running", ticket="t"))
    assert not await journal.advance(intent)


@pytest.mark.parametrize(
    "how", [{"capture": 0, "resources": "{}", "bytes": 0}, {"error_code": "x", "error_message": "y"}]
)
async def test_a_free_task_is_booked_like_any_other(pool: Pool, accept, customer, how) -> None:
    worker, journal = await hire(pool)
    job = await claimed(pool, accept, customer, worker, quote=0)
    await clean(pool)
    assert await journal.settle(ending(job, "queued", **how))
    assert [one.kind for one in await ledger.transfers_of_task(pool, job.id)] == ["hold", "release"]
    await clean(pool)


async def test_two_workers_never_claim_one_task(pool: Pool, accept, customer) -> None:
    for _ in range(10):
        await accept.accept(customer.wants(10))
    workers = [(await hire(pool))[0] for _ in range(5)]
    claims = await asyncio.gather(*(store.claim(pool, worker, 4) for worker in workers))
    ids = [job.id for jobs in claims for job in jobs]
    assert len(ids) == len(set(ids)) == 10


async def test_dead_workers_are_released_and_living_ones_are_not(
    pool: Pool, database, accept, customer, monkeypatch
) -> None:
    monkeypatch.setattr(store, "_SUSPECT_GRACE_S", 0.0)
    living, _ = await hire(pool)
    connection = await connect(database.app_dsn, name="test")
    await connection.execute("select pg_advisory_lock($1, $2)", store.WORKER_LOCK, living)
    await claimed(pool, accept, customer, living)
    assert await store.release_dead_workers(pool) == 0
    await connection.close()  # its process is gone, its lease is not
    assert await store.release_dead_workers(pool) == 1


async def test_a_submission_on_its_way_waits_for_the_lease(pool: Pool, accept, customer, monkeypatch) -> None:
    monkeypatch.setattr(store, "_SUSPECT_GRACE_S", 0.0)
    gone, journal = await hire(pool)
    job = await claimed(pool, accept, customer, gone)
    await journal.advance(move(job, "queued", "submitting", upstream="dashscope"))
    assert await store.release_dead_workers(pool) == 0
    await store.renew(pool, gone, -1)
    assert await store.release_dead_workers(pool) == 1


async def test_nobody_is_dead_right_after_a_database_start(pool: Pool, accept, customer, monkeypatch) -> None:
    monkeypatch.setattr(store, "_SUSPECT_GRACE_S", 1e6)
    gone, _ = await hire(pool)
    await claimed(pool, accept, customer, gone)
    assert await store.release_dead_workers(pool) == 0


async def test_what_a_lost_answer_left_behind_is_given_back(pool: Pool, accept, customer) -> None:
    worker, _ = await hire(pool)
    held = await claimed(pool, accept, customer, worker)
    forgotten = await claimed(pool, accept, customer, worker)
    assert await store.reconcile(pool, worker, [held.id]) == {(held.id, held.epoch): False}
    (found,) = await store.claim(pool, worker, 10)
    assert found.id == forgotten.id


async def test_giving_back_waits_for_nobody(pool: Pool, accept, customer) -> None:
    worker, _ = await hire(pool)
    busy, free = [await claimed(pool, accept, customer, worker) for _ in "12"]
    async with pool.acquire() as db, db.transaction():
        await db.execute("select 1 from tasks.task where id = $1 for update", busy.id)
        owned = await asyncio.wait_for(store.reconcile(pool, worker, []), 30)
    assert owned == {(busy.id, busy.epoch): False}
    assert await store.reconcile(pool, worker, []) == {}
    assert {job.id for job in await store.claim(pool, worker, 5)} == {busy.id, free.id}


async def test_cancel_before_the_start_releases_everything(pool: Pool, accept, customer) -> None:
    wish = customer.wants(100)
    await accept.accept(wish)
    mine = TaskQuery(wish.task_id, customer.team_id, live=False, key_id=customer.key_id)
    with pytest.raises(NotFound):
        await cancel(pool, TaskQuery(wish.task_id, customer.team_id + 1, live=False, key_id=customer.key_id))
    await cancel(pool, mine)
    assert await ledger.balance(pool, customer.team_id, live=False) == Balance(1000, 0)
    await cancel(pool, mine)  # the answer to the first may have been lost
    worker, _ = await hire(pool)
    assert await store.claim(pool, worker, 10) == []
    await clean(pool)


async def test_reads_see_their_team_their_mode_and_their_time(pool: Pool, accept, new_customer: Callable) -> None:
    acme, other = await new_customer(), await new_customer("other")
    wish = acme.wants()
    await accept.accept(wish)
    reader = Reader(pool, result_ttl_s=3600)
    mine = TaskQuery(wish.task_id, acme.team_id, live=False, key_id=acme.key_id)
    assert (await reader.read(mine)).status == "pending"
    assert (await reader.read(msgspec.structs.replace(mine, key_id=None))).status == "pending"  # somebody without a key
    for stranger in (
        TaskQuery(wish.task_id, other.team_id, live=False, key_id=None),
        TaskQuery(wish.task_id, other.team_id, live=False, key_id=other.key_id),
        TaskQuery(wish.task_id, acme.team_id, live=True, key_id=acme.key_id),
    ):
        with pytest.raises(NotFound):
            await reader.read(stranger)
    with pytest.raises(Unauthorized):
        await reader.read(TaskQuery(wish.task_id, acme.team_id, live=False, key_id=999))
    await cancel(pool, mine)
    view = await reader.read(mine)
    assert (view.status, view.error_code, view.captured) == ("failed", "canceled", None)
    await pool.execute("update tasks.task set finished_at = finished_at - $1::interval", timedelta(hours=2))
    with pytest.raises(NotFound):
        await reader.read(mine)


async def test_idempotency_keys_live_as_long_as_promised_and_their_task(pool: Pool, accept, customer) -> None:
    finished, unfinished = customer.wants(key="a"), customer.wants(key="b")
    await accept.accept(finished)
    await accept.accept(unfinished)
    await cancel(pool, TaskQuery(finished.task_id, customer.team_id, live=False, key_id=customer.key_id))
    assert await forget_idempotency_keys(pool, 3600) == 0
    await pool.execute("update tasks.idempotency set created_at = now() - interval '2 hours'")
    assert await forget_idempotency_keys(pool, 3600) == 1
    assert await pool.fetchval("select key from tasks.idempotency") == "b"


BROKEN = {
    "a hold without its task": "delete from tasks.task where state = 'queued'",
    "a task that ended without its money": """update tasks.task set state = 'failed', finished_at = now(),
        error_code = 'x' where state = 'queued'""",
    "a success nobody paid": """update tasks.task set state = 'succeeded', finished_at = now(), captured = 5
        where state = 'queued'""",
    "a slot that leaked": "update tasks.slot set running = running + 1",
    "a quote that was raised": "update tasks.task set quote = quote + 1",
}


@pytest.mark.parametrize("what", BROKEN)
async def test_verify_finds(pool: Pool, accept, customer, what: str) -> None:
    await accept.accept(customer.wants())
    await clean(pool)
    await pool.execute(BROKEN[what])
    async with pool.acquire() as db:
        assert await verify(db) != []


async def test_a_renewal_counts_the_workers_that_live(pool: Pool) -> None:
    first, _ = await hire(pool)
    second, _ = await hire(pool)
    assert await store.renew(pool, first, LEASE_S) == 2
    await store.renew(pool, second, -1)
    assert await store.renew(pool, first, LEASE_S) == 1
    await pool.execute("delete from tasks.worker where id = $1", first)
    assert await store.renew(pool, first, LEASE_S) == 0
