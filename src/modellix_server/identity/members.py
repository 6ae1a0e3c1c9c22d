"""Members of teams, and how teams and users end, with their SQL.

What decides about members first locks the team, so that of two owners who leave at once, one stays.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import asyncpg

from modellix_server.base.database import Connection, Pool
from modellix_server.base.errors import InvalidParameters, NotFound
from modellix_server.base.names import UnprintableError, printable
from modellix_server.identity.people import Role
from modellix_server.identity.store import Team, unfit_team_name

_FORMER = "former user"


@dataclass(frozen=True, slots=True)
class Member:
    """A user as a team sees it."""

    user_id: int
    name: str
    email: str
    role: Role
    since: datetime
    seen_at: datetime | None
    """To a few minutes; None for one who has no session."""


async def lock_team(tx: Connection, team_id: int) -> Team:
    """Let nobody else decide about the team's members until this transaction ends. Raises NotFound for an ended one."""
    row = await tx.fetchrow(
        "select id, name, created_at from identity.team where id = $1 and ended_at is null for no key update", team_id
    )
    if row is None:
        raise NotFound("this team has ended")
    return Team(*row)


async def require_team(tx: Connection, team_id: int) -> None:
    """Keep a team from ending until this transaction does. Raises NotFound for one that has ended."""
    if not await tx.fetchval("select true from identity.team where id = $1 and ended_at is null for share", team_id):
        raise NotFound("team not found")


async def members_of(db: Pool | Connection, team_id: int) -> list[Member]:
    """The members of a team, those of the longest membership first."""
    rows = await db.fetch(
        """select u.id, u.name, u.email, m.role, m.created_at,
               (select max(seen_at) from identity.session where user_id = u.id)
           from identity.membership m join identity.app_user u on u.id = m.user_id
           where m.team_id = $1 order by m.created_at, u.id""",
        team_id,
    )
    return [Member(row[0], row[1], row[2], Role(row[3]), row[4], row[5]) for row in rows]


async def role_of(db: Pool | Connection, team_id: int, user_id: int) -> Role | None:
    """What a user is in a team; None for one who does not belong to it."""
    role = await db.fetchval(
        "select role from identity.membership where team_id = $1 and user_id = $2", team_id, user_id
    )
    return None if role is None else Role(role)


async def change_role(tx: Connection, team_id: int, user_id: int, role: Role) -> None:
    """Make a member of a locked team something else. Raises InvalidParameters if no owner would be left."""
    await tx.execute(
        "update identity.membership set role = $3 where team_id = $1 and user_id = $2", team_id, user_id, role.value
    )
    await _require_owner(tx, team_id)


async def remove_member(tx: Connection, team_id: int, user_id: int) -> None:
    """End a membership of a locked team. Raises InvalidParameters if no owner would be left."""
    await tx.execute("delete from identity.membership where team_id = $1 and user_id = $2", team_id, user_id)
    await _require_owner(tx, team_id)


async def _require_owner(tx: Connection, team_id: int) -> None:
    if not await tx.fetchval(
        "select true from identity.membership where team_id = $1 and role = 'owner' limit 1", team_id
    ):
        raise InvalidParameters("a team has an owner: make another member the owner first, or end the team")


async def revoke_keys(tx: Connection, team_id: int, created_by: str | None = None) -> int:
    """Revoke the keys of a team, or those that somebody made; returns how many."""
    done: str = await tx.execute(
        """update identity.api_key set revoked_at = now()
           where team_id = $1 and revoked_at is null and ($2::text is null or created_by = $2)""",
        team_id,
        created_by,
    )
    return int(done.rpartition(" ")[2])


async def rename_team(tx: Connection, team_id: int, name: str) -> None:
    """Raises InvalidParameters for a name that is taken or is not 1 to 64 printable characters."""
    with unfit_team_name(name):
        await tx.execute("update identity.team set name = $2 where id = $1", team_id, printable(name))


async def end_team(tx: Connection, team_id: int) -> int:
    """End a locked team: no members, no invitations, no keys. Returns how many keys were revoked."""
    await tx.execute("update identity.team set ended_at = now() where id = $1", team_id)
    await tx.execute("delete from identity.membership where team_id = $1", team_id)
    await tx.execute(
        "update identity.invitation set closed_at = now() where team_id = $1 and closed_at is null", team_id
    )
    return await revoke_keys(tx, team_id)


async def change_user(
    tx: Connection, user_id: int, *, name: str, language: str | None, time_zone: str | None, theme: str | None
) -> None:
    """Change what a user says about itself. Raises InvalidParameters for a name that is not fit."""
    try:
        await tx.execute(
            "update identity.app_user set name = $2, language = $3, time_zone = $4, theme = $5 where id = $1",
            user_id,
            printable(name),
            language,
            time_zone,
            theme,
        )
    except (asyncpg.CheckViolationError, UnprintableError):
        raise InvalidParameters("a name has 1 to 100 printable characters") from None


async def delete_user(tx: Connection, user_id: int) -> None:
    """Forget a user: its row stays, without address and name, as records name it. It belongs to no team any more."""
    await tx.execute("delete from identity.session where user_id = $1", user_id)
    await tx.execute("delete from identity.sign_in_link where user_id = $1", user_id)
    await tx.execute("delete from identity.sign_in_code where user_id = $1", user_id)
    await tx.execute("delete from identity.external_identity where user_id = $1", user_id)
    await tx.execute("delete from identity.outside_sign_in where user_id = $1", user_id)
    await tx.execute(
        """update identity.app_user set email = null, name = $2, operator = false, language = null, time_zone = null,
               theme = null, deleted_at = now() where id = $1""",
        user_id,
        _FORMER,
    )
