"""Calls as rows, for programs, downloads and pages alike; and the names of their places in the list."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec

from modellix_server.base.exports import Exported, iso
from modellix_server.base.ids import parse_task_name, task_name
from modellix_server.base.money import usd_number
from modellix_server.operations.context import Context
from modellix_server.operations.logs import Record, RecordPlace, block_and_line, happened_at
from modellix_server.requestlog import EntryPlace, LoggedCall, SubmissionEntry
from modellix_server.tasks import ListedTask, StoredResult

COLUMNS = (
    *("at", "method", "path", "status", "code", "latency_ms", "bytes_in", "bytes_out", "model", "key_id", "key_name"),
    *("task_id", "task_status", "task_duration", "cost", "input", "output"),
    "request_id",
)
_CALL_PLACE = re.compile(r"c([0-9]{1,17})-([0-9]{1,10})-([0-9]{1,5})", re.ASCII)
_LAST_BLOCK, _LAST_LINE = 2**32 - 1, 2**16 - 1  # more is no place of a row to PostgreSQL
_MICROSECOND = timedelta(microseconds=1)


def read_place(text: str) -> RecordPlace | None:
    """The place that a name stands for; None when it stands for none."""
    if (found := _CALL_PLACE.fullmatch(text)) and int(found[2]) <= _LAST_BLOCK and int(found[3]) <= _LAST_LINE:
        at = datetime.fromtimestamp(0, UTC) + timedelta(microseconds=int(found[1]))
        return EntryPlace(at, f"({found[2]},{found[3]})")
    return parse_task_name(text)


def write_place(place: RecordPlace) -> str:
    """The name of a place: of a submission its task's."""
    if isinstance(place, UUID):
        return task_name(place)
    micros = (place.at - datetime.fromtimestamp(0, UTC)) // _MICROSECOND
    return f"c{micros}-{'-'.join(map(str, block_and_line(place.row or '(0,0)')))}"


def row_of(ctx: Context, record: Record, names: dict[int, str]) -> Exported:
    """One call with all COLUMNS; `names` are those of keys."""
    shown: Exported = dict.fromkeys(COLUMNS)
    about = record if isinstance(record, LoggedCall) else record.task
    shown |= {
        "at": iso(happened_at(record)),
        "model": about.model,
        "key_id": about.key_id,
        "key_name": names.get(about.key_id) if about.key_id is not None else None,
    }
    if isinstance(record, LoggedCall):
        return shown | {
            "task_id": None if record.task_id is None else task_name(record.task_id),
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
    return shown | _submission(ctx, record.task, record.call)


def _submission(ctx: Context, task: ListedTask, call: SubmissionEntry | None) -> Exported:
    output: Any = None
    if task.error_code is not None:
        output = {"error": {"code": task.error_code, "message": task.error_message}}
    elif task.resources is not None:
        output = {
            "resources": [file.public() for file in msgspec.json.decode(task.resources, type=StoredResult).resources]
        }
    ended = task.finished_at
    return {
        "method": "POST",
        "path": call.path if call else _usual_path(ctx, task.model),
        "status": 200,
        "latency_ms": call.latency_us / 1000 if call else None,
        "bytes_in": call.bytes_in if call else None,
        "bytes_out": call.bytes_out if call else None,
        "task_id": task_name(task.id),
        "task_status": task.status,
        "task_duration": int((ended - task.created_at).total_seconds() * 1000) if ended else None,
        "cost": usd_number(task.captured or 0),
        "input": msgspec.Raw(task.params.encode()),
        "output": output,
        "request_id": task.request_id,
    }


def _usual_path(ctx: Context, name: str) -> str:
    model = ctx.catalogue.models.get(name)
    return f"/api/v1/{model.type}/{name}/async" if model else f"/api/v1/{name}/async"
