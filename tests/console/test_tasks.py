"""Tasks in pages: cards and their events; gallery, table and the page of one task."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import aiohttp
import pytest
from tests.support.browsers import COOKIE, Visitor, member, new_team
from tests.support.platform_processes import Platform

from modellix_server.identity import Role

HOSTILE = '<script>alert(1)</script><img src=x onerror="alert(2)">'
PATH = "/api/v1/text-to-image/alibaba/qwen-image-plus/async"


async def events(visitor: Visitor, query: str) -> AsyncIterator[dict[str, object]]:
    """What a page's stream says, until it ends."""
    async with (
        aiohttp.ClientSession() as http,
        http.get(
            f"{visitor.origin}/console/tasks/events?{query}", headers={"Cookie": f"{COOKIE}={visitor.cookie}"}
        ) as answer,
    ):
        assert answer.status == 200
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        async for line in answer.content:
            if line.startswith(b"data: "):
                yield json.loads(line[6:])


async def test_a_card_shows_a_task_until_its_end(platform: Platform) -> None:
    team = await platform.team()
    visitor = await member(platform, team.id, Role.DEVELOPER)
    made = await team.post(PATH, {"prompt": f"a hat {HOSTILE}"})
    task = made.data["task_id"]
    page = await visitor.get(f"/console/tasks/{task}/card")
    assert page.status == 200
    assert f'data-task="{task}"' in page.text
    assert f'action="/console/tasks/{task}/cancel"' in page.text
    assert " held" in page.text
    await platform.reach(task, lambda row: row["state"] == "succeeded")
    page = await visitor.get(f"/console/tasks/{task}/card")
    assert "data-task" not in page.text
    assert "charged" in page.text
    assert "<img src=" in page.text
    assert "<script>alert" not in page.text
    assert "&lt;script&gt;alert" in page.text
    assert f"/console/models/alibaba/qwen-image-plus?task={task}" in page.text
    viewer = await member(platform, team.id, Role.VIEWER)
    assert "Edit and run" not in (await viewer.get(f"/console/tasks/{task}/card")).text


async def test_events_name_the_tasks_that_have_news(platform: Platform) -> None:
    team = await platform.team()
    visitor = await member(platform, team.id, Role.VIEWER)
    made = [(await team.post(PATH, {"prompt": "a hat"})).data["task_id"] for _ in range(2)]
    ended: set[object] = set()
    async with asyncio.timeout(60):
        async for event in events(visitor, "&".join(f"task={one}~0" for one in made)):
            assert event["task"] in made
            if event["changed"] and "data-task" not in (await visitor.get(f"/console/tasks/{event['task']}/card")).text:
                ended.add(event["task"])
            if ended == set(made):
                break


@pytest.mark.parametrize("query", ["", "task=", "task=x", "&".join(f"task=task-{n:032x}" for n in range(51))])
async def test_a_stream_of_nothing_or_too_much_is_refused(platform: Platform, query: str) -> None:
    visitor = await member(platform, (await new_team(platform)).id, Role.VIEWER)
    assert (await visitor.get(f"/console/tasks/events?{query}")).status == 400


async def test_another_teams_task_does_not_exist(platform: Platform) -> None:
    team = await platform.team()
    task = (await team.post(PATH, {"prompt": "a hat"})).data["task_id"]
    stranger = await member(platform, (await new_team(platform)).id, Role.OWNER)
    for path in (f"/console/tasks/{task}/card",):
        assert (await stranger.get(path)).status == 404
    assert (await stranger.post(f"/console/tasks/{task}/cancel", {})).status == 404
    own = await member(platform, team.id, Role.OWNER)
    assert (await own.get(f"/console/tasks/{task}/card?scope={team.id}-live")).status == 404


async def test_canceling_ends_a_task_or_says_why_not(platform: Platform) -> None:
    team = await platform.team()
    visitor = await member(platform, team.id, Role.DEVELOPER)
    task = (await team.post(PATH, {"prompt": "a hat"})).data["task_id"]
    await platform.reach(task, lambda row: row["state"] == "succeeded")
    page = await visitor.post(f"/console/tasks/{task}/cancel", {})
    assert page.status == 409
    assert "has ended" in page.text
