"""The whole story of a task, for the operator: moves, attempts, the vendor's words, reviews."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from modellix_server.base.database import Connection, Pool
from modellix_server.ledger import Transfer, transfers_of_task


@dataclass(frozen=True, slots=True)
class TaskHistory:
    """Rows as they stand in the database; `task` has every column of the task."""

    task: dict[str, Any]
    moves: list[dict[str, Any]]
    attempts: list[dict[str, Any]]
    reviews: list[dict[str, Any]]
    transfers: list[Transfer]


async def story(db: Pool | Connection, task_id: UUID) -> TaskHistory | None:
    """Everything recorded about one task; None when there is no such task."""
    task = await db.fetchrow("select * from tasks.task where id = $1", task_id)
    if task is None:
        return None
    moves = await db.fetch(
        "select seq, at, state, worker, note from tasks.move where task_id = $1 order by seq", task_id
    )
    attempts = await db.fetch(
        """select n, upstream, account, region, vendor_model, intent_at, answered_at, outcome, ticket, status, answer
           from tasks.attempt where task_id = $1 order by n""",
        task_id,
    )
    reviews = await db.fetch("select at, reason, detail from tasks.review where task_id = $1 order by id", task_id)
    return TaskHistory(
        dict(task),
        [dict(row) for row in moves],
        [dict(row) for row in attempts],
        [dict(row) for row in reviews],
        await transfers_of_task(db, task_id),
    )


@dataclass(frozen=True, slots=True)
class TaskStep:
    """One thing that happened to a task, as its team may know it: a move, or an attempt at a vendor."""

    at: datetime
    state: str | None
    """The state that the task moved to; None for an attempt."""
    attempt: int | None = None
    outcome: str | None = None
    """accepted, done, refused, busy, not_sent, unknown; None while the vendor has not answered."""
    status: int | None = None
    """HTTP status of the vendor's answer."""
    answered_at: datetime | None = None


async def course(db: Pool | Connection, task_id: UUID) -> list[TaskStep]:
    """What happened to a task since it was accepted, oldest first: no vendor account, nothing in a vendor's words."""
    rows = await db.fetch(
        """select at, state, null::int, null::text, null::int, null::timestamptz, seq as place
               from tasks.move where task_id = $1
           union all
           select intent_at, null, n, outcome, status, answered_at, n from tasks.attempt where task_id = $1
           order by 1, 2 nulls last, place""",
        task_id,
    )
    return [TaskStep(*row[:6]) for row in rows]
