"""Taking the inputs out of tasks whose team does not keep them; cost and everything else stay."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from modellix_server.base.database import Connection
from modellix_server.base.ids import first_uuid7
from modellix_server.base.team_mode import TeamMode
from modellix_server.tasks.search import lock_words, words_anew

_COMMIT_LAG = timedelta(minutes=2)  # a task's id is made before the transaction that accepts it


async def redact_inputs(db: Connection, owner: TeamMode, before: datetime, most: int) -> int:
    """Redact up to `most` ended tasks that were accepted before a time; returns how many.

    The vendor's words about an attempt go too, as they may repeat the input. A task that is to be looked at once more
    keeps it until then. The words by which the tasks were found go as well. To be called in a transaction.
    """
    until = first_uuid7(before)
    await lock_words(db, owner)
    rows = await db.fetch(
        """update tasks.task t set params = '{}' where t.id in (
               select e.id from tasks.task e
               where e.team_id = $1 and e.live = $2 and e.finished_at is not null and e.params <> '{}' and e.id < $3
                   and e.id >= coalesce((select up_to from tasks.inputs_redacted r
                       where r.team_id = $1 and r.live = $2), '00000000-0000-0000-0000-000000000000')
                   and not exists (select from tasks.late_result l where l.task_id = e.id)
               order by e.id limit $4)
           returning t.id""",
        owner.team_id,
        owner.live,
        until,
        most,
    )
    await db.execute("update tasks.attempt set answer = null where task_id = any ($1)", [row["id"] for row in rows])
    await words_anew(db, owner, [row["id"] for row in rows])
    if len(rows) < most:
        await db.execute(
            """insert into tasks.inputs_redacted (team_id, live, up_to)
               select $1, $2, least($3::uuid, (
                   select t.id from tasks.task t
                   where t.team_id = $1 and t.live = $2 and t.finished_at is null order by t.id limit 1), (
                   select t.id from tasks.task t join tasks.late_result l on l.task_id = t.id
                   where t.team_id = $1 and t.live = $2 order by t.id limit 1))
               on conflict (team_id, live) do update set up_to = greatest(inputs_redacted.up_to, excluded.up_to)""",
            owner.team_id,
            owner.live,
            min(until, first_uuid7(datetime.now(UTC) - _COMMIT_LAG)),
        )
    return len(rows)
