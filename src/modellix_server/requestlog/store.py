"""All SQL of the request log."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import UUID

from modellix_server.base.database import Connection, Pool

_COPY_ROWS = 500  # encoding holds the event loop: about 1 ms at a time


class LogEntry(NamedTuple):
    """One API call, in the order of the table's columns. Headers are not logged."""

    at: float
    """Unix time."""
    team_id: int | None
    """None: refused before authentication."""
    live: bool | None
    key_id: int | None
    method: str
    path: str
    status: int
    code: str | None
    """The platform's error code; None for a success."""
    latency_us: int
    bytes_in: int
    bytes_out: int
    model: str | None = None
    task_id: UUID | None = None
    cost_micros: int | None = None
    input: str | None = None
    """The request, redacted by `redact_body`."""
    answer: str | None = None
    """The answer, redacted by `redact_body`."""
    client: str | None = None
    """The caller's address."""
    request_id: str | None = None
    """The answer's X-Request-Id."""


async def append(db: Connection, entries: Sequence[LogEntry], losses: Sequence[tuple[int, str]]) -> None:
    """Write entries and counts of lost ones, all or none.

    The commit does not wait for the disk: a crash may lose a second of the log, unlike all other data.
    """
    async with db.transaction():
        await db.execute("set local synchronous_commit = off")
        for start in range(0, len(entries), _COPY_ROWS):
            await db.copy_records_to_table(
                "entry",
                schema_name="requestlog",
                columns=LogEntry._fields,
                records=_records(entries[start : start + _COPY_ROWS]),
            )
        if losses:
            await db.executemany("insert into requestlog.loss (rows, reason) values ($1, $2)", losses)


def _records(entries: Sequence[LogEntry]) -> Iterator[tuple[Any, ...]]:
    for entry in entries:
        yield (datetime.fromtimestamp(entry[0], UTC), *entry[1:])


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
