"""The monitor reads what is new and knows everything; what is not surely complete it leaves for the next run."""

from __future__ import annotations

import random

import asyncpg
import pytest
from tests.support import ledger_holds
from tests.support.waiting import eventually

from modellix_server import ledger
from modellix_server.base.database import Pool, connect
from modellix_server.ledger import Finding, FrozenAccounts, monitor, seal
from modellix_server.ledger.monitor import find_discrepancies

TEAM, OTHER = 7, 8


@pytest.fixture(autouse=True)
async def teams(pool: Pool) -> None:
    for team in (TEAM, OTHER):
        await pool.execute("select ledger.open_team($1)", team)
        await ledger.credit(pool, team, 1000, live=True, actor="tests", note=None)


@pytest.fixture
async def owner(database):
    connection = await connect(database.owner_dsn, name="tests")
    yield connection
    await connection.close()


async def carry(pool: Pool, most: int = 1000) -> tuple[int, int]:
    async with pool.acquire() as db, db.transaction():
        assert await monitor.begin(db)
        return await monitor.carry(db, most)


async def carry_complete(pool: Pool, most: int = 1000) -> tuple[int, int]:
    """The same, once nothing else in this PostgreSQL, autovacuum say, has a transaction that is older."""

    async def step() -> tuple[int, int] | None:
        found = await carry(pool, most)
        return found if found[0] else None

    found: tuple[int, int] = await eventually(step)
    return found


async def up_to(pool: Pool) -> int:
    return await pool.fetchval("select up_to from ledger.checkpoint")


async def test_what_is_complete_is_carried_once_and_in_steps(pool: Pool) -> None:
    for _ in range(8):
        await ledger_holds.hold(pool, TEAM, 1)
    assert await carry(pool, 4) == (0, 10)  # the first run only takes note of where to go
    assert await carry_complete(pool, 4) == (4, 6)
    assert await find_discrepancies(pool) == []
    assert await carry_complete(pool, 4) == (4, 2)
    assert await carry_complete(pool, 4) == (2, 0)
    assert await carry(pool, 4) == (0, 0)
    assert await find_discrepancies(pool) == []
    totals = await pool.fetch("select team_id, posted, held from ledger.total where live order by team_id")
    assert [tuple(row) for row in totals] == [(TEAM, 1000, 8), (OTHER, 1000, 0)]


async def test_numbers_that_are_committed_late_are_waited_for(pool: Pool) -> None:
    """A transaction takes a number and is slow; later numbers are there before it is."""
    async with pool.acquire() as slow, slow.transaction():
        await ledger_holds.hold(slow, TEAM, 30)
        await ledger_holds.hold(pool, OTHER, 50)
        assert await carry(pool) == (0, 4)
        assert await carry(pool) == (0, 4)
        assert await find_discrepancies(pool) == []
    assert await carry_complete(pool) == (4, 0)
    assert await find_discrepancies(pool) == []
    assert await pool.fetchval("select held from ledger.total where team_id = $1 and live", TEAM) == 30


async def test_a_random_history_is_always_right(pool: Pool) -> None:
    dice, open_holds = random.Random(24), []
    for _ in range(120):
        match dice.choice(["hold", "hold", "settle", "credit", "carry", "carry"]):
            case "hold":
                open_holds.append((await ledger_holds.hold(pool, TEAM, dice.randint(0, 3)), 0))
            case "settle" if open_holds:
                task, _ = open_holds.pop(dice.randrange(len(open_holds)))
                await pool.execute("select ledger.settle($1, $2)", [task], [0])
            case "credit":
                await ledger.credit(pool, OTHER, dice.choice([-1, 5]), live=True, actor="tests", note=None)
            case "carry":
                await carry(pool, dice.choice([1, 3, 50]))
        assert await find_discrepancies(pool) == []
    assert await up_to(pool) > 0


TAMPERING = {
    "a balance raised": "update ledger.balance set posted = posted + 1 where live and team_id = 7",
    "a hold forgotten": "update ledger.balance set held = 0 where live and team_id = 7",
    "a top-up invented": """insert into ledger.transfer (team_id, live, kind, debit, credit, amount)
                            values (7, true, 'topup', 'funding', 'team', 5)""",
    "a balance lost": "delete from ledger.balance where live and team_id = 7",
    "a total raised": "update ledger.total set posted = posted + 1 where live and team_id = 7",
}


@pytest.mark.parametrize("carried", [False, True], ids=["new", "carried"])
@pytest.mark.parametrize("what", TAMPERING)
async def test_a_look_finds(pool: Pool, owner, what: str, carried: bool) -> None:
    await ledger_holds.hold(pool, TEAM, 100)
    await carry(pool)
    if carried or "total" in what:
        await carry_complete(pool)
    assert await find_discrepancies(pool) == []
    await owner.execute(TAMPERING[what])
    (found,) = await find_discrepancies(pool)
    assert (found.team_id, found.live) == (TEAM, True)
    assert await ledger.audit(owner) != [] or "total" in what


