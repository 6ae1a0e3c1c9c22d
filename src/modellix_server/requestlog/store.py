"""All SQL of the request log."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from modellix_server.base.database import Connection, Pool
from modellix_server.base.ids import made_at_ms

_COPY_ROWS = 500  # encoding holds the event loop: about 1 ms at a time


class LogEntry(NamedTuple):
    """One API call, with the table's columns as fields. Headers are not logged."""

    at: datetime
    team_id: int | None
    """None: refused before authentication."""
    live: bool | None
    key_id: int | None
    method: str
    path: str
    status: int
    latency_us: int
    bytes_in: int
    bytes_out: int
    model: str | None = None
    task_id: UUID | None = None
    request_id: str | None = None
    """The answer's X-Request-Id."""
    code: str | None = None
    """The platform's error code; None for a success, and the first of what most calls do not have."""
    cost_micros: int | None = None
    input: str | None = None
    """The request, redacted by `redact_body`."""
    answer: str | None = None
    """The answer, redacted by `redact_body`."""
    client: str | None = None
    """The caller's address."""
    user_id: int | None = None
    """Of a call that a page of the console made."""
    calls: int | None = None
    """How many calls this row stands for, if it is not one."""


_USUAL = LogEntry._fields.index("code")
_NOTHING_MORE = (None,) * (len(LogEntry._fields) - _USUAL)


class SubmissionEntry(NamedTuple):
    """What the row of an accepted task does not say of the call that made it, in the order of the table's columns."""

    task_id: UUID
    team_id: int
    live: bool
    path: str
    latency_us: int
    bytes_in: int
    bytes_out: int
    request_id: str | None


LogRow = LogEntry | SubmissionEntry


_UNIT_BITS, _UNITS = 8, 8

TIMED_WITHIN = timedelta(milliseconds=_UNITS << _UNIT_BITS)
"""A call is timed when no more than this lies between it and the time that its request id begins with."""


async def append(db: Connection, rows: Sequence[LogRow], losses: Sequence[tuple[int, str]]) -> None:
    """Write rows and counts of lost ones, all or none.

    The commit does not wait for the disk: a crash may lose a second of the log, unlike all other data.
    """
    entries = [row for row in rows if isinstance(row, LogEntry)]
    usual = [row[:_USUAL] for row in entries if row[_USUAL:] == _NOTHING_MORE]
    unusual = [row for row in entries if row[_USUAL:] != _NOTHING_MORE]
    submissions = [row for row in rows if isinstance(row, SubmissionEntry)]
    async with db.transaction():
        await db.execute("set local synchronous_commit = off")
        recent = _recent(rows[0]) if rows else frozenset()
        await _copy(db, "entry", LogEntry._fields[:_USUAL], usual, recent)  # empty columns cost time too
        await _copy(db, "entry", LogEntry._fields, unusual, recent)
        await _copy(db, "submission", SubmissionEntry._fields, submissions, recent)
        if losses:
            await db.executemany("insert into requestlog.loss (rows, reason) values ($1, $2)", losses)


async def _copy(
    db: Connection, table: str, fields: Sequence[str], rows: Sequence[tuple[Any, ...]], recent: frozenset[str]
) -> None:
    columns, name = (*fields, "request_id_timed"), fields.index("request_id")
    for start in range(0, len(rows), _COPY_ROWS):
        records = [
            (*row, (row[name] is not None and row[name][:10] in recent) or None)
            for row in rows[start : start + _COPY_ROWS]
        ]
        await db.copy_records_to_table(table, schema_name="requestlog", columns=columns, records=records)


def _recent(oldest: LogRow) -> frozenset[str]:
    """How the ids of timed calls begin: with ten hex digits, which are a unit of 256 ms."""
    now_ms = time.time_ns() // 1_000_000
    made_ms = oldest.at.timestamp() * 1000 if isinstance(oldest, LogEntry) else made_at_ms(oldest.task_id)
    units = _UNITS if now_ms - made_ms < _UNITS << _UNIT_BITS else 0  # else they have waited for the database
    return frozenset(f"{(now_ms >> _UNIT_BITS) - ago:010x}" for ago in range(units))


async def ensure_partitions(db: Pool | Connection, days: int = 7) -> int:
    """Make the partitions of today and the coming days; returns how many were missing."""
    made: int = await db.fetchval("select requestlog.ensure_partitions($1)", days)
    return made


async def drop_old(db: Pool | Connection, days: int) -> int:
    """Drop the days that ended more than `days` ago; returns how many."""
    dropped: int = await db.fetchval("select requestlog.drop_old($1)", days)
    return dropped


async def count_lost(db: Pool | Connection, *, days: int) -> int:
    """How many rows could not be written within the last days."""
    lost: int = await db.fetchval(
        "select coalesce(sum(rows), 0) from requestlog.loss where at > now() - make_interval(days => $1)", days
    )
    return lost


async def redact_inputs(db: Pool | Connection, team_id: int, before: datetime) -> int:
    """Take bodies and answers out of a team's calls before a time; returns how many had one."""
    redacted: int = await db.fetchval("select requestlog.redact_inputs($1, $2)", team_id, before)
    return redacted
