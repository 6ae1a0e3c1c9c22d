"""Reading tasks for clients: batched, and with the asking key checked in the same snapshot."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec

from modellix_server.base.batcher import Batcher
from modellix_server.base.database import UNREACHABLE, Pool
from modellix_server.base.errors import NotFound, PlatformError, Unauthorized, Unavailable
from modellix_server.base.ids import task_name
from modellix_server.base.money import usd_number
from modellix_server.base.settings import Settings
from modellix_server.results import link
from modellix_server.tasks import rules
from modellix_server.tasks.rules import StoredResult

_READ = """
    select t.id, t.model, t.state, t.moves, t.created_at, t.finished_at, t.captured, t.error_code, t.error_message,
        r.resources, case when t.queue_no is not null then tasks.queue_position(t.team_id, t.live, t.queue_no) end,
        a.key_id is null or k.active is not null as key_active,
        t.team_id = a.team_id and t.live = a.live and coalesce(t.finished_at > now() - $5::interval, true)
            and (t.state <> 'succeeded' or r.task_id is not null) as visible
    from unnest($1::uuid[], $2::bigint[], $3::boolean[], $4::bigint[]) with ordinality
        as a (id, team_id, live, key_id, ord)
    left join (select active_keys as key_id, true as active from identity.active_keys($4)) k using (key_id)
    left join tasks.task t on t.id = a.id
    left join results.of_tasks($1) r on r.task_id = t.id
    order by a.ord
"""


class TaskQuery(msgspec.Struct, frozen=True):
    """One status read: which task, asked with which key.

    A Struct, as TaskView: one of each is made per read, at a tenth of a frozen dataclass's cost.
    """

    task_id: UUID
    team_id: int
    live: bool
    key_id: int | None
    """None: asked without one, by somebody whose right has been checked."""


class TaskView(msgspec.Struct, frozen=True):
    """What a team may see of its task."""

    id: UUID
    model: str
    status: str
    """pending, success or failed."""
    stage: str | None
    """Of a pending task: queued, running or storing."""
    moves: int
    """State moves so far: the id of the newest event."""
    created_at: datetime
    finished_at: datetime | None
    captured: int | None
    """What it cost, micro-dollars."""
    error_code: str | None
    error_message: str | None
    resources: str | None
    """JSON written when the result was stored."""
    queue_position: int | None = None
    """Of a task that waits for a slot: 1 is the next to start."""


class Reader:
    """Status reads of one API process; reads that arrive together share a query."""

    def __init__(self, db: Pool, result_ttl_s: int) -> None:
        self._db = db
        self._ttl = timedelta(seconds=result_ttl_s)
        self._ask = Batcher(self._read, flushers=2, most=500)

    async def read(self, query: TaskQuery) -> TaskView:
        """The task as its team may see it.

        Raises Unauthorized for a revoked key, NotFound for an unknown, foreign or expired task, Unavailable.
        """
        try:
            return await self._ask(query)
        except UNREACHABLE as error:
            raise Unavailable("the database cannot be reached", retry_after_s=1) from error

    async def _read(self, batch: list[TaskQuery]) -> Sequence[TaskView | PlatformError]:
        rows = await self._db.fetch(
            _READ,
            [q.task_id for q in batch],
            [q.team_id for q in batch],
            [q.live for q in batch],
            [q.key_id for q in batch],
            self._ttl,
        )
        return [_view(query, *row) for query, row in zip(batch, rows, strict=True)]


def _view(
    query: TaskQuery,
    task_id: UUID | None,
    model: str,
    state: str,
    moves: int,
    created_at: datetime,
    finished_at: datetime | None,
    captured: int | None,
    error_code: str | None,
    error_message: str | None,
    resources: str | None,
    queue_position: int | None,
    key_active: bool,  # noqa: FBT001 - a column
    visible: bool | None,  # noqa: FBT001 - a column
) -> TaskView | PlatformError:
    if not key_active:
        return Unauthorized("invalid or missing API key")
    if task_id is None or not visible:
        return NotFound(f"task '{task_name(query.task_id)}' not found")
    about = (moves, created_at, finished_at, captured, error_code, error_message, resources, queue_position)
    return _seen(task_id, model, state, *about)


def _seen(task_id: UUID, model: str, state: str, *about: Any) -> TaskView:
    return TaskView(task_id, model, rules.PUBLIC_WORDS[state], rules.STAGES.get(state), *about)


async def views(db: Pool, ids: Sequence[UUID]) -> dict[UUID, TaskView]:
    """Tasks for the platform itself, whoever they belong to; unknown ones are left out."""
    rows = await db.fetch(
        """select t.id, t.model, t.state, t.moves, t.created_at, t.finished_at, t.captured, t.error_code,
               t.error_message, r.resources
           from tasks.task t left join results.of_tasks($1) r on r.task_id = t.id where t.id = any ($1)""",
        ids,
    )
    return {row["id"]: _seen(*row) for row in rows}


def public_form(settings: Settings, view: TaskView) -> bytes:
    """The JSON of a task. That of a finished one never changes as long as its result is kept."""
    model_id = view.model.partition("/")[2]
    if view.finished_at is None:
        place = f',"queue_position":{view.queue_position}' if view.queue_position else ""
        return f'{{"status":"{view.status}","task_id":"{task_name(view.id)}","model_id":"{model_id}"{place}}}'.encode()
    return msgspec.json.encode(_finished(settings, view, view.finished_at, model_id))


def _finished(settings: Settings, view: TaskView, finished_at: datetime, model_id: str) -> dict[str, Any]:
    expires_at = finished_at.timestamp() + settings.result_ttl_s
    resources: list[dict[str, Any]] = []
    metadata: dict[str, Any] = {}
    if view.resources is not None:
        stored = msgspec.json.decode(view.resources, type=StoredResult)
        resources = [
            {"url": link(settings, view.id, index, resource.format, int(expires_at)), **resource.public()}
            for index, resource in enumerate(stored.resources)
        ]
        metadata = stored.metadata()
    answer: dict[str, Any] = {
        "status": view.status,
        "task_id": task_name(view.id),
        "model_id": model_id,
        "duration": int((finished_at - view.created_at).total_seconds() * 1000),
        "result": {
            "resources": resources,
            "metadata": metadata,
            "extensions": {"submit_time": _iso(view.created_at), "end_time": _iso(finished_at)},
        },
        "billing": {"amount": usd_number(view.captured or 0)},
        "result_expires_at": _iso(datetime.fromtimestamp(expires_at, UTC)),
    }
    if view.error_code is not None:
        words = view.error_code.replace("_", " ").capitalize()
        answer["error"] = {"code": view.error_code, "message": f"{words}: {view.error_message}"}
    return answer


def _iso(moment: datetime) -> str:
    """ISO 8601 of a moment in UTC, as the database gives them."""
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")
