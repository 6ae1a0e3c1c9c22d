"""Canceling a task for its team: before the vendor has it at once, afterwards only if the vendor stops it.

Money is given back only when nothing can be charged for any more. Who asks too late is told so plainly, and the task
goes on as if nobody had asked.
"""

from __future__ import annotations

import asyncio
import time

from modellix_server.base.database import Pool, Row
from modellix_server.base.errors import NotFound
from modellix_server.base.ids import task_name
from modellix_server.tasks.errors import NotCancelable
from modellix_server.tasks.journal import Finish, Journal, TaskFence
from modellix_server.tasks.read import TaskQuery
from modellix_server.tasks.signals import CHANNEL, Signal

_DECIDED_WITHIN_S = 5.0
_LOOK_EVERY_S = 0.1

# Only the first to ask tells the workers: the vendor is asked once.
_ASK = """
    with asked as (
        update tasks.task set cancel = 'asked'
        where id = $1 and finished_at is null and state <> 'storing' and cancel is null returning 1)
    select pg_notify($2, $3) from asked
"""


async def cancel(db: Pool, query: TaskQuery) -> bool:
    """Cancel a task; whether it is canceled now. Idempotent.

    False while the worker that has the task, or its vendor, has not decided after some seconds: then the task ends
    as `canceled`, or goes on, a little later. Raises NotFound, or NotCancelable when it has ended, is delivered
    already, or is not stopped by its vendor.
    """
    until = time.monotonic() + _DECIDED_WITHIN_S
    while True:
        row = await _look(db, query)
        if row["error_code"] == "canceled":
            return True
        _refuse_if_late(row, task_name(query.task_id))
        if row["state"] == "queued" and row["owner"] is None:
            if await _end(db, query, row["epoch"]):
                return True
        elif row["cancel"] is None:
            await db.execute(_ASK, query.task_id, CHANNEL, Signal(query.task_id, None).payload)
        if time.monotonic() >= until:
            return False
        await asyncio.sleep(_LOOK_EVERY_S)


async def _look(db: Pool, query: TaskQuery) -> Row:
    row = await db.fetchrow(
        """select state, epoch, owner, error_code, cancel, finished_at from tasks.task
           where id = $1 and team_id = $2 and live = $3""",
        query.task_id,
        query.team_id,
        query.live,
    )
    if row is None:
        raise NotFound(f"task '{task_name(query.task_id)}' not found")
    return row


def _refuse_if_late(row: Row, name: str) -> None:
    if row["finished_at"] is not None:
        raise NotCancelable(f"task '{name}' has ended")
    if row["state"] == "storing":
        raise NotCancelable(f"task '{name}' has been delivered and is charged")
    if row["cancel"] == "refused":
        raise NotCancelable(f"task '{name}' is not stopped by the vendor; it runs on and is charged as delivered")


async def _end(db: Pool, query: TaskQuery, epoch: int) -> bool:
    fence = TaskFence(query.task_id, query.team_id, query.live, "queued", epoch)
    ending = Finish(error_code="canceled", error_message="canceled before it was started")
    return await Journal(db, worker=None, result_ttl_s=0).settle((fence, ending))
