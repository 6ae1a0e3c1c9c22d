"""Users of operations: made, signed in, with a role in a team."""

from __future__ import annotations

from itertools import count

from modellix_server import identity
from modellix_server.identity import Role, Team, Visitor
from modellix_server.operations import sign_in, teams
from modellix_server.operations.context import Context
from modellix_server.operations.principal import Principal, system

_numbers = count(1)


async def new_team(ctx: Context) -> Team:
    return await teams.create(ctx, system("tests", "here"), f"team {next(_numbers)}")


async def visitor_of(ctx: Context, email: str, team: Team | None = None, role: Role = Role.OWNER) -> Visitor:
    """A user, new unless there is one, signed in, in the team."""
    async with ctx.transaction() as tx:
        user = await identity.user_by_email(tx, email) or await identity.create_user(tx, email, email.partition("@")[0])
        if team is not None and await identity.role_of(tx, team.id, user.id) is None:
            await identity.add_member(tx, team.id, user.id, role)
        cookie, _ = await identity.open_session(tx, user.id, method="code", address="here", agent="tests")
    visitor = await sign_in.authenticate(ctx, cookie)
    assert visitor is not None
    return visitor


async def signed_in(ctx: Context, email: str, team: Team | None = None, role: Role = Role.OWNER) -> Principal:
    """The principal of such a user, acting for the team in live mode."""
    visitor = await visitor_of(ctx, email, team, role)
    return sign_in.act(visitor, f"{team.id}-live" if team else None, "here")[0]
