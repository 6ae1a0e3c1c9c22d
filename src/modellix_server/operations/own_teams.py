"""What members do with a team of theirs: open it, name it, end it."""

from modellix_server import audit, identity, limits
from modellix_server.base.database import Connection
from modellix_server.base.errors import InvalidParameters
from modellix_server.base.money import MICROS_PER_USD
from modellix_server.base.settings import Settings
from modellix_server.base.team_mode import TeamMode
from modellix_server.identity import Role, Team, User
from modellix_server.limits import TeamLimits
from modellix_server.operations import money, teams
from modellix_server.operations.context import Context
from modellix_server.operations.first_start import TEST_MONEY_MICROS
from modellix_server.operations.members import require_now
from modellix_server.operations.principal import Forbidden, Permission, Principal, system

_MOST_TEAMS = 50


async def may_create(ctx: Context, who: Principal) -> bool:
    """Whether the user may open teams: an operator, and who could sign up uninvited."""
    who.require(Permission.USE_ACCOUNT)
    assert who.user_id is not None
    return _may_create(ctx.settings, await identity.find_user(ctx.db, who.user_id))


async def create(ctx: Context, who: Principal, name: str) -> Team:
    """A new team that the user owns, with test money; the session shows it from then on.

    Raises Forbidden where the sign-up policy does not admit it, InvalidParameters for a name that is taken or not fit.
    """
    who.require(Permission.USE_ACCOUNT)
    assert who.user_id is not None
    assert who.session_id is not None
    async with ctx.transaction() as tx:
        user = await identity.find_user(tx, who.user_id)
        if not _may_create(ctx.settings, user):
            raise Forbidden("teams are opened by whoever runs this installation")
        if len(await identity.memberships(tx, user.id)) >= _MOST_TEAMS:
            raise InvalidParameters(f"one user belongs to {_MOST_TEAMS} teams at most")
        team = await create_in(tx, ctx.settings, who, user, name)
        await identity.show(tx, who.session_id, team.id, live=False)
    return team


async def create_in(tx: Connection, settings: Settings, who: Principal, owner: User, name: str) -> Team:
    """The same within a transaction that does more. An address's first team gets the starter credit."""
    team = await teams.create_in(tx, who, name)
    await identity.add_member(tx, team.id, owner.id, Role.OWNER)
    giver = system("sign-up", who.origin)
    await money.credit_in(tx, giver, TeamMode(team.id, live=False), TEST_MONEY_MICROS, "test money")
    micros = round(settings.starter_credit_usd * MICROS_PER_USD)
    if micros and await identity.claim_starter_credit(tx, settings.secret, owner.email, team.id):
        await money.credit_in(tx, giver, TeamMode(team.id, live=True), micros, "starter credit")
    return team


async def read_limits(ctx: Context, who: Principal) -> TeamLimits:
    """The limits in force for the principal's team."""
    who.require(Permission.READ_TEAM)
    return await limits.of_team(ctx.db, who.team.team_id)


async def rename(ctx: Context, who: Principal, name: str) -> None:
    """Give the principal's team another name. Raises InvalidParameters for one that is taken or not fit, Forbidden."""
    who.require(Permission.MANAGE_TEAM)
    async with ctx.transaction() as tx:
        team = await require_now(tx, who, Permission.MANAGE_TEAM)
        await identity.rename_team(tx, team.id, name)
        await audit.record(
            tx, who.actor, "team.rename", f"team:{team.id}", team_id=team.id, before=team.name, name=name.strip()
        )


async def end(ctx: Context, who: Principal, name: str) -> None:
    """End the principal's team for good: its members and keys lose it at once, running tasks finish, its books stay.

    Raises InvalidParameters unless its name is given, SignInTooOld, Forbidden.
    """
    who.require(Permission.END_TEAM)
    who.require_fresh()
    async with ctx.transaction() as tx:
        team = await require_now(tx, who, Permission.END_TEAM)
        if name.strip() != team.name:
            raise InvalidParameters("to end the team, enter its name")
        revoked = await identity.end_team(tx, team.id)
        await audit.record(tx, who.actor, "team.end", f"team:{team.id}", team_id=team.id, revoked_keys=revoked)


def _may_create(settings: Settings, user: User) -> bool:
    return user.operator or settings.sign_up.admits(user.email)
