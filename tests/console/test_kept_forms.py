"""What somebody typed is not lost: not when the session has ended meanwhile, not when the database is away."""

from __future__ import annotations

import re
from html import unescape

import pytest
from tests.console.test_outside import onward
from tests.support.browsers import Shown, Visitor, mail_to, member, new_team
from tests.support.identity_providers import OidcServer, query
from tests.support.platform_processes import Platform

from modellix_server import identity
from modellix_server.console.kept_form import KeptForm
from modellix_server.identity import Role

TYPED = {"name": 'a <b>"key"</b> & more', "mode": "test", "tags": "a\nb"}


def hidden(page: Shown, action: str) -> dict[str, str]:
    """The hidden fields of the form that is sent there."""
    form = re.search(rf'<form method="post" action="{re.escape(action)}".*?</form>', page.text, re.DOTALL)
    assert form is not None, page.text
    return {
        name: unescape(value) for name, value in re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', form[0])
    }


async def ended(platform: Platform) -> Visitor:
    """Somebody whose session ran out while typing."""
    visitor = await member(platform, (await new_team(platform)).id, Role.OWNER)
    assert visitor.user is not None
    query = "update identity.session set seen_at = now() - interval '8 days' where user_id = $1"
    await platform.pool.execute(query, visitor.user.id)
    return visitor


async def code_for(platform: Platform, email: str) -> str:
    return str((await mail_to(platform, email, having="X-Modellix-Code"))["X-Modellix-Code"])


async def keys_of(platform: Platform, visitor: Visitor) -> list[str]:
    assert visitor.user is not None
    teams = await identity.memberships(platform.pool, visitor.user.id)
    return [key.name for key in await identity.list_keys(platform.pool, teams[0].team.id) if key.name != "k"]


@pytest.mark.parametrize("signed_out", [False, True])
async def test_a_form_goes_on_after_a_code(with_mail: Platform, signed_out: bool) -> None:
    """Also where the session is gone without a trace, as after its cookie was cleared."""
    visitor = await ended(with_mail)
    assert visitor.user is not None
    if signed_out:
        visitor.cookie = None
    email = visitor.user.email
    page = await visitor.post("/console/api-key", TYPED)
    assert page.status == 401
    assert "You are not signed in any more" in page.text
    assert await keys_of(with_mail, visitor) == []
    refused = await visitor.post("/sign-in", {**hidden(page, "/sign-in"), "email": "no address"})
    sent = await visitor.post("/sign-in", {**hidden(refused, "/sign-in"), "email": email})
    other = await visitor.post("/sign-in", {**hidden(sent, "/sign-in"), "other": "1"})
    assert hidden(other, "/sign-in")["kept"] == hidden(page, "/sign-in")["kept"]
    code = await code_for(with_mail, email)
    wrong = await visitor.post("/sign-in/code", {**hidden(sent, "/sign-in/code"), "code": f"{(int(code) + 1) % 10**6}"})
    assert wrong.status == 401
    back = await visitor.post("/sign-in/code", {**hidden(wrong, "/sign-in/code"), "code": code})
    assert back.status == 200
    assert await keys_of(with_mail, visitor) == [], "nothing is done before the person says so"
    fields = hidden(back, "/console/api-key")
    assert fields == {**TYPED, "tags": "a\nb"} or fields == {**TYPED, "tags": "a\r\nb"}
    assert (await visitor.post("/console/api-key", fields)).status == 200
    assert await keys_of(with_mail, visitor) == [TYPED["name"]]


