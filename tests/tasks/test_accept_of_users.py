"""Accepting what signed-in users submit: without a key, in their own name, in one round trip as any other."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable

import msgspec
import pytest

from modellix_server import ledger
from modellix_server.base.database import Pool
from modellix_server.base.errors import Unauthorized
from modellix_server.base.team_mode import TeamMode
from modellix_server.ledger import InsufficientBalance
from modellix_server.tasks import Submission, Submissions, TaskFilter, list_tasks
from modellix_server.tasks.errors import ConcurrencyExceeded
from modellix_server.tasks.usage_sums import UsageFilter, usage_sums
from modellix_server.tasks.verify import verify


@pytest.fixture
def submissions(pool: Pool) -> Submissions:
    return Submissions(pool, asyncio.Event())


def by_user(wish: Submission, actor: str | None = "user:7") -> Submission:
    return msgspec.structs.replace(wish, key_id=None, slots=None, actor=actor)


async def test_task_and_ledger_name_the_user(pool: Pool, submissions, new_customer: Callable) -> None:
    acme = await new_customer()
    wish = by_user(acme.wants(100))
    await submissions.accept(wish)
    async with pool.acquire() as db:
        assert await verify(db) == []
        (listed,) = (await list_tasks(db, TeamMode(acme.team_id, live=False), TaskFilter(), after=None, most=5)).rows
        await db.execute("select ledger.settle($1, $2)", [wish.task_id], [60])
        transfers = await ledger.transfers_of_task(db, wish.task_id)
    assert (listed.id, listed.key_id, listed.actor) == (wish.task_id, None, "user:7")
    assert [(one.kind, one.amount, one.key_id, one.actor) for one in transfers] == [
        ("hold", 100, None, "user:7"),
        ("capture", 60, None, "user:7"),
        ("release", 40, None, "user:7"),
    ]


async def test_without_a_key_only_a_named_user_submits(pool: Pool, submissions, new_customer: Callable) -> None:
    acme = await new_customer()
    with pytest.raises(Unauthorized):
        await submissions.accept(by_user(acme.wants(), actor=None))
    with pytest.raises(Unauthorized):
        await submissions.accept(msgspec.structs.replace(acme.wants(), key_id=10**9, actor="user:7"))
    assert await pool.fetchval("select count(*) from tasks.task") == 0


async def test_users_and_keys_share_one_balance(pool: Pool, submissions, new_customer: Callable) -> None:
    acme = await new_customer(micros=1000)
    await pool.execute("insert into limits.team_limit (team_id, concurrency) values ($1, 100)", acme.team_id)
    wishes = [acme.wants(100) if n % 2 else by_user(acme.wants(100)) for n in range(40)]
    answers = await asyncio.gather(*map(submissions.accept, wishes), return_exceptions=True)
    assert Counter(isinstance(one, InsufficientBalance) for one in answers) == {True: 30, False: 10}
    async with pool.acquire() as db:
        assert await verify(db) == []


async def test_the_limit_of_a_team_is_its_present_one(pool: Pool, submissions, new_customer: Callable) -> None:
    acme = await new_customer(micros=10_000)
    answers = await asyncio.gather(
        *(submissions.accept(by_user(acme.wants(100))) for _ in range(9)), return_exceptions=True
    )
    assert Counter(isinstance(one, ConcurrencyExceeded) for one in answers) == {True: 6, False: 3}
    await pool.execute("insert into limits.team_limit (team_id, concurrency) values ($1, 4)", acme.team_id)
    await submissions.accept(by_user(acme.wants(100)))


async def test_use_by_key_counts_what_users_submitted(pool: Pool, submissions, new_customer: Callable) -> None:
    acme = await new_customer()
    await asyncio.gather(submissions.accept(acme.wants(100)), submissions.accept(by_user(acme.wants(100))))
    await pool.execute("update tasks.task set state = 'failed', error_code = 'deadline', finished_at = now()")
    await pool.execute("select ledger.settle(array_agg(id), array_agg(0)) from tasks.task")
    async with pool.acquire() as db, db.transaction(isolation="repeatable_read"):
        found = await usage_sums(db, TeamMode(acme.team_id, live=False), UsageFilter(), ("key",))
    assert {name: one.failed for name, one in found.by["key"].groups.items()} == {"": 1, str(acme.key_id): 1}
