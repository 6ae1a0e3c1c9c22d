"""Browsers on their way to a provider, and the accounts elsewhere that sign users in, with their SQL."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType

from modellix_server.base.database import Connection, Pool
from modellix_server.base.errors import InvalidParameters, NotFound, PlatformError
from modellix_server.base.settings import Settings
from modellix_server.identity.github import GitHubProvider
from modellix_server.identity.oidc import OidcProvider
from modellix_server.identity.providers import Departure, OutsidePerson, Provider
from modellix_server.identity.sessions import new_token, stored_token

AWAY_LASTS = timedelta(minutes=10)
_MOST_OF_ADDRESS = 60
GOOGLE = "https://accounts.google.com"


class TooManyDepartures(PlatformError):
    """One address of the network sent more browsers to providers than come from there in ten minutes."""

    status, category, code = 429, "Rate limit exceeded", "too_many_sign_ins"


@dataclass(frozen=True, slots=True)
class OutsideSignIn:
    """What was noted of a browser before it left for a provider."""

    nonce: str
    verifier: str
    target: str
    """A path of ours to go on with."""
    user_id: int | None
    """Who links an account; None for somebody who signs in."""
    kept: str | None
    """A form to go on with."""


@dataclass(frozen=True, slots=True)
class ExternalIdentity:
    """An account elsewhere that signs a user in."""

    issuer: str
    provider: str
    name: str
    created_at: datetime
    used_at: datetime


def providers_of(settings: Settings) -> Mapping[str, Provider]:
    """The providers that the settings name, by slug."""
    found: list[Provider] = []
    if client := settings.google_client_id:
        found.append(OidcProvider("google", "Google", GOOGLE, client, settings.google_client_secret))
    if client := settings.github_client_id:
        found.append(GitHubProvider(settings.github_url, client, settings.github_client_secret))
    if client := settings.oidc_client_id:
        secret = settings.oidc_client_secret
        found.append(OidcProvider("oidc", settings.oidc_name, settings.oidc_issuer, client, secret))
    return MappingProxyType({one.slug: one for one in found})


async def note_departure(
    tx: Connection,
    provider: str,
    leaving: Departure,
    *,
    target: str,
    kept: str | None,
    user_id: int | None,
    address: str,
) -> str:
    """Note that a browser leaves: the text of a cookie by which it is known when it returns.

    Raises TooManyDepartures.
    """
    await tx.execute("select pg_advisory_xact_lock(7303, hashtext($1))", address)
    await tx.execute("delete from identity.outside_sign_in where ends_at < now()")
    if (
        await tx.fetchval("select count(*) from identity.outside_sign_in where address = $1", address)
        >= _MOST_OF_ADDRESS
    ):
        raise TooManyDepartures("too many sign-ins were started: try again in ten minutes", retry_after_s=600)
    cookie = new_token()
    await tx.execute(
        """insert into identity.outside_sign_in
               (state_hash, browser_hash, provider, nonce, verifier, target, kept, user_id, address, ends_at)
           values ($1, $2, $3, $4, $5, $6, $7, $8, $9, now() + $10)""",
        stored_token(leaving.state),
        stored_token(cookie),
        provider,
        leaving.nonce,
        leaving.verifier,
        target,
        kept,
        user_id,
        address,
        AWAY_LASTS,
    )
    return cookie


async def take_departure(tx: Connection, provider: str, state: str, cookie: str) -> OutsideSignIn | None:
    """What was noted of a browser that returns, once; None for another browser, provider, state, or too late."""
    row = await tx.fetchrow(
        """delete from identity.outside_sign_in where state_hash = $1 and browser_hash = $2 and provider = $3
           and ends_at > now() returning nonce, verifier, target, user_id, kept""",
        stored_token(state),
        stored_token(cookie),
        provider,
    )
    return OutsideSignIn(*row) if row else None


async def user_of(tx: Connection, person: OutsidePerson) -> int | None:
    """The user that this account signs in; its use is noted."""
    found: int | None = await tx.fetchval(
        """update identity.external_identity set used_at = now(), name = $3
           where issuer = $1 and subject = $2 returning user_id""",
        person.issuer,
        person.subject,
        person.account[:254],
    )
    return found


async def link(tx: Connection, user_id: int, provider: str, person: OutsidePerson) -> None:
    """Let an account sign this user in. Raises InvalidParameters if it is somebody's, or the user has another there."""
    linked = await tx.fetchval(
        """insert into identity.external_identity (issuer, subject, user_id, provider, name)
           values ($1, $2, $3, $4, $5) on conflict do nothing returning true""",
        person.issuer,
        person.subject,
        user_id,
        provider,
        person.account[:254],
    )
    if not linked:
        raise InvalidParameters("this account, or another one of the same provider, is linked already")


async def identities_of(db: Pool | Connection, user_id: int) -> list[ExternalIdentity]:
    """The accounts that sign a user in."""
    rows = await db.fetch(
        """select issuer, provider, name, created_at, used_at from identity.external_identity
           where user_id = $1 order by created_at, issuer""",
        user_id,
    )
    return [ExternalIdentity(*row) for row in rows]


async def unlink(tx: Connection, user_id: int, issuer: str) -> None:
    """Let an account sign nobody in any more. Raises NotFound."""
    if not await tx.fetchval(
        "delete from identity.external_identity where user_id = $1 and issuer = $2 returning true", user_id, issuer
    ):
        raise NotFound("no such account is linked")
