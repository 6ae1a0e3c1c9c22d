"""Everything that a team may know about one of its tasks, in one snapshot."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from modellix_server import ledger, requestlog, tasks, webhooks
from modellix_server.base.team_mode import TeamMode
from modellix_server.ledger import Transfer
from modellix_server.operations.context import Context
from modellix_server.operations.principal import Permission, Principal
from modellix_server.requestlog import SubmissionEntry
from modellix_server.tasks import ListedTask, TaskStep
from modellix_server.webhooks import Delivery


@dataclass(frozen=True, slots=True)
class TaskRecords:
    """One task with its steps, money, messages and the call that made it; None: not for this principal, or lost."""

    task: ListedTask
    steps: list[TaskStep]
    transfers: list[Transfer] | None
    deliveries: list[Delivery] | None
    call: SubmissionEntry | None


async def read(ctx: Context, who: Principal, of: TeamMode, task_id: UUID) -> TaskRecords:
    """The records of one task. Raises NotFound."""
    who.require(Permission.READ_TASKS, of)
    may = who.permissions
    async with ctx.reading() as db:
        task = await tasks.find_task(db, of, task_id)
        steps = await tasks.course(db, task_id)
        transfers = await ledger.transfers_of_task(db, task_id) if Permission.READ_MONEY in may else None
        deliveries = None
        if Permission.READ_WEBHOOKS in may:
            ended = task.finished_at
            deliveries = [] if ended is None else await webhooks.deliveries_of_task(db, of, task_id, ended)
        call = (await requestlog.list_submissions(db, [task_id])).get(task_id)
    return TaskRecords(task, steps, transfers, deliveries, call)
