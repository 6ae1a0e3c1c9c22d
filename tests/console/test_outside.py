"""Signing in with an account elsewhere, page by page, at a real OpenID provider and at what speaks as GitHub does."""

from __future__ import annotations

import re
from html import unescape
from urllib.parse import quote

from tests.support.browsers import Shown, Visitor, member, new_team
from tests.support.identity_providers import OidcServer, StrictProvider, as_query, query
from tests.support.platform_processes import Platform

from modellix_server.identity import Role


def onward(page: Shown) -> str:
    """Where a page sends the browser, with script or without."""
    assert page.status == 200, page.text
    url = page.headers["refresh"].removeprefix("0;url=")
    assert f'href="{url.replace("&", "&amp;")}"' in page.text
    assert url in unescape(page.text)
    return url


async def leave(platform: Platform, slug: str = "oidc", target: str = "/console") -> tuple[Visitor, str]:
    visitor = Visitor(platform.origin)
    return visitor, onward(await visitor.post(f"/sign-in/with/{slug}", {"next": target}))


async def test_an_openid_provider_signs_in(with_mail: Platform, oidc: OidcServer) -> None:
    await oidc.knows("o1", email="olga@open.example", email_verified=True, name="Olga <i>")
    page = await Visitor(with_mail.origin).get("/sign-in?next=/console/team")
    assert "Continue with Single sign-on" in page.text
    assert "Continue with GitHub" in page.text
    assert "Continue with Google" not in page.text
    visitor, url = await leave(with_mail, target="/console/team")
    assert visitor.away
    back = await visitor.get(query(await oidc.signs_in(url, "o1")))
    assert (back.status, back.headers["Location"]) == (303, "/console/team")
    assert visitor.away is None
    page = await visitor.get("/console/team")
    assert "olga@open.example" in page.text
    assert "Olga &lt;i&gt;" in page.text
    again = Visitor(with_mail.origin)
    await again.get(query(await oidc.signs_in(url, "o1")))
    assert again.cookie is None, "what one browser started, no other ends"


async def test_github_signs_in(with_mail: Platform, github: StrictProvider) -> None:
    github.github_user = {"id": 4711, "login": "gus", "name": None}
    github.github_emails = [{"email": "gus@open.example", "primary": True, "verified": True}]
    visitor, url = await leave(with_mail, "github")
    brought = github.signs_in(url)
    assert (await visitor.get(f"/sign-in/with/oidc/callback?{as_query(brought)}")).status == 401
    visitor, url = await leave(with_mail, "github")
    back = await visitor.get(f"/sign-in/with/github/callback?{as_query(github.signs_in(url))}")
    assert (back.status, back.headers["Location"]) == (303, "/console")
    assert "gus" in (await visitor.get("/console/account")).text


async def test_who_may_not_sign_up_is_told_so_and_stays_out(with_mail: Platform, oidc: OidcServer) -> None:
    await oidc.knows("e1", email="eve@elsewhere.example", email_verified=True)
    await oidc.knows("e2", email="eve@open.example", email_verified=False)
    user = (await member(with_mail, (await new_team(with_mail)).id, Role.OWNER)).user
    assert user is not None
    await oidc.knows("e3", email=user.email, email_verified=True)
    for subject, status, words in (
        ("e1", 403, "only who is invited may sign up"),
        ("e2", 401, "has not verified your e-mail address"),
        ("e3", 403, "link the account on your account page"),
    ):
        visitor, url = await leave(with_mail)
        page = await visitor.get(query(await oidc.signs_in(url, subject)))
        assert (page.status, visitor.cookie) == (status, None)
        assert words in page.text
        assert "Continue with" in page.text, "other ways are there at once"


async def test_an_account_is_linked_on_the_account_page(with_mail: Platform, oidc: OidcServer) -> None:
    ann = await member(with_mail, (await new_team(with_mail)).id, Role.VIEWER)
    await oidc.knows("a1", email="ann@private.example", email_verified=True)
    assert "Link Single sign-on" in (await ann.get("/console/account")).text
    url = onward(await ann.post("/console/account/link/oidc", {}))
    back = await ann.get(query(await oidc.signs_in(url, "a1")))
    assert (back.status, back.headers["Location"]) == (303, "/console/account#methods")
    page = await ann.get("/console/account")
    assert "ann@private.example" in page.text
    assert "Link Single sign-on" not in page.text
    other, url = await leave(with_mail)
    await other.get(query(await oidc.signs_in(url, "a1")))
    assert ann.user is not None
    assert ann.user.email in (await other.get("/console/account")).text
    eve = await member(with_mail, (await new_team(with_mail)).id, Role.VIEWER)
    url = onward(await eve.post("/console/account/link/oidc", {}))
    page = await eve.get(query(await oidc.signs_in(url, "a1")))
    assert (page.status, "linked already" in page.text) == (400, True)
    issuer = re.search(r'name="issuer" value="([^"]+)"', (await ann.get("/console/account")).text)
    assert issuer is not None
    assert (await eve.post("/console/account/unlink", {"issuer": issuer[1]})).status == 404
    assert (await ann.post("/console/account/unlink", {"issuer": issuer[1]})).status == 303
    assert "ann@private.example" not in (await ann.get("/console/account")).text


async def test_a_sign_in_that_another_site_starts_or_ends_does_nothing(with_mail: Platform, oidc: OidcServer) -> None:
    """Login CSRF: a victim must not find itself in the attacker's account."""
    await oidc.knows("o9", email="attacker@open.example", email_verified=True)
    attacker, url = await leave(with_mail)
    callback = query(await oidc.signs_in(url, "o9"))
    victim = Visitor(with_mail.origin)
    page = await victim.get(callback, Sec_Fetch_Site="cross-site")
    assert (page.status, victim.cookie) == (401, None)
    page = await victim.post("/sign-in/with/oidc", {}, Sec_Fetch_Site="cross-site")
    assert (page.status, victim.away) == (403, None)
    assert (await attacker.get(callback)).status == 303


async def test_going_on_stays_in_this_installation(with_mail: Platform, oidc: OidcServer) -> None:
    await oidc.knows("o2", email="o2@open.example", email_verified=True)
    for target in ("https://evil.example", "//evil.example", "/\\evil.example", "javascript:alert(1)"):
        visitor, url = await leave(with_mail, target=target)
        back = await visitor.get(query(await oidc.signs_in(url, "o2")))
        assert (back.status, back.headers["Location"]) == (303, "/console")


async def test_a_provider_that_says_no_or_is_not_there(with_mail: Platform, platform: Platform) -> None:
    visitor, url = await leave(with_mail)
    state = re.search(r"state=([\w-]+)", url)
    assert state is not None
    page = await visitor.get(
        f"/sign-in/with/oidc/callback?state={state[1]}&error=access_denied&error_description={quote('<b>x</b>')}"
    )
    assert page.status == 401
    assert "did not sign you in" in page.text
    assert "<b>x" not in page.text
    for path in ("/sign-in/with/google/callback?state=x&code=y", "/sign-in/with/..%2f/callback"):
        assert (await visitor.get(path)).status == 404
    assert (await Visitor(platform.origin).post("/sign-in/with/google", {})).status == 404
    assert "Continue with" not in (await Visitor(platform.origin).get("/sign-in")).text
