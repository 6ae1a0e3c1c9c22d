"""Signing in with an account elsewhere, and linking such accounts to one's own.

An account is its issuer and subject. An address that a provider verified makes a new user where the sign-up policy
admits it; it never leads to a user who is there already.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from modellix_server import audit, identity, mail
from modellix_server.base.database import Connection
from modellix_server.base.errors import InvalidParameters, NotFound, PlatformError
from modellix_server.base.outbound import Outbound
from modellix_server.identity import ExternalIdentity, OutsidePerson, Provider, ProviderRefused, User
from modellix_server.operations.context import Context
from modellix_server.operations.principal import Permission, Principal
from modellix_server.operations.sign_in import Browser
from modellix_server.operations.sign_up import join

_PATH = "/sign-in/with/"


class AddressTaken(PlatformError):
    """The address belongs to a user that this account is not linked to."""

    status, category, code = 403, "Permission denied", "address_taken"


@dataclass(frozen=True, slots=True)
class Arrival:
    """A browser that has come back from a provider."""

    target: str
    """A path of ours to go on with."""
    cookie: str | None
    """Of its new session; None where somebody who was signed in linked an account."""
    kept: str = ""
    """What it was about to send, to go on with."""


async def start(
    ctx: Context, who: Principal, provider: str, browser: Browser, target: str, kept: str = ""
) -> tuple[str, str]:
    """Send a browser to a provider: where to, and the text of a cookie for its way back.

    `kept` is what it was about to send, to go on with when it is back.

    Raises NotFound for a provider that is not set up, TooManyDepartures, Unavailable, ProviderRefused.
    """
    who.require(Permission.SIGN_IN)
    return await _start(ctx, provider, browser, target, None, kept or None)


async def start_linking(ctx: Context, who: Principal, provider: str, browser: Browser, target: str) -> tuple[str, str]:
    """The same to link the account to the user. Raises SignInTooOld as well."""
    who.require(Permission.USE_ACCOUNT)
    who.require_fresh()
    return await _start(ctx, provider, browser, target, who.user_id)


async def finish(
    ctx: Context, who: Principal, provider: str, brought: Mapping[str, str], cookie: str, browser: Browser
) -> Arrival:
    """Take a browser back from a provider, with the parameters that it brings.

    Raises ProviderRefused for anything that does not fit what the browser left with or that the provider cannot show,
    AddressTaken, Forbidden where the sign-up policy does not admit the address, InvalidParameters for an account that
    cannot be linked, NotFound, Unavailable.
    """
    who.require(Permission.SIGN_IN)
    known = _provider(ctx, provider)
    async with ctx.transaction() as tx:  # used up whatever comes of it
        left = await identity.take_departure(tx, provider, brought.get("state", ""), cookie)
    if left is None or (left.user_id is not None and left.user_id != who.user_id):
        raise ProviderRefused("this sign-in was not started in this browser, or took longer than 10 minutes: try again")
    if "error" in brought or not brought.get("code"):
        raise ProviderRefused(f"{known.title} did not sign you in: try again")
    leaving = identity.Departure(brought["state"], left.nonce, left.verifier, _return_address(ctx, provider))
    async with _outbound(ctx) as http:
        person = await known.person(http, leaving, brought)
    async with ctx.transaction() as tx:
        if left.user_id is not None:
            await identity.link(tx, left.user_id, provider, person)
            await audit.record(tx, who.actor, "identity.link", f"user:{left.user_id}", provider=provider)
            return Arrival(left.target, None)
        user = await _user_of(tx, ctx, who, known, person)
        session_cookie, session = await identity.open_session(
            tx, user.id, method=provider, address=browser.address, agent=browser.agent
        )
        actor = audit.Actor(f"user:{user.id}", who.origin)
        await audit.record(tx, actor, "session.open", f"session:{session.id}", method=provider)
    return Arrival(left.target, session_cookie, left.kept or "")


async def list_linked(ctx: Context, who: Principal) -> list[ExternalIdentity]:
    """The accounts that sign the user in."""
    who.require(Permission.USE_ACCOUNT)
    assert who.user_id is not None
    return await identity.identities_of(ctx.db, who.user_id)


async def unlink(ctx: Context, who: Principal, issuer: str) -> None:
    """Let an account sign the user in no more. Raises NotFound, SignInTooOld, InvalidParameters for the last way in."""
    who.require(Permission.USE_ACCOUNT)
    who.require_fresh()
    assert who.user_id is not None
    async with ctx.transaction() as tx:
        await identity.lock_user(tx, who.user_id)
        await identity.unlink(tx, who.user_id, issuer)
        if mail.missing_settings(ctx.settings):  # else a code by mail is a way in
            usable = {one.provider for one in await identity.identities_of(tx, who.user_id)} & set(
                ctx.identity_providers
            )
            if not usable:
                raise InvalidParameters("this is your last way to sign in: link another one first")
        await audit.record(tx, who.actor, "identity.unlink", who.id, issuer=issuer)


async def _start(
    ctx: Context, provider: str, browser: Browser, target: str, user_id: int | None, kept: str | None = None
) -> tuple[str, str]:
    known = _provider(ctx, provider)
    leaving = identity.departure(_return_address(ctx, provider))
    async with ctx.transaction() as tx:
        cookie = await identity.note_departure(
            tx, provider, leaving, target=target, kept=kept, user_id=user_id, address=browser.address
        )
    async with _outbound(ctx) as http:
        return await known.address(http, leaving), cookie


async def _user_of(tx: Connection, ctx: Context, who: Principal, provider: Provider, person: OutsidePerson) -> User:
    """The user whose account this is; somebody new becomes one."""
    if (user_id := await identity.user_of(tx, person)) is not None:
        return await identity.find_user(tx, user_id)
    if person.email is None:
        raise ProviderRefused(
            f"{provider.title} has not verified your e-mail address: sign in with a code, then link the account"
        )
    email = identity.plain_email(person.email)
    if await identity.user_by_email(tx, email) is not None:
        raise AddressTaken(
            f"{email} is known here, and this {provider.title} account is not linked to it: sign in with your first "
            "method, then link the account on your account page"
        )
    user = await join(tx, ctx.settings, email, who.origin, person.name)
    await identity.link(tx, user.id, provider.slug, person)
    return user


def _provider(ctx: Context, name: str) -> Provider:
    if (found := ctx.identity_providers.get(name)) is None:
        raise NotFound("people cannot sign in with this provider here")
    return found


def _return_address(ctx: Context, provider: str) -> str:
    return f"{ctx.settings.public_origin}{_PATH}{provider}/callback"


@asynccontextmanager
async def _outbound(ctx: Context) -> AsyncIterator[Outbound]:
    http = Outbound(ctx.settings.allow_networks)
    try:
        yield http
    finally:
        await http.close()
