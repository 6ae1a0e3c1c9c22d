"""Usage of a team in sums, and the names of its keys for lists."""

from modellix_server import identity, tasks
from modellix_server.base.pages import Span
from modellix_server.base.team_mode import TeamMode
from modellix_server.operations.context import Context
from modellix_server.operations.principal import Permission, Principal
from modellix_server.tasks import Usage


async def summed(ctx: Context, who: Principal, of: TeamMode, ended: Span, by: str) -> list[Usage]:
    """Tasks that ended in a span, summed by one of `tasks.USAGE_GROUPS`."""
    who.require(Permission.READ_MONEY, of)
    async with ctx.reading() as db:
        return await tasks.usage(db, of, ended, by)


async def spent(ctx: Context, who: Principal, of: TeamMode, ended: Span) -> int:
    """What the tasks that ended in a span cost together, micro-dollars."""
    who.require(Permission.READ_MONEY, of)
    async with ctx.reading() as db:
        return sum(one.charged for one in await tasks.usage(db, of, ended, "day"))


async def key_names(ctx: Context, who: Principal, of: TeamMode) -> dict[int, str]:
    """The names of a team's keys by id, revoked and deleted ones too."""
    who.require(Permission.READ_TEAM, of)
    return await identity.key_names(ctx.db, of.team_id)
