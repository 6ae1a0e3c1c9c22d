"""Signing in with an account elsewhere: what is not exactly as it should be opens nothing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey
from tests.support.identity_providers import CLIENT, CLIENT_SECRET, StrictProvider, open_strict_provider
from tests.support.people import new_team, signed_in

from modellix_server import identity
from modellix_server.base.errors import InvalidParameters, NotFound, Unavailable
from modellix_server.base.sign_up_policy import SignUpPolicy
from modellix_server.identity import ProviderRefused, Role, TooManyDepartures, outside
from modellix_server.operations import account, invitations, outside_sign_in
from modellix_server.operations.context import Context
from modellix_server.operations.outside_sign_in import AddressTaken, Arrival
from modellix_server.operations.principal import Forbidden, Principal, SignInTooOld, anybody
from modellix_server.operations.sign_in import Browser, authenticate

WHO, BROWSER = anybody("192.0.2.1"), Browser("192.0.2.1", "a browser")


@pytest.fixture
async def provider() -> AsyncIterator[StrictProvider]:
    async with open_strict_provider() as opened:
        yield opened


@pytest.fixture
def ctx(pool, settings, provider) -> Context:
    known = {"oidc_issuer": provider.origin, "oidc_client_id": CLIENT, "oidc_client_secret": CLIENT_SECRET}
    github = {"github_url": provider.origin, "github_client_id": CLIENT, "github_client_secret": CLIENT_SECRET}
    return Context(replace(settings, sign_up=SignUpPolicy.of("domain:example.com"), **known, **github), pool)


async def gone(ctx: Context, provider: StrictProvider, name: str = "oidc") -> tuple[dict[str, str], str]:
    """A browser that was at the provider: what it brings, and its cookie."""
    url, cookie = await outside_sign_in.start(ctx, WHO, name, BROWSER, "/console")
    return provider.signs_in(url), cookie


async def back(ctx: Context, brought: dict[str, str], cookie: str, name: str = "oidc", who: Principal = WHO) -> Arrival:
    return await outside_sign_in.finish(ctx, who, name, brought, cookie, BROWSER)


async def arrived(ctx: Context, provider: StrictProvider, name: str = "oidc") -> identity.Visitor:
    arrival = await back(ctx, *await gone(ctx, provider, name), name)
    visitor = await authenticate(ctx, arrival.cookie)
    assert visitor is not None
    return visitor


async def users(ctx: Context) -> int:
    return int(await ctx.db.fetchval("select count(*) from identity.app_user"))


@pytest.mark.parametrize("name", ["oidc", "github", "google"])
async def test_a_verified_address_signs_up_and_the_account_signs_in_from_then_on(
    ctx, provider, name, monkeypatch
) -> None:
    monkeypatch.setattr(outside, "GOOGLE", provider.origin)
    named = {"google_client_id": CLIENT, "google_client_secret": CLIENT_SECRET}
    ctx = Context(replace(ctx.settings, **named), ctx.db)
    provider.claims = {"sub": "7", "email": "Ann@Example.com", "email_verified": True, "name": "Ann <b>"}
    provider.github_user = {"id": 7, "login": "ann", "name": "Ann <b>"}
    provider.github_emails = [
        {"email": "other@example.com", "primary": False, "verified": True},
        {"email": "Ann@Example.com", "primary": True, "verified": True},
    ]
    first = await arrived(ctx, provider, name)
    assert (first.user.email, first.user.name, first.session.method) == ("ann@example.com", "Ann <b>", name)
    assert [one.role for one in first.memberships] == [Role.OWNER]
    provider.claims["email"] = "changed@elsewhere.example"
    provider.github_emails = []
    again = await arrived(ctx, provider, name)
    assert (again.user.id, again.session.id != first.session.id) == (first.user.id, True)
    assert again.user.email == "ann@example.com", "what the provider says later changes no address"
    assert await users(ctx) == 1


def without(name: str) -> Any:
    return lambda claims: claims.pop(name)


def other(**changed: Any) -> Any:
    return lambda claims: claims.update(changed)


LIES = {
    "another issuer": other(iss="https://evil.example"),
    "the issuer with a slash": lambda claims: claims.update(iss=claims["iss"] + "/"),
    "no issuer": without("iss"),
    "another audience": other(aud="another client"),
    "no audience": without("aud"),
    "several audiences and no authorised party": other(aud=[CLIENT, "another client"]),
    "another authorised party": other(azp="another client"),
    "another nonce": other(nonce="x" * 43),
    "no nonce": without("nonce"),
    "expired": other(exp=int(time.time()) - 3600),
    "no end": without("exp"),
    "of the future": other(nbf=int(time.time()) + 3600),
    "no subject": without("sub"),
    "an empty subject": other(sub=""),
    "a subject that is a number": other(sub=5),
    "a long subject": other(sub="x" * 300),
}


@pytest.mark.parametrize("lie", LIES)
async def test_a_token_that_is_not_for_this_sign_in_opens_nothing(ctx, provider, lie: str) -> None:
    provider.change = LIES[lie]
    with pytest.raises(ProviderRefused):
        await back(ctx, *await gone(ctx, provider))
    assert await users(ctx) == 0


def _unsigned(claims: dict[str, Any], key: RSAKey) -> str:
    signed = jwt.encode({"alg": "RS256"}, claims, key).split(".")
    return f"eyJhbGciOiJub25lIn0.{signed[1]}."  # {"alg":"none"}


def _swapped(claims: dict[str, Any], key: RSAKey) -> str:
    header, _, signature = jwt.encode({"alg": "RS256"}, claims, key).split(".")
    return f"{header}.{jwt.encode({'alg': 'RS256'}, claims | {'sub': 'admin'}, key).split('.')[1]}.{signature}"


FORGERIES = {
    "another key": lambda claims, key: jwt.encode({"alg": "RS256"}, claims, RSAKey.generate_key(2048)),
    "no signature": _unsigned,
    "signed with the client's secret": lambda claims, key: jwt.encode(
        {"alg": "HS256"}, claims, OctKey.import_key(CLIENT_SECRET * 3)
    ),
    "signed with the public key as a secret": lambda claims, key: jwt.encode(
        {"alg": "HS256"}, claims, OctKey.import_key(key.as_pem(private=False).replace(b"-----BEGIN", b" "))
    ),
    "changed after signing": _swapped,
    "no token": lambda claims, key: "no.token.here",
    "nothing": lambda claims, key: "",
}


@pytest.mark.parametrize("kind", FORGERIES)
async def test_a_forged_token_opens_nothing(ctx, provider, kind: str) -> None:
    provider.sign = FORGERIES[kind]
    with pytest.raises(ProviderRefused):
        await back(ctx, *await gone(ctx, provider))
    assert await users(ctx) == 0


async def test_what_a_browser_brings_must_be_what_it_left_with(ctx, provider) -> None:
    """State, cookie and provider; each departure is good for one return."""
    brought, cookie = await gone(ctx, provider)
    _, foreign = await gone(ctx, provider)
    for changed, kept, name in (
        (brought | {"state": "x" * 43}, cookie, "oidc"),
        (brought | {"state": ""}, cookie, "oidc"),
        ({"code": brought["code"]}, cookie, "oidc"),
        (brought, foreign, "oidc"),
        (brought, "", "oidc"),
        (brought, cookie, "github"),
    ):
        with pytest.raises(ProviderRefused, match="not started in this browser"):
            await back(ctx, changed, kept, name)
    assert (await back(ctx, brought, cookie)).cookie
    with pytest.raises(ProviderRefused, match="not started in this browser"):
        await back(ctx, brought, cookie)


async def test_a_code_is_good_once_and_for_its_own_browser(ctx, provider) -> None:
    """A code that somebody else got, or that was used, is refused by the provider: it is bound to the verifier."""
    mine, cookie = await gone(ctx, provider)
    stolen, _ = await gone(ctx, provider)
    with pytest.raises(ProviderRefused):
        await back(ctx, mine | {"code": stolen["code"]}, cookie)
    brought, cookie = await gone(ctx, provider)
    assert (await back(ctx, brought, cookie)).cookie
    again, cookie = await gone(ctx, provider)
    with pytest.raises(ProviderRefused):
        await back(ctx, again | {"code": brought["code"]}, cookie)


async def test_of_parallel_returns_one_signs_in(ctx, provider) -> None:
    brought, cookie = await gone(ctx, provider)
    answers = await asyncio.gather(*(back(ctx, brought, cookie) for _ in range(5)), return_exceptions=True)
    assert sum(isinstance(one, Arrival) for one in answers) == 1


async def test_an_answer_of_another_issuer_is_refused(ctx, provider) -> None:
    """RFC 9207: two providers behind one callback cannot be mixed up."""
    brought, cookie = await gone(ctx, provider)
    with pytest.raises(ProviderRefused, match="another issuer"):
        await back(ctx, brought | {"iss": "https://evil.example"}, cookie)
    brought, cookie = await gone(ctx, provider)
    assert (await back(ctx, brought | {"iss": provider.origin}, cookie)).cookie


async def test_a_provider_that_says_who_answers_must_say_so(ctx, provider) -> None:
    provider.metadata = {"authorization_response_iss_parameter_supported": True}
    with pytest.raises(ProviderRefused, match="another issuer"):
        await back(ctx, *await gone(ctx, provider))


@pytest.mark.parametrize(
    "metadata",
    [
        {"issuer": "https://evil.example"},
        {"token_endpoint": None},
        {"jwks_uri": "ftp://x"},
        {"authorization_endpoint": "http://x/\r\nSet-Cookie: a=b"},
    ],
)
async def test_a_provider_that_is_set_up_wrongly_is_not_used(ctx, provider, metadata: dict[str, Any]) -> None:
    provider.metadata = metadata
    with pytest.raises(ProviderRefused):
        await outside_sign_in.start(ctx, WHO, "oidc", BROWSER, "/console")


async def test_trouble_of_the_provider_is_told(ctx, provider) -> None:
    brought, cookie = await gone(ctx, provider)
    provider.down = True
    with pytest.raises(Unavailable, match="cannot answer"):
        await back(ctx, brought, cookie)
    _, cookie = await gone(ctx, provider)
    for refusal in ({"error": "access_denied"}, {}):
        brought, cookie = await gone(ctx, provider)
        with pytest.raises(ProviderRefused, match="did not sign you in"):
            await back(ctx, {"state": brought["state"], **refusal}, cookie)
    away = Context(replace(ctx.settings, oidc_issuer="http://127.0.0.1:1"), ctx.db)
    with pytest.raises(Unavailable, match="cannot be reached"):
        await outside_sign_in.start(away, WHO, "oidc", BROWSER, "/console")
    with pytest.raises(NotFound):
        await outside_sign_in.start(ctx, WHO, "google", BROWSER, "/console")


@pytest.mark.parametrize("verified", [False, None, "true", 1])
async def test_an_address_that_the_provider_has_not_verified_makes_no_user(ctx, provider, verified: object) -> None:
    provider.claims |= {"email_verified": verified}
    with pytest.raises(ProviderRefused, match="not verified"):
        await arrived(ctx, provider)
    assert await users(ctx) == 0


@pytest.mark.parametrize(
    "emails",
    [
        [],
        [{"email": "ann@example.com", "primary": True, "verified": False}],
        [{"email": "ann@example.com", "primary": False, "verified": True}],
    ],
)
async def test_of_github_only_the_verified_primary_address_counts(ctx, provider, emails: list[dict[str, Any]]) -> None:
    provider.github_emails = emails
    with pytest.raises(ProviderRefused, match="not verified"):
        await arrived(ctx, provider, "github")
    assert await users(ctx) == 0


async def test_the_address_may_come_from_the_userinfo_of_the_same_person(ctx, provider) -> None:
    provider.claims = {"sub": "s1"}
    provider.userinfo = {"sub": "another", "email": "ann@example.com", "email_verified": True}
    with pytest.raises(ProviderRefused, match="somebody else"):
        await arrived(ctx, provider)
    provider.userinfo["sub"] = "s1"
    assert (await arrived(ctx, provider)).user.email == "ann@example.com"


async def test_an_equal_address_takes_nobody_over(ctx, provider) -> None:
    victim = await signed_in(ctx, "ann@example.com", await new_team(ctx))
    for name in ("oidc", "github"):
        provider.github_emails = [{"email": "ann@example.com", "primary": True, "verified": True}]
        with pytest.raises(AddressTaken, match="link the account"):
            await arrived(ctx, provider, name)
    assert await outside_sign_in.list_linked(ctx, victim) == []
    assert await users(ctx) == 1


async def test_whom_the_policy_does_not_admit_is_told_so(ctx, provider) -> None:
    provider.claims |= {"email": "eve@elsewhere.example"}
    with pytest.raises(Forbidden, match="invited"):
        await arrived(ctx, provider)
    owner = await signed_in(ctx, "owner@example.com", await new_team(ctx))
    await invitations.invite(ctx, owner, "eve@elsewhere.example", Role.VIEWER)
    visitor = await arrived(ctx, provider)
    assert visitor.memberships == []


async def linked(ctx: Context, provider: StrictProvider, who: Principal, name: str = "oidc") -> Arrival:
    url, cookie = await outside_sign_in.start_linking(ctx, who, name, BROWSER, "/console/account")
    return await back(ctx, provider.signs_in(url), cookie, name, who)


async def test_an_account_is_linked_and_unlinked(ctx, provider) -> None:
    ann = await signed_in(ctx, "ann@example.com", await new_team(ctx))
    assert await linked(ctx, provider, ann) == Arrival("/console/account", None)
    (found,) = await outside_sign_in.list_linked(ctx, ann)
    assert (found.issuer, found.name) == (provider.origin, "ann@example.com")
    assert (await arrived(ctx, provider)).user.id == ann.user_id
    with pytest.raises(InvalidParameters, match="linked already"):
        await linked(ctx, provider, ann)
    eve = await signed_in(ctx, "eve@example.com")
    with pytest.raises(InvalidParameters, match="linked already"):
        await linked(ctx, provider, eve)
    with pytest.raises(NotFound):
        await outside_sign_in.unlink(ctx, eve, provider.origin)
    with pytest.raises(InvalidParameters, match="last way"):  # no mail is set up
        await outside_sign_in.unlink(ctx, ann, provider.origin)
    with_mail = Context(replace(ctx.settings, mail_dir="/nowhere"), ctx.db)
    await outside_sign_in.unlink(with_mail, ann, provider.origin)
    with pytest.raises(AddressTaken):
        await arrived(ctx, provider)


async def test_nobody_links_an_account_to_somebody_else(ctx, provider) -> None:
    """The attacker begins to link, and has the victim finish, or the other way round."""
    ann, eve = await signed_in(ctx, "ann@example.com"), await signed_in(ctx, "eve@example.com")
    for starts, ends in ((ann, eve), (ann, WHO)):
        url, cookie = await outside_sign_in.start_linking(ctx, starts, "oidc", BROWSER, "/console/account")
        with pytest.raises(ProviderRefused, match="not started"):
            await back(ctx, provider.signs_in(url), cookie, "oidc", ends)
    assert await outside_sign_in.list_linked(ctx, ann) == await outside_sign_in.list_linked(ctx, eve) == []


async def test_linking_needs_a_fresh_sign_in(ctx, provider) -> None:
    ann = await signed_in(ctx, "ann@example.com")
    assert ann.signed_in_at is not None
    old = msgspec.structs.replace(ann, signed_in_at=ann.signed_in_at.replace(year=2020))
    with pytest.raises(SignInTooOld):
        await outside_sign_in.start_linking(ctx, old, "oidc", BROWSER, "/console/account")
    with pytest.raises(SignInTooOld):
        await outside_sign_in.unlink(ctx, old, provider.origin)


async def test_a_deleted_user_is_not_signed_in_by_the_account_any_more(ctx, provider) -> None:
    ann = await signed_in(ctx, "ann@example.com")
    await linked(ctx, provider, ann)
    await account.delete(ctx, ann, "ann@example.com")
    assert (await arrived(ctx, provider)).user.id != ann.user_id


async def test_departures_are_limited_by_address(ctx, provider) -> None:
    starts = (outside_sign_in.start(ctx, WHO, "github", BROWSER, "/console") for _ in range(70))
    answers = await asyncio.gather(*starts, return_exceptions=True)
    assert sum(isinstance(one, TooManyDepartures) for one in answers) == 10
