"""Teams, and what each of them may do at a time."""

from dataclasses import dataclass

from modellix_server import audit, identity, ledger, limits, tasks
from modellix_server.base.database import Connection
from modellix_server.identity import Team
from modellix_server.ledger import Balance
from modellix_server.limits import TeamLimits
from modellix_server.operations.context import Context
from modellix_server.operations.principal import Permission, Principal


@dataclass(frozen=True, slots=True)
class TeamOverview:
    """A team with its money and its limits."""

    team: Team
    live: Balance
    test: Balance
    limits: TeamLimits


async def create(ctx: Context, who: Principal, name: str) -> Team:
    """A new team, without money. Raises InvalidParameters for a name that is taken or not fit."""
    who.require(Permission.OPERATE)
    async with ctx.transaction() as tx:
        return await create_in(tx, who, name)


async def create_in(tx: Connection, who: Principal, name: str) -> Team:
    """The same within a transaction that does more; its balances and slots, in both modes, come with the team."""
    team = await identity.create_team(tx, name)
    await ledger.open_team(tx, team.id)
    await tasks.open_team(tx, team.id)
    await audit.record(tx, who.actor, "team.create", f"team:{team.id}", team_id=team.id, name=team.name)
    return team


async def list_all(ctx: Context, who: Principal) -> list[TeamOverview]:
    """Every team, oldest first."""
    who.require(Permission.OPERATE)
    return [
        TeamOverview(
            team,
            await ledger.balance(ctx.db, team.id, live=True),
            await ledger.balance(ctx.db, team.id, live=False),
            await limits.of_team(ctx.db, team.id),
        )
        for team in await identity.list_teams(ctx.db)
    ]


async def find(ctx: Context, who: Principal, name: str) -> Team:
    """The team of that name; raises NotFound."""
    who.require(Permission.OPERATE)
    return await identity.find_team(ctx.db, name)


async def change_limits(
    ctx: Context,
    who: Principal,
    team_id: int,
    *,
    concurrency: int | None = None,
    rpm: int | None = None,
    key_rpm: int | None = None,
    most_waiting: int | None = None,
) -> TeamLimits:
    """Change the limits that are given; returns those in force. Raises InvalidParameters or NotFound."""
    who.require(Permission.OPERATE)
    wanted = {"concurrency": concurrency, "rpm": rpm, "key_rpm": key_rpm, "most_waiting": most_waiting}
    changed = {name: value for name, value in wanted.items() if value is not None}
    if not changed:
        return await limits.of_team(ctx.db, team_id)
    async with ctx.transaction() as tx:
        now = await limits.set_for_team(tx, team_id, **changed)
        await audit.record(tx, who.actor, "team.limits", f"team:{team_id}", team_id=team_id, **changed)
    return now
