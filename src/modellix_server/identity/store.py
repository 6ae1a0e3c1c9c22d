"""All SQL of identity."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

import asyncpg

from modellix_server.base.database import Connection, Pool
from modellix_server.base.errors import InvalidParameters, NotFound
from modellix_server.base.secret import Secret
from modellix_server.identity import keys

_KEY = "id, team_id, live, name, prefix, last4, created_at, created_by, revoked_at"


@dataclass(frozen=True, slots=True)
class Team:
    """Who pays."""

    id: int
    name: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key without its text: that exists once, in the answer to its creation."""

    id: int
    team_id: int
    live: bool
    name: str
    prefix: str
    last4: str
    created_at: datetime
    created_by: str
    revoked_at: datetime | None


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


def pepper(secret: Secret) -> bytes:
    """The HMAC key under which API keys are stored."""
    return secret.derive("api-keys")


@contextlib.contextmanager
def unfit_team_name(name: str) -> Iterator[None]:
    """Raise InvalidParameters for a name that the database refused: taken, or not 1 to 64 printable characters."""
    try:
        yield
    except asyncpg.UniqueViolationError:
        raise InvalidParameters(f"a team named {name.strip()!r} already exists") from None
    except (asyncpg.CheckViolationError, asyncpg.CharacterNotInRepertoireError):
        raise InvalidParameters("a team's name has 1 to 64 printable characters") from None


async def create_team(db: Pool | Connection, name: str) -> Team:
    """Raises InvalidParameters for a name that is taken or is not 1 to 64 printable characters."""
    with unfit_team_name(name):
        row = await db.fetchrow(
            "insert into identity.team (name) values ($1) returning id, name, created_at", name.strip()
        )
    assert row is not None
    return Team(*row)


async def list_teams(db: Pool | Connection) -> list[Team]:
    """Every team, oldest first."""
    return [Team(*row) for row in await db.fetch("select id, name, created_at from identity.team order by id")]


async def find_team(db: Pool | Connection, name: str) -> Team:
    """The team of that name; raises NotFound."""
    row = await db.fetchrow("select id, name, created_at from identity.team where name = $1", name)
    if row is None:
        raise NotFound(f"team {name!r} not found")
    return Team(*row)


async def create_key(
    db: Pool | Connection, secret: Secret, team_id: int, *, live: bool, name: str, created_by: str
) -> tuple[str, ApiKey]:
    """Create a key: its text, which cannot be read again, and its row.

    Raises NotFound for an unknown team, InvalidParameters for a name that is not 1 to 64 printable characters.
    """
    text = keys.mint(live=live)
    try:
        row = await db.fetchrow(
            f"""insert into identity.api_key (team_id, live, name, hash, prefix, last4, created_by)
                values ($1, $2, $3, $4, $5, $6, $7) returning {_KEY}""",  # noqa: S608 - a constant
            team_id,
            live,
            name,
            keys.stored_form(text, pepper(secret)),
            *keys.shown_form(text),
            created_by,
        )
    except asyncpg.ForeignKeyViolationError:
        raise NotFound("team not found") from None
    except (asyncpg.CheckViolationError, asyncpg.CharacterNotInRepertoireError):
        raise InvalidParameters("a key's name has 1 to 64 printable characters") from None
    assert row is not None
    return text, ApiKey(*row)


async def list_keys(db: Pool | Connection, team_id: int | None = None) -> list[ApiKey]:
    """Keys of one team or of all, oldest first, revoked ones included."""
    rows = await db.fetch(
        f"select {_KEY} from identity.api_key where $1::bigint is null or team_id = $1 order by id",  # noqa: S608
        team_id,
    )
    return [ApiKey(*row) for row in rows]


async def revoke_key(db: Pool | Connection, key_id: int) -> ApiKey:
    """Revoke a key, effective at once. Idempotent: the first time is kept. Raises NotFound."""
    row = await db.fetchrow(
        f"""update identity.api_key set revoked_at = coalesce(revoked_at, now())
            where id = $1 returning {_KEY}""",  # noqa: S608 - a constant
        key_id,
    )
    if row is None:
        raise NotFound(f"key {key_id} not found")
    return ApiKey(*row)


async def revoke_leaked(db: Connection, secret: Secret, texts: Sequence[str]) -> list[tuple[str, ApiKey]]:
    """Revoke those of these keys that are active; returns each with its text, by id. Malformed texts are skipped."""
    by_hash = {keys.stored_form(text, pepper(secret)): text for text in texts if keys.genuine(text)}
    found = await db.fetch(
        """select id, hash from identity.api_key where hash = any ($1::bytea[]) and revoked_at is null
           order by id for no key update""",
        list(by_hash),
    )
    # Every statement that updates keys empties the caches of all processes; a report without a key must not.
    return [(by_hash[row["hash"]], await revoke_key(db, row["id"])) for row in found]


async def callers(db: Pool | Connection, hashes: Sequence[bytes]) -> dict[bytes, Caller]:
    """The callers behind stored forms; unknown and revoked ones are left out."""
    rows = await db.fetch(
        """select k.hash, k.id, k.team_id, k.live, k.name, l.concurrency, l.rpm, l.key_rpm, t.input_days
           from identity.api_key k join identity.team t on t.id = k.team_id
           cross join lateral limits.of_team(k.team_id) l
           where k.hash = any ($1::bytea[]) and k.revoked_at is null""",
        hashes,
    )
    return {row[0]: Caller(*row[1:]) for row in rows}


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
