"""Endpoints, secrets and deliveries in pages."""

from __future__ import annotations

import re
from uuid import uuid4

import pytest
from tests.support.browsers import Visitor, member, new_team
from tests.support.platform_processes import Platform

from modellix_server.identity import Role

PATH = "/api/v1/text-to-image/alibaba/qwen-image-plus/async"
SECRET = re.compile(r'id="new-secret">(whsec_[^<]+)<')


def endpoint(page: str) -> str:
    found = re.search(r'id="(we_\w+)"', page)
    assert found is not None
    return found[1]


@pytest.fixture
async def owner(platform: Platform) -> Visitor:
    return await member(platform, (await new_team(platform)).id, Role.OWNER)


async def test_a_secret_is_shown_once_and_rotated(platform: Platform, owner: Visitor) -> None:
    page = await owner.post("/console/webhooks", {"url": "http://example.com/<b>"})
    assert page.status == 400
    assert "https link" in page.text
    assert 'value="http://example.com/&lt;b&gt;"' in page.text, "what was typed is kept"
    page = await owner.post("/console/webhooks", {"url": "https://example.com/<b>hook"})
    first = SECRET.search(page.text)
    assert first is not None
    assert "<b>hook" not in page.text
    page = await owner.get("/console/webhooks")
    assert first[1] not in page.text
    there = f"/console/webhooks/{endpoint(page.text)}"
    page = await owner.post(f"{there}/rotate", {})
    second = SECRET.search(page.text)
    assert second is not None
    assert second[1] != first[1]
    page = await owner.post(there, {"url": "nonsense"})
    assert page.status == 400
    assert 'value="nonsense"' in page.text
    assert (await owner.post(there, {"url": "https://example.com/other"})).status == 303
    assert (await owner.post(there, {"enabled": "no"})).status == 303
    page = await owner.get("/console/webhooks")
    assert "https://example.com/other" in page.text
    assert "Disabled" in page.text
    assert (await owner.post(there, {"enabled": "yes"})).status == 303
    assert "Disabled" not in (await owner.get("/console/webhooks")).text
    for path in (there, f"{there}/rotate", f"{there}/replay", f"{there}/delete"):
        stranger = await member(platform, (await new_team(platform)).id, Role.OWNER)
        assert (await stranger.post(path, {"enabled": "no"})).status == 404, path
    assert (await owner.post(f"{there}/delete", {})).status == 303
    assert "example.com/other" not in (await owner.get("/console/webhooks")).text


async def test_alerts_of_an_endpoint_are_chosen_and_shown(platform: Platform, owner: Visitor) -> None:
    page = await owner.post("/console/webhooks", {"url": "https://example.com/a", "below": "many"})
    assert page.status == 400
    assert 'value="many"' in page.text
    await owner.post("/console/webhooks", {"url": "https://example.com/a", "below": "$2.50", "budgets": "on"})
    page = await owner.get("/console/webhooks")
    assert "told below $2.5000" in page.text
    assert "told of budgets" in page.text
    assert 'value="2.50"' in page.text
    there = f"/console/webhooks/{endpoint(page.text)}"
    assert (await owner.post(there, {"enabled": "no"})).status == 303
    assert "told of budgets" in (await owner.get("/console/webhooks")).text, "nobody asked for another choice"
    assert (await owner.post(there, {"url": "https://example.com/a", "below": ""})).status == 303
    assert "told" not in (await owner.get("/console/webhooks")).text.partition('id="endpoints"')[2].partition("Edit")[0]
    billing = await owner.post("/console/billing/alerts/budgets", {"told": "yes"})
    assert billing.status == 303
    if "needs settings that are missing" not in (await owner.get("/console/billing")).text:
        assert "You get a mail when a budget" in (await owner.get("/console/billing")).text


async def test_the_secret_of_links_is_shown_on_demand(owner: Visitor) -> None:
    assert "whsec_" not in (await owner.get("/console/webhooks")).text
    shown = [SECRET.search((await owner.post("/console/webhooks/secret", {})).text) for _ in range(2)]
    rotated = SECRET.search((await owner.post("/console/webhooks/secret", {"rotate": "yes"})).text)
    assert shown[0] is not None
    assert shown[1] is not None
    assert rotated is not None
    assert shown[0][1] == shown[1][1] != rotated[1]


async def test_deliveries_are_listed_and_replayed(platform: Platform) -> None:
    team = await platform.team()
    visitor, viewer = await member(platform, team.id, Role.DEVELOPER), await member(platform, team.id, Role.VIEWER)
    assert "Nothing was sent yet" in (await visitor.get("/console/webhooks")).text
    await visitor.post("/console/webhooks", {"url": "https://example.invalid/hook"})
    task = (await team.post(PATH, {"prompt": "a hat"})).data["task_id"]
    await platform.reach(task, lambda row: row["state"] == "succeeded")
    page = await visitor.get("/console/webhooks")
    there = endpoint(page.text)
    assert f"/console/tasks/{task}" in page.text
    assert "prediction.task.succeeded" in page.text
    await platform.pool.execute(
        """with gone as (update webhooks.message set state = 'failed', ended_at = now() where team_id = $1 returning id)
           insert into webhooks.delivery_attempt (message_id, n, error, took_ms)
           select id, 90, '<script>alert(1)</script>', 5 from gone""",
        team.id,
    )
    for query in ("?status=failed", f"?endpoint={there}", f"?status=failed&endpoint={there}"):
        page = await visitor.get(f"/console/webhooks{query}")
        assert f"/console/tasks/{task}" in page.text
        assert "<script>alert" not in page.text
    message = re.search(r"/console/webhooks/deliveries/(msg_\w+)/replay", page.text)
    assert message is not None
    assert "/replay" not in (await viewer.get("/console/webhooks")).text
    assert (await viewer.post(message[0], {})).status == 403
    stranger = await member(platform, (await new_team(platform)).id, Role.OWNER)
    assert (await stranger.post(message[0], {})).status == 404
    assert (await visitor.post(message[0], {})).status == 303
    assert "No message matches" in (await visitor.get("/console/webhooks?status=failed")).text
    await platform.pool.execute(
        "update webhooks.message set state = 'failed', ended_at = now() where team_id = $1 and state = 'waiting'",
        team.id,
    )
    assert (await visitor.post(f"/console/webhooks/{there}/replay", {})).status == 303
    assert "No message matches" in (await visitor.get("/console/webhooks?status=failed")).text
    for query, status in {
        "endpoint=x": 404,
        f"endpoint=we_{uuid4().hex}": 404,
        "after=x": 400,
        "status=x": 400,
    }.items():
        assert (await visitor.get(f"/console/webhooks?{query}")).status == status, query
