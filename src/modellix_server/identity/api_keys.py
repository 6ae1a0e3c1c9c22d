"""API keys and their SQL: what they may do, until when, and their texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

import asyncpg

from modellix_server.base.database import Connection, Pool, Row
from modellix_server.base.errors import InvalidParameters, NotFound
from modellix_server.base.names import UnprintableError, printable
from modellix_server.base.secret import Secret
from modellix_server.identity import keys

_KEY = """k.id, k.team_id, k.live, k.name, k.prefix, k.last4, k.created_at, k.created_by, k.revoked_at, k.tag,
    k.models, k.types, k.expires_at, k.deleted_at,
    (select u.used_at from identity.key_use u where u.key_id = k.id) as used_at,
    (select max(r.ends_at) from identity.rotated_key r where r.key_id = k.id and r.ends_at > now())
        as overlap_ends_at"""
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class AllowedModels:
    """The models that a key may use: those named, and all of the types named. Without either, every model."""

    models: tuple[str, ...] = ()
    """`provider/model`."""
    types: tuple[str, ...] = ()

    @property
    def every(self) -> bool:
        """Whether nothing is ruled out."""
        return not self.models and not self.types

    def cover(self, slug: str, type_: str) -> bool:
        """Whether a model may be used."""
        return self.every or slug in self.models or type_ in self.types

    def __str__(self) -> str:
        """What may be used, in words: types first, then models."""
        named = [*(f"{one} models" for one in self.types), *self.models]
        more = len(named) - _SHOWN
        return ", ".join(named[:_SHOWN]) + (f" and {more} more" if more > 0 else "")


ANY_MODEL = AllowedModels()


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
    allowed: AllowedModels
    expires_at: datetime | None
    deleted_at: datetime | None
    """It is shown no more; the books name it."""
    used_at: datetime | None
    """To within a minute."""
    overlap_ends_at: datetime | None
    """Until when its former text works too."""
    tag: str | None = None
    """A label of keys that belong together, such as a project: what they cost is summed by it."""

    @property
    def state(self) -> Literal["active", "expired", "revoked"]:
        """Whether it may sign requests, and why not."""
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at is not None and self.expires_at <= datetime.now(UTC) else "active"


@dataclass(frozen=True, slots=True)
class KeyLabel:
    """What the books call a key: also of one that was deleted."""

    name: str
    created_by: str
    tag: str | None


def pepper(secret: Secret) -> bytes:
    """The HMAC key under which API keys are stored."""
    return secret.derive("api-keys")


async def create_key(
    db: Pool | Connection,
    secret: Secret,
    team_id: int,
    *,
    live: bool,
    name: str,
    created_by: str,
    allowed: AllowedModels = ANY_MODEL,
    expires_at: datetime | None = None,
    tag: str | None = None,
) -> tuple[str, ApiKey]:
    """Create a key: its text, which cannot be read again, and its row.

    Raises NotFound for an unknown team, InvalidParameters for a name that is not 1 to 64 printable characters.
    """
    text = keys.mint(live=live)
    try:
        row = await db.fetchrow(
            f"""insert into identity.api_key as k
                    (team_id, live, name, hash, prefix, last4, created_by, models, types, expires_at, tag)
                values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) returning {_KEY}""",  # noqa: S608 - a constant
            team_id,
            live,
            printable(name),
            keys.stored_form(text, pepper(secret)),
            *keys.shown_form(text),
            created_by,
            allowed.models,
            allowed.types,
            expires_at,
            tag,
        )
    except asyncpg.ForeignKeyViolationError:
        raise NotFound("team not found") from None
    except (asyncpg.CheckViolationError, UnprintableError):
        raise InvalidParameters("a key's name has 1 to 64 printable characters") from None
    assert row is not None
    return text, _key(row)


async def list_keys(db: Pool | Connection, team_id: int | None = None) -> list[ApiKey]:
    """Keys of one team or of all, oldest first, revoked ones included, deleted ones not."""
    rows = await db.fetch(
        f"""select {_KEY} from identity.api_key k
            where ($1::bigint is null or k.team_id = $1) and k.deleted_at is null order by k.id""",  # noqa: S608
        team_id,
    )
    return [_key(row) for row in rows]


async def key_names(db: Pool | Connection, team_id: int) -> dict[int, str]:
    """The names of a team's keys, deleted ones included."""
    return {key_id: label.name for key_id, label in (await key_labels(db, team_id)).items()}


