"""What the tasks of a team came to, by days: sums that are kept, and what has ended since they were."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from types import MappingProxyType

from modellix_server.base.database import Connection, Pool, Row
from modellix_server.base.pages import Span, Where
from modellix_server.base.team_mode import TeamMode
from modellix_server.identity import KeyLabel

MOST_NEW = 2_000
"""How many tasks that are not in the kept sums a reader adds up: some 10 ms."""
_STEP = 1.2
_DAY, _HOUR, _INSTANT = timedelta(days=1), timedelta(hours=1), timedelta(microseconds=1)
_BEGINNING = datetime(2000, 1, 1, tzinfo=UTC)
_NO_KEY = 0
_NO_KEYS: Mapping[int, KeyLabel] = MappingProxyType({})
# The columns that tell the groups apart. What of them is a member or a tag is said by the labels of the keys.
SUM_GROUPS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"day": ("day",), "model": ("model",), "key": ("key_id",), "member": ("key_id", "actor"), "tag": ("key_id",)}
)
_TASK = """(t.finished_at at time zone 'UTC')::date as day, t.model, coalesce(t.key_id, 0) as key_id,
    coalesce(t.actor, '') as actor,
    case when t.state = 'succeeded' then tasks.latency_bucket(t.created_at, t.finished_at) else -1 end as bucket,
    (t.state = 'succeeded')::int::bigint as succeeded, (t.state <> 'succeeded')::int::bigint as failed,
    coalesce(t.captured, 0) as charged"""
_ENDED = "from ledger.closings() c join tasks.task t on t.id = c.task_id"
_MARGIN = "interval '1 minute'"  # transactions that ran side by side have numbers and times in different orders


@dataclass(frozen=True, slots=True)
class UsageFilter:
    """Which tasks: those that ended from one day to another, both included, in UTC; None lets all pass."""

    first: date | None = None
    last: date | None = None
    model: str | None = None
    key_id: int | None = None
    tag: str | None = None
    """Of keys with this tag."""
    hours: tuple[Span, ...] = ()
    """Whole hours of other days, besides."""
    parts: tuple[Span, ...] = ()
    """Parts of other hours, besides."""

    @classmethod
    def of_span(cls, span: Span, now: datetime) -> UsageFilter:
        """Whole days as far as a span has some, at its ends whole hours, and parts of hours."""
        since, until = span.since, span.until
        if until is not None and until >= now:
            until = None  # nothing ends later
        first = last = None
        ends = []
        if since is not None:
            since = min(max(since, _BEGINNING), now)
            first = since.date()
            if since != _midnight(first):
                first += _DAY
                ends.append((since, _midnight(first) if until is None else min(_midnight(first), until)))
        if until is not None:
            until = max(until, _BEGINNING)
            begin = _midnight(until.date())
            last = begin.date() - _DAY
            if until != begin and (since is None or since <= begin):
                ends.append((begin, until))
        hours, parts = [], []
        for begin, end in ends:
            first_hour, last_hour = _hour(begin + _HOUR - _INSTANT), _hour(end)
            if first_hour < last_hour:
                hours.append(Span(first_hour, last_hour))
                parts += [Span(begin, first_hour), Span(last_hour, end)]
            else:
                parts.append(Span(begin, end))
        return cls(first, last, hours=tuple(hours), parts=tuple(one for one in parts if one.since != one.until))


@dataclass(slots=True)
class UsageSum:
    """Some tasks that ended. Money in micro-dollars."""

    succeeded: int = 0
    failed: int = 0
    charged: int = 0
    p50_ms: float | None = None
    """Half of those that succeeded took at most so long, from accept to the end; within a tenth. None without any."""
    p95_ms: float | None = None

    @property
    def tasks(self) -> int:
        """How many ended."""
        return self.succeeded + self.failed

    @property
    def success(self) -> float | None:
        """The share of them that succeeded; None of none."""
        return self.succeeded / self.tasks if self.tasks else None


@dataclass(slots=True)
class GroupedUsage:
    """Tasks by one of SUM_GROUPS, and in total. What no key submitted has the empty name as key; so has no tag."""

    total: UsageSum = field(default_factory=UsageSum)
    groups: dict[str, UsageSum] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class UsageRead:
    """Sums by some of SUM_GROUPS."""

    as_of: datetime | None
    """What ended later is not in them; None: nothing was added up yet."""
    behind: bool
    """Whether more ended since than a reader adds up."""
    by: dict[str, GroupedUsage]


async def add_usage(db: Pool, most: int) -> int:
    """Keep the sums of what has ended; returns how far it has come, 0 when there was nothing new."""
    passed: int = await db.fetchval("select tasks.add_usage($1)", most)
    return passed


async def usage_sums(
    db: Connection,
    of: TeamMode,
    wanted: UsageFilter,
    groups: Sequence[str],
    keys: Mapping[int, KeyLabel] = _NO_KEYS,
    *,
    most_new: int | None = MOST_NEW,
) -> UsageRead:
    """The sums by each of some SUM_GROUPS. `db` must read one snapshot; `keys` are the team's.

    Where more than `most_new` tasks ended since sums were kept (seconds to minutes ago, or never just after an
    upgrade), those are left out, so that a page takes no longer for it; None adds up all of them.
    """
    mark = await db.fetchrow(
        """select m.up_to, now() as now, (
               select count(*) from (
                   select from ledger.closings() c where c.team_id = $1 and c.live = $2 and c.id > m.up_to limit $3) n
               ) as new
           from tasks.usage_mark m""",
        *(of.team_id, of.live, None if most_new is None else most_new + 1),
    )
    assert mark is not None
    behind = most_new is not None and mark["new"] > most_new
    as_of = await db.fetchval("select ledger.time_of($1)", mark["up_to"]) if behind else mark["now"]
    since = mark["up_to"] if mark["new"] and not behind else None
    query, arguments = _query(of, wanted, groups, keys, since)
    rows = await db.fetch(query, *arguments)
    return UsageRead(as_of, behind, {by: _grouped(rows, by, groups, keys) for by in groups})


def _query(
    of: TeamMode, wanted: UsageFilter, groups: Sequence[str], keys: Mapping[int, KeyLabel], since: int | None
) -> tuple[str, list[object]]:
    """The text and the arguments; `since` is the number of the transfer up to which sums are kept, None: all are."""
    where = Where([])
    where.add("team_id = {} and live = {}", of.team_id, of.live)
    where.add_given("model = {}", wanted.model)
    where.add_given("key_id = {}", wanted.key_id)
    if wanted.tag is not None:
        where.add("key_id = any ({}::bigint[])", [key_id for key_id, label in keys.items() if label.tag == wanted.tag])
    of_any_time = str(where)
    days = Where(where.arguments)
    days.add_given("day >= {}", wanted.first)
    days.add_given("day <= {}", wanted.last)
    hours = Where(where.arguments)
    for one in wanted.hours:
        hours.add("hour >= {} and hour < {}", one.since, one.until)
    in_hours = " or ".join(f"({one})" for one in hours.conditions)
    columns = "day, model, key_id, actor, bucket, succeeded, failed, charged"
    pieces = [f"select {columns} from tasks.usage_day where {of_any_time} and {days}"]  # noqa: S608 - of ours
    if in_hours:
        by_hour = "select *, (hour at time zone 'UTC')::date as day, -1 as bucket from tasks.usage_hour"
        pieces.append(f"select {columns} from ({by_hour} where {of_any_time} and ({in_hours})) h")  # noqa: S608
    if since is not None:
        new = f"select c.team_id, c.live, t.finished_at as hour, {_TASK} {_ENDED} where c.team_id = $1 and c.live = $2"
        new += f" and c.id > {where.place(since)} and t.finished_at is not null"
        then = f"({days}) or {in_hours}" if in_hours else str(days)
        pieces.append(f"select {columns} from ({new}) new where {of_any_time} and ({then})")  # noqa: S608
    for part in wanted.parts:
        begin, end = where.place(part.since), where.place(part.until)
        some = f"""select c.team_id, c.live, {_TASK} {_ENDED} where c.team_id = $1 and c.live = $2
            and c.id >= (select ledger.first_transfer_at({begin}::timestamptz - {_MARGIN}))
            and c.id < (select ledger.first_transfer_at({end}::timestamptz + {_MARGIN}))
            and t.finished_at >= {begin}::timestamptz and t.finished_at < {end}::timestamptz"""
        pieces.append(f"select {columns} from ({some}) part where {of_any_time}")  # noqa: S608
    sets = dict.fromkeys(SUM_GROUPS[group] for group in groups)
    used = list(dict.fromkeys(column for one in sets for column in one))
    text = f"""select {", ".join(used)}, grouping({", ".join(used)}) as without, bucket,
            sum(succeeded)::bigint as succeeded, sum(failed)::bigint as failed, sum(charged)::bigint as charged
        from ({" union all ".join(pieces)}) every
        group by grouping sets ({", ".join(f"({', '.join(one)}, bucket)" for one in sets)})"""  # noqa: S608 - ours
    return text, where.arguments


def _grouped(rows: Sequence[Row], by: str, groups: Sequence[str], keys: Mapping[int, KeyLabel]) -> GroupedUsage:
    """Those of one of the groups that were asked for."""
    used = dict.fromkeys(column for group in groups for column in SUM_GROUPS[group])
    without = int("".join("01"[column not in SUM_GROUPS[by]] for column in used), 2)  # as SQL's `grouping` has it
    return summed(
        (_name(row, by, keys), UsagePart(row["bucket"], row["succeeded"], row["failed"], row["charged"]))
        for row in rows
        if row["without"] == without
    )


def _name(row: Row, by: str, keys: Mapping[int, KeyLabel]) -> str:
    if by in ("day", "model"):
        return str(row[by])
    key_id: int = row["key_id"]
    if by == "key":
        return "" if key_id == _NO_KEY else str(key_id)
    label = keys.get(key_id)
    if by == "tag":
        return (label.tag if label else None) or ""
    return row["actor"] or (label.created_by if label else f"key:{key_id}")


@dataclass(frozen=True, slots=True)
class UsagePart:
    """Tasks of a group that took about as long."""

    bucket: int
    succeeded: int
    failed: int
    charged: int


def summed(parts: Iterable[tuple[str, UsagePart]]) -> GroupedUsage:
    """Each group's sum, and that of all."""
    found = GroupedUsage()
    of_all: dict[int, int] = defaultdict(int)
    buckets: dict[str, dict[int, int]] = defaultdict(lambda: defaultdict(int))
    for name, part in parts:
        for one in (found.total, found.groups.setdefault(name, UsageSum())):
            one.succeeded += part.succeeded
            one.failed += part.failed
            one.charged += part.charged
        if part.bucket >= 0:
            buckets[name][part.bucket] += part.succeeded
            of_all[part.bucket] += part.succeeded
    for one, times in [(found.total, of_all), *((one, buckets[name]) for name, one in found.groups.items())]:
        one.p50_ms, one.p95_ms = quantile(times, 0.5), quantile(times, 0.95)
    return found


def quantile(buckets: Mapping[int, int], share: float) -> float | None:
    """The time in milliseconds that a share of the tasks took at most, within its bucket by proportion."""
    left = sum(buckets.values()) * share
    for bucket, count in sorted(buckets.items()):
        if count and left <= count:
            return float(_STEP ** (bucket + left / count))
        left -= count
    return None


def _hour(at: datetime) -> datetime:
    return at.replace(minute=0, second=0, microsecond=0)


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
