"""Budgets in the accept transaction: never exceeded, never leaked, and the refusal names them."""

from __future__ import annotations

import asyncio
import random
from collections import Counter

import asyncpg
import msgspec
import pytest

from modellix_server import budgets, identity, ledger
from modellix_server.base.database import Pool
from modellix_server.base.team_mode import TeamMode
from modellix_server.budgets import Budget, BudgetExceeded, BudgetLimit
from modellix_server.ledger import InsufficientBalance
from modellix_server.tasks import Submissions
from modellix_server.tasks.submit import Accepted, as_columns
from modellix_server.tasks.verify import look, verify


async def limit(pool: Pool, team_id: int, key_id: int | None, amount: int | None, period: str = "daily") -> None:
    async with pool.acquire() as db, db.transaction():
        wanted = None if amount is None else BudgetLimit(amount, period)
        await budgets.put(db, TeamMode(team_id, live=False), key_id, wanted)


async def of_key(pool: Pool, key_id: int) -> Budget:
    return (await budgets.of_keys(pool, [key_id]))[key_id]


async def clean(pool: Pool) -> None:
    async with pool.acquire() as db:
        assert await verify(db) == []
        assert await look(db) == []


async def offer(apis: list[Submissions], wishes: list) -> list:
    calls = (apis[n % len(apis)].accept(wish) for n, wish in enumerate(wishes))
    return await asyncio.gather(*calls, return_exceptions=True)


@pytest.mark.parametrize("whose", ["key", "team"])
async def test_forty_at_once_on_a_budget_for_ten(pool: Pool, database, new_customer, whose: str) -> None:
    """In one batch (one process) and in many (two processes)."""
    for processes in (1, 2):
        acme = await new_customer(f"{whose} {processes}", micros=100_000)
        await limit(pool, acme.team_id, acme.key_id if whose == "key" else None, 1000)
        pools = [await asyncpg.create_pool(database.app_dsn, min_size=2, max_size=2) for _ in range(processes)]
        apis = [Submissions(each, asyncio.Event()) for each in pools]
        answers = await offer(apis, [acme.wants(100) for _ in range(40)])
        assert Counter(type(answer) for answer in answers) == {Accepted: 10, BudgetExceeded: 30}
        refusal = next(answer for answer in answers if isinstance(answer, BudgetExceeded))
        owner = "this API key" if whose == "key" else "the team"
        assert refusal.message.startswith(f"Budget exceeded: insufficient budget of {owner} (")
        assert "00:00 UTC" in refusal.message
        assert (await ledger.balance(pool, acme.team_id, live=False)).held == 1000
        for each in pools:
            await each.close()
    await clean(pool)


async def test_another_key_of_the_team_is_not_held_up(pool: Pool, settings, new_customer) -> None:
    acme = await new_customer(micros=100_000)
    _, other = await identity.create_key(pool, settings.secret, acme.team_id, live=False, name="b", created_by="t")
    await limit(pool, acme.team_id, acme.key_id, 300)
    wishes = [who.wants(100) for _ in range(5) for who in (acme, acme.with_key(other.id))]
    answers = await offer([Submissions(pool, asyncio.Event())], wishes)
    assert Counter(type(answer) for answer in answers[::2]) == {Accepted: 3, BudgetExceeded: 2}
    assert Counter(type(answer) for answer in answers[1::2]) == {Accepted: 5}
    await clean(pool)


async def test_an_empty_balance_is_told_before_a_spent_budget(pool: Pool, new_customer) -> None:
    acme = await new_customer(micros=100)
    await limit(pool, acme.team_id, acme.key_id, 50)
    with pytest.raises(InsufficientBalance):
        await Submissions(pool, asyncio.Event()).accept(acme.wants(200))


async def test_use_belongs_to_the_period_of_its_acceptance(pool: Pool, database, new_customer) -> None:
    acme = await new_customer(micros=100_000)
    submissions = Submissions(pool, asyncio.Event())
    await limit(pool, acme.team_id, acme.key_id, 100)
    task = (await submissions.accept(acme.wants(100))).task_id
    owner = await asyncpg.connect(database.owner_dsn)
    for table in ("use", "charge"):  # as if it was accepted yesterday
        await owner.execute(f"update budgets.{table} set starts = starts - interval '1 day'")
    await owner.close()
    assert (await of_key(pool, acme.key_id)).left == 100
    await submissions.accept(acme.wants(60))
    await settle(pool, [task], [30])
    now = await of_key(pool, acme.key_id)
    assert (now.held, now.used, now.left) == (60, 0, 40)
    await clean(pool)


async def settle(pool: Pool, tasks: list, captures: list[int]) -> None:
    """End these tasks as a worker does."""
    rows = await pool.fetch("select id, epoch, team_id, live from tasks.task where id = any ($1::uuid[])", tasks)
    known = {row["id"]: row for row in rows}
    endings = ",".join(
        f'{{"capture":{capture}}}' if capture else '{"error_code":"deadline","error_message":"late"}'
        for capture in captures
    )
    ended = await pool.fetchval(
        "select tasks.settle(null, $1, $2, $3, $4, $5, $6, 60)",
        tasks,
        [known[task]["epoch"] for task in tasks],
        ["queued"] * len(tasks),
        [known[task]["team_id"] for task in tasks],
        [known[task]["live"] for task in tasks],
        f"[{endings}]",
    )
    assert len(ended) == len(tasks)


