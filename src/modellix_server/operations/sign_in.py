"""Signing in: one-time links, and who sits at a signed-in browser."""

from __future__ import annotations

from dataclasses import dataclass

from modellix_server import audit, identity
from modellix_server.base.database import Connection, Pool
from modellix_server.base.errors import InvalidParameters, NotFound
from modellix_server.base.team_mode import TeamMode
from modellix_server.identity import Membership, Role, User, Visitor
from modellix_server.operations.context import Context
from modellix_server.operations.first_start import TEAM
from modellix_server.operations.principal import Forbidden, Permission, Principal, member, user

_PATH = "/sign-in/link/"


@dataclass(frozen=True, slots=True)
class Browser:
    """Where somebody signs in from."""

    address: str
    agent: str
    """Its User-Agent header."""


async def create_link(ctx: Context, who: Principal, email: str | None = None) -> str:
    """A link that signs a user in once, within 15 minutes.

    Without an address it is for the operator who has been there longest; where there is none it makes one, who will
    own the first team. Raises NotFound for an unknown address.
    """
    who.require(Permission.OPERATE)
    async with ctx.transaction() as tx:
        found = await (identity.first_operator(tx) if email is None else identity.user_by_email(tx, email))
        if found is None and email is not None:
            raise NotFound(f"there is no user {email!r}")
        token = await identity.create_link(tx, found.id if found else None)
        await audit.record(tx, who.actor, "sign_in.link", f"user:{found.id}" if found else "user:new")
    return ctx.settings.public_origin + _PATH + token


async def read_link(ctx: Context, who: Principal, token: str) -> User | None:
    """The user that a link signs in; None when it makes one. Raises NotFound for one that is used, old or unknown."""
    who.require(Permission.SIGN_IN)
    user_id = await identity.read_link(ctx.db, token)
    if user_id is None:
        await _require_no_operator(ctx.db)
        return None
    return await identity.find_user(ctx.db, user_id)


async def use_link(ctx: Context, who: Principal, token: str, browser: Browser, *, email: str, name: str) -> str:
    """Sign a browser in: the text of its cookie. `email` and `name` are of a user to be, ignored for another.

    Raises NotFound for a link that is used, old or unknown, or would make a second operator; InvalidParameters for an
    unfit address or name: then the link is still good.
    """
    who.require(Permission.SIGN_IN)
    async with ctx.transaction() as tx:
        user_id = await identity.use_link(tx, token)
        if user_id is None:
            await _require_no_operator(tx)
            made = await identity.create_user(tx, email, name, operator=True)
            for team in await identity.list_teams(tx):
                if team.name == TEAM:
                    await identity.add_member(tx, team.id, made.id, Role.OWNER)
            user_id = made.id
        cookie, session = await identity.open_session(
            tx, user_id, method="link", address=browser.address, agent=browser.agent
        )
        actor = audit.Actor(f"user:{user_id}", who.origin)
        await audit.record(tx, actor, "session.open", f"session:{session.id}", method="link")
    return cookie


async def _require_no_operator(db: Pool | Connection) -> None:
    """Raise NotFound when a link that makes the operator comes too late: another one was used before."""
    if await identity.first_operator(db):
        raise NotFound("this installation has its operator: make another link")


async def authenticate(ctx: Context, cookie: str | None) -> Visitor | None:
    """Who sits at the browser with this cookie."""
    return None if cookie is None else await identity.find_visitor(ctx.db, cookie)


async def former_user(ctx: Context, cookie: str | None) -> int | None:
    """Whose session this cookie was before its time ran out; None where that is not known."""
    return None if cookie is None else await identity.former_user(ctx.db, cookie)


def scope_of(text: str) -> tuple[int, bool]:
    """`3-test` as (team id, live). Raises InvalidParameters."""
    team, _, mode = text.partition("-")
    if not (team.isascii() and team.isdecimal() and len(team) < 19 and mode in ("test", "live")):
        raise InvalidParameters("scope must be a team's number and a mode, such as 3-test")
    return int(team), mode == "live"


def act(visitor: Visitor, scope: str | None, origin: str) -> tuple[Principal, Membership | None]:
    """The principal of a page: in the team and mode that it names, or that the session shows.

    Without any team the principal acts for none. Raises Forbidden for a team that the user does not belong to, and
    InvalidParameters.
    """
    session = visitor.session
    team_id, live = (session.team_id, session.live) if scope is None else scope_of(scope)
    for membership in visitor.memberships:
        if membership.team.id == team_id:
            return member(visitor, TeamMode(membership.team.id, live=live), membership.role, origin), membership
    if scope is not None:
        raise Forbidden("you do not belong to this team")
    if visitor.memberships:  # the session's team has ended, or its user was removed
        first = visitor.memberships[0]
        return member(visitor, TeamMode(first.team.id, live=live), first.role, origin), first
    return user(visitor, origin), None
