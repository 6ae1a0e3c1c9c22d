"""Reading the log: one team's calls, newest first."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime

from modellix_server.base.database import Connection
from modellix_server.base.pages import ALWAYS, Page, Span, Where
from modellix_server.base.team_mode import TeamMode

MOST_LOOKED_AT = 2_000
"""Rows that one page reads. A log is mostly polls, so the rows that match a filter can be far apart."""


@dataclass(frozen=True, slots=True)
class EntryFilter:
    """A filter of calls; None matches all."""

    least_status: int | None = None
    most_status: int | None = None
    model: str | None = None
    key_id: int | None = None
    at: Span = ALWAYS

    @property
    def sifts(self) -> bool:
        """Whether it excludes rows that no index excludes."""
        return any(value is not None for value in (self.least_status, self.most_status, self.model, self.key_id))


@dataclass(frozen=True, slots=True)
class LoggedCall:
    """One call as the log has it; latency in microseconds, sizes in bytes."""

    row: str
    """Physical position of the row: distinguishes rows of the same microsecond."""
    at: datetime
    key_id: int | None
    method: str
    path: str
    status: int
    code: str | None
    latency_us: int
    bytes_in: int
    bytes_out: int
    model: str | None
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
    rows = await db.fetch(
        f"""with seen as materialized (
                select {_COLUMNS}, ctid from requestlog.entry where {seen}
                order by at desc, ctid desc limit {looked_at}),
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


def _seen(owner: TeamMode, wanted: EntryFilter, after: EntryPlace | None) -> Where:
    where = Where([])
    where.add("team_id = {} and live = {}", owner.team_id, owner.live)
    if wanted.least_status is not None and wanted.least_status >= 400:
        where.add("status >= 400")  # word for word the condition of an index
    where.add_given("at >= {}", wanted.at.since)
    where.add_given("at < {}", wanted.at.until)
    if after is not None and after.row is None:
        where.add("at < {}", after.at)
    elif after is not None:
        where.add("at <= {} and (at < {} or ctid < {}::text::tid)", after.at, after.at, after.row)
    return where
