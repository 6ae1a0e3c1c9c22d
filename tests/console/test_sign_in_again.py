"""Acts that weigh heavily ask for a fresh code, and go on afterwards with what was typed."""

from __future__ import annotations

import re
from html import unescape

from tests.support.browsers import Shown, Visitor, mail_to, member, new_team
from tests.support.platform_processes import Platform

from modellix_server import identity
from modellix_server.identity import Role

LIVE_KEY = {"name": "a <b>live</b> key & more", "mode": "live"}


async def signed_in_long_ago(platform: Platform, role: Role = Role.OWNER) -> Visitor:
    visitor = await member(platform, (await new_team(platform)).id, role)
    assert visitor.user is not None
    await platform.pool.execute(
        "update identity.session set signed_in_at = now() - interval '12 hours 1 minute' where user_id = $1",
        visitor.user.id,
    )
    return visitor


def hidden(page: Shown) -> dict[str, str]:
    return {
        name: unescape(value) for name, value in re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', page.text)
    }


async def test_a_live_key_needs_a_fresh_sign_in_and_a_test_key_does_not(with_mail: Platform) -> None:
    visitor = await signed_in_long_ago(with_mail)
    assert visitor.user is not None
    assert (await visitor.post("/console/api-key", {"name": "t", "mode": "test"})).status == 200
    asked = await visitor.post("/console/api-key", LIVE_KEY)
    assert asked.status == 403
    assert "Sign in again" in asked.text
    kept = hidden(asked)
    sent = await visitor.post("/sign-in/again", kept)
    assert sent.status == 200
    code = (await mail_to(with_mail, visitor.user.email))["X-Modellix-Code"]
    wrong = await visitor.post("/sign-in/again/code", {**hidden(sent), "code": f"{(int(code) + 1) % 10**6:06}"})
    assert wrong.status == 401
    before = visitor.cookie
    page = await visitor.post("/sign-in/again/code", {**hidden(wrong), "code": code})
    assert page.status == 200
    assert visitor.cookie != before, "the cookie is a new one"
    assert (await Visitor(with_mail.origin, before).get("/console")).status == 303
    fields = hidden(page)
    assert 'action="/console/api-key"' in page.text
    assert fields["name"] == LIVE_KEY["name"]
    made = await visitor.post("/console/api-key", fields)
    assert 'id="new-key">mdlx-' in made.text
    teams = await identity.memberships(with_mail.pool, visitor.user.id)
    assert {(key.name, key.live) for key in await identity.list_keys(with_mail.pool, teams[0].team.id)} >= {
        (LIVE_KEY["name"], True)
    }


async def test_going_on_stays_in_this_installation(with_mail: Platform) -> None:
    visitor = await signed_in_long_ago(with_mail)
    assert visitor.user is not None
    fields = {"next": "https://evil.example", "kept": ""}
    await visitor.post("/sign-in/again", fields)
    code = (await mail_to(with_mail, visitor.user.email))["X-Modellix-Code"]
    page = await visitor.post("/sign-in/again/code", {**fields, "code": code})
    assert (page.status, page.headers["Location"]) == (303, "/console")


async def test_the_code_of_another_user_is_no_proof(with_mail: Platform) -> None:
    visitor, other = await signed_in_long_ago(with_mail), await signed_in_long_ago(with_mail)
    assert other.user is not None
    await other.post("/sign-in/again", {})
    code = (await mail_to(with_mail, other.user.email))["X-Modellix-Code"]
    assert (await visitor.post("/sign-in/again/code", {"code": code})).status == 401
    assert (await visitor.post("/console/api-key", LIVE_KEY)).status == 403


async def test_where_no_mail_can_be_sent_the_page_says_how_else(platform: Platform) -> None:
    visitor = await signed_in_long_ago(platform)
    assert visitor.user is not None
    page = await visitor.post("/console/api-key", LIVE_KEY)
    assert page.status == 403
    assert f"admin sign-in-link {visitor.user.email}" in page.text