async def test_a_form_goes_on_after_a_provider_and_for_its_user_only(with_mail: Platform, oidc: OidcServer) -> None:
    visitor, other = await ended(with_mail), await member(with_mail, (await new_team(with_mail)).id, Role.OWNER)
    for subject, who in (("k1", visitor), ("k2", other)):
        assert who.user is not None
        await oidc.knows(subject, email=who.user.email, email_verified=True)
        async with with_mail.pool.acquire() as db:
            await db.execute(
                """insert into identity.external_identity (issuer, subject, user_id, provider, name)
                   values ($1, $2, $3, 'oidc', 'x')""",
                *(oidc.origin, subject, who.user.id),
            )
    page = await visitor.post("/console/api-key", TYPED)
    cookie, fields = visitor.cookie, hidden(page, "/sign-in/with/oidc")
    url = onward(await visitor.post("/sign-in/with/oidc", fields))
    back = await visitor.get(query(await oidc.signs_in(url, "k1")))
    assert back.status == 200
    assert hidden(back, "/console/api-key")["name"] == TYPED["name"]
    assert visitor.cookie != cookie
    someone = Visitor(with_mail.origin)
    url = onward(await someone.post("/sign-in/with/oidc", fields))
    back = await someone.get(query(await oidc.signs_in(url, "k2")))
    assert (back.status, back.headers["Location"]) == (303, "/console"), "what another user typed is not shown"
    assert someone.cookie

    stale = "update identity.session set signed_in_at = now() - interval '13 hours' where user_id = $1"
    assert visitor.user is not None
    await with_mail.pool.execute(stale, visitor.user.id)
    page = await visitor.post("/console/api-key", TYPED | {"mode": "live"})
    assert page.status == 403
    url = onward(await visitor.post("/sign-in/with/oidc", hidden(page, "/sign-in/with/oidc")))
    back = await visitor.get(query(await oidc.signs_in(url, "k1")))
    made = await visitor.post("/console/api-key", hidden(back, "/console/api-key"))
    assert 'id="new-key">mdlx-' in made.text, "signing in again by a provider loses nothing either"


async def test_who_signs_in_in_another_window_goes_on_and_a_script_leaves_the_page_as_it_is(
    with_mail: Platform,
) -> None:
    visitor = await ended(with_mail)
    line = await visitor.post("/console/billing/redeem", {"code": "X"}, HX_Request="true")
    assert (line.status, line.headers["hx-retarget"]) == (401, "#refusal")
    assert 'target="_blank"' in line.text
    page = await visitor.post("/console/api-key", TYPED)
    assert visitor.user is not None
    async with with_mail.pool.acquire() as db, db.transaction():
        visitor.cookie, _ = await identity.open_session(
            db, visitor.user.id, method="link", address="tests", agent="tests"
        )
    back = await visitor.post("/sign-in", {**hidden(page, "/sign-in"), "other": "1"})
    assert hidden(back, "/console/api-key")["name"] == TYPED["name"]
    stolen = await visitor.post("/sign-in", {"next": "//evil.example", "kept": "a=1", "other": "1"})
    assert hidden(stolen, "/console") == {"a": "1"}, "a form stays in this installation"
    assert (await visitor.get("/sign-in?next=//evil.example")).headers["Location"] == "/console"


async def test_secrets_are_typed_again_and_a_huge_form_is_not_kept(with_mail: Platform) -> None:
    visitor = await ended(with_mail)
    page = await visitor.post("/console/billing/redeem", {"code": "AAAA-BBBB-SECRET", "other": "kept"})
    assert "BBBB-SECRET" not in page.text
    assert KeptForm.read(hidden(page, "/sign-in")["kept"]).secrets == ("code",)
    huge = await visitor.post("/console/api-key", {"name": "x" * 70_000})
    assert huge.status == 401
    assert "kept" not in hidden(huge, "/sign-in")
    assert "too long to be kept" in huge.text
    forged = await visitor.post(
        "/sign-in", {"next": "/console", "kept": "=1&=2&code=3&a=%ff&" + "b&" * 9, "email": "x"}
    )
    assert forged.status == 400


async def test_where_the_database_is_away_the_page_says_so_and_sends_the_form_again(
    with_mail: Platform, postgres_server
) -> None:
    visitor = await member(with_mail, (await new_team(with_mail)).id, Role.OWNER)
    name = await with_mail.pool.fetchval("select current_database()")
    await postgres_server.setup.execute(f"alter database {name} allow_connections false")
    await postgres_server.setup.execute(
        "select pg_terminate_backend(pid) from pg_stat_activity where datname = $1", name
    )
    try:
        page = await visitor.post("/console/api-key", TYPED)
        assert page.status == 503
        assert "The database cannot be reached." in page.text
        fields = hidden(page, "/console/api-key")
        assert fields["name"] == TYPED["name"]
        lost = await visitor.post("/console/billing/redeem", {"code": "AAAA-BBBB-SECRET"})
        assert 'name="code" type="password" required' in lost.text
        assert "BBBB-SECRET" not in lost.text
        shown = await visitor.get("/console")
        assert (shown.status, "<form" in shown.text) == (503, False)
        assert "X-Request-Id" in {one.title() for one in shown.headers} or "request id" in shown.text
    finally:
        await postgres_server.setup.execute(f"alter database {name} allow_connections true")
    await with_mail.until_ready()
    assert (await visitor.post("/console/api-key", fields)).status == 200
    assert await keys_of(with_mail, visitor) == [TYPED["name"]]