async def key_labels(db: Pool | Connection, team_id: int) -> dict[int, KeyLabel]:
    """What the books call a team's keys, deleted ones included."""
    rows = await db.fetch("select id, name, created_by, tag from identity.api_key where team_id = $1", team_id)
    return {key_id: KeyLabel(*label) for key_id, *label in rows}


async def find_key(db: Pool | Connection, key_id: int, *, lock: bool = False) -> ApiKey:
    """A key, with `lock` until the end of the transaction. Raises NotFound, of a deleted one too."""
    row = await db.fetchrow(
        f"select {_KEY} from identity.api_key k where k.id = $1 and k.deleted_at is null"  # noqa: S608 - constants
        + (" for no key update" if lock else ""),
        key_id,
    )
    if row is None:
        raise NotFound(f"key {key_id} not found")
    return _key(row)


async def change_key(
    db: Connection, key_id: int, *, allowed: AllowedModels, expires_at: datetime | None, tag: str | None
) -> ApiKey:
    """Change what a key may use, until when, and its tag."""
    values = allowed.models, allowed.types, expires_at, tag
    return await _update(db, "models = $2, types = $3, expires_at = $4, tag = $5", key_id, *values)


async def revoke_key(db: Pool | Connection, key_id: int) -> ApiKey:
    """Revoke a key, effective at once. Idempotent: the first time is kept. Raises NotFound."""
    return await _update(db, "revoked_at = coalesce(revoked_at, now())", key_id)


async def delete_key(db: Connection, key_id: int) -> ApiKey:
    """Show a key no more. Raises NotFound."""
    return await _update(db, "deleted_at = now()", key_id)


async def rotate_key(db: Connection, secret: Secret, key: ApiKey, overlap: timedelta) -> tuple[str, ApiKey]:
    """Give a key another text, which cannot be read again; the former one works for `overlap` more."""
    text = keys.mint(live=key.live)
    await db.execute(
        "select identity.rotate($1, $2, $3, $4, $5)",
        key.id,
        keys.stored_form(text, pepper(secret)),
        *keys.shown_form(text),
        overlap,
    )
    return text, await find_key(db, key.id)


async def revoke_leaked(db: Connection, secret: Secret, texts: Sequence[str]) -> list[tuple[str, ApiKey]]:
    """Revoke those of these keys that are active; returns each with its text, by id. Malformed texts are skipped."""
    by_hash = {keys.stored_form(text, pepper(secret)): text for text in texts if keys.genuine(text)}
    found = await db.fetch(
        """select k.id, t.hash from identity.texts_of_keys($1) t join identity.api_key k on k.id = t.key_id
           where k.revoked_at is null order by k.id for no key update of k""",
        list(by_hash),
    )
    # Every statement that updates keys empties the caches of all processes; a report without a key must not.
    return [(by_hash[row["hash"]], await revoke_key(db, row["id"])) for row in found]


async def note_use(db: Pool | Connection, used: Mapping[int, datetime]) -> None:
    """Record when keys were last used; an older time changes nothing."""
    ids = sorted(used)  # in one order, so that two processes cannot wait for each other
    await db.execute(
        """insert into identity.key_use as u (key_id, used_at)
           select * from unnest($1::bigint[], $2::timestamptz[])
           on conflict (key_id) do update set used_at = excluded.used_at where excluded.used_at > u.used_at""",
        ids,
        [used[key_id] for key_id in ids],
    )


async def _update(db: Pool | Connection, change: str, key_id: int, *values: object) -> ApiKey:
    row = await db.fetchrow(
        f"update identity.api_key k set {change} where k.id = $1 and k.deleted_at is null returning {_KEY}",  # noqa: S608
        key_id,
        *values,
    )
    if row is None:
        raise NotFound(f"key {key_id} not found")
    return _key(row)


def _key(row: Row) -> ApiKey:
    values = dict(row)
    allowed = AllowedModels(tuple(values.pop("models")), tuple(values.pop("types")))
    return ApiKey(allowed=allowed, **values)
