"""A team's month in money: what came in, what tasks cost, and what was there before and after."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from modellix_server import ledger, tasks
from modellix_server.base.errors import NotFound
from modellix_server.base.pages import Span
from modellix_server.base.team_mode import TeamMode
from modellix_server.ledger import Transfer
from modellix_server.operations import usage
from modellix_server.operations.context import Context
from modellix_server.operations.principal import Permission, Principal
from modellix_server.operations.usage import UsageGroup
from modellix_server.tasks import UsageFilter

_FIRST_YEAR = 2020


@dataclass(frozen=True, slots=True)
class MonthlyStatement:
    """Money in micro-dollars; months in UTC. `closing` is `opening`, with `funding`, less `charged`."""

    first: date
    last: date
    """Of a month that is not over, today."""
    at: datetime
    opening: int
    funding: list[Transfer]
    """Top-ups and corrections, in their order."""
    funded: int
    charged: int
    tasks: int
    by_key: list[UsageGroup]
    by_member: list[UsageGroup]
    by_model: list[UsageGroup]
    by_tag: list[UsageGroup]

    @property
    def closing(self) -> int:
        """What was there at the end, held money included."""
        return self.opening + self.funded - self.charged


async def monthly(ctx: Context, who: Principal, of: TeamMode, month: date) -> MonthlyStatement:
    """The statement of a calendar month. Raises NotFound for one that has not begun."""
    who.require(Permission.READ_MONEY, of)
    now = datetime.now(UTC)
    first = month.replace(day=1)
    if first > now.date() or first.year < _FIRST_YEAR:
        raise NotFound("there is no statement of this month")
    after = (first + timedelta(days=32)).replace(day=1)
    last = min(after - timedelta(days=1), now.date())
    async with ctx.reading() as db:
        funding = await ledger.funding(db, of, Span(_midnight(first), _midnight(after)))
        before = await ledger.funded(db, of, Span(None, _midnight(first)))
        earlier = await tasks.usage_sums(db, of, UsageFilter(last=first - timedelta(days=1)), ("model",), most_new=None)
    groups = "key", "member", "model", "tag"
    by_key, by_member, by_model, by_tag = await usage.reports(
        ctx, who, of, UsageFilter(first, last), groups, whole=True
    )
    return MonthlyStatement(
        first=first,
        last=last,
        at=by_key.at or now,
        opening=before - earlier.by["model"].total.charged,
        funding=funding,
        funded=sum(one.change for one in funding),
        charged=by_key.total.charged,
        tasks=by_key.total.tasks,
        by_key=by_key.groups,
        by_member=by_member.groups,
        by_model=by_model.groups,
        by_tag=by_tag.groups,
    )


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
