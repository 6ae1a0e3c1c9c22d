"""Tasks in pages: cards and their events; gallery, table and the page of one task."""

from __future__ import annotations

import asyncio
import base64
import html
import json
import re
from collections.abc import AsyncIterator
from urllib.parse import quote

import aiohttp
import pytest
from tests.support.browsers import COOKIE, Visitor, member, new_team
from tests.support.media_files import photo, png
from tests.support.platform_processes import Platform
from tests.support.waiting import eventually

from modellix_server.base.ids import parse_task_name
from modellix_server.identity import Role

HOSTILE = '<script>alert(1)</script><img src=x onerror="alert(2)">'
PATH = "/api/v1/text-to-image/alibaba/qwen-image-plus/async"
EDIT = "/api/v1/image-to-image/alibaba/qwen-image-edit-plus/async"


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


async def test_the_list_shows_what_its_query_asks_for(platform: Platform) -> None:
    team = await platform.team()
    visitor = await member(platform, team.id, Role.VIEWER)
    empty = await visitor.get("/console/tasks")
    assert "Try a model" not in empty.text, "a viewer may not"
    assert "Yours will appear here" in empty.text
    good = (await team.post(PATH, {"prompt": f"a good hat {HOSTILE}"})).data["task_id"]
    bad = (await team.post(PATH, {"prompt": "a bad hat [sandbox:moderate]"})).data["task_id"]
    for task in (good, bad):
        await platform.reach(task, lambda row: row["finished_at"] is not None)
    for query, shown in {
        "": {good, bad},
        "?view=table": {good, bad},
        "?status=success": {good},
        "?status=failed&view=table": {bad},
        "?code=content_rejected": {bad},
        "?code=deadline": set(),
        "?type=text-to-image": {good, bad},
        "?type=image-to-video": set(),
        "?model=alibaba/qwen-image-plus": {good, bad},
        "?model=nobody/none": set(),
        "?key=1": set(),
        "?window=1h": {good, bad},
        "?from=2020-01-01T00:00&to=2020-01-02T00:00": set(),
        f"?after={bad}": {good},
    }.items():
        page = await visitor.get("/console/tasks" + query)
        assert page.status == 200, query
        assert {one for one in (good, bad) if f'id="{one}"' in page.text} == shown, query
        assert "<script>alert" not in page.text
        assert len(page.text) < 60_000
    for query in (
        "status=x",
        "view=x",
        "key=x",
        "key=99999999999999999999",
        "after=x",
        "from=x",
        "code=x",
        "model=%00",
    ):
        assert (await visitor.get(f"/console/tasks?{query}")).status == 400, query


async def test_a_long_list_goes_on_where_the_page_before_ended(platform: Platform) -> None:
    team = await platform.team()
    visitor = await member(platform, team.id, Role.OWNER)
    made = [(await team.post(PATH, {"prompt": f"hat {n}"})).data["task_id"] for n in range(26)]
    for task in made:
        await platform.reach(task, lambda row: row["finished_at"] is not None)
    seen, url = [], "/console/tasks?status=success"
    while url:
        page = await visitor.get(url)
        seen += re.findall(r'id="(task-\w+)"', page.text)
        following = re.search(r'href="([^"]+)" rel="next"', page.text)
        url = html.unescape(following[1]) if following else ""
    assert seen == made[::-1]


