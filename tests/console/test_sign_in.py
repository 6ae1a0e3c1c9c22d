"""One-time links, sessions, and what strangers try with them."""

from __future__ import annotations

import asyncio
import re
from urllib.parse import quote

import pytest
from tests.support.browsers import COOKIE, Visitor, mail_to, member, new_team
from tests.support.platform_processes import Platform

from modellix_server import identity
from modellix_server.base.database import connect
from modellix_server.identity import Role


@pytest.fixture
def stranger(platform: Platform) -> Visitor:
    return Visitor(platform.origin)


async def link(platform: Platform, user_id: int | None = None) -> str:
    if user_id is None:  # as in an installation that has no operator yet
        await platform.pool.execute("update identity.app_user set deleted_at = now(), email = null where operator")
    async with platform.pool.acquire() as db, db.transaction():
        return "/sign-in/link/" + await identity.create_link(db, user_id)


async def test_a_link_makes_an_operator_once(platform: Platform, stranger: Visitor) -> None:
    path = await link(platform)
    page = await stranger.get(path)
    assert page.status == 200
    assert 'name="email"' in page.text
    page = await stranger.post(path, {"name": "Ada", "email": "not an address"})
    assert (page.status, stranger.cookie) == (400, None)
    assert 'value="Ada"' in page.text, "what was typed is kept"
    page = await stranger.post(path, {"name": "Ada", "email": " Ada@Example.com"})
    assert (page.status, page.headers["Location"]) == (303, "/console")
    cookie = page.headers["Set-Cookie"]
    assert cookie.startswith(COOKIE)
    assert {"HttpOnly", "Secure", "Path=/", "SameSite=lax"} <= set(cookie.split("; "))
    assert (await stranger.get("/console")).status == 200
    user = await identity.user_by_email(platform.pool, "ada@example.com")
    assert user is not None
    assert user.operator
    again = Visitor(platform.origin)
    assert (await again.post(path, {"name": "Eve", "email": "eve@example.com"})).status == 404
    assert (again.cookie, await identity.user_by_email(platform.pool, "eve@example.com")) == (None, None)


async def test_another_link_of_a_new_installation_makes_no_second_operator(
    platform: Platform, stranger: Visitor
) -> None:
    path = await link(platform)
    await member(platform, (await new_team(platform)).id, Role.OWNER, operator=True)
    assert (await stranger.post(path, {"name": "Eve", "email": "second@example.com"})).status == 404
    assert (stranger.cookie, await identity.user_by_email(platform.pool, "second@example.com")) == (None, None)


async def test_looking_at_a_link_does_not_use_it_up(platform: Platform, stranger: Visitor) -> None:
    user = (await member(platform, (await new_team(platform)).id, Role.OWNER)).user
    assert user is not None
    path = await link(platform, user.id)
    for _ in range(3):
        assert user.name in (await stranger.get(path)).text
    assert (await stranger.post(path, {})).status == 303


async def test_of_many_who_use_a_link_at_once_one_gets_in(platform: Platform, stranger: Visitor) -> None:
    user = (await member(platform, (await new_team(platform)).id, Role.OWNER)).user
    assert user is not None
    path = await link(platform, user.id)
    pages = await asyncio.gather(*(Visitor(platform.origin).post(path, {}) for _ in range(12)))
    assert sorted(page.status for page in pages) == [303] + [404] * 11


@pytest.mark.parametrize("token", ["0", "x" * 43, "%00", "a" * 5000, "..%2f..%2fconsole"])
async def test_a_wrong_link_opens_nothing(stranger: Visitor, token: str) -> None:
    assert (await stranger.post(f"/sign-in/link/{token}", {})).status in (404, 414)
    assert stranger.cookie is None


async def test_an_old_link_opens_nothing(platform: Platform, stranger: Visitor) -> None:
    path = await link(platform)
    owner = await connect(platform.env["MODELLIX_OWNER_DATABASE_URL"], name="tests")
    try:
        await owner.execute("update identity.sign_in_link set ends_at = now() where used_at is null")
    finally:
        await owner.close()
    assert (await stranger.get(path)).status == 404
    assert (await stranger.post(path, {"name": "Ada", "email": "late@example.com"})).status == 404


