"""The ledger against a model of itself: random histories, and tampering that the audit must notice."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from uuid import UUID, uuid4

import asyncpg
import pytest
from tests.support import ledger_holds

from modellix_server import ledger
from modellix_server.base.database import Pool, connect
from modellix_server.ledger import Balance, InsufficientBalance

TEAM = 7


@dataclass
class Model:
    """What the ledger ought to say."""

    posted: int = 0
    holds: dict[UUID, int] = field(default_factory=dict)
    ended: list[UUID] = field(default_factory=list)

    @property
    def held(self) -> int:
        return sum(self.holds.values())


@pytest.fixture(autouse=True)
async def team(pool: Pool) -> None:
    await pool.execute("select ledger.open_team($1)", TEAM)


async def settle(db: Pool, task: UUID, capture: int) -> None:
    await db.execute("select ledger.settle($1, $2)", [task], [capture])


async def one_step(db: Pool, model: Model, dice: random.Random) -> None:
    amount = dice.choice([1, 3, 17, 250, 1000])
    match dice.choice(["credit", "correct", "hold", "settle", "settle", "settle again", "capture too much"]):
        case "credit":
            await ledger.credit(db, TEAM, amount, live=True, actor="tests", note=None)
            model.posted += amount
        case "correct" if model.posted - model.held >= amount:
            await ledger.credit(db, TEAM, -amount, live=True, actor="tests", note=None)
            model.posted -= amount
        case "correct":
            with pytest.raises(InsufficientBalance):
                await ledger.credit(db, TEAM, -amount, live=True, actor="tests", note=None)
        case "hold" if model.posted - model.held >= amount:
            task = uuid4()
            await ledger_holds.hold(db, TEAM, amount, task)
            model.holds[task] = amount
        case "hold":
            with pytest.raises(asyncpg.CheckViolationError):
                await ledger_holds.hold(db, TEAM, amount)
        case "settle" if model.holds:
            task = dice.choice(list(model.holds))
            capture = dice.choice([0, model.holds[task], dice.randint(0, model.holds[task])])
            await settle(db, task, capture)
            model.posted -= capture
            del model.holds[task]
            model.ended.append(task)
        case "settle again" if model.ended:
            with pytest.raises(asyncpg.PostgresError):
                await settle(db, dice.choice(model.ended), 0)
        case "capture too much" if model.holds:
            task = dice.choice(list(model.holds))
            with pytest.raises(asyncpg.PostgresError):
                await settle(db, task, model.holds[task] + 1)


@pytest.mark.parametrize("seed", range(12))
async def test_any_history_keeps_the_ledger(pool: Pool, seed: int) -> None:
    dice, model = random.Random(seed), Model()
    for _ in range(60):
        await one_step(pool, model, dice)
        assert await ledger.balance(pool, TEAM, live=True) == Balance(model.posted, model.held)
    async with pool.acquire() as db:
        assert await ledger.audit(db) == []


async def test_an_unknown_hold_cannot_be_settled(pool: Pool) -> None:
    with pytest.raises(asyncpg.NoDataFoundError):
        await settle(pool, uuid4(), 0)


TAMPERING = {
    "a balance raised": "update ledger.balance set posted = posted + 1 where live",
    "a hold forgotten": "update ledger.balance set held = 0 where live",
    "a transfer changed": "update ledger.transfer set amount = amount + 1 where kind = 'topup'",
    "a transfer removed": "delete from ledger.transfer where kind = 'capture'",
    "a top-up invented": """insert into ledger.transfer (team_id, live, kind, debit, credit, amount)
                            values (7, true, 'topup', 'funding', 'team', 5)""",
    "a hold given back by half": """update ledger.transfer set amount = amount - 1 where kind = 'release'""",
}


@pytest.mark.parametrize("what", TAMPERING)
async def test_the_audit_finds(pool: Pool, database, what: str) -> None:
    """Not even the owner of the tables rewrites history unseen."""
    await ledger.credit(pool, TEAM, 1000, live=True, actor="tests", note=None)
    done, unfinished = uuid4(), uuid4()
    await ledger_holds.hold(pool, TEAM, 100, done)
    await settle(pool, done, 60)
    await ledger_holds.hold(pool, TEAM, 50, unfinished)
    owner = await connect(database.owner_dsn, name="tests")
    assert await ledger.audit(owner) == []
    await owner.execute(TAMPERING[what])
    assert await ledger.audit(owner) != []
    await owner.close()
