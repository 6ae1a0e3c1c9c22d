"""Deleting what a task delivered, on its team's request: the task and what it cost stay on record."""

from __future__ import annotations

from modellix_server.base.database import Pool
from modellix_server.base.errors import NotFound
from modellix_server.base.ids import task_name
from modellix_server.results import Storage
from modellix_server.results import delete_result as delete_files
from modellix_server.tasks.errors import Unfinished
from modellix_server.tasks.read import TaskQuery


async def delete_result(db: Pool, storage: Storage, query: TaskQuery) -> None:
    """Delete files, links and the public answer now. Idempotent.

    Raises NotFound for an unknown or foreign task, Unfinished for one that may still deliver, and what the storage
    raises: then links and answer are gone, and the files go later.
    """
    finished = await db.fetchval(
        "select finished_at is not null from tasks.task where id = $1 and team_id = $2 and live = $3",
        query.task_id,
        query.team_id,
        query.live,
    )
    if finished is None:
        raise NotFound(f"task '{task_name(query.task_id)}' not found")
    if not finished:
        raise Unfinished(f"task '{task_name(query.task_id)}' has not ended yet: cancel it first, or wait")
    await delete_files(db, storage, query.task_id)
