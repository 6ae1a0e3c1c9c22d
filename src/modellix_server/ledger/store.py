"""All SQL of the ledger outside its functions."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg

from modellix_server.base.database import Connection, Pool
from modellix_server.base.errors import PlatformError
from modellix_server.base.money import usd


class InsufficientBalance(PlatformError):
    """The team's available money does not cover the amount."""

    status, category, code = 402, "Insufficient balance", "insufficient_balance"


# Each query returns one row a violation: L1 and L2 of the promises, and the entries of each task (L5).
_BALANCES_DIFFER = """
    select b.team_id, b.live, b.posted, b.held, t.posted as posted_by_transfers, t.held as held_by_transfers
    from ledger.balance b full join (
        select team_id, live,
            sum(case kind when 'topup' then amount
                          when 'capture' then -amount
                          when 'adjust' then case credit when 'team' then amount else -amount end
                          else 0 end) as posted,
            sum(case when credit = 'held' then amount when debit = 'held' then -amount else 0 end) as held
        from ledger.transfer group by team_id, live
    ) t using (team_id, live)
    where coalesce(b.posted, 0) <> coalesce(t.posted, 0) or coalesce(b.held, 0) <> coalesce(t.held, 0)
"""
_ENTRIES_DIFFER = """
    select sum(signed) as total from (
        select credit as account, amount as signed from ledger.transfer
        union all select debit, -amount from ledger.transfer) entries
    having sum(signed) <> 0
"""
_HOLDS_DIFFER = """
    select task_id,
        sum(amount) filter (where kind = 'hold') as held,
        coalesce(sum(amount) filter (where kind <> 'hold'), 0) as ended,
        count(*) filter (where closes) as closings
    from ledger.transfer where task_id is not null group by task_id
    having count(*) filter (where kind = 'hold') <> 1
        or (count(*) filter (where kind <> 'hold') > 0) <> (count(*) filter (where closes) = 1)
        or coalesce(sum(amount) filter (where kind <> 'hold'), 0)
            not in (0, sum(amount) filter (where kind = 'hold'))
"""

CHECKS = 3
"""How many `checks` there are."""


@dataclass(frozen=True, slots=True)
class Balance:
    """A team's money in one mode, in micro-dollars."""

    posted: int
    held: int

    @property
    def available(self) -> int:
        """What a new task may hold."""
        return self.posted - self.held


@dataclass(frozen=True, slots=True)
class Transfer:
    """One entry; `amount` in micro-dollars moves from the account `debit` to the account `credit`."""

    id: int
    at: datetime
    kind: str
    debit: str
    credit: str
    amount: int
    task_id: UUID | None
    key_id: int | None
    actor: str | None
    note: str | None

    @property
    def change(self) -> int:
        """What it does to what is available, in micro-dollars; nothing where held money is charged."""
        if self.credit == "team":
            return self.amount
        return -self.amount if self.debit == "team" else 0


async def open_team(db: Connection, team_id: int) -> None:
    """Create the balances of a new team, zero in both modes."""
    await db.execute("select ledger.open_team($1)", team_id)


async def balance(db: Pool | Connection, team_id: int, *, live: bool) -> Balance:
    """The stored balance; zero for a team without one."""
    row = await db.fetchrow("select posted, held from ledger.balance where team_id = $1 and live = $2", team_id, live)
    return Balance(row["posted"], row["held"]) if row else Balance(0, 0)


async def balances(db: Pool | Connection, team_ids: Sequence[int]) -> dict[tuple[int, bool], int]:
    """What these teams can spend, in micro-dollars, by team and mode (True: live)."""
    rows = await db.fetch(
        "select team_id, live, posted - held from ledger.balance where team_id = any ($1::bigint[])", team_ids
    )
    return {(team_id, live): available for team_id, live, available in rows}


async def credit(db: Pool | Connection, team_id: int, micros: int, *, live: bool, actor: str, note: str | None) -> int:
    """Add money, or remove it as a correction if negative; returns what is available then, in micro-dollars.

    Raises InsufficientBalance when a correction exceeds what is available, LookupError for an unknown team.
    """
    return await _move(db, "ledger.credit", team_id, micros, live=live, actor=actor, note=note)


async def adjust(db: Connection, team_id: int, micros: int, *, live: bool, actor: str, note: str) -> int:
    """Correct a balance, upwards if positive; returns what is available then, in micro-dollars.

    Raises InsufficientBalance when it takes more than is available, LookupError for an unknown team.
    """
    return await _move(db, "ledger.adjust", team_id, micros, live=live, actor=actor, note=note)


async def _move(
    db: Pool | Connection, function: str, team_id: int, micros: int, *, live: bool, actor: str, note: str | None
) -> int:
    try:
        available: int = await db.fetchval(
            f"select {function}($1, $2, $3, $4, $5)",
            *(team_id, live, micros, actor, note),
        )
    except asyncpg.CheckViolationError:
        raise InsufficientBalance(f"less than {usd(-micros)} USD is available") from None
    except asyncpg.NoDataFoundError:
        raise LookupError(f"team {team_id} has no balance") from None
    return available


async def lock_balance(db: Connection, team_id: int, *, live: bool) -> Balance:
    """The stored balance, which nobody else changes before this transaction ends."""
    await db.execute("select ledger.lock(array[$1::bigint], array[$2::boolean])", team_id, live)
    return await balance(db, team_id, live=live)


async def last_funding(db: Pool | Connection, team_id: int, *, live: bool) -> int:
    """The number of the latest transfer that brought money in or corrected it; 0 without one."""
    number: int | None = await db.fetchval(
        """select id from ledger.transfer where team_id = $1 and live = $2 and kind in ('topup', 'adjust')
           order by id desc limit 1""",
        team_id,
        live,
    )
    return number or 0


async def transfers_of_task(db: Pool | Connection, task_id: UUID) -> list[Transfer]:
    """Every entry of one task, oldest first."""
    rows = await db.fetch(
        """select id, at, kind, debit, credit, amount, task_id, key_id, actor, note
           from ledger.transfer where task_id = $1 order by id""",
        task_id,
    )
    return [Transfer(*row) for row in rows]


async def checks(db: Connection) -> AsyncIterator[list[str]]:
    """Describe every inconsistency of the ledger, one of CHECKS after another.

    Requires a REPEATABLE READ transaction, so that all checks read one snapshot.
    """
    yield [
        f"team {row['team_id']} ({'live' if row['live'] else 'test'}): balance says posted {row['posted']} and held "
        f"{row['held']}, its transfers say {row['posted_by_transfers']} and {row['held_by_transfers']}"
        for row in await db.fetch(_BALANCES_DIFFER)
    ]
    yield [f"debits and credits differ by {row['total']}" for row in await db.fetch(_ENTRIES_DIFFER)]
    yield [
        f"task {row['task_id']}: held {row['held']}, ended {row['ended']} in {row['closings']} closings"
        for row in await db.fetch(_HOLDS_DIFFER)
    ]


async def audit(db: Connection) -> list[str]:
    """All of them together; empty if there is none."""
    return [finding async for found in checks(db) for finding in found]
