"""Lists of tasks, for a team about itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from modellix_server.base.database import Connection, Pool, Row
from modellix_server.base.errors import NotFound
from modellix_server.base.ids import first_uuid7, task_name
from modellix_server.base.pages import ALWAYS, Page, Span, Where
from modellix_server.base.team_mode import TeamMode
from modellix_server.tasks import rules

# Public word -> condition.
_STATUS = {
    "pending": "t.finished_at is null",
    "success": "t.state = 'succeeded'",
    "failed": "t.error_code is not null",  # as its index has it
}
# Each half has indexes of its own; what lists both is put together of the two.
_OPEN, _ENDED = "t.finished_at is null", "t.finished_at is not null"
_HALVES = {"pending": (_OPEN,), None: (_OPEN, _ENDED)}


@dataclass(frozen=True, slots=True)
class TaskFilter:
    """Which tasks; None lets all pass."""

    status: str | None = None
    """pending, success or failed."""
    model: str | None = None
    key_id: int | None = None
    submitted: Span = ALWAYS
    ids: Sequence[UUID] | None = None
    models: Sequence[str] | None = None
    """Any of these."""
    error_code: str | None = None
    """Of a failed task."""
    text: str | None = None
    """In its inputs, as `tasks.search` finds it."""
    oldest_first: bool = False
    """Not with a text to search for."""


@dataclass(frozen=True, slots=True)
class ListedTask:
    """A task as a list shows it. Money in micro-dollars."""

    id: UUID
    model: str
    key_id: int | None
    actor: str | None
    """Who submitted it where no key did: `user:7`."""
    status: str
    stage: str | None
    """Of a pending task: queued, running or storing."""
    moves: int
    """State moves so far: the number of its latest event."""
    created_at: datetime
    finished_at: datetime | None
    quote: int
    captured: int | None
    error_code: str | None
    error_message: str | None
    params: str
    """The input as it was accepted, JSON."""
    request_id: str | None
    """Of the call that made it."""
    resources: str | None
    """The result as it was stored, JSON, while it is kept."""
    queue_position: int | None = None
    """Where `find_task` read it, of a task that waits for a slot: 1 is the next to start."""


async def list_tasks(
    db: Connection, owner: TeamMode, wanted: TaskFilter, *, after: UUID | None, most: int
) -> Page[ListedTask, UUID]:
    """Up to `most` tasks, the latest first unless told otherwise; those that follow `after` when it is given."""
    where, way = conditions(owner, wanted), "asc" if wanted.oldest_first else "desc"
    where.add_given("t.id > {}" if wanted.oldest_first else "t.id < {}", after)
    limit = where.place(most)
    of_models = None
    if wanted.models is not None:
        # Not `=`: then no other index has the order, and PostgreSQL takes that of models, however it guesses.
        names = f"unnest({where.place(wanted.models)}::text[]) as of (model)"
        of_models = (names, "t.model between of.model and of.model", f"t.model {way}, t.id {way}")
    tasks = await with_results(db, await _first(db, wanted, where, limit, of_models, way))
    return Page(tasks, tasks[-1].id if len(tasks) == most else None)


async def rows_in(
    db: Connection, wanted: TaskFilter, where: Where, above: Sequence[UUID], below: Sequence[UUID], most: int
) -> list[Row]:
    """Up to `most` tasks within ranges of ids, whose bounds do not belong to them; the latest first."""
    limit = where.place(most)
    ranges = f"unnest({where.place(above)}::uuid[], {where.place(below)}::uuid[]) as of (above, below)"
    return await _first(db, wanted, where, limit, (ranges, "t.id > of.above and t.id < of.below", "t.id desc"))


async def _first(
    db: Connection, wanted: TaskFilter, where: Where, limit: str, each: tuple[str, str, str] | None, way: str = "desc"
) -> list[Row]:
    """The first tasks of both halves: of all, or of each row of `each`, whose last text is the order of an index."""
    parts = []
    for half in _HALVES.get(wanted.status, (_ENDED,)):
        found = f"""select t.id, t.model, t.key_id, t.actor, t.state, t.moves, t.created_at, t.finished_at, t.quote,
                t.captured, t.error_code, t.error_message, t.params, t.request_id
            from tasks.task t where {where} and {half}"""  # noqa: S608 - texts of ours
        if each is not None:
            of_each = f"{found} and {each[1]} order by {each[2]} limit {limit}"
            found = f"select t.* from {each[0]} cross join lateral ({of_each}) as t"  # noqa: S608
        parts.append(f"({found} order by t.id {way} limit {limit})")
    both = f"select * from ({' union all '.join(parts)}) as found order by id {way} limit {limit}"  # noqa: S608
    rows: list[Row] = await db.fetch(both, *where.arguments)
    return rows


async def with_results(db: Connection, rows: Sequence[Row]) -> list[ListedTask]:
    """Rows as tasks, with what is kept of their results."""
    kept = await db.fetch("select task_id, resources from results.of_tasks($1)", [row["id"] for row in rows])
    resources = {row["task_id"]: row["resources"] for row in kept}
    return [_listed(row, resources.get(row["id"])) for row in rows]


async def find_task(db: Connection, owner: TeamMode, task_id: UUID) -> ListedTask:
    """One task, for as long as it is on record. Raises NotFound for an unknown or foreign one."""
    found = await list_tasks(db, owner, TaskFilter(ids=[task_id]), after=None, most=1)
    if not found.rows:
        raise NotFound(f"task '{task_name(task_id)}' not found")
    position = await db.fetchval(
        """select tasks.queue_position(team_id, live, queue_no) from tasks.task
           where id = $1 and queue_no is not null""",
        task_id,
    )
    return replace(found.rows[0], queue_position=position)


async def ways_used(db: Pool, owner: TeamMode) -> tuple[bool, bool]:
    """Whether the team has tasks of signed-in users, and of API keys."""
    # The ends of an index, where PostgreSQL would rather look through all tasks for an answer of its guess.
    row = await db.fetchrow(
        """with either (by_user) as (
               (select key_id is null from tasks.task where team_id = $1 and live = $2 and finished_at is not null
                order by key_id desc, id desc limit 1)
               union all (select key_id is null from tasks.task
                where team_id = $1 and live = $2 and finished_at is not null order by key_id, id limit 1)
               union all (select key_id is null from tasks.task
                where team_id = $1 and live = $2 and finished_at is null order by id limit 100))
           select coalesce(bool_or(by_user), false), coalesce(bool_or(not by_user), false) from either""",
        owner.team_id,
        owner.live,
    )
    assert row is not None
    return row[0], row[1]


def conditions(owner: TeamMode, wanted: TaskFilter) -> Where:
    """What a filter asks of a row; texts and lists of models are not among it."""
    where = Where([])
    where.add("t.team_id = {} and t.live = {}", owner.team_id, owner.live)
    if wanted.error_code is not None:
        where.add("t.error_code = {}", wanted.error_code)
    if wanted.status is not None:
        where.add(_STATUS[wanted.status])
    where.add_given("t.model = {}", wanted.model)
    where.add_given("t.key_id = {}", wanted.key_id)
    where.add_given("t.id = any ({})", wanted.ids)
    if wanted.submitted.since is not None:
        where.add("t.id >= {}", first_uuid7(wanted.submitted.since))
    if wanted.submitted.until is not None:
        where.add("t.id < {}", first_uuid7(wanted.submitted.until))
    return where


def _listed(row: Row, resources: str | None) -> ListedTask:
    values = dict(row)
    state = values.pop("state")
    return ListedTask(status=rules.PUBLIC_WORDS[state], stage=rules.STAGES.get(state), resources=resources, **values)