async def test_signing_out_ends_the_session_at_the_server(platform: Platform) -> None:
    visitor = await member(platform, (await new_team(platform)).id, Role.VIEWER)
    kept = visitor.cookie
    assert (await visitor.get("/console")).status == 200
    assert (await visitor.post("/sign-out", {})).status == 303
    assert visitor.cookie is None
    visitor.cookie = kept
    assert (await visitor.get("/console")).status == 303


async def test_a_session_is_new_at_each_sign_in(platform: Platform, stranger: Visitor) -> None:
    """A cookie that somebody planted before is not the one that is signed in."""
    user = (await member(platform, (await new_team(platform)).id, Role.OWNER)).user
    assert user is not None
    stranger.cookie = planted = "p" * 43
    assert (await stranger.post(await link(platform, user.id), {})).status == 303
    assert stranger.cookie not in (None, planted)
    assert (await Visitor(platform.origin, planted).get("/console")).status == 303


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
        {"Sec_Fetch_Site": "cross-site", "Origin": "http://127.0.0.1"},
    ],
)
async def test_forms_of_other_sites_do_nothing(platform: Platform, headers: dict[str, str]) -> None:
    visitor = await member(platform, (await new_team(platform)).id, Role.OWNER)
    page = await visitor.post("/console/api-key", {"name": "stolen", "mode": "test"}, **headers)
    assert page.status == 403
    assert "stolen" not in (await visitor.get("/console/api-key")).text
    assert (await visitor.post("/sign-out", {}, **headers)).status == 403
    assert (await visitor.get("/console")).status == 200


async def test_the_origin_counts_where_a_browser_says_no_more(platform: Platform) -> None:
    visitor = await member(platform, (await new_team(platform)).id, Role.OWNER)
    of_another, own = {"Origin": "https://evil.example"}, {"Origin": platform.origin}
    assert (await visitor.post("/sign-out", {}, Sec_Fetch_Site="", **of_another)).status == 403
    assert (await visitor.post("/sign-out", {}, Sec_Fetch_Site="", **own)).status == 303


@pytest.mark.parametrize(
    "target", ["https://evil.example", "//evil.example", "/\\evil.example", "javascript:alert(1)", "", "console"]
)
async def test_going_on_never_leaves_the_installation(platform: Platform, target: str) -> None:
    visitor = await member(platform, (await new_team(platform)).id, Role.OWNER)
    page = await visitor.get("/sign-in?next=" + quote(target, safe=""))
    assert (page.status, page.headers["Location"]) == (303, "/console")
    assert visitor.user is not None
    own = await visitor.get("/console/api-key")
    scope = re.search(r'name="scope" value="([^"]+)"', own.text)
    assert scope is not None
    page = await visitor.post("/console/switch", {"to": scope[1], "back": target})
    assert (page.status, page.headers["Location"]) == (303, "/console")


async def test_who_is_not_signed_in_is_sent_to_sign_in_and_back(stranger: Visitor) -> None:
    page = await stranger.get("/console/api-key")
    assert (page.status, page.headers["Location"]) == (303, "/sign-in?next=/console/api-key")
    assert "modellix-server admin sign-in-link" in (await stranger.get("/sign-in")).text


async def test_pages_run_nothing_inline_and_are_kept_nowhere(platform: Platform) -> None:
    visitor = await member(platform, (await new_team(platform)).id, Role.OWNER)
    for path in ("/", "/sign-in", "/console", "/console/api-key", "/nothing"):
        page = await (Visitor(platform.origin) if path == "/" else visitor).get(path)
        policy = page.headers.get("Content-Security-Policy", "")
        if page.status == 200:
            assert page.headers["Cache-Control"] == "no-store"
            assert not re.search(r"<script(?![^>]*src=)|\sstyle=|\son\w+=|<style", page.text)
            assert "unsafe" not in policy
            assert "default-src 'none'" in policy
            assert len(page.text) < 150_000


async def test_styles_and_scripts_are_kept_by_browsers_and_named_by_their_content(platform: Platform) -> None:
    visitor = Visitor(platform.origin)
    page = await visitor.get("/")
    found = re.findall(r'(?:href|src)="(/static/[^"]+)"', page.text)
    assert len(found) >= 4
    for url in found:
        answer = await visitor.get(url)
        assert answer.status == 200
        assert "immutable" in answer.headers["Cache-Control"]
    for wrong in ("/static/", "/static/../app.py", "/static/%2e%2e/app.py", "/static/none.css"):
        assert (await visitor.get(wrong)).status == 404