async def test_the_page_of_a_task_tells_its_whole_story(platform: Platform) -> None:
    team = await platform.team()
    visitor = await member(platform, team.id, Role.DEVELOPER)
    assert visitor.user is not None
    assert (await team.post("/api/v1/webhooks", {"url": "https://example.com/<b>hook"})).status == 200
    task = (await team.post(PATH, {"prompt": f"a hat {HOSTILE}"})).data["task_id"]
    there = f"/console/tasks/{task}"
    page = await visitor.get(there)
    if "data-task" in page.text:
        assert '<noscript><meta http-equiv="refresh"' in page.text
    await platform.reach(task, lambda row: row["state"] == "succeeded")
    page = await visitor.get(there)
    assert page.status == 200
    assert "<script>alert" not in page.text
    assert 'http-equiv="refresh"' not in page.text
    for text in ("Accepted", "Attempt 1 at the vendor", "Storing the result", "Succeeded", "Held", "Charged"):
        assert text in page.text, text
    assert "prediction.task.succeeded" in page.text
    assert "<b>hook" not in page.text
    assert re.search(r'<img src="http[^"]+/results/task-', page.text)
    assert "Use as input" in page.text
    once = re.search(r'name="once" value="([^"]+)"', page.text)
    assert once is not None
    again = [await visitor.post(f"{there}/again", {"once": once[1]}) for _ in range(2)]
    assert [one.status for one in again] == [303, 303]
    assert again[0].headers["Location"] == again[1].headers["Location"] != there, "a form sent twice makes one task"
    made = again[0].headers["Location"].removeprefix("/console/tasks/")
    row = await platform.reach(made, lambda row: row["state"] == "succeeded")
    assert row["actor"] == f"user:{visitor.user.id}"
    assert f"by {visitor.user.name}" in (await visitor.get(f"/console/tasks/{made}")).text

    async def logged() -> bool:
        return "Response time" in (await visitor.get(f"/console/logs/{made}")).text

    await eventually(logged)
    assert (await visitor.post(f"{there}/again", {})).status == 400
    assert (await visitor.post(f"{there}/result/delete", {})).status == 303
    page = await visitor.get(there)
    assert "expired or was deleted" in page.text
    assert "/results/" not in page.text
    assert "expired or was deleted" in (await visitor.get("/console/tasks")).text


async def test_a_task_without_kept_inputs_says_so(platform: Platform) -> None:
    team = await platform.team()
    visitor = await member(platform, team.id, Role.OWNER)
    task = (await team.post(PATH, {"prompt": "a secret hat"})).data["task_id"]
    await platform.reach(task, lambda row: row["state"] == "succeeded")
    await platform.pool.execute("update tasks.task set params = '{}' where id = $1", parse_task_name(task))
    page = await visitor.get(f"/console/tasks/{task}")
    assert "The inputs are not kept" in page.text
    assert "Run again" not in page.text
    assert (await visitor.post(f"/console/tasks/{task}/again", {"once": "x"})).status == 400


async def test_media_that_came_in_a_body_are_shown_and_run_again(platform: Platform) -> None:
    team = await platform.team()
    visitor = await member(platform, team.id, Role.DEVELOPER)
    picture = base64.b64encode(png(photo(640, 480))).decode()
    made = await team.post(EDIT, {"prompt": "a hat", "images": [picture]})
    task = made.data["task_id"]
    await platform.reach(task, lambda row: row["finished_at"] is not None)
    page = await visitor.get(f"/console/tasks/{task}")
    url = re.search(r'<img class="input" src="([^"]+)"', page.text)
    assert url is not None
    async with platform.http.get(html.unescape(url[1])) as answer:
        assert answer.status == 200
        assert answer.content_type == "image/png"
    again = await visitor.post(f"/console/tasks/{task}/again", {"once": "y"})
    assert again.status == 303, again.text
    row = await platform.reach(
        again.headers["Location"].removeprefix("/console/tasks/"), lambda row: row["finished_at"]
    )
    assert row["state"] == "succeeded", row["error_message"]
    await platform.pool.execute("update results.input set expires_at = now() - interval '1 s'")
    page = await visitor.post(f"/console/tasks/{task}/again", {"once": "z"})
    assert page.status == 400
    assert "not kept any more" in page.text


async def test_prompts_are_searched_in_tasks_and_logs(platform: Platform) -> None:
    team = await platform.team()
    visitor = await member(platform, team.id, Role.VIEWER)
    found = (await team.post(PATH, {"prompt": "a Lighthouse 灯塔黄昏"})).data["task_id"]
    other = (await team.post(PATH, {"prompt": "a kite"})).data["task_id"]
    for path in ("/console/tasks", "/console/tasks?view=table", "/console/logs"):
        for query, shown in {
            "lighthouse": True,
            "LIGHT": True,
            "灯塔": True,
            "黄昏 light": True,
            "house": False,
        }.items():
            page = await visitor.get(f"{path}{'&' if '?' in path else '?'}q={quote(query)}")
            assert page.status == 200
            assert (f"/{found}" in page.text) is shown, (path, query)
            assert f"/{other}" not in page.text, (path, query)
    for query in ("%27%22%3C", "&%20%7C%20!", "%00"):
        assert (await visitor.get(f"/console/tasks?q={query}")).status in (200, 400)
