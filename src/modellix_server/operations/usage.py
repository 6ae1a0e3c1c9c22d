"""Usage of a team in sums, and what the books call its keys."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from modellix_server import identity, tasks
from modellix_server.base.pages import Span
from modellix_server.base.team_mode import TeamMode
from modellix_server.identity import KeyLabel
from modellix_server.operations.context import Context
from modellix_server.operations.principal import Permission, Principal
from modellix_server.tasks import UsageFilter, UsageSum


@dataclass(frozen=True, slots=True)
class UsageGroup:
    """A day, model, key, member or tag, and what its tasks came to."""

    id: str
    """As the filters of lists have it: a date, a model's slug, a key's id, a tag; empty where there is none."""
    name: str
    sums: UsageSum


@dataclass(frozen=True, slots=True)
class UsageReport:
    """What a team's tasks came to, as of a moment."""

    at: datetime | None
    """None: nothing was added up yet."""
    behind: bool
    """Whether much ended since; it is being added up."""
    total: UsageSum
    groups: list[UsageGroup]


async def summed(ctx: Context, who: Principal, of: TeamMode, ended: Span, by: str) -> UsageReport:
    """Tasks that ended in a span, summed by one of `tasks.SUM_GROUPS`: days in order, else by charge."""
    who.require(Permission.READ_MONEY, of)
    (report,) = await reports(ctx, who, of, UsageFilter.of_span(ended, datetime.now(UTC)), (by,))
    return report


async def reports(
    ctx: Context, who: Principal, of: TeamMode, wanted: UsageFilter, groups: Sequence[str], *, whole: bool = False
) -> list[UsageReport]:
    """Tasks that ended between two days (UTC), summed by some `tasks.SUM_GROUPS`: days in order, else by charge.

    The tasks of a key belong to the member who made it, and to the tag that it has now. With `whole` nothing is left
    out because it ended just now, however long that takes.
    """
    who.require(Permission.READ_MONEY, of)
    async with ctx.reading() as db:
        keys = await identity.key_labels(db, of.team_id)
        most_new = None if whole else tasks.MOST_NEW
        read = await tasks.usage_sums(db, of, wanted, groups, keys, most_new=most_new)
    found = []
    for by in groups:
        names = await _names(ctx, by, read.by[by].groups, keys)
        rows = [UsageGroup(id_, names.get(id_, id_), one) for id_, one in read.by[by].groups.items()]
        rows.sort(key=lambda one: (one.id,) if by == "day" else (-one.sums.charged, -one.sums.tasks, one.name))
        found.append(UsageReport(read.as_of, read.behind, read.by[by].total, rows))
    return found


async def _names(ctx: Context, by: str, ids: Mapping[str, UsageSum], keys: Mapping[int, KeyLabel]) -> Mapping[str, str]:
    """What people call the groups; one that has no name is called by its id."""
    if by == "key":
        return {str(key_id): label.name for key_id, label in keys.items()}
    if by == "member":
        names = {f"key:{key_id}": label.name for key_id, label in keys.items()}
        users = {int(one[5:]) for one in ids if one.startswith("user:")}
        return names | {f"user:{id_}": name for id_, name in (await identity.user_names(ctx.db, users)).items()}
    return {}


async def spent(ctx: Context, who: Principal, of: TeamMode, days: int) -> UsageReport:
    """What the tasks came to that ended on the last days (UTC), today included."""
    who.require(Permission.READ_MONEY, of)
    first = datetime.now(UTC).date() - timedelta(days=days - 1)
    (report,) = await reports(ctx, who, of, UsageFilter(first), ("model",))
    return report


async def key_names(ctx: Context, who: Principal, of: TeamMode) -> dict[int, str]:
    """The names of a team's keys by id, revoked and deleted ones too."""
    who.require(Permission.READ_TEAM, of)
    return await identity.key_names(ctx.db, of.team_id)


async def tags(ctx: Context, who: Principal, of: TeamMode) -> list[str]:
    """The tags of a team's keys, revoked and deleted ones too."""
    who.require(Permission.READ_TEAM, of)
    return sorted({label.tag for label in (await identity.key_labels(ctx.db, of.team_id)).values() if label.tag})
