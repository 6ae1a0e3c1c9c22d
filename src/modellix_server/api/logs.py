"""`GET /logs`: every call of a team, newest first, from the two places that hold them.

The request log has all calls but one kind: an accepted submission's record is its task. The two lists
are read side by side and merged by time.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec

from modellix_server import requestlog, tasks
from modellix_server.api.exchange import RequestContext, admit
from modellix_server.api.filters import Filters
from modellix_server.api.lists import answer_list, iso, key_names
from modellix_server.api.platform import Platform
from modellix_server.api.reply import Reply, Streamed
from modellix_server.api.request import Request
from modellix_server.base.database import Connection
from modellix_server.base.errors import OutOfRange
from modellix_server.base.ids import first_uuid7, made_at_ms, parse_task_name, task_name
from modellix_server.base.money import usd_number
from modellix_server.base.pages import Page
from modellix_server.base.team_mode import TeamMode
from modellix_server.catalogue import show
from modellix_server.requestlog import EntryFilter, EntryPlace, LoggedCall
from modellix_server.tasks import ListedTask, TaskFilter

_COLUMNS = (
    *("at", "method", "path", "status", "code", "latency_ms", "bytes_in", "bytes_out", "model", "key_id", "key_name"),
    *("task_id", "task_status", "task_duration", "cost", "input", "output"),
    "request_id",
)
_CALL_PLACE = re.compile(r"c([0-9]{1,17})-([0-9]{1,10})-([0-9]{1,5})", re.ASCII)
_LAST_BLOCK, _LAST_LINE = 2**32 - 1, 2**16 - 1  # more is no place of a row to PostgreSQL
_MICROSECOND = timedelta(microseconds=1)

Record = LoggedCall | ListedTask
RecordPlace = EntryPlace | UUID


async def list_calls(platform: Platform, request: Request, trail: RequestContext) -> Reply | Streamed:
    """`GET /logs`: `status` (`400`, `4xx`, `refused`), `model`, `key_id`, `from` and `to` narrow it."""
    caller, verdict = await admit(platform, request, trail)
    filters = Filters(request.query)
    least, most = _statuses(filters.text("status"))
    model, key_id, span = filters.text("model"), filters.number("key_id"), filters.span()
    search = _Search(
        TeamMode(caller.team_id, caller.live),
        EntryFilter(least, most, model, key_id, span),
        TaskFilter(None, model, key_id, span) if (least or 200) <= 200 <= (most or 200) else None,
    )
    names = await key_names(platform, caller.team_id)
    return await answer_list(
        platform,
        filters,
        verdict,
        name="logs",
        columns=_COLUMNS,
        read=search.read,
        show=lambda record: _show(platform, record, names),
        place=(_read_place, _write_place),
    )


def _statuses(text: str | None) -> tuple[int | None, int | None]:
    """The range of HTTP statuses that a filter means. Raises OutOfRange."""
    if text is None:
        return None, None
    if text == "refused":
        return 400, None
    if re.fullmatch(r"[2-5]xx", text):
        return int(text[0]) * 100, int(text[0]) * 100 + 99
    if re.fullmatch(r"[2-5][0-9]{2}", text, re.ASCII):
        return int(text), int(text)
    raise OutOfRange(f"parameter 'status' must be an HTTP status, 2xx to 5xx or refused, got {show(text)}")


@dataclass(frozen=True, slots=True)
class _Search:
    owner: TeamMode
    calls: EntryFilter
    tasks: TaskFilter | None
    """None where no submission can be among what is looked for: all were answered with 200."""

    async def read(self, db: Connection, *, after: RecordPlace | None, most: int) -> Page[Record, RecordPlace]:
        """One page of both lists together."""
        calls = await requestlog.list_entries(db, self.owner, self.calls, after=_among_calls(after), most=most)
        found: list[Record] = list(calls.rows)
        edge = calls.next if len(calls.rows) < most else None  # where a search gave up: nothing older counts yet
        if self.tasks is not None:
            submitted = await tasks.list_tasks(db, self.owner, self.tasks, after=_among_tasks(after), most=most)
            found += [task for task in submitted.rows if edge is None or _at(task) >= edge.at]
            found.sort(key=_order, reverse=True)
        page = found[:most]
        if len(page) == most:
            return Page(page, _place(page[-1]))
        return Page(page, edge)


def _at(record: Record) -> datetime:
    """When the call came. A task's id was made then, to the millisecond."""
    if isinstance(record, LoggedCall):
        return record.at
    return datetime.fromtimestamp(made_at_ms(record.id) / 1000, UTC)