async def test_transfers_that_are_gone_are_everybodys_matter(pool: Pool, owner) -> None:
    await carry(pool)
    await carry_complete(pool)
    await owner.execute("delete from ledger.transfer")
    assert [(one.team_id, one.live) for one in await find_discrepancies(pool)] == [
        (monitor.ALL_TEAMS, True),
        (monitor.ALL_TEAMS, False),
    ]


async def test_one_looks_at_a_time_and_first_thing_in_its_transaction(pool: Pool) -> None:
    async with pool.acquire() as one, one.transaction():
        assert await monitor.begin(one)
        async with pool.acquire() as two, two.transaction():
            assert not await monitor.begin(two)
    async with pool.acquire() as db, db.transaction():
        await ledger_holds.hold(db, TEAM, 1)
        with pytest.raises(asyncpg.RaiseError, match="first in its transaction"):
            await monitor.carry(db, 10)


async def test_a_mark_from_another_server_is_begun_anew(pool: Pool, owner) -> None:
    """A restored database knows transaction numbers that its new server has not reached."""
    await owner.execute("update ledger.checkpoint set ahead = 2, ahead_xid = '9000000000000'")
    assert await carry(pool) == (0, 2)
    assert await carry_complete(pool) == (2, 0)


async def test_the_application_moves_no_mark_and_no_total(pool: Pool) -> None:
    for statement in (
        "update ledger.checkpoint set up_to = 0",
        "update ledger.total set posted = 0",
        "insert into ledger.total (team_id, live, posted, held) values (1, true, 0, 0)",
        "delete from ledger.total",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await pool.execute(statement)


async def test_an_account_is_restated_from_its_transfers(pool: Pool, owner) -> None:
    await ledger_holds.hold(pool, TEAM, 100)
    await carry(pool)
    await carry_complete(pool)
    await ledger_holds.hold(pool, TEAM, 20)
    await owner.execute("update ledger.balance set posted = 5000, held = 0 where live and team_id = 7")
    await owner.execute("update ledger.total set posted = 1 where live and team_id = 7")
    async with pool.acquire() as db, db.transaction():
        await monitor.begin(db, wait=True)
        await monitor.restate(db, TEAM, live=True)
    assert await ledger.balance(pool, TEAM, live=True) == ledger.Balance(1000, 120)
    assert await find_discrepancies(pool) == []


async def test_frozen_accounts_are_known_in_memory(pool: Pool) -> None:
    frozen = FrozenAccounts(pool)
    await frozen.refresh()
    assert not frozen.holds(TEAM, True)
    async with pool.acquire() as db:
        assert await monitor.freeze(db, Finding(TEAM, True, "odd"))
        assert not await monitor.freeze(db, Finding(TEAM, True, "odder"))
        await frozen.refresh()
        assert frozen.holds(TEAM, True)
        assert not frozen.holds(TEAM, False)
        assert not frozen.holds(OTHER, True)
        assert await monitor.freeze(db, Finding(monitor.ALL_TEAMS, False, "gone"))
        await frozen.refresh()
        assert frozen.holds(OTHER, False)
        assert not frozen.holds(OTHER, True)
        assert await monitor.unfreeze(db, TEAM, live=True)
        assert not await monitor.unfreeze(db, TEAM, live=True)
        await frozen.refresh()
        assert not frozen.holds(TEAM, True)


async def test_a_seal_is_due_once_an_hour_or_when_there_is_much(pool: Pool, owner, monkeypatch) -> None:
    await carry(pool)
    await carry_complete(pool)
    async with pool.acquire() as db:
        assert await seal.due(db) is None  # the last one is not an hour old
        await owner.execute("update ledger.checkpoint set sealed_at = now() - interval '61 minutes'")
        made = await seal.due(db)
        assert made is not None
        assert (made.after, made.up_to, made.count) == (0, 2, 2)
        await seal.noted(db, made)
        assert await seal.due(db) is None
        await ledger_holds.hold(pool, TEAM, 1)
        assert await seal.due(db) is None  # not yet known to be complete
        await carry(pool)
        await carry_complete(pool)
        assert await seal.due(db) is None
        monkeypatch.setattr(seal, "_MOST", 1)
        made = await seal.due(db)
        assert made is not None
        assert (made.after, made.up_to) == (2, 3)


CHANGES = {
    "the amount": "amount = amount + 1",
    "the time": "at = at + interval '1 microsecond'",
    "the team": "team_id = 9",
    "the mode": "live = false",
    "who did it": "actor = 'somebody'",
    "why": "note = 'because'",
    "the key": "key_id = 3",
}


@pytest.mark.parametrize("what", CHANGES)
async def test_a_seal_is_about_every_field(pool: Pool, owner, what: str) -> None:
    async with pool.acquire() as db:
        before = await seal.of(db, 0, 2)
        assert await seal.of(db, 0, 2) == before
        await owner.execute(f"update ledger.transfer set {CHANGES[what]} where id = 2")
        assert (await seal.of(db, 0, 2)).digest != before.digest
