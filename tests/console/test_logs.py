"""Calls in pages: filters, one call, downloads."""

from __future__ import annotations

import csv
import html
import io
import json
import re
from datetime import timedelta
from uuid import UUID

import asyncpg
import pytest
from tests.support.api_client import Team
from tests.support.browsers import Visitor, member, new_team
from tests.support.platform_processes import Platform
from tests.support.waiting import eventually

from modellix_server.base.team_mode import TeamMode
from modellix_server.identity import Role
from modellix_server.operations.logs import SubmissionCall, happened_at, is_unfinished
from modellix_server.tasks import find_task

HOSTILE = '<script>alert(1)</script><img src=x onerror="alert(2)">'
PATH = "/api/v1/text-to-image/alibaba/qwen-image-plus/async"
PLACE = re.compile(r'class="row-link" href="/console/logs/([^"]+)"')


@pytest.fixture(scope="module")
async def team(platform: Platform) -> Team:
    """With a task, a refused submission and a status read on record."""
    team = await platform.team()
    task = (await team.post(PATH, {"prompt": f"a hat {HOSTILE}"})).data["task_id"]
    assert (await team.post(PATH, {"prompt": HOSTILE, "nope": "=1+1"})).status == 400
    await platform.reach(task, lambda row: row["state"] == "succeeded")
    assert (await team.get(f"/api/v1/tasks/{task}")).status == 200
    await platform.log_is_written(team)
    team.task = task  # type: ignore[attr-defined]
    return team


def places(page: str) -> list[str]:
    return PLACE.findall(page)


async def test_the_list_shows_what_its_query_asks_for(platform: Platform, team: Team) -> None:
    visitor = await member(platform, team.id, Role.VIEWER)
    page = await visitor.get("/console/logs")
    everything = places(page.text)
    assert len(everything) >= 3
    task = team.task  # type: ignore[attr-defined]
    assert task in everything, "the record of a submission is its task"
    for query, count in {
        "status=refused": 1,
        "status=4xx": 1,
        "status=5xx": 0,
        "calls=submissions": 2,
        "calls=others": len(everything) - 2,
        f"task={task}": 2,
        "model=nobody/none": 0,
        "request=none": 0,
        "from=2020-01-01T00:00&to=2020-01-02T00:00": 0,
        "window=all": len(everything),
        f"after={everything[0]}": len(everything) - 1,
    }.items():
        page = await visitor.get(f"/console/logs?{query}")
        assert page.status == 200, query
        assert len(places(page.text)) == count, query
        assert "<script>alert" not in page.text
    for query in ("status=x", "task=x", "key=x", "after=x", "window=x", "calls=x", "tail=x", "from=yesterday"):
        assert (await visitor.get(f"/console/logs?{query}")).status == 400, query


async def test_one_call_is_shown_with_all_that_is_known(platform: Platform, team: Team) -> None:
    visitor = await member(platform, team.id, Role.DEVELOPER)
    refused = places((await visitor.get("/console/logs?status=refused")).text)[0]
    page = await visitor.get(f"/console/logs/{refused}")
    for text in ("Response time", "Request id", "nope", "invalid_parameters", "POST"):
        assert text in html.unescape(page.text), text
    assert "<script>alert" not in page.text
    task = team.task  # type: ignore[attr-defined]
    page = await visitor.get(f"/console/logs/{task}")
    for text in ("a hat &lt;script&gt;", f'href="/console/tasks/{task}"', "Cost", "$0.0172", "Response time"):
        assert text in page.text, text
    stranger = await member(platform, (await new_team(platform)).id, Role.OWNER)
    for place in (refused, task, "none", "c1-1-1"):
        assert (await stranger.get(f"/console/logs/{place}")).status == 404


async def test_a_call_is_found_after_it_was_redacted(platform: Platform, team: Team) -> None:
    visitor = await member(platform, team.id, Role.DEVELOPER)
    assert (await team.post(PATH, {"nope": "soon gone"})).status == 400

    async def written() -> list[str] | None:
        found = places((await visitor.get("/console/logs?status=refused")).text)
        return found if len(found) == 2 else None

    place = (await eventually(written))[0]
    assert "soon gone" in (await visitor.get(f"/console/logs/{place}")).text
    await platform.pool.execute("select requestlog.redact_inputs($1, now() + interval '1 s')", team.id)
    page = await visitor.get(f"/console/logs/{place}")
    assert page.status == 200
    assert "soon gone" not in page.text


async def test_downloads_hold_what_the_filters_let_pass(platform: Platform, team: Team) -> None:
    visitor = await member(platform, team.id, Role.VIEWER)
    answer = await visitor.get("/console/logs/download?format=jsonl&calls=submissions")
    assert answer.headers["Content-Disposition"] == 'attachment; filename="logs.jsonl"'
    rows = [json.loads(line) for line in answer.text.splitlines()]
    assert {row["status"] for row in rows} == {200, 400}
    answer = await visitor.get("/console/logs/download?calls=submissions&status=2xx")
    assert answer.headers["Content-Type"].startswith("text/csv")
    table = list(csv.DictReader(io.StringIO(answer.text)))
    assert [row["task_id"] for row in table] == [team.task]  # type: ignore[attr-defined]
    assert (await visitor.get("/console/logs/download?format=exe")).status == 400


async def test_a_call_that_is_not_written_yet_appears_by_itself(platform: Platform) -> None:
    team = await platform.team()
    visitor = await member(platform, team.id, Role.VIEWER)
    task = (await team.post(PATH, {"prompt": "a hat"})).data["task_id"]
    await platform.log_is_written(team)
    complete = await visitor.get("/console/logs")
    assert "data-every" not in complete.text
    assert re.search(r"[0-9.]+ ms</td>", complete.text)
    superuser = await asyncpg.connect(platform.database)
    await superuser.execute("delete from requestlog.submission where team_id = $1", team.id)
    await superuser.close()
    early = await visitor.get("/console/logs")
    assert 'data-live="/console/logs" data-every="1000"' in early.text
    assert ">…</td>" in early.text
    async with platform.pool.acquire() as db:
        made = SubmissionCall(
            await find_task(db, TeamMode(team.id, live=False), UUID(task.removeprefix("task-"))), None
        )
    assert is_unfinished(made, happened_at(made))
    assert not is_unfinished(made, happened_at(made) + timedelta(hours=1)), "its row was lost"


async def test_a_log_that_is_watched_renews_itself(platform: Platform, team: Team) -> None:
    visitor: Visitor = await member(platform, team.id, Role.VIEWER)
    page = await visitor.get("/console/logs?tail=1")
    assert 'data-every="2000"' in page.text
    assert "http-equiv" in page.text
    assert "data-every" not in (await visitor.get("/console/logs")).text
