"""Guards of the ledger that stand behind one another, each tried without the one in front of it."""

from __future__ import annotations

from uuid import uuid4

import asyncpg
import pytest
from tests.support import ledger_holds

from modellix_server import ledger
from modellix_server.base.database import Pool, connect
from modellix_server.ledger import Balance

TEAM = 7


@pytest.fixture(autouse=True)
async def team(pool: Pool) -> None:
    await pool.execute("select ledger.open_team($1)", TEAM)
    await ledger.credit(pool, TEAM, 1000, live=True, actor="tests", note=None)


async def test_a_hold_fits_without_the_table_s_check(pool: Pool, database) -> None:
    owner = await connect(database.owner_dsn, name="tests")
    (name,) = [
        row["conname"]
        for row in await owner.fetch("select conname, pg_get_constraintdef(oid) as said from pg_constraint "
                                     "where conrelid = 'ledger.balance'::regclass and contype = 'c'")
        if "posted" in row["said"]
    ]  # fmt: skip
    await owner.execute(f"alter table ledger.balance drop constraint {name}")
    await owner.close()
    await ledger_holds.hold(pool, TEAM, 1000)
    with pytest.raises(asyncpg.CheckViolationError):
        await ledger_holds.hold(pool, TEAM, 1)
    assert await ledger.balance(pool, TEAM, live=True) == Balance(1000, 1000)


async def test_one_hold_a_task(pool: Pool) -> None:
    task = uuid4()
    await ledger_holds.hold(pool, TEAM, 10, task)
    with pytest.raises(asyncpg.UniqueViolationError):
        await ledger_holds.hold(pool, TEAM, 10, task)
    assert await ledger.balance(pool, TEAM, live=True) == Balance(1000, 10)


async def test_a_hold_ends_once_whatever_it_was_ended_by(pool: Pool) -> None:
    """A capture of all of it, then a release: two entries of different kinds, and money enough for both."""
    task, other = uuid4(), uuid4()
    await ledger_holds.hold(pool, TEAM, 100, task)
    await ledger_holds.hold(pool, TEAM, 100, other)
    await pool.execute("select ledger.settle($1, $2)", [task], [100])
    with pytest.raises(asyncpg.UniqueViolationError):
        await pool.execute("select ledger.settle($1, $2)", [task], [0])
    assert await ledger.balance(pool, TEAM, live=True) == Balance(900, 100)
