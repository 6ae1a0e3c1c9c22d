"""The pages of operators: vendors, teams, prices, codes, announcements, reviews, ledger, audit, doctor."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime, timedelta
from html import unescape

import pytest
from tests.support.browsers import Shown, Visitor, member, new_team
from tests.support.platform_processes import Platform
from tests.support.waiting import eventually

from modellix_server.base.database import connect
from modellix_server.base.ids import parse_task_name
from modellix_server.identity import Role

HOSTILE = "<b>hostile</b>"
MODEL = "alibaba/qwen-image-plus"
PATH = f"/api/v1/text-to-image/{MODEL}/async"


@pytest.fixture
async def operator(platform: Platform) -> Visitor:
    return await member(platform, (await new_team(platform)).id, Role.VIEWER, operator=True)


def hidden(page: Shown) -> dict[str, str]:
    return {
        name: unescape(value) for name, value in re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', page.text)
    }


async def audited(platform: Platform, action: str) -> dict[str, str]:
    """The latest entry of an action."""
    row = await platform.pool.fetchrow(
        "select actor, subject, details::text from audit.audit_entry where action = $1 order by seq desc limit 1",
        action,
    )
    assert row is not None, action
    return dict(row)


async def long_ago(platform: Platform, visitor: Visitor) -> None:
    assert visitor.user is not None
    await platform.pool.execute(
        "update identity.session set signed_in_at = now() - interval '13 hours' where user_id = $1", visitor.user.id
    )


async def test_the_overview_shows_queue_workers_failures_and_room(platform: Platform, operator: Visitor) -> None:
    team = await platform.team()
    failed = (await team.post(PATH, {"prompt": "[sandbox:fail]"})).data["task_id"]
    await platform.reach(failed, lambda row: row["finished_at"] is not None)
    page = await operator.get("/operator")
    assert page.status == 200
    assert "As of" in page.text
    assert re.search(r"Workers alive</dt><dd>1<", page.text)
    row = await platform.row(failed)
    assert re.search(
        rf"<code>{row['error_code']}</code></td><td class=\"number\">0</td><td class=\"number\">[1-9]", page.text
    )
    assert str(platform.folder / "storage") in page.text
    assert "Test mode:" not in page.text
    assert 'href="/operator/doctor"' in page.text
    assert ">Operator<" in (await operator.get("/console")).text
    other = await member(platform, (await new_team(platform)).id, Role.OWNER)
    assert "/operator" not in (await other.get("/console")).text


async def test_vendor_accounts_are_added_tested_changed_and_their_keys_never_shown(
    platform: Platform, operator: Visitor
) -> None:
    key = "sk-vendor-0123456789abcdef"
    account = {"upstream": "dashscope", "name": "spare", "key": key, "weight": "3"}
    refused = await operator.post("/operator/vendors", account | {"region": "moon", "base_url": HOSTILE})
    assert refused.status == 400
    assert "no region" in refused.text
    assert key not in refused.text
    assert "&lt;b&gt;hostile" in refused.text, "what was typed is kept"
    emulated = {"base_url": f"{platform.sandbox}/dashscope"}
    assert (await operator.post("/operator/vendors", account | emulated)).status == 303
    twice = await operator.post("/operator/vendors", account)
    assert twice.status == 409
    assert "already" in twice.text or "there is an account" in twice.text.lower()
    page = await operator.get("/operator/vendors")
    assert "dashscope (spare)" in page.text
    assert "…cdef" in page.text
    assert key not in page.text
    there = "/operator/vendors/dashscope/spare"
    tested = await operator.post(f"{there}/test", {})
    assert tested.status == 200
    said = r'role="status">\s*<b>dashscope \(spare\):</b> '
    assert re.search(f"{said}This answer is none of those", tested.text), "there is no vendor's API at this address"
    right = {"base_url": f"{platform.sandbox}/dashscope/api/v1"}
    assert (await operator.post(f"{there}/key", {"key": key} | right)).status == 303
    assert re.search(f"{said}The vendor takes the key", (await operator.post(f"{there}/test", {})).text)
    assert (await operator.post(there, {"weight": "101"})).status == 400
    assert (await operator.post(there, {"weight": "7"})).status == 303
    assert (await operator.post(f"{there}/disable", {})).status == 303
    assert "disabled" in (await operator.get("/operator/vendors")).text
    assert 'value="7"' in (await operator.get(there)).text
    assert (await operator.post(f"{there}/key", {"key": "sk-another-0123456789abcdef9876"})).status == 303
    assert "…9876" in (await operator.get("/operator/vendors")).text
    assert (await operator.get("/operator/vendors/dashscope/none")).status == 404
    entry = await audited(platform, "upstream.set")
    assert "9876" not in entry["details"]
    assert entry["actor"] == f"user:{operator.user.id}"  # type: ignore[union-attr]
    await long_ago(platform, operator)
    for path in ("/operator/vendors", f"{there}/enable", f"{there}/key"):
        page = await operator.post(path, account)
        assert page.status == 403, path
        assert "Sign in again" in page.text


async def test_a_team_gets_credit_once_with_a_reason_and_limits(platform: Platform, operator: Visitor) -> None:
    team = await new_team(platform)
    path = f"/operator/teams/{team.id}"
    page = await operator.get(path)
    grant = {**hidden(page), "mode": "live", "usd": "25", "reason": f"goodwill {HOSTILE}"}
    assert (await operator.post(f"{path}/credit", grant | {"reason": " "})).status == 400
    refused = await operator.post(f"{path}/credit", grant | {"usd": "many"})
    assert refused.status == 400
    assert 'value="many"' in refused.text
    answers = await asyncio.gather(*(operator.post(f"{path}/credit", grant) for _ in range(4)))
    assert sorted(page.status for page in answers) == [303, 409, 409, 409], "a form sent again credits nothing"
    page = await operator.get(path)
    assert re.search(r"Available, live</dt><dd>\$25.0000<", page.text)
    assert "goodwill &lt;b&gt;" in page.text
    fresh = {**grant, **hidden(page), "mode": "live"}
    assert (await operator.post(f"{path}/credit", fresh | {"usd": "-30"})).status == 402
    assert (await operator.post(f"{path}/credit", fresh | {"usd": "-5"})).status == 303
    posted = "select posted from ledger.balance where team_id = $1 and live"
    assert await platform.pool.fetchval(posted, team.id) == 20_000_000
    assert "available: $20.0000" in (await operator.get(f"/operator/audit?team={team.id}&what=team.credit")).text
    assert '"note": "goodwill' in (await audited(platform, "team.credit"))["details"]
    assert (await operator.post(f"{path}/limits", {"rpm": "0"})).status == 400
    assert (await operator.post(f"{path}/limits", {"concurrency": "4", "rpm": "77"})).status == 303
    assert 'name="rpm" type="number" min="0" required value="77"' in (await operator.get(path)).text
    assert (await operator.get(f"/operator/teams?q={team.name.upper().replace(' ', '+')}")).text.count(f'"{path}"') == 1
    assert (await operator.get("/operator/teams/999999")).status == 404
    assert (await operator.post("/operator/teams", {"name": team.name})).status == 400
    await long_ago(platform, operator)
    page = await operator.post(f"{path}/credit", fresh)
    assert page.status == 403
    assert "Sign in again" in page.text


async def test_a_frozen_team_is_refused_until_it_is_unfrozen(platform: Platform, operator: Visitor) -> None:
    made = await platform.team()
    path = f"/operator/teams/{made.id}"
    assert (await operator.post(f"{path}/freeze", {"mode": "test", "reason": ""})).status == 400
    assert (await operator.post(f"{path}/freeze", {"mode": "test", "reason": "a stolen card"})).status == 303
    assert (await operator.post(f"{path}/freeze", {"mode": "test", "reason": "again"})).status == 409
    assert "a stolen card" in (await operator.get(path)).text
    assert "a stolen card" in (await operator.get("/operator/ledger")).text

    async def is_refused() -> bool:
        return (await made.post(PATH, {"prompt": "a hat"})).status == 503

    async def is_taken() -> bool:
        return not await is_refused()

    await eventually(is_refused)
    fields = {"team": str(made.id), "mode": "test", "note": "it was paid"}
    assert (await operator.post("/operator/ledger/unfreeze", fields)).status == 303
    assert (await operator.post("/operator/ledger/unfreeze", fields)).status == 409
    await eventually(is_taken)


async def test_a_price_is_previewed_and_the_second_of_two_people_is_told(platform: Platform, operator: Visitor) -> None:
    other = await member(platform, (await new_team(platform)).id, Role.VIEWER, operator=True)
    page = await operator.get("/operator/prices?q=qwen-image-plus")
    assert MODEL in page.text
    assert "kling" not in page.text
    listed = re.search(r'class="number"[^>]*>\$([0-9.]+)</td>', page.text)
    assert listed is not None
    change = f"/operator/prices/change?model={MODEL}&kind=margin"
    assert "A margin is in percent" in (await operator.get(f"{change}&value=x")).text
    shown = [await visitor.get(f"{change}&value={value}") for visitor, value in ((operator, "100"), (other, "50"))]
    assert f'class="was">${listed[1]}<' in shown[0].text
    assert f"<b>${float(listed[1]) * 2:.4f}<" in shown[0].text
    assert "1 price of 1 model changes" in shown[0].text
    first, second = [hidden(page) for page in shown]
    assert (await operator.post("/operator/prices/change", first)).status == 303
    refused = await other.post("/operator/prices/change", second)
    assert refused.status == 409
    assert operator.user is not None
    assert f"{operator.user.name} has meanwhile" in refused.text
    assert "changed alibaba/qwen-image-plus to list price +100 %" in unescape(refused.text)
    assert (await other.post("/operator/prices/change", hidden(refused))).status == 303, "once it was seen"
    every = await operator.get("/operator/prices/change?kind=margin&value=10")
    counted = re.search(r"([0-9]+) prices of ([0-9]+) models change", every.text)
    assert counted is not None
    assert int(counted[2]) > 100
    assert "1 stays as it is" in every.text or "stay as they are" in every.text
    history = (await operator.get(f"/operator/prices/history?model={MODEL}")).text
    assert "list price +50 %" in history
    assert operator.user.name in history
    back = hidden(await operator.get(f"/operator/prices/change?model={MODEL}&kind=none"))
    assert (await operator.post("/operator/prices/change", back)).status == 303
    assert (await operator.post("/operator/prices/change", back | {"kind": "margin", "value": "5"})).status == 409
    assert (await operator.get("/operator/prices/change?model=no/model&kind=none")).status == 404
    await long_ago(platform, operator)
    assert "Sign in again" in (await operator.post("/operator/prices/change", back)).text


async def test_codes_are_shown_once_redeemed_and_revoked(platform: Platform, operator: Visitor) -> None:
    asked = {"name": HOSTILE, "usd": "5", "count": "2", "mode": "test", "expires_at": ""}
    assert (await operator.post("/operator/codes", asked | {"count": "0"})).status == 400
    page = await operator.post("/operator/codes", asked)
    codes = re.findall(r"\b[0-9A-Z]{5}(?:-[0-9A-Z]{5}){3}\b", page.text)
    assert len(codes) == 2
    assert codes[0] not in (await operator.get("/operator/codes")).text
    team = await new_team(platform)
    owner = await member(platform, team.id, Role.OWNER)
    assert "$5.0000" in (await owner.post("/console/billing/redeem", {"code": codes[0]})).text
    page = await operator.get("/operator/codes")
    assert "1 of 2" in page.text
    assert "&lt;b&gt;hostile" in page.text
    path = re.search(r"/operator/codes/\d+/revoke", page.text)
    assert path is not None
    assert (await operator.post(path[0], {})).status == 303
    assert (await owner.post("/console/billing/redeem", {"code": codes[1]})).status == 400


async def test_an_announcement_is_shown_to_everybody_between_its_times(platform: Platform, operator: Visitor) -> None:
    viewer = await member(platform, (await new_team(platform)).id, Role.VIEWER)
    soon, later = (f"{datetime.now(UTC) + timedelta(hours=hours):%Y-%m-%dT%H:%M}" for hours in (1, 2))
    made = {"text": f"Disks change {HOSTILE}", "from": "", "until": soon}
    assert (await operator.post("/operator/announcements", made | {"until": ""})).status == 400
    assert (await operator.post("/operator/announcements", made | {"text": " "})).status == 400
    assert (await operator.post("/operator/announcements", made)).status == 303
    to_come = {"text": "Not yet", "from": soon, "until": later, "urgent": "on"}
    assert (await operator.post("/operator/announcements", to_come)).status == 303
    for path in ("/console", "/console/account", "/console/tasks"):
        page = await viewer.get(path)
        assert "Disks change &lt;b&gt;hostile" in page.text, path
        assert "Not yet" not in page.text
    number = re.search(r'data-announcement="(\d+)"', page.text)
    assert number is not None
    dismissed = Visitor(platform.origin, f"{viewer.cookie}; modellix-dismissed=0.{number[1]}")
    assert "Disks change" not in (await dismissed.get("/console/tasks")).text
    assert "Disks change" in (await dismissed.get("/console")).text, "Home shows it all the same"
    assert (await operator.post(f"/operator/announcements/{number[1]}/end", {})).status == 303
    assert (await operator.post(f"/operator/announcements/{number[1]}/end", {})).status == 404
    assert "Disks change" not in (await viewer.get("/console")).text
    assert (await viewer.post("/operator/announcements", made)).status == 403
    later_one = re.search(r"/operator/announcements/\d+/end", (await operator.get("/operator/announcements")).text)
    assert later_one is not None
    assert (await operator.post(later_one[0], {})).status == 303


async def test_a_review_is_decided_once_by_one_person(platform: Platform, operator: Visitor) -> None:
    team = await platform.team()
    name = (await team.post(PATH, {"prompt": "a hat"})).data["task_id"]
    await platform.reach(name, lambda row: row["finished_at"] is not None)
    number = await platform.pool.fetchval(
        "insert into tasks.review (task_id, reason, detail) values ($1, 'odd', $2) returning id",
        parse_task_name(name),
        f"odd: {HOSTILE}",
    )
    page = await operator.get("/operator/reviews")
    assert "odd: &lt;b&gt;hostile" in page.text
    path = f"/operator/reviews/{number}"
    assert (await operator.post(path, {"decision": "put right", "note": ""})).status == 400
    decided = {"decision": "put right", "note": f"paid back {HOSTILE}"}
    assert (await operator.post(path, decided)).status == 303
    again = await operator.post(path, {"decision": "as it should be", "note": "no"})
    assert again.status == 409
    assert "put right" in again.text
    assert f'action="{path}"' not in (await operator.get("/operator/reviews")).text
    page = await operator.get("/operator/reviews?show=decided")
    assert "paid back &lt;b&gt;" in page.text
    assert operator.user is not None
    assert f"{operator.user.name}, " in page.text
    assert '"decision": "put right"' in (await audited(platform, "review.decide"))["details"]
    task = await operator.get(f"/operator/tasks/{name}")
    assert "dashscope" in task.text
    assert (await operator.get("/operator/tasks/task-1")).status == 404


async def test_the_ledger_is_checked_and_the_audit_log_verified(platform: Platform, operator: Visitor) -> None:
    async def checked(words: str) -> Shown:
        assert (await operator.post("/operator/ledger/check", {})).status == 303
        asked = await platform.pool.fetchval("select max(id) from ledger.full_check")

        async def done() -> bool:
            page = (await operator.get("/operator/ledger")).text
            assert ("Check now" in page) is not ("Look again" in page), "one at a time"
            return await platform.pool.fetchval(
                "select ended_at is not null from ledger.full_check where id = $1", asked
            )

        await eventually(done)
        page = await operator.get("/operator/ledger")
        assert words in page.text
        return page

    assert "The ledger is clean" in (await checked("all adds up")).text
    db = await connect(platform.database, name="test")
    team = await new_team(platform)
    try:
        await db.execute("update ledger.balance set posted = posted + 1 where team_id = $1 and not live", team.id)
        assert f"team {team.id}" in (await checked("does not add up")).text
        await db.execute("update ledger.balance set posted = posted - 1 where team_id = $1 and not live", team.id)
    finally:
        await db.close()
    await operator.post(f"/operator/teams/{team.id}/unfreeze", {"mode": "test", "note": "the monitor saw the test"})
    page = await operator.post("/operator/audit/verify", {})
    assert "The chain is whole" in page.text
    assert operator.user is not None
    page = await operator.get(f"/operator/audit?what=ledger&who=user:{operator.user.id}")
    assert "Ledger checked" in page.text
    assert "Vendor account" not in page.text
    assert "No entry is like that" in (await operator.get("/operator/audit?team=999999")).text
    assert (await operator.get("/operator/audit?team=x")).status == 400


async def test_the_doctor_speaks_and_shows_no_secret(platform: Platform, operator: Visitor) -> None:
    page = await operator.post("/operator/doctor", {})
    assert page.status == 200
    assert "commits are durable" in page.text
    assert re.search(r"Workers</td><td[^>]*><span class=\"chip good\">", page.text)
    assert "MODELLIX_PUBLIC_URL" in page.text
    assert "set, secret" in page.text
    for name in ("MODELLIX_SECRET", "MODELLIX_MASTER_KEY", "MODELLIX_DATABASE_URL"):
        assert platform.env[name] not in unescape(page.text)


async def test_the_support_contact_stands_on_every_page_and_beside_the_request_id(
    with_mail: Platform, platform: Platform
) -> None:
    owner = await member(with_mail, (await new_team(with_mail)).id, Role.OWNER)
    nobody = Visitor(with_mail.origin)
    for visitor, path, status in ((owner, "/console", 200), (nobody, "/", 200), (owner, "/none", 404)):
        page = await visitor.get(path)
        assert page.status == status
        assert 'href="mailto:help@example.com"' in page.text
        assert 'href="https://example.com/help"' in page.text
    assert re.search(r"request id:.{1,200}Help:", page.text, re.DOTALL)
    assert "Support:" not in (await Visitor(platform.origin).get("/")).text


async def test_an_operator_makes_another_one_and_one_always_stays(platform: Platform, operator: Visitor) -> None:
    other = await member(platform, (await new_team(platform)).id, Role.OWNER)
    assert other.user is not None
    assert operator.user is not None
    assert (await other.get("/operator")).status == 403
    path = "/operator/operators"
    assert (await operator.post(path, {"email": "nobody@example.net"})).status == 400
    assert (await operator.post(path, {"email": other.user.email})).status == 303
    assert other.user.email in (await operator.get(path)).text
    assert (await other.get("/operator")).status == 200
    assert (await audited(platform, "operator.add"))["actor"] == f"user:{operator.user.id}"
    assert (await other.post(f"{path}/{operator.user.id}/remove", {})).status == 303
    assert (await operator.get("/operator")).status == 403
    for row in await platform.pool.fetch("select id from identity.app_user where operator"):
        if row["id"] != other.user.id:
            assert (await other.post(f"{path}/{row['id']}/remove", {})).status == 303
    assert (await other.post(f"{path}/{other.user.id}/remove", {})).status == 400
    assert (await other.post(f"{path}/{operator.user.id}/remove", {})).status == 404