async def test_a_code_by_mail_signs_in(with_mail: Platform) -> None:
    visitor = await member(with_mail, (await new_team(with_mail)).id, Role.VIEWER)
    assert visitor.user is not None
    stranger = Visitor(with_mail.origin)
    page = await stranger.get("/sign-in?next=/console/api-key")
    assert 'action="/sign-in"' in page.text
    page = await stranger.post("/sign-in", {"email": visitor.user.email.upper(), "next": "/console/api-key"})
    assert page.status == 200
    code = (await mail_to(with_mail, visitor.user.email, having="X-Modellix-Code"))["X-Modellix-Code"]
    fields = {"email": visitor.user.email, "next": "/console/api-key"}
    wrong = await stranger.post("/sign-in/code", {**fields, "code": f"{(int(code) + 1) % 10**6:06}"})
    assert (wrong.status, stranger.cookie) == (401, None)
    page = await stranger.post("/sign-in/code", {**fields, "code": f" {code[:3]} {code[3:]} "})
    assert (page.status, page.headers["Location"]) == (303, "/console/api-key")
    assert (await stranger.get("/console")).status == 200
    again = Visitor(with_mail.origin)
    assert (await again.post("/sign-in/code", {**fields, "code": code})).status == 401


async def test_an_unknown_address_gets_the_same_page(with_mail: Platform) -> None:
    user = (await member(with_mail, (await new_team(with_mail)).id, Role.VIEWER)).user
    assert user is not None
    stranger = Visitor(with_mail.origin)
    known = await stranger.post("/sign-in", {"email": user.email})
    unknown = await stranger.post("/sign-in", {"email": "nobody@example.com"})
    assert known.status == unknown.status == 200
    assert known.text.replace(user.email, "X") == unknown.text.replace("nobody@example.com", "X")
    page = await stranger.post("/sign-in", {"email": "<b>"})
    assert page.status == 400
    assert "&lt;b&gt;" in page.text


async def test_where_no_mail_can_be_sent_the_page_names_what_is_missing(stranger: Visitor) -> None:
    page = await stranger.get("/sign-in")
    assert "MODELLIX_SMTP_URL" in page.text
    assert 'action="/sign-in"' not in page.text
    assert (await stranger.post("/sign-in", {"email": "a@example.com"})).status == 503


async def test_behind_a_trusted_proxy_a_browser_has_its_own_address(platform: Platform, with_mail: Platform) -> None:
    """Codes are limited by it, and people recognise their browsers by it."""
    for installation, address in ((platform, "127.0.0.1"), (with_mail, "198.51.100.7")):
        user = (await member(installation, (await new_team(installation)).id, Role.OWNER)).user
        assert user is not None
        visitor = Visitor(installation.origin)
        path = await link(installation, user.id)
        assert (await visitor.post(path, {}, X_Forwarded_For="203.0.113.9, 198.51.100.7")).status == 303
        row = await installation.pool.fetchrow(
            "select address from identity.session where user_id = $1 order by id desc limit 1", user.id
        )
        assert row["address"] == address


@pytest.mark.parametrize(
    ("form", "problem"),
    [
        (b"email=%FF", "cannot be read"),
        (b"email=\xff", "cannot be read"),
        (b"email=%EF%BF%BD&a=%E9%20", "cannot be read"),
        (b"a&" * 600, "cannot be read"),
        (b"email=" + b"%C3%A9" * 20_000, "too large"),
        (b"email=%EF%BF%bd\xef\xbf\xbd", ""),
    ],
    ids=["no UTF-8", "no UTF-8 as it is", "one of two", "fields", "bytes", "a letter that stands for none"],
)
async def test_what_is_no_form_is_said_to_be_none(stranger: Visitor, form: bytes, problem: str) -> None:
    page = await stranger.post("/sign-in/link/x", form, Content_Type="application/x-www-form-urlencoded")
    assert page.status == (400 if problem else 404)
    assert problem in page.text
