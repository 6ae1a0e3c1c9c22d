"""Becoming a user: by invitation, or as the sign-up policy says, then with a team of one's own."""

import secrets

from modellix_server import audit, identity
from modellix_server.base.database import Connection
from modellix_server.base.errors import InvalidParameters
from modellix_server.base.settings import Settings
from modellix_server.identity import User
from modellix_server.operations import own_teams
from modellix_server.operations.principal import Forbidden, system

_NAME_TRIES = 20
_LONGEST_NAME = 40


async def admits(tx: Connection, settings: Settings, email: str) -> bool:
    """Whether somebody with this address may become a user."""
    invited = bool(await identity.invitations_to(tx, email))  # asked in any case: the time taken tells nothing
    return invited or settings.sign_up.admits(email)


async def join(tx: Connection, settings: Settings, email: str, origin: str, name: str = "") -> User:
    """Make a user of whoever has shown to own this address; who was not invited gets a team as well.

    Raises Forbidden where the policy admits no such address.
    """
    if not await admits(tx, settings, email):
        raise Forbidden("nobody with this address is known here, and only who is invited may sign up")
    short = email.partition("@")[0][:_LONGEST_NAME]
    user = await identity.create_user(tx, email, _fit(name) or short)
    if not await identity.invitations_to(tx, email):
        await _first_team(tx, settings, user, origin, short)
    await audit.record(tx, audit.Actor(f"user:{user.id}", origin), "user.create", f"user:{user.id}")
    return user


def _fit(name: str) -> str:
    return "".join(one for one in name if one.isprintable()).strip()[:100].strip()


async def _first_team(tx: Connection, settings: Settings, user: User, origin: str, name: str) -> None:
    who = system("sign-up", origin)
    for _ in range(_NAME_TRIES):
        try:
            async with tx.transaction():
                await own_teams.create_in(tx, settings, who, user, name)
        except InvalidParameters:  # the name is taken
            name = f"{name[:_LONGEST_NAME]} {secrets.randbelow(10**6)}"
        else:
            return
    raise InvalidParameters("no name for a team is free: try again")
