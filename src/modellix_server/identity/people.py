"""Users and their memberships, with their SQL."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import asyncpg

from modellix_server.base.database import Connection, Pool
from modellix_server.base.errors import InvalidParameters, NotFound
from modellix_server.base.names import UnprintableError, printable
from modellix_server.identity.store import Team

_MOST_EMAIL = 254  # characters: RFC 5321, 4.5.3.1.3, less the brackets of a path
# As browsers check an input of type email (HTML standard, "valid e-mail address"), and letters of other scripts.
_EMAIL = re.compile(r"[\w.!#$%&'*+/=?^`{|}~-]+@[^\W_](?:[\w-]*[^\W_])?(?:\.[^\W_](?:[\w-]*[^\W_])?)*")
_USER = "u.id, u.email, u.name, u.operator, u.language, u.time_zone, u.theme, u.created_at"


class Role(StrEnum):
    """What a member may do in a team (`operations.principal.ROLE_PERMISSIONS`)."""

    OWNER = "owner"
    ADMIN = "admin"
    DEVELOPER = "developer"
    BILLING = "billing"
    VIEWER = "viewer"


@dataclass(frozen=True, slots=True)
class User:
    """A person who signs in."""

    id: int
    email: str
    name: str
    operator: bool
    """Runs the whole platform."""
    language: str | None
    """`en` or `zh`; None: as the browser asks."""
    time_zone: str | None
    """IANA name."""
    theme: str | None
    """`light` or `dark`; None: as the system is set."""
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Membership:
    """A team that a user belongs to, and as what."""

    team: Team
    role: Role


def plain_email(text: str) -> str:
    """An address in the form that is stored: trimmed, lower case. Raises InvalidParameters."""
    email = text.strip()[: _MOST_EMAIL + 1].lower()
    if len(email) > _MOST_EMAIL or not _EMAIL.fullmatch(email):
        raise InvalidParameters("this is not an e-mail address")
    return email


async def create_user(tx: Connection, email: str, name: str, *, operator: bool = False) -> User:
    """A new user. Raises InvalidParameters for an address that has a user, or a name that is not fit."""
    try:
        row = await tx.fetchrow(
            f"insert into identity.app_user as u (email, name, operator) values ($1, $2, $3) returning {_USER}",  # noqa: S608 - a constant
            plain_email(email),
            printable(name),
            operator,
        )
    except asyncpg.UniqueViolationError:
        raise InvalidParameters("there is a user with this e-mail address") from None
    except (asyncpg.CheckViolationError, UnprintableError):
        raise InvalidParameters("a name has 1 to 100 printable characters") from None
    assert row is not None
    return User(*row)


async def user_by_email(db: Pool | Connection, email: str) -> User | None:
    """The user with this address."""
    row = await db.fetchrow(
        f"select {_USER} from identity.app_user u where email = $1 and deleted_at is null",  # noqa: S608 - a constant
        plain_email(email),
    )
    return User(*row) if row else None


async def find_user(db: Pool | Connection, user_id: int) -> User:
    """Raises NotFound, of a deleted user too."""
    row = await db.fetchrow(
        f"select {_USER} from identity.app_user u where id = $1 and deleted_at is null",  # noqa: S608 - a constant
        user_id,
    )
    if row is None:
        raise NotFound("user not found")
    return User(*row)


async def lock_user(tx: Connection, user_id: int) -> None:
    """Let nobody else decide about how this user signs in until this transaction ends."""
    await tx.execute("select id from identity.app_user where id = $1 for no key update", user_id)


async def user_names(db: Pool | Connection, user_ids: Collection[int]) -> dict[int, str]:
    """The names of users, deleted ones included."""
    rows = await db.fetch("select id, name from identity.app_user where id = any ($1::bigint[])", user_ids)
    return {row["id"]: row["name"] for row in rows}


async def first_operator(db: Pool | Connection) -> User | None:
    """The operator who has been there longest."""
    row = await db.fetchrow(
        f"select {_USER} from identity.app_user u where operator and deleted_at is null order by id limit 1"  # noqa: S608
    )
    return User(*row) if row else None


async def operators(db: Pool | Connection) -> list[User]:
    """Every operator, the longest there first."""
    rows = await db.fetch(
        f"select {_USER} from identity.app_user u where operator and deleted_at is null order by id"  # noqa: S608
    )
    return [User(*row) for row in rows]


async def set_operator(tx: Connection, user_id: int, *, operator: bool) -> None:
    """Make a user an operator, or none; the last one must not be taken away (`other_operators`)."""
    await tx.execute("update identity.app_user set operator = $2 where id = $1", user_id, operator)


async def other_operators(tx: Connection, user_id: int) -> int:
    """How many operators there are besides this one, none of whom can go until this transaction ends."""
    rows = await tx.fetch(
        "select id from identity.app_user where operator and deleted_at is null order by id for no key update"
    )
    return sum(row["id"] != user_id for row in rows)


async def add_member(tx: Connection, team_id: int, user_id: int, role: Role) -> None:
    """Let a user belong to a team. Raises InvalidParameters for one who does already."""
    added = await tx.fetchval(
        """insert into identity.membership (team_id, user_id, role) values ($1, $2, $3)
           on conflict do nothing returning true""",
        team_id,
        user_id,
        role.value,
    )
    if not added:
        raise InvalidParameters("this user belongs to the team already")


async def memberships(db: Pool | Connection, user_id: int) -> list[Membership]:
    """The teams of a user, those of the longest membership first."""
    rows = await db.fetch(
        """select t.id, t.name, t.created_at, m.role from identity.membership m
           join identity.team t on t.id = m.team_id where m.user_id = $1 order by m.created_at, t.id""",
        user_id,
    )
    return [Membership(Team(*row[:3]), Role(row[3])) for row in rows]