async def test_any_order_of_accept_settle_and_change_adds_up(pool: Pool, settings, new_customer) -> None:
    rng = random.Random(11)
    acme = await new_customer(micros=1_000_000)
    _, other = await identity.create_key(pool, settings.secret, acme.team_id, live=False, name="b", created_by="t")
    keys, submissions, running = [acme, acme.with_key(other.id)], Submissions(pool, asyncio.Event()), []
    for step in range(60):
        match rng.randrange(4):
            case 0 | 1:
                wishes = [rng.choice(keys).wants(rng.randrange(0, 200)) for _ in range(rng.randrange(1, 8))]
                answers = await offer([submissions], wishes)
                running += [(w.task_id, w.quote) for w, a in zip(wishes, answers, strict=True) if type(a) is Accepted]
            case 2:
                rng.shuffle(running)
                ending, running = running[:3], running[3:]
                if ending:
                    await settle(pool, [t for t, _ in ending], [rng.randrange(0, quote + 1) for _, quote in ending])
            case 3:
                whose = rng.choice([*(one.key_id for one in keys), None])
                await limit(pool, acme.team_id, whose, rng.choice([None, 300, 900]), rng.choice(budgets.PERIODS))
        if step % 10 == 9:
            await clean(pool)
    await settle(pool, [t for t, _ in running], [quote // 2 for _, quote in running])
    await clean(pool)
    assert await pool.fetchval("select sum(held) from budgets.use") == 0


async def test_a_use_that_differs_is_found_by_the_monitor(pool: Pool, database, new_customer) -> None:
    acme = await new_customer(micros=1000)
    await limit(pool, acme.team_id, acme.key_id, 500)
    await Submissions(pool, asyncio.Event()).accept(acme.wants(100))
    owner = await asyncpg.connect(database.owner_dsn)
    await owner.execute("update budgets.use set held = 0")
    await owner.close()
    async with pool.acquire() as db:
        assert [one.team_id for one in await look(db)] == [acme.team_id]
        assert any("budget" in finding for finding in await verify(db))


async def test_what_a_user_submits_counts_in_the_teams_budget_only(pool: Pool, new_customer) -> None:
    acme = await new_customer(micros=100_000)
    await limit(pool, acme.team_id, acme.key_id, 100)
    await limit(pool, acme.team_id, None, 300)
    wishes = [msgspec.structs.replace(acme.wants(100), key_id=None, actor="user:7") for _ in range(4)]
    answers = await offer([Submissions(pool, asyncio.Event())], wishes)
    assert Counter(type(answer) for answer in answers) == {Accepted: 3, BudgetExceeded: 1}
    assert (await of_key(pool, acme.key_id)).left == 100
    refused = await asyncio.gather(Submissions(pool, asyncio.Event()).accept(acme.wants(100)), return_exceptions=True)
    assert "insufficient budget of the team" in refused[0].message
    await clean(pool)


async def test_one_batch_is_judged_by_what_is_left(pool: Pool, settings, new_customer) -> None:
    """By itself, not by the function that would fail as a whole."""
    acme = await new_customer(micros=100_000)
    _, other = await identity.create_key(pool, settings.secret, acme.team_id, live=False, name="b", created_by="t")
    free = acme.with_key(other.id)
    await limit(pool, acme.team_id, acme.key_id, 250)
    wishes = [acme.wants(100), free.wants(100), acme.wants(300), acme.wants(100), free.wants(900), acme.wants(100)]
    judged = await pool.fetchval("select verdicts from tasks.accept($1)", as_columns(wishes))
    assert judged == ["accepted", "accepted", "insufficient", "again", "accepted", "again"]
    judged = await pool.fetchval("select verdicts from tasks.accept($1)", as_columns([wishes[3]]))
    assert judged == ["accepted"]
    judged = await pool.fetchval("select verdicts from tasks.accept($1)", as_columns([wishes[5]]))
    assert judged == ["insufficient"]
    await clean(pool)


async def test_old_charges_are_forgotten_and_what_they_cost_is_not(pool: Pool, database, new_customer) -> None:
    acme = await new_customer(micros=100_000)
    await limit(pool, acme.team_id, acme.key_id, 1000, "none")
    await limit(pool, acme.team_id, None, 1000, "daily")
    submissions = Submissions(pool, asyncio.Event())
    tasks = [(await submissions.accept(acme.wants(100))).task_id for _ in range(4)]
    await settle(pool, tasks[:3], [60, 0, 100])
    assert await budgets.forget_old(pool, 3600) == 0
    assert await budgets.forget_old(pool, -1) == 6, "not those of the task that runs"
    await clean(pool)
    now = await of_key(pool, acme.key_id)
    assert (now.held, now.used, now.left) == (100, 160, 740)
    owner = await asyncpg.connect(database.owner_dsn)
    daily = "budget_id = (select id from budgets.budget where period = 'daily')"
    for table in ("use", "charge"):  # as if it was accepted last week
        await owner.execute(f"update budgets.{table} set starts = starts - interval '7 days' where {daily}")
    await budgets.forget_old(pool, -1)
    assert await pool.fetchval(f"select held from budgets.use where {daily}") == 100
    await settle(pool, tasks[3:], [10])
    assert await budgets.forget_old(pool, -1) == 2
    assert await pool.fetchval(f"select count(*) from budgets.use where {daily}") == 0
    assert (await of_key(pool, acme.key_id)).used == 170
    await owner.execute("update budgets.use set used = used + 1")
    await owner.close()
    async with pool.acquire() as db:
        assert any("its charges say 0 and 170" in finding for finding in await verify(db))
        async with db.transaction():
            await db.execute("select budgets.rebuild($1, false)", acme.team_id)
    await clean(pool)
