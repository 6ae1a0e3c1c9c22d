"""The page of a team's money: ledger with balances, codes."""

from __future__ import annotations

import asyncio
import re

import pytest
from tests.support.browsers import Visitor, member, new_team
from tests.support.platform_processes import Platform

from modellix_server import ledger
from modellix_server.base.settings import load
from modellix_server.identity import Role
from modellix_server.operations import codes
from modellix_server.operations.context import Context
from modellix_server.operations.principal import operator


async def make_codes(platform: Platform, *, micros: int = 5_000_000, count: int = 1, live: bool = False) -> list[str]:
    ctx = Context(load(platform.env), platform.pool)
    who = operator("tests", "tests")
    _, texts = await codes.create(ctx, who, name="t", micros=micros, count=count, live=live, expires_at=None)
    return texts


def shown_balance(text: str) -> str:
    found = re.search(r'id="balance"[^>]*>([^<]+)<', text)
    assert found is not None
    return found[1]


def cells(text: str) -> list[list[str]]:
    body = re.search(r"<tbody>(.*?)</tbody>", text, re.DOTALL)
    assert body is not None
    rows = re.findall(r"<tr[^>]*>(.*?)</tr>", body[1], re.DOTALL)
    return [
        [re.sub(r"<[^>]+>", "", cell).strip() for cell in re.findall(r"<td[^>]*>(.*?)</td>", row, re.DOTALL)]
        for row in rows
    ]


@pytest.fixture
async def owner(platform: Platform) -> Visitor:
    return await member(platform, (await new_team(platform)).id, Role.OWNER)


async def test_a_code_moves_the_balance_once(platform: Platform, owner: Visitor) -> None:
    (code,) = await make_codes(platform)
    page = await owner.post("/console/billing/redeem", {"code": code.lower().replace("-", " ")})
    assert page.status == 200
    assert "$5.0000 has been added" in page.text
    assert shown_balance(page.text) == "$105.0000"
    latest = cells(page.text)[0]
    assert latest[1:3] + latest[4:6] == [
        "Top-up",
        f"redemption code …{code[-4:]}",
        "+$5.0000",
        "$105.0000",
    ]
    page = await owner.post("/console/billing/redeem", {"code": code})
    assert (page.status, shown_balance(page.text)) == (400, "$105.0000")
    assert "Your team has redeemed this code already" in page.text
    assert f'value="{code}"' in page.text, "what was typed is kept"
    (live,) = await make_codes(platform, live=True)
    page = await owner.post("/console/billing/redeem", {"code": live})
    assert "This code is for live mode" in page.text
    page = await owner.post("/console/billing/redeem", {"code": '"><b>x'})
    assert "<b>x" not in page.text


async def test_the_ledger_shows_the_balance_after_each_entry_and_links_to_tasks(platform: Platform) -> None:
    team = await platform.team()
    visitor = await member(platform, team.id, Role.BILLING)
    answer = await team.post("/api/v1/text-to-image/alibaba/qwen-image-plus/async", {"prompt": "a hat"})
    task = answer.data["task_id"]
    row = await platform.reach(task, lambda row: row["state"] == "succeeded")
    price = f"${row['captured'] / 1e6:.4f}"
    page = await visitor.get("/console/billing")
    assert f'href="/console/tasks/{task}"' in page.text
    rest = shown_balance(page.text)
    assert [(one[1], one[3], one[4], one[5], one[6]) for one in cells(page.text)] == [
        ("Charge", "k", f"from hold {price}", rest, "$0.0000"),
        ("Hold", "k", f"-{price}", rest, price),
        ("Top-up", "tests", "+$100.0000", "$100.0000", "$0.0000"),
    ]
    page = await visitor.get("/console/billing?kind=topup&from=&to=&key=")
    assert [(one[1], one[5]) for one in cells(page.text)] == [("Top-up", "$100.0000")]
    assert team.key is not None
    page = await visitor.get(f"/console/billing?key={team.key.id}")
    assert [one[1] for one in cells(page.text)] == ["Charge"]
    assert "No entry is like that" in (await visitor.get("/console/billing?to=2020-01-01T00:00")).text
    for wrong in ("kind=x", "key=x", "from=yesterday", "after=-1", "kind=%00"):
        assert (await visitor.get(f"/console/billing?{wrong}")).status == 400
    stranger = await member(platform, (await new_team(platform)).id, Role.OWNER)
    assert task not in (await stranger.get("/console/billing")).text
    assert (await stranger.get(f"/console/billing?scope={team.id}-test")).status == 403


async def test_pages_of_the_ledger_go_on_where_the_last_ended(platform: Platform, owner: Visitor) -> None:
    assert owner.user is not None
    team_id = await platform.pool.fetchval("select team_id from identity.membership where user_id = $1", owner.user.id)
    for number in range(60):
        note = f"<i>{number}</i>"
        await ledger.credit(platform.pool, team_id, 1_000_000, live=False, actor="tests", note=note)
    page = await owner.get("/console/billing?kind=topup")
    first = cells(page.text)
    assert len(first) == 50
    assert first[0][5] == "$160.0000"
    assert "<i>59" not in page.text
    older = re.search(r'href="([^"]+)" rel="next"', page.text)
    assert older is not None
    second = cells((await owner.get(older[1].replace("&amp;", "&"))).text)
    assert [row[5] for row in second] == [f"${number}.0000" for number in range(110, 99, -1)]


async def test_of_many_who_redeem_a_code_at_once_one_gets_it(platform: Platform) -> None:
    (code,) = await make_codes(platform, micros=7_000_000)
    teams = [await new_team(platform) for _ in range(3)]
    visitors = [await member(platform, team.id, Role.BILLING) for team in teams for _ in range(3)]
    pages = await asyncio.gather(*(one.post("/console/billing/redeem", {"code": code}) for one in visitors))
    assert sorted(page.status for page in pages) == [200] + [400] * 8
    balances = [(await ledger.balance(platform.pool, team.id, live=False)).available for team in teams]
    assert sum(balances) == 307_000_000


async def test_guesses_are_limited_and_right_codes_are_none(platform: Platform, owner: Visitor) -> None:
    texts = await make_codes(platform, count=14, micros=1_000_000)
    for code in texts[:12]:
        assert (await owner.post("/console/billing/redeem", {"code": code})).status == 200
    pages = await asyncio.gather(
        *(owner.post("/console/billing/redeem", {"code": f"0000-{number}"}) for number in range(30))
    )
    assert sorted(page.status for page in pages) == [400] * 10 + [429] * 20
    page = await owner.post("/console/billing/redeem", {"code": texts[12]})
    assert (page.status, "try again in ten minutes" in page.text) == (429, True)
    assert shown_balance(page.text) == "$112.0000"


async def test_codes_end(platform: Platform, owner: Visitor) -> None:
    (old,) = await make_codes(platform)
    await platform.pool.execute(
        "update billing.code_batch set expires_at = now() where id = (select max(id) from billing.code_batch)"
    )
    assert "This code has expired" in (await owner.post("/console/billing/redeem", {"code": old})).text
    (withdrawn,) = await make_codes(platform)
    ctx, who = Context(load(platform.env), platform.pool), operator("tests", "tests")
    (batch, *_) = await codes.list_all(ctx, who)
    await codes.revoke(ctx, who, batch.id)
    assert "This code has been withdrawn" in (await owner.post("/console/billing/redeem", {"code": withdrawn})).text
    viewer = await member(platform, (await new_team(platform)).id, Role.VIEWER)
    page = await viewer.get("/console/billing")
    assert (page.status, "Redeem" in page.text) == (200, False)
