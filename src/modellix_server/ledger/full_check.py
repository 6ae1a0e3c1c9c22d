"""Checks of the whole ledger that operators ask for: at most one waits or runs at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from modellix_server.base.database import Connection, Pool

MOST_KEPT = 100
_LOCK = 0x6D6C7866
_COLUMNS = "id, asked_at, asked_by, origin, steps, done, begun_at, ended_at, found, findings, failed"


@dataclass(frozen=True, slots=True)
class FullCheck:
    """One check, and how far it has come."""

    id: int
    asked_at: datetime
    asked_by: str
    """The actor, as the audit log names it."""
    origin: str
    steps: int
    done: int
    begun_at: datetime | None
    """When a worker took it up."""
    ended_at: datetime | None
    found: int | None
    """How many things do not add up."""
    findings: list[str] | None
    """The first MOST_KEPT of them."""
    failed: str | None
    """Why it came to no end."""


async def ask(tx: Connection, actor: str, origin: str, steps: int) -> bool:
    """Ask for a check; False where one waits or runs."""
    number = await tx.fetchval(
        """insert into ledger.full_check (asked_by, origin, steps) values ($1, $2, $3)
           on conflict ((true)) where ended_at is null do nothing returning id""",
        *(actor, origin, steps),
    )
    return number is not None


async def latest(db: Pool | Connection, *, ended: bool | None = None) -> FullCheck | None:
    """The latest check: of all, of those that have ended, or of those that have not."""
    row = await db.fetchrow(
        f"""select {_COLUMNS} from ledger.full_check
            where $1::boolean is null or (ended_at is not null) = $1 order by id desc limit 1""",  # noqa: S608
        ended,
    )
    return FullCheck(*row) if row else None


async def lock(db: Connection) -> bool:
    """Be the one that makes checks until this connection closes; False where another one is."""
    got: bool = await db.fetchval("select pg_try_advisory_lock($1)", _LOCK)
    return got


async def begin(db: Pool, check_id: int) -> None:
    """A worker takes it up, from the start."""
    await db.execute("update ledger.full_check set begun_at = now(), done = 0 where id = $1", check_id)


async def step(db: Pool, check_id: int) -> None:
    """One step more is done."""
    await db.execute("update ledger.full_check set done = done + 1 where id = $1", check_id)


async def end(tx: Connection, check_id: int, findings: Sequence[str]) -> None:
    """It has ended, and found this."""
    await tx.execute(
        "update ledger.full_check set ended_at = now(), done = steps, found = $2, findings = $3 where id = $1",
        *(check_id, len(findings), findings[:MOST_KEPT]),
    )


async def fail(db: Pool, check_id: int, why: str) -> None:
    """It came to no end."""
    await db.execute("update ledger.full_check set ended_at = now(), failed = $2 where id = $1", check_id, why)
