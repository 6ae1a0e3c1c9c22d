"""Invitations to teams, and the money that a first team starts with, with their SQL.

A link holds 32 random bytes, of which only the SHA-256 is stored. It alone lets nobody in: whoever accepts has signed
in with the address that was invited.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from datetime import datetime, timedelta

from modellix_server.base.database import Connection, Pool
from modellix_server.base.errors import NotFound, PlatformError
from modellix_server.base.secret import Secret
from modellix_server.identity.people import Role
from modellix_server.identity.sessions import new_token, stored_token

INVITATION_LASTS = timedelta(days=7)
MOST_AN_HOUR = 30
"""Invitations of a team."""
_OPEN = "i.closed_at is null and i.ends_at > now() and t.ended_at is null"
_SELECT = """select i.id, i.team_id, t.name, i.email, i.role, u.name, i.created_at, i.ends_at from identity.invitation i
             join identity.team t on t.id = i.team_id join identity.app_user u on u.id = i.invited_by"""


class TooManyInvitations(PlatformError):
    """A team invited more people than it may in an hour."""

    status, category, code = 429, "Rate limit exceeded", "too_many_invitations"


@dataclass(frozen=True, slots=True)
class Invitation:
    """An invitation to a team that is still good."""

    id: int
    team_id: int
    team_name: str
    email: str
    role: Role
    inviter: str
    created_at: datetime
    ends_at: datetime


async def create_invitation(tx: Connection, team_id: int, email: str, role: Role, by: int) -> tuple[str, int]:
    """The token of a new invitation's link, and its number; it replaces the one before for the same address.

    The team must be locked. Raises TooManyInvitations.
    """
    recent = await tx.fetchval(
        "select count(*) from identity.invitation where team_id = $1 and created_at > now() - interval '1 hour'",
        team_id,
    )
    if recent >= MOST_AN_HOUR:
        raise TooManyInvitations("your team invited many people just now: try again in an hour", retry_after_s=3600)
    await tx.execute(
        "update identity.invitation set closed_at = now() where team_id = $1 and email = $2 and closed_at is null",
        team_id,
        email,
    )
    token = new_token()
    number = await tx.fetchval(
        """insert into identity.invitation (team_id, email, role, hash, invited_by, ends_at)
           values ($1, $2, $3, $4, $5, now() + $6) returning id""",
        team_id,
        email,
        role.value,
        stored_token(token),
        by,
        INVITATION_LASTS,
    )
    return token, number


async def invitations_of_team(db: Pool | Connection, team_id: int) -> list[Invitation]:
    """The invitations of a team that nobody has accepted yet, oldest first."""
    return [_made(*row) for row in await db.fetch(f"{_SELECT} where i.team_id = $1 and {_OPEN} order by i.id", team_id)]


async def invitations_to(db: Pool | Connection, email: str) -> list[Invitation]:
    """The invitations to an address, oldest first."""
    return [_made(*row) for row in await db.fetch(f"{_SELECT} where i.email = $1 and {_OPEN} order by i.id", email)]


async def find_invitation(db: Pool | Connection, token: str) -> Invitation:
    """The invitation of a link. Raises NotFound for one that is used, withdrawn, replaced, old or unknown."""
    row = await db.fetchrow(f"{_SELECT} where i.hash = $1 and {_OPEN}", stored_token(token))
    if row is None:
        raise NotFound("this invitation was used already, was withdrawn, or is too old")
    return _made(*row)


async def close_invitation(tx: Connection, invitation_id: int, *, accepted_by: int | None = None) -> None:
    """Use up or withdraw an invitation of a locked team. Raises NotFound for one that is not good any more."""
    closed = await tx.fetchval(
        """update identity.invitation set closed_at = now(), accepted_by = $2
           where id = $1 and closed_at is null and ends_at > now() returning true""",
        invitation_id,
        accepted_by,
    )
    if not closed:
        raise NotFound("this invitation was used already, was withdrawn, or is too old")


async def claim_starter_credit(tx: Connection, secret: Secret, email: str, team_id: int) -> bool:
    """Whether the owner of this address has its first team only now; of two at once, one has."""
    claimed = await tx.fetchval(
        """insert into identity.starter_credit (address_hash, team_id) values ($1, $2)
           on conflict do nothing returning true""",
        hmac.digest(secret.derive("starter-credit"), email.encode(), hashlib.sha256),
        team_id,
    )
    return bool(claimed)


def _made(
    number: int, team_id: int, team: str, email: str, role: str, inviter: str, at: datetime, ends_at: datetime
) -> Invitation:
    return Invitation(number, team_id, team, email, Role(role), inviter, at, ends_at)