def _order(record: Record) -> tuple[datetime, int, Any]:
    """Newest first when reversed; of one moment calls come before tasks, as a cursor counts on."""
    if isinstance(record, LoggedCall):
        return record.at, 1, _block_and_line(record.row)
    return _at(record), 0, record.id


def _place(record: Record) -> RecordPlace:
    return record.place if isinstance(record, LoggedCall) else record.id


def _among_calls(after: RecordPlace | None) -> EntryPlace | None:
    """Where the calls go on when the last record shown lies there."""
    if isinstance(after, UUID):
        return EntryPlace(datetime.fromtimestamp(made_at_ms(after) / 1000, UTC))
    return after


def _among_tasks(after: RecordPlace | None) -> UUID | None:
    if isinstance(after, EntryPlace):
        return first_uuid7(after.at + _MICROSECOND)  # a task of the call's own moment is still to come
    return after


def _block_and_line(row: str) -> tuple[int, int]:
    block, _, line = row[1:-1].partition(",")
    return int(block), int(line)


def _read_place(text: str) -> RecordPlace | None:
    if (found := _CALL_PLACE.fullmatch(text)) and int(found[2]) <= _LAST_BLOCK and int(found[3]) <= _LAST_LINE:
        at = datetime.fromtimestamp(0, UTC) + timedelta(microseconds=int(found[1]))
        return EntryPlace(at, f"({found[2]},{found[3]})")
    return parse_task_name(text)


def _write_place(place: RecordPlace) -> str:
    if isinstance(place, UUID):
        return task_name(place)
    micros = (place.at - datetime.fromtimestamp(0, UTC)) // _MICROSECOND
    return f"c{micros}-{'-'.join(map(str, _block_and_line(place.row or '(0,0)')))}"


def _show(platform: Platform, record: Record, names: dict[int, str]) -> dict[str, Any]:
    shown: dict[str, Any] = dict.fromkeys(_COLUMNS)
    shown |= {
        "at": iso(_at(record)),
        "model": record.model,
        "key_id": record.key_id,
        "key_name": names.get(record.key_id) if record.key_id is not None else None,
    }
    if isinstance(record, LoggedCall):
        return shown | {
            "method": record.method,
            "path": record.path,
            "status": record.status,
            "code": record.code,
            "latency_ms": record.latency_us / 1000,
            "bytes_in": record.bytes_in,
            "bytes_out": record.bytes_out,
            "input": record.input,
            "output": record.answer,
            "request_id": record.request_id,
        }
    return shown | _submission(platform, record)


def _submission(platform: Platform, task: ListedTask) -> dict[str, Any]:
    model = platform.catalogue.models.get(task.model)
    type_ = f"{model.type}/" if model else ""
    output: Any = None
    if task.error_code is not None:
        output = {"error": {"code": task.error_code, "message": task.error_message}}
    elif task.resources is not None:
        output = {
            "resources": [
                file.public() for file in msgspec.json.decode(task.resources, type=tasks.StoredResult).resources
            ]
        }
    ended = task.finished_at
    return {
        "method": "POST",
        "path": f"/api/v1/{type_}{task.model}/async",
        "status": 200,
        "task_id": task_name(task.id),
        "task_status": task.status,
        "task_duration": int((ended - task.created_at).total_seconds() * 1000) if ended else None,
        "cost": usd_number(task.captured or 0),
        "input": msgspec.Raw(task.params.encode()),
        "output": output,
        "request_id": task.request_id,
    }
