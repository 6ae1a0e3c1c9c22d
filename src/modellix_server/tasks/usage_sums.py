"""What the tasks of a team came to, by days: sums that are kept, and what has ended since they were."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from types import MappingProxyType

from modellix_server.base.database import Connection, Pool
from modellix_server.base.pages import Where
from modellix_server.base.team_mode import TeamMode

NOTHING: Mapping[str, str] = MappingProxyType({})
_STEP = 1.2
# The group, as text. A member is told from keys and actors by who knows the makers of keys.
SUM_GROUPS: Mapping[str, str] = MappingProxyType(
    {
        "day": "day::text",
        "model": "model",
        "key": "key_id::text",
        "member": "case when actor = '' then 'key:' || key_id else actor end",
    }
)


@dataclass(frozen=True, slots=True)
class UsageFilter:
    """Which tasks: those that ended from one day to another, both included, in UTC; None lets all pass."""

    first: date | None = None
    last: date | None = None
    model: str | None = None
    key_id: int | None = None


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


async def add_usage(db: Pool, most: int) -> int:
    """Keep the sums of what has ended; returns how far it has come, 0 when there was nothing new."""
    passed: int = await db.fetchval("select tasks.add_usage($1)", most)
    return passed


async def usage_sums(
    db: Connection, of: TeamMode, wanted: UsageFilter, groups: Sequence[str], also: Mapping[str, str] = NOTHING
) -> dict[str, dict[str, UsageSum]]:
    """The sums by each of some SUM_GROUPS, and of all under an empty name. `db` must read one snapshot.

    `also` gives groups another name, so that some are put together.
    """
    where = Where([])
    where.add("team_id = {} and live = {}", of.team_id, of.live)
    where.add_given("day >= {}", wanted.first)
    where.add_given("day <= {}", wanted.last)
    where.add_given("model = {}", wanted.model)
    where.add_given("key_id = {}", wanted.key_id)
    up_to = await db.fetchval("select up_to from tasks.usage_mark")
    known = where.place(up_to)
    names = [f"g{number}" for number in range(len(groups))]
    named = ", ".join(f"{SUM_GROUPS[group]} as {name}" for group, name in zip(groups, names, strict=True))
    rows = await db.fetch(
        f"""with since as (
                select t.team_id, t.live, (t.finished_at at time zone 'UTC')::date as day, t.model,
                    coalesce(t.key_id, 0) as key_id, coalesce(t.actor, '') as actor,
                    case when t.state = 'succeeded' then tasks.latency_bucket(t.created_at, t.finished_at)
                         else -1 end as bucket,
                    (t.state = 'succeeded')::int as succeeded, (t.state <> 'succeeded')::int as failed,
                    coalesce(t.captured, 0) as charged
                from ledger.closings() c join tasks.task t on t.id = c.task_id
                where c.team_id = $1 and c.live = $2 and c.id > {known} and t.finished_at is not null
            ), every as (
                select day, model, key_id, actor, bucket, succeeded, failed, charged from tasks.usage_day where {where}
                union all
                select day, model, key_id, actor, bucket, succeeded, failed, charged from since where {where}
            )
            select {", ".join(names)}, bucket, sum(succeeded)::bigint as succeeded,
                sum(failed)::bigint as failed, sum(charged)::bigint as charged
            from (select {named}, bucket, succeeded, failed, charged from every) each
            group by grouping sets ({", ".join(f"({name}, bucket)" for name in names)})""",  # noqa: S608 - texts of ours
        *where.arguments,
    )
    return {
        group: summed(
            (also.get(row[name], row[name]), UsagePart(*list(row)[len(names) :]))
            for row in rows
            if row[name] is not None
        )
        for group, name in zip(groups, names, strict=True)
    }


@dataclass(frozen=True, slots=True)
class UsagePart:
    """Tasks of a group that took about as long."""

    bucket: int
    succeeded: int
    failed: int
    charged: int


def summed(parts: Iterable[tuple[str, UsagePart]]) -> dict[str, UsageSum]:
    """Each group's sum, and that of all under an empty name."""
    sums: dict[str, UsageSum] = defaultdict(UsageSum)
    buckets: dict[str, dict[int, int]] = defaultdict(lambda: defaultdict(int))
    for group, part in parts:
        for name in {group, ""}:
            one = sums[name]
            one.succeeded += part.succeeded
            one.failed += part.failed
            one.charged += part.charged
            if part.bucket >= 0:
                buckets[name][part.bucket] += part.succeeded
    sums.setdefault("", UsageSum())
    for name, one in sums.items():
        one.p50_ms, one.p95_ms = quantile(buckets[name], 0.5), quantile(buckets[name], 0.95)
    return dict(sums)


def quantile(buckets: Mapping[int, int], share: float) -> float | None:
    """The time in milliseconds that a share of the tasks took at most, within its bucket by proportion."""
    left = sum(buckets.values()) * share
    for bucket, count in sorted(buckets.items()):
        if count and left <= count:
            return float(_STEP ** (bucket + left / count))
        left -= count
    return None
