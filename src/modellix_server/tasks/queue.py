"""How the queue is doing, for those who watch over it."""

from __future__ import annotations

from dataclasses import dataclass

from modellix_server.base.database import Connection, Pool


@dataclass(frozen=True, slots=True)
class QueueNow:
    """The queue at one moment, over all teams and workers."""

    due: int
    oldest_s: float
    unfinished: int
    workers: int


async def queue_now(db: Pool | Connection) -> QueueNow:
    """Look at it; what is due is counted by its index, what is unfinished by the teams' slots."""
    row = await db.fetchrow(
        """select count(*), coalesce(extract(epoch from now() - min(due_at)), 0)::float8,
               (select coalesce(sum(running + waiting), 0) from tasks.slot)::bigint,
               (select count(*) from tasks.worker where lease_until > now())
           from tasks.task where owner is null and finished_at is null and due_at <= now()"""
    )
    assert row is not None
    return QueueNow(*row)


async def open_team(db: Connection, team_id: int) -> None:
    """Give a new team its slots, in both modes."""
    await db.execute("select tasks.open_team($1)", team_id)
