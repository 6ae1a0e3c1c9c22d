"""Every call of a team, newest first, from the two places that hold them.

The request log has all calls except accepted submissions, whose record is the task; it adds to that what only the call
knows. The two lists are merged by time.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from modellix_server import requestlog, tasks
from modellix_server.base.database import Connection
from modellix_server.base.errors import NotFound
from modellix_server.base.ids import first_uuid7, made_at_ms
from modellix_server.base.pages import Page
from modellix_server.base.team_mode import TeamMode
from modellix_server.operations.context import Context
from modellix_server.operations.principal import Permission, Principal
from modellix_server.requestlog import EntryFilter, EntryPlace, LoggedCall, SubmissionEntry
from modellix_server.tasks import ListedTask, TaskFilter

_MICROSECOND = timedelta(microseconds=1)
_WRITTEN_WITHIN = timedelta(minutes=1)  # usually half a second; on a busy machine some


@dataclass(frozen=True, slots=True)
class SubmissionCall:
    """The call that made a task."""

    task: ListedTask
    call: SubmissionEntry | None
    """None when its row was lost, and while it is not written."""


Record = LoggedCall | SubmissionCall
RecordPlace = EntryPlace | UUID


async def list_calls(
    ctx: Context, who: Principal, of: TeamMode, wanted: EntryFilter, *, after: RecordPlace | None, most: int
) -> Page[Record, RecordPlace]:
    """Up to `most` calls, the latest first; those before `after` when it is given."""
    who.require(Permission.READ_LOGS, of)
    # Accepted submissions were all answered with 200.
    submissions = (wanted.least_status or 200) <= 200 <= (wanted.most_status or 200) and wanted.submits is not False
    async with ctx.reading() as db:
        if wanted.text is not None:
            return await _searched(db, of, wanted, after=_among_tasks(after), most=most)
        calls = await requestlog.list_entries(db, of, wanted, after=_among_calls(after), most=most)
        found: list[Record] = list(calls.rows)
        edge = (
            calls.next if len(calls.rows) < most else None
        )  # the search stopped here: older tasks belong to a later page
        if submissions:
            found += [
                made
                for made in await _submissions(db, of, wanted, after=_among_tasks(after), most=most)
                if edge is None or happened_at(made) >= edge.at
            ]
            found.sort(key=_order, reverse=True)
    page = found[:most]
    return Page(page, place_of(page[-1]) if len(page) == most else edge)


async def find_call(ctx: Context, who: Principal, of: TeamMode, place: RecordPlace) -> Record:
    """One call, by its place in the list. Raises NotFound."""
    who.require(Permission.READ_LOGS, of)
    async with ctx.reading() as db:
        if isinstance(place, UUID):
            task = await tasks.find_task(db, of, place)
            return SubmissionCall(task, (await requestlog.list_submissions(db, [place])).get(place))
        call = await requestlog.find_entry(db, of, place)
    if call is None:
        raise NotFound("no such call, or it is not on record any more")
    return call


def place_of(record: Record) -> RecordPlace:
    """Its place in the list."""
    return record.place if isinstance(record, LoggedCall) else record.task.id


async def _searched(
    db: Connection, of: TeamMode, wanted: EntryFilter, *, after: UUID | None, most: int
) -> Page[Record, RecordPlace]:
    page = await tasks.list_tasks(db, of, await _among_submitted(db, of, wanted), after=after, most=most)
    calls = await requestlog.list_submissions(db, [task.id for task in page.rows])
    return Page([SubmissionCall(task, calls.get(task.id)) for task in page.rows], page.next)


async def _submissions(
    db: Connection, of: TeamMode, wanted: EntryFilter, *, after: UUID | None, most: int
) -> list[SubmissionCall]:
    narrow = await _among_submitted(db, of, wanted)
    submitted = await tasks.list_tasks(db, of, narrow, after=after, most=most)
    calls = await requestlog.list_submissions(db, [task.id for task in submitted.rows])
    return [SubmissionCall(task, calls.get(task.id)) for task in submitted.rows]


async def _among_submitted(db: Connection, of: TeamMode, wanted: EntryFilter) -> TaskFilter:
    ids = None if wanted.task_id is None else [wanted.task_id]
    if wanted.request_id is not None:
        made = await requestlog.tasks_of_request(db, of, wanted.request_id)
        ids = [one for one in made if ids is None or one in ids]
    return TaskFilter(None, wanted.model, wanted.key_id, wanted.at, ids, text=wanted.text)


def happened_at(record: Record) -> datetime:
    """When the call was made; of a task, the time in its id, to the millisecond."""
    if isinstance(record, LoggedCall):
        return record.at
    return datetime.fromtimestamp(made_at_ms(record.task.id) / 1000, UTC)


def is_unfinished(record: Record, now: datetime) -> bool:
    """Whether the answer's time and sizes are still to come: they are written a moment after the task."""
    return isinstance(record, SubmissionCall) and record.call is None and now - happened_at(record) < _WRITTEN_WITHIN


def block_and_line(row: str) -> tuple[int, int]:
    """The two numbers of a row's `ctid`."""
    block, _, line = row[1:-1].partition(",")
    return int(block), int(line)


def _order(record: Record) -> tuple[datetime, int, Any]:
    """Newest first when reversed; at the same time calls precede tasks, as cursors assume."""
    if isinstance(record, LoggedCall):
        return record.at, 1, block_and_line(record.row)
    return happened_at(record), 0, record.task.id


def _among_calls(after: RecordPlace | None) -> EntryPlace | None:
    """The cursor into the calls after this record."""
    if isinstance(after, UUID):
        return EntryPlace(datetime.fromtimestamp(made_at_ms(after) / 1000, UTC))
    return after


def _among_tasks(after: RecordPlace | None) -> UUID | None:
    if isinstance(after, EntryPlace):
        return first_uuid7(after.at + _MICROSECOND)  # a task of the call's millisecond follows it
    return after
