"""Codes that sign in: six digits, sent by mail, good for ten minutes and five guesses. With their SQL."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from datetime import timedelta

from modellix_server.base.database import Connection
from modellix_server.base.errors import PlatformError
from modellix_server.base.secret import Secret

CODE_LASTS = timedelta(minutes=10)
MOST_TRIES = 5
MOST_OF_EMAIL, MOST_OF_ADDRESS = 5, 20
"""Codes an hour."""
_COUNTED = timedelta(hours=1)
_KEPT = timedelta(days=1)
_FORM = re.compile(r"\d{6}", re.ASCII)


class TooManyCodes(PlatformError):
    """More codes were asked for than one address, of mail or of the network, gets in an hour."""

    status, category, code = 429, "Rate limit exceeded", "too_many_codes"


@dataclass(frozen=True, slots=True)
class UsedCode:
    """A code that was entered in time."""

    email: str
    user_id: int | None
    """None: nobody had the address when the code was asked for, and who entered it becomes a user."""


async def create_code(
    tx: Connection, secret: Secret, email: str, user_id: int | None, address: str, *, sign_up: bool = False
) -> str:
    """A new code for an address, which replaces those before it.

    Without a user, and unless the address may `sign_up`, none of its guesses can be right.

    Raises TooManyCodes.
    """
    # One after the other, always in this order: parallel requests are counted too.
    await tx.execute("select pg_advisory_xact_lock(7301, hashtext($1))", address)
    await tx.execute("select pg_advisory_xact_lock(7302, hashtext($1))", email)
    await tx.execute("delete from identity.sign_in_code where created_at < now() - $1::interval", _KEPT)
    of_email = await tx.fetchval(
        "select count(*) from identity.sign_in_code where email = $1 and created_at > now() - $2::interval",
        email,
        _COUNTED,
    )
    of_address = await tx.fetchval(
        "select count(*) from identity.sign_in_code where address = $1 and created_at > now() - $2::interval",
        address,
        _COUNTED,
    )
    if of_email >= MOST_OF_EMAIL or of_address >= MOST_OF_ADDRESS:
        raise TooManyCodes("too many codes were asked for: try again in an hour", retry_after_s=3600)
    code = f"{secrets.randbelow(10**6):06}"
    await tx.execute(
        """insert into identity.sign_in_code (email, user_id, hash, address, ends_at, sign_up)
           values ($1, $2, $3, $4, now() + $5::interval, $6)""",
        email,
        user_id,
        secrets.token_bytes(32) if user_id is None and not sign_up else _stored(secret, email, code),
        address,
        CODE_LASTS,
        sign_up,
    )
    return code


async def guess_code(tx: Connection, secret: Secret, email: str, code: str) -> int | None:
    """The number of the code in force, if this is it. The guess is counted first, so commit whatever the answer."""
    row = await tx.fetchrow(
        """update identity.sign_in_code set tries = tries + 1
           where id = (select id from identity.sign_in_code where email = $1 order by id desc limit 1)
               and tries < $2 and used_at is null and ends_at > now() returning id, hash""",
        email,
        MOST_TRIES,
    )
    if row is None or not _matches(row["hash"], _stored(secret, email, code)):
        return None
    found: int = row["id"]
    return found


async def use_code(tx: Connection, code_id: int) -> UsedCode | None:
    """Use a guessed code up; None when another one did so first."""
    row = await tx.fetchrow(
        "update identity.sign_in_code set used_at = now() where id = $1 and used_at is null returning email, user_id",
        code_id,
    )
    return UsedCode(*row) if row else None


def plain_code(text: str) -> str:
    """What was typed, without spaces; empty when it cannot be a code."""
    typed = "".join(text.split())
    return typed if _FORM.fullmatch(typed) else ""


def _stored(secret: Secret, email: str, code: str) -> bytes:
    return hmac.digest(secret.derive("sign-in-codes"), f"{email}\n{code}".encode(), hashlib.sha256)


def _matches(stored: bytes, guessed: bytes) -> bool:
    return hmac.compare_digest(stored, guessed)
