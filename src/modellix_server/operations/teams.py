"""Teams, and what each of them may do at a time."""

from collections.abc import Mapping
from dataclasses import dataclass

from modellix_server import audit, identity, ledger, limits, tasks
from modellix_server.base.database import Connection
from modellix_server.base.pages import Page
from modellix_server.base.team_mode import mode_word
from modellix_server.identity import Member, Team
from modellix_server.ledger import Balance, monitor
from modellix_server.ledger.monitor import FrozenAccount
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


@dataclass(frozen=True, slots=True)
class TeamSummary:
    """A team in a list; money is what is available, in micro-dollars."""

    team: Team
    ended: bool
    members: int
    live: int
    test: int
    frozen: tuple[str, ...]
    """The modes in which it takes no new tasks."""


@dataclass(frozen=True, slots=True)
class TeamDetails:
    """All that an operator sees of one team."""

    overview: TeamOverview
    ended: bool
    members: list[Member]
    frozen: Mapping[str, FrozenAccount]
    """By mode."""


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


async def search(ctx: Context, who: Principal, text: str, *, after: int | None, most: int) -> Page[TeamSummary, int]:
    """Up to `most` teams whose name contains a text, the newest first; those before number `after` if it is given."""
    who.require(Permission.OPERATE)
    async with ctx.reading() as db:
        found = await identity.search_teams(db, text, after=after, most=most + 1)
        money = await ledger.balances(db, [one.team.id for one in found])
        frozen = {(one.team_id, mode_word(live=one.live)) for one in await monitor.list_frozen(db)}
    rows = [
        TeamSummary(
            one.team,
            one.ended,
            one.members,
            money.get((one.team.id, True), 0),
            money.get((one.team.id, False), 0),
            tuple(mode for mode in ("live", "test") if (one.team.id, mode) in frozen),
        )
        for one in found[:most]
    ]
    return Page(rows, rows[-1].team.id if len(found) > most else None)


async def details(ctx: Context, who: Principal, team_id: int) -> TeamDetails:
    """One team. Raises NotFound."""
    who.require(Permission.OPERATE)
    found = await identity.team_by_id(ctx.db, team_id)
    overview = TeamOverview(
        found.team,
        await ledger.balance(ctx.db, team_id, live=True),
        await ledger.balance(ctx.db, team_id, live=False),
        await limits.of_team(ctx.db, team_id),
    )
    frozen = {mode_word(live=one.live): one for one in await monitor.list_frozen(ctx.db) if one.team_id == team_id}
    return TeamDetails(overview, found.ended, await identity.members_of(ctx.db, team_id), frozen)


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
