"""Teams and authenticated callers, with their SQL."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

import asyncpg

from modellix_server.base.database import Connection, Pool, Row
from modellix_server.base.errors import InvalidParameters, NotFound
from modellix_server.base.names import UnprintableError, printable
from modellix_server.identity.api_keys import AllowedModels

_CALLER = ("key_id", "team_id", "live", "key_name", "concurrency", "rpm", "key_rpm", "input_days")


@dataclass(frozen=True, slots=True)
class Team:
    """Who pays."""

    id: int
    name: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Caller:
    """Who signed a request, for which team, and the limits in force for it."""

    key_id: int
    team_id: int
    live: bool
    key_name: str
    concurrency: int
    """Unfinished tasks at a time."""
    rpm: int
    """Requests per minute over all keys of the team."""
    key_rpm: int
    """Requests per minute of this key."""
    input_days: int | None = None
    """Days that the team keeps inputs; None: as long as the records."""
    allowed: AllowedModels | None = None
    """The models that the key may use; None: every one."""


@contextlib.contextmanager
def unfit_team_name(name: str) -> Iterator[None]:
    """Raise InvalidParameters for a name that the database refused: taken, or not 1 to 64 printable characters."""
    try:
        yield
    except asyncpg.UniqueViolationError:
        raise InvalidParameters(f"a team named {name.strip()!r} already exists") from None
    except (asyncpg.CheckViolationError, UnprintableError):
        raise InvalidParameters("a team's name has 1 to 64 printable characters") from None


async def create_team(db: Pool | Connection, name: str) -> Team:
    """Raises InvalidParameters for a name that is taken or is not 1 to 64 printable characters."""
    with unfit_team_name(name):
        row = await db.fetchrow(
            "insert into identity.team (name) values ($1) returning id, name, created_at", printable(name)
        )
    assert row is not None
    return Team(*row)


async def list_teams(db: Pool | Connection) -> list[Team]:
    """Every team, oldest first."""
    return [Team(*row) for row in await db.fetch("select id, name, created_at from identity.team order by id")]


@dataclass(frozen=True, slots=True)
class FoundTeam:
    """A team as an operator finds it."""

    team: Team
    ended: bool
    members: int


_FOUND = """select t.id, t.name, t.created_at, t.ended_at is not null,
    (select count(*) from identity.membership m where m.team_id = t.id) from identity.team t"""


async def search_teams(db: Pool | Connection, text: str, *, after: int | None, most: int) -> list[FoundTeam]:
    """Teams whose name contains a text in any case, the newest first; those before number `after` if it is given."""
    rows = await db.fetch(
        f"""{_FOUND} where strpos(lower(t.name), lower($1)) > 0 and ($2::bigint is null or t.id < $2)
            order by t.id desc limit $3""",
        text,
        after,
        most,
    )
    return [FoundTeam(Team(*row[:3]), row[3], row[4]) for row in rows]


async def team_by_id(db: Pool | Connection, team_id: int) -> FoundTeam:
    """Raises NotFound."""
    row = await db.fetchrow(f"{_FOUND} where t.id = $1", team_id)
    if row is None:
        raise NotFound("team not found")
    return FoundTeam(Team(*row[:3]), row[3], row[4])


async def find_team(db: Pool | Connection, name: str) -> Team:
    """The team of that name; raises NotFound."""
    row = await db.fetchrow("select id, name, created_at from identity.team where name = $1", name)
    if row is None:
        raise NotFound(f"team {name!r} not found")
    return Team(*row)


async def callers(db: Pool | Connection, hashes: Sequence[bytes]) -> dict[bytes, tuple[Caller, float | None]]:
    """The callers behind stored forms, each with the seconds until it expires, if it does.

    Unknown, revoked and expired ones are left out.
    """
    rows = await db.fetch(
        """select s.hash, extract(epoch from least(k.expires_at, s.ends_at) - now())::float8, k.models, k.types,
               k.id as key_id, k.team_id, k.live, k.name as key_name, l.concurrency, l.rpm, l.key_rpm, t.input_days
           from identity.texts_of_keys($1) s join identity.api_key k on k.id = s.key_id
           join identity.team t on t.id = k.team_id
           cross join lateral limits.of_team(k.team_id) l
           where k.revoked_at is null and (k.expires_at is null or k.expires_at > now())""",
        hashes,
    )
    return {row[0]: (_caller(row), row[1]) for row in rows}


def _caller(row: Row) -> Caller:
    allowed = AllowedModels(tuple(row["models"]), tuple(row["types"]))
    values = {name: row[name] for name in _CALLER}
    return Caller(**values, allowed=None if allowed.every else allowed)


async def input_days(db: Pool | Connection, team_id: int) -> int | None:
    """Days that a team keeps inputs; None: as long as the records."""
    days: int | None = await db.fetchval("select input_days from identity.team where id = $1", team_id)
    return days


async def set_input_days(db: Pool | Connection, team_id: int, days: int | None) -> None:
    """Change how long a team keeps inputs. Raises NotFound."""
    if await db.execute("update identity.team set input_days = $2 where id = $1", team_id, days) == "UPDATE 0":
        raise NotFound("team not found")


async def teams_without_inputs(db: Pool | Connection) -> dict[int, int]:
    """Teams that keep inputs for some days only, with these days."""
    rows = await db.fetch("select id, input_days from identity.team where input_days is not null order by id")
    return {row["id"]: row["input_days"] for row in rows}
