"""Statements, receipts and the list of recharges."""

from __future__ import annotations

import csv
import io
import re
from datetime import UTC, datetime

from tests.console.test_billing import cells, make_codes
from tests.support.browsers import member, new_team
from tests.support.platform_processes import Platform

from modellix_server import ledger
from modellix_server.identity import Role


async def test_a_month_adds_up(platform: Platform) -> None:
    team = await platform.team()
    visitor = await member(platform, team.id, Role.BILLING)
    (code,) = await make_codes(platform, micros=3_000_000)
    await visitor.post("/console/billing/redeem", {"code": code})
    await ledger.credit(platform.pool, team.id, -1_000_000, live=False, actor="tests", note="<b>mistake</b>")
    answer = await team.post("/api/v1/text-to-image/alibaba/qwen-image-plus/async", {"prompt": "a hat"})
    row = await platform.reach(answer.data["task_id"], lambda row: row["state"] == "succeeded")
    month = datetime.now(UTC).strftime("%Y-%m")
    page = await visitor.get("/console/billing/statement")
    assert page.status == 200
    assert f"Statement {month}" in page.text
    assert "<b>mistake" not in page.text
    posted, _ = await platform.balance_of(team)
    lines = list(csv.DictReader(io.StringIO((await visitor.get("/console/billing/statement/download")).text)))
    amounts = {line["section"]: float(line["amount_usd"]) for line in lines}
    assert amounts["opening balance"] == 0
    assert amounts["charges"] == -row["captured"] / 1e6
    assert amounts["closing balance"] == posted / 1e6
    assert [line["name"] for line in lines if line["section"] == "charges by key"] == ["k"]
    assert [line["name"] for line in lines if line["section"] == "charges by member"] == ["tests"]
    assert [line["section"] for line in lines].count("topup") == 2
    assert f"${posted / 1e6:.4f}" in page.text
    for wrong in ("2999-01", "x", "2026-13", "1999-01"):
        assert (await visitor.get(f"/console/billing/statement?month={wrong}")).status == 404
    before = await visitor.get("/console/billing/statement?month=2026-01")
    assert before.status == 200
    stranger = await member(platform, (await new_team(platform)).id, Role.OWNER)
    assert "mistake" not in (await stranger.get("/console/billing/statement")).text


async def test_the_balance_at_the_start_is_what_came_before(platform: Platform) -> None:
    from modellix_server.base.database import connect

    team = await platform.team()
    visitor = await member(platform, team.id, Role.VIEWER)
    owner = await connect(platform.database, name="tests")
    await owner.execute("set session_replication_role = replica")
    await owner.execute("update ledger.transfer set at = at - interval '70 days' where team_id = $1", team.id)
    await owner.close()
    page = await visitor.get("/console/billing/statement")
    assert [row[2] for row in cells(page.text)] == ["$100.0000", "$0.0000", "$100.0000"]
    earlier = re.search(r'href="\?month=([\d-]+)" rel="prev"', page.text)
    assert earlier is not None
    page = await visitor.get(f"/console/billing/statement?month={earlier[1]}")
    assert f'month={datetime.now(UTC).strftime("%Y-%m")}" rel="next"' in page.text


async def test_a_paid_recharge_has_a_receipt_and_all_are_listed(platform: Platform) -> None:
    team = await new_team(platform)
    visitor = await member(platform, team.id, Role.OWNER)
    for amount, do in (("12.50", "pay"), ("7", "cancel")):
        page = await visitor.post("/console/billing/recharge", {"amount": amount})
        checkout = page.headers["Location"].removeprefix(platform.origin)
        done = await visitor.post(checkout, {"do": do})
        await visitor.get(done.headers["Location"].removeprefix(platform.origin))
    page = await visitor.get("/console/billing/recharges")
    assert [row[1:3] for row in cells(page.text)] == [["Not paid", "$7.0000"], ["Paid", "$12.5000"]]
    path = re.search(r"/console/billing/recharges/[0-9a-f-]{36}", page.text)
    assert path is not None
    page = await visitor.get(path[0])
    assert page.status == 200
    for shown in ("$12.5000", team.name, "pi_", "Payment emulator: nothing was paid"):
        assert shown in page.text
    open_one = await platform.pool.fetchval(
        "select id from billing.recharge where team_id = $1 and state = 'open'", team.id
    )
    stranger = await member(platform, (await new_team(platform)).id, Role.OWNER)
    for who, there in ((visitor, f"/console/billing/recharges/{open_one}"), (stranger, path[0])):
        assert (await who.get(there)).status == 404
    assert (await visitor.get("/console/billing/recharges/x")).status == 404
    assert (await visitor.get("/console/billing/recharges?after=x")).status == 404
