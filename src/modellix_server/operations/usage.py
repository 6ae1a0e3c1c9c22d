"""Usage of a team in sums, and the names of its keys for lists."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from modellix_server import identity, tasks
from modellix_server.base.pages import Span
from modellix_server.base.team_mode import TeamMode
from modellix_server.operations.context import Context
from modellix_server.operations.principal import Permission, Principal
from modellix_server.tasks import Usage, UsageFilter, UsageSum


@dataclass(frozen=True, slots=True)
class UsageGroup:
    """A day, model, key or member, and what its tasks came to."""

    id: str
    """As the filters of lists have it: a date, a model's slug, a key's id; empty where there is none."""
    name: str
    sums: UsageSum


@dataclass(frozen=True, slots=True)
class UsageReport:
    """What a team's tasks came to, as of a moment."""

    at: datetime
    total: UsageSum
    groups: list[UsageGroup]


async def summed(ctx: Context, who: Principal, of: TeamMode, ended: Span, by: str) -> list[Usage]:
    """Tasks that ended in a span, summed by one of `tasks.USAGE_GROUPS`."""
    who.require(Permission.READ_MONEY, of)
    async with ctx.reading() as db:
        return await tasks.usage(db, of, ended, by)


async def reports(
    ctx: Context, who: Principal, of: TeamMode, wanted: UsageFilter, groups: Sequence[str]
) -> list[UsageReport]:
    """Tasks that ended between two days (UTC), summed by some `tasks.SUM_GROUPS`: days in order, else by charge.

    The tasks of a key belong to the member who made it.
    """
    who.require(Permission.READ_MONEY, of)
    async with ctx.reading() as db:
        at: datetime = await db.fetchval("select now()")
        makers = {f"key:{key.id}": key.created_by for key in await identity.list_keys(db, of.team_id)}
        sums = await tasks.usage_sums(db, of, wanted, groups, makers)
    return [await _report(ctx, of, at, by, sums[by]) for by in groups]


async def _report(ctx: Context, of: TeamMode, at: datetime, by: str, sums: dict[str, UsageSum]) -> UsageReport:
    total = sums.pop("")
    names = await _names(ctx, of, by, sums)
    groups = [UsageGroup("" if id_ == "0" else id_, names.get(id_, id_), one) for id_, one in sums.items()]
    groups.sort(key=lambda one: (one.id,) if by == "day" else (-one.sums.charged, -one.sums.tasks, one.name))
    return UsageReport(at, total, groups)


async def _names(ctx: Context, of: TeamMode, by: str, ids: dict[str, UsageSum]) -> dict[str, str]:
    """What people call the groups; one that has no name is called by its id."""
    if by == "key":
        return {"0": "", **{str(id_): name for id_, name in (await identity.key_names(ctx.db, of.team_id)).items()}}
    if by == "member":
        keys = {f"key:{id_}": name for id_, name in (await identity.key_names(ctx.db, of.team_id)).items()}
        users = {int(one[5:]) for one in ids if one.startswith("user:")}
        return keys | {f"user:{id_}": name for id_, name in (await identity.user_names(ctx.db, users)).items()}
    return {}


async def spent(ctx: Context, who: Principal, of: TeamMode, days: int) -> int:
    """What the tasks that ended on the last days (UTC), today included, cost together, micro-dollars."""
    who.require(Permission.READ_MONEY, of)
    first = datetime.now(UTC).date() - timedelta(days=days - 1)
    async with ctx.reading() as db:
        return (await tasks.usage_sums(db, of, UsageFilter(first), ("day",)))["day"][""].charged


async def key_names(ctx: Context, who: Principal, of: TeamMode) -> dict[int, str]:
    """The names of a team's keys by id, revoked and deleted ones too."""
    who.require(Permission.READ_TEAM, of)
    return await identity.key_names(ctx.db, of.team_id)
