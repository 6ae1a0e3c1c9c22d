"""Redemption codes: batches made by an operator, each code worth an amount in one mode, kept as a keyed hash."""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

import asyncpg

from modellix_server.base.database import Connection, Pool
from modellix_server.base.errors import InvalidParameters, NotFound, PlatformError
from modellix_server.base.names import UnprintableError, printable
from modellix_server.base.secret import Secret
from modellix_server.base.team_mode import TeamMode, mode_word

MOST_CODES = 1000
"""Codes in one batch."""
_LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's: no I, L, O, U
_ALIKE = str.maketrans("ILO", "110")
_GROUPS, _GROUP = 4, 5  # 100 bits
_MOST_GUESSES = 10
_WINDOW = timedelta(minutes=10)


class CodeRefused(PlatformError):
    """A code that gives nothing; the message says why."""

    status, category, code = 400, "Invalid parameters", "code_refused"


class TooManyGuesses(PlatformError):
    """Too many wrong codes in a short time."""

    status, category, code = 429, "Rate limit exceeded", "too_many_guesses"


@dataclass(frozen=True, slots=True)
class CodeBatch:
    """Codes made together. `amount` in micro-dollars, of each."""

    id: int
    name: str
    live: bool
    amount: int
    expires_at: datetime | None
    created_at: datetime
    created_by: str
    revoked_at: datetime | None
    codes: int
    redeemed: int


@dataclass(frozen=True, slots=True)
class RedeemedCode:
    """What a code gave, in micro-dollars."""

    id: int
    batch_id: int
    amount: int
    ending: str


def new_code() -> str:
    """A random code, such as `7QK2M-…`."""
    letters = "".join(secrets.choice(_LETTERS) for _ in range(_GROUPS * _GROUP))
    return "-".join(letters[at : at + _GROUP] for at in range(0, len(letters), _GROUP))


def _hash(secret: Secret, text: str) -> bytes:
    """Of what was typed, without what does not count: case, spaces, dashes, letters that look like digits."""
    plain = "".join(text.upper().translate(_ALIKE).replace("-", " ").split())
    return hmac.digest(secret.derive("redemption codes"), plain.encode(errors="replace"), "sha256")


async def create_batch(
    tx: Connection,
    secret: Secret,
    texts: list[str],
    *,
    name: str,
    live: bool,
    amount: int,
    expires_at: datetime | None,
    created_by: str,
) -> CodeBatch:
    """Store codes by their hashes. Raises InvalidParameters for a name that is not fit."""
    try:
        row = await tx.fetchrow(
            """insert into billing.code_batch (name, live, amount, expires_at, created_by)
               values ($1, $2, $3, $4, $5) returning *""",
            *(printable(name), live, amount, expires_at, created_by),
        )
    except (asyncpg.CheckViolationError, UnprintableError):
        raise InvalidParameters("a name has 1 to 100 printable characters") from None
    assert row is not None
    await tx.execute(
        "insert into billing.code (batch_id, hash, ending) select $1, * from unnest($2::bytea[], $3::text[])",
        *(row["id"], [_hash(secret, text) for text in texts], [text[-4:] for text in texts]),
    )
    return CodeBatch(**dict(row), codes=len(texts), redeemed=0)


_BATCHES = """select b.id, b.name, b.live, b.amount, b.expires_at, b.created_at, b.created_by, b.revoked_at,
    count(c.id) as codes, count(c.redeemed_at) as redeemed
    from billing.code_batch b left join billing.code c on c.batch_id = b.id"""


async def list_batches(db: Pool | Connection) -> list[CodeBatch]:
    """Every batch, the latest first."""
    rows = await db.fetch(f"{_BATCHES} group by b.id order by b.id desc")
    return [CodeBatch(*row) for row in rows]


async def revoke_batch(tx: Connection, batch_id: int) -> CodeBatch:
    """Make the codes of a batch that nobody has redeemed worthless. Idempotent. Raises NotFound."""
    await tx.execute("update billing.code_batch set revoked_at = now() where id = $1 and revoked_at is null", batch_id)
    row = await tx.fetchrow(f"{_BATCHES} where b.id = $1 group by b.id", batch_id)
    if row is None:
        raise NotFound(f"there are no codes {batch_id}")
    return CodeBatch(*row)


async def count_guess(db: Pool, team_id: int) -> None:
    """Count a code before it is compared, for good. Raises TooManyGuesses: then it must not be compared at all."""
    counted = await db.fetchval(
        """insert into billing.guess as g (team_id, window_start, count) values ($1, now(), 1)
           on conflict (team_id) do update set
               window_start = case when g.window_start < excluded.window_start - $3::interval
                   then excluded.window_start else g.window_start end,
               count = case when g.window_start < excluded.window_start - $3::interval then 1 else g.count + 1 end
           where g.count < $2 or g.window_start < excluded.window_start - $3::interval
           returning count""",
        *(team_id, _MOST_GUESSES, _WINDOW),
    )
    if counted is None:
        raise TooManyGuesses(
            "too many wrong codes: try again in ten minutes", retry_after_s=int(_WINDOW.total_seconds())
        )


async def redeem(tx: Connection, secret: Secret, of: TeamMode, text: str, redeemed_by: str) -> RedeemedCode:
    """Use a code up, once, for a team in one mode. Raises CodeRefused: then nothing has changed."""
    row = await tx.fetchrow(
        """update billing.code c set redeemed_at = now(), team_id = $2, redeemed_by = $4 from billing.code_batch b
           where c.hash = $1 and b.id = c.batch_id and c.redeemed_at is null and b.live = $3
               and b.revoked_at is null and (b.expires_at is null or b.expires_at > now())
           returning c.id, c.batch_id, b.amount, c.ending""",
        *(_hash(secret, text), of.team_id, of.live, redeemed_by),
    )
    if row is None:
        raise CodeRefused(await _why(tx, _hash(secret, text), of))
    # A right code was no guess.
    await tx.execute("update billing.guess set count = count - 1 where team_id = $1 and count > 0", of.team_id)
    return RedeemedCode(*row)


async def _why(tx: Connection, hashed: bytes, of: TeamMode) -> str:
    row = await tx.fetchrow(
        """select c.team_id, b.live, b.revoked_at is not null as revoked,
               coalesce(b.expires_at <= now(), false) as expired
           from billing.code c join billing.code_batch b on b.id = c.batch_id where c.hash = $1""",
        hashed,
    )
    if row is None:
        return "there is no such code"
    if row["team_id"] == of.team_id:
        return "your team has redeemed this code already"
    if row["team_id"] is not None:
        return "this code has been used"
    if row["revoked"]:
        return "this code has been withdrawn"
    if row["expired"]:
        return "this code has expired"
    return f"this code is for {mode_word(live=row['live'])} mode: switch to it and redeem it there"
