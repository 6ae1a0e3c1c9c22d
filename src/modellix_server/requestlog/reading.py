"""Reading the log: one team's calls, newest first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from uuid import UUID

from modellix_server.base.database import Connection, Pool
from modellix_server.base.ids import first_uuid7, request_time
from modellix_server.base.pages import ALWAYS, Page, Span, Where
from modellix_server.base.team_mode import TeamMode
from modellix_server.requestlog.store import TIMED_WITHIN, SubmissionEntry

MOST_LOOKED_AT = 2_000
"""Rows that one page reads. A log is mostly polls, so the rows that match a filter can be far apart."""


@dataclass(frozen=True, slots=True)
class EntryFilter:
    """A filter of calls; None matches all."""

    least_status: int | None = None
    most_status: int | None = None
    model: str | None = None
    key_id: int | None = None
    user_id: int | None = None
    task_id: UUID | None = None
    request_id: str | None = None
    at: Span = ALWAYS
    submits: bool | None = None
    """Only calls that were to make a task, or only others."""
    text: str | None = None
    """In the inputs of accepted submissions; other calls are left out."""

    @property
    def sifts(self) -> bool:
        """Whether it excludes rows that no index excludes."""
        if self.task_id is not None or self.request_id is not None:
            return False
        sifting = (self.least_status, self.most_status, self.model, self.key_id, self.user_id, self.submits)
        return any(value is not None for value in sifting)


@dataclass(frozen=True, slots=True)
class LoggedCall:
    """One call as the log has it; latency in microseconds, sizes in bytes."""

    row: str
    """Physical position of the row: distinguishes rows of the same microsecond."""
    at: datetime
    key_id: int | None
    user_id: int | None
    method: str
    path: str
    status: int
    code: str | None
    latency_us: int
    bytes_in: int
    bytes_out: int
    model: str | None
    task_id: UUID | None
    input: str | None
    answer: str | None
    request_id: str | None

    @property
    def place(self) -> EntryPlace:
        """Where a page that ends with this row is continued."""
        return EntryPlace(self.at, self.row)


_, *_FIELDS = (field.name for field in fields(LoggedCall))
_COLUMNS = ", ".join(_FIELDS)
_PASSING = ", ".join(f"passing.{field}" for field in _FIELDS)


@dataclass(frozen=True, slots=True)
class EntryPlace:
    """After the row `row` of this moment; without it, after all rows of this moment."""

    at: datetime
    row: str | None = None


async def list_entries(
    db: Connection, owner: TeamMode, wanted: EntryFilter, *, after: EntryPlace | None, most: int
) -> Page[LoggedCall, EntryPlace]:
    """Up to `most` calls, the latest first. The page ends early after `MOST_LOOKED_AT` rows have been read."""
    seen = _seen(owner, wanted, after)
    look_at = MOST_LOOKED_AT if wanted.sifts else most
    looked_at = seen.place(look_at)
    passing = Where(seen.arguments)
    passing.add_given("status >= {}", wanted.least_status)
    passing.add_given("status <= {}", wanted.most_status)
    passing.add_given("model = {}", wanted.model)
    passing.add_given("key_id = {}", wanted.key_id)
    passing.add_given("user_id = {}", wanted.user_id)
    passing.add_given("(method = 'POST' and model is not null) = {}", wanted.submits)
    of_entries = " union all ".join(
        f"select {_COLUMNS}, ctid from requestlog.entry where {seen} and {one}"  # noqa: S608 - texts of ours
        for one in _of_request(wanted.request_id, "at", seen)
    )
    rows = await db.fetch(
        f"""with seen as materialized ({of_entries} order by at desc, ctid desc limit {looked_at}),
            oldest as (
                select at, ctid::text as row, (select count(*) from seen) as seen from seen order by at, ctid limit 1)
            select {_PASSING}, passing.ctid::text as row, oldest.seen, oldest.at as oldest_at, oldest.row as oldest_row
            from oldest left join (
                select * from seen where {passing} order by at desc, ctid desc limit {passing.place(most)}
            ) passing on true
            order by passing.at desc, passing.ctid desc""",  # noqa: S608 - texts of ours
        *passing.arguments,
    )
    if not rows:
        return Page([], None)
    calls = [LoggedCall(row["row"], *row[: len(_FIELDS)]) for row in rows if row["row"] is not None]
    if len(calls) == most:
        return Page(calls, calls[-1].place)
    seen_all = rows[0]["seen"] < look_at
    return Page(calls, None if seen_all else EntryPlace(rows[0]["oldest_at"], rows[0]["oldest_row"]))


async def find_entry(db: Connection, owner: TeamMode, place: EntryPlace) -> LoggedCall | None:
    """The call at a place; a row that was redacted since is another row of the same moment."""
    rows = await db.fetch(
        f"""select ctid::text as row, {_COLUMNS} from requestlog.entry
            where team_id = $1 and live = $2 and at = $3 order by ctid::text <> $4 limit 1""",  # noqa: S608
        owner.team_id,
        owner.live,
        place.at,
        place.row or "",
    )
    return LoggedCall(*rows[0]) if rows else None


def _seen(owner: TeamMode, wanted: EntryFilter, after: EntryPlace | None) -> Where:
    where = Where([])
    where.add("team_id = {} and live = {}", owner.team_id, owner.live)
    if wanted.least_status is not None and wanted.least_status >= 400:
        where.add("status >= 400")  # word for word the condition of an index
    where.add_given("task_id = {}", wanted.task_id)
    where.add_given("at >= {}", wanted.at.since)
    where.add_given("at < {}", wanted.at.until)
    if after is not None and after.row is None:
        where.add("at < {}", after.at)
    elif after is not None:
        where.add("at <= {} and (at < {} or ctid < {}::text::tid)", after.at, after.at, after.row)
    return where


async def list_submissions(db: Connection, tasks: Sequence[UUID]) -> dict[UUID, SubmissionEntry]:
    """The calls that made these tasks, as far as they were logged."""
    if not tasks:
        return {}
    rows = await db.fetch(
        f"""select {", ".join(SubmissionEntry._fields)} from requestlog.submission
            where task_id = any ($1) and task_id >= $2 and task_id <= $3""",  # noqa: S608 - the bounds choose the days
        tasks,
        min(tasks),
        max(tasks),
    )
    return {row["task_id"]: SubmissionEntry(*row) for row in rows}


async def tasks_of_request(db: Connection, owner: TeamMode, request_id: str) -> list[UUID]:
    """The latest tasks that calls with this request id made; a client may send one id with many."""
    whose = Where([])
    whose.add("team_id = {} and live = {}", owner.team_id, owner.live)
    of_submissions = " union all ".join(
        f"select task_id from requestlog.submission where {whose} and {one}"  # noqa: S608 - texts of ours
        for one in _of_request(request_id, "task_id", whose)
    )
    rows = await db.fetch(
        f"{of_submissions} order by task_id desc limit {whose.place(MOST_LOOKED_AT)}", *whose.arguments
    )
    return [row["task_id"] for row in rows]


def _of_request(request_id: str | None, when: str, where: Where) -> Iterator[str]:
    """The conditions of which a call with this request id meets one; `when` is the column that tells its time.

    The index has the ids that do not begin with the time of their call. The others are looked for at that time.
    """
    if request_id is None:
        yield "true"
        return
    named = f"request_id = {where.place(request_id)}"
    yield f"{named} and request_id_timed is null"
    made = request_time(request_id)
    if made is None:
        return
    first, last = made - TIMED_WITHIN, made + TIMED_WITHIN
    bounds = (first_uuid7(first), first_uuid7(last)) if when == "task_id" else (first, last)
    since, until = (where.place(bound) for bound in bounds)
    yield f"{named} and request_id_timed and {when} between {since} and {until}"


@dataclass(frozen=True, slots=True)
class ServerFaults:
    """Calls of all teams that were answered with one status of ours, 500 or above, and one code."""

    status: int
    code: str | None
    calls: int
    last_at: datetime


async def server_faults(db: Pool | Connection, since: datetime) -> list[ServerFaults]:
    """The calls since then that we could not serve, the most frequent kind first."""
    rows = await db.fetch(
        """select status, code, sum(coalesce(calls, 1)), max(at) from requestlog.entry where at >= $1 and status >= 500
           group by 1, 2 order by 3 desc, 1, 2 limit 50""",
        since,
    )
    return [ServerFaults(*row) for row in rows]
