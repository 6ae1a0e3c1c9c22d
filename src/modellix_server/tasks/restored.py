"""Tasks in a database that was put back to an earlier moment."""

from __future__ import annotations

from modellix_server.base.database import Pool
from modellix_server.tasks.journal import Finish, Journal, TaskFence

_MESSAGE = "the platform was restored from a backup, and whether the vendor got this task is not known"
_A_BATCH = 200


async def end_doubtful(db: Pool) -> int:
    """End what may have been submitted after the moment of the backup, so that nothing is paid for twice.

    A task that the backup knows a vendor's id of is asked about again like any other; one that it shows before its
    submission may long have been submitted. Their holds are released, and a person is told. Nobody else may work on
    this database. Returns how many.
    """
    await db.execute("update tasks.task set owner = null, due_at = now() where finished_at is null")
    await db.execute("delete from tasks.worker")
    journal, ended = Journal(db, worker=None, result_ttl_s=0), 0
    while rows := await db.fetch(
        """select id, epoch, state, team_id, live from tasks.task
           where finished_at is null and ticket is null and verdict is null limit $1""",
        _A_BATCH,
    ):
        for row in rows:
            fence = TaskFence(row["id"], row["team_id"], row["live"], row["state"], row["epoch"])
            ending = Finish(
                error_code="submission_outcome_unknown",
                error_message=_MESSAGE,
                review=f"restored from a backup: was {row['state']} then",
            )
            ended += await journal.settle((fence, ending))
    return ended
