"""A team that does not keep its inputs: they go, and cost and all else stay."""

from __future__ import annotations

import asyncio

from modellix_server.identity import input_days
from modellix_server.operations import inputs
from modellix_server.operations.context import Context
from modellix_server.operations.principal import operator, system

PROMPT = "a secret lighthouse"


async def test_inputs_go_and_cost_stays(platform, team) -> None:
    ctx, anna = Context(None, platform.pool), operator("anna", "here")  # type: ignore[arg-type]
    neighbour = await platform.team()
    others = (await neighbour.run("alibaba/qwen-image-plus", prompt=PROMPT))["task_id"]
    task = (await team.run("alibaba/qwen-image-plus", prompt=PROMPT))["task_id"]
    assert (await team.submit("alibaba/qwen-image-plus", prompt=PROMPT, size="odd")).status == 400
    await platform.log_is_written(team)
    before = (await team.get(f"/api/v1/logs?task_id={task}")).data["logs"]

    await inputs.change_days(ctx, anna, team.id, 30)
    await inputs.redact_once(ctx, system("test", "here"))
    assert (await platform.row(task))["params"] != "{}", "its time is not over"

    await inputs.change_days(ctx, anna, team.id, 0)
    assert await input_days(platform.pool, team.id) == 0
    await inputs.redact_once(ctx, system("test", "here"))
    log = (await team.get("/api/v1/logs")).data["logs"]
    assert PROMPT not in str(log)
    after = [row for row in log if row["task_id"] == task and row["method"] == "POST"]
    was = [row for row in before if row["method"] == "POST"]
    assert after == [{**was[0], "input": {}}]
    assert after[0]["cost"] > 0
    assert [row["code"] for row in log if row["status"] == 400] == ["invalid_format"]
    assert PROMPT in (await platform.row(others))["params"]


async def test_what_is_not_kept_is_not_written_to_the_log(platform) -> None:
    team = await platform.team()
    ctx = Context(None, platform.pool)  # type: ignore[arg-type]
    await inputs.change_days(ctx, operator("anna", "here"), team.id, 0)
    assert (await team.submit("alibaba/qwen-image-plus", prompt=PROMPT, size="odd")).status == 400
    await platform.log_is_written(team)
    found = await platform.pool.fetch(
        "select input, answer from requestlog.entry where team_id = $1 and status = 400", team.id
    )
    assert [tuple(row) for row in found] == [(None, None)]
    task = (await team.run("alibaba/qwen-image-plus", prompt=PROMPT))["task_id"]
    worker = platform.start("work")  # a worker begins with the chores
    await platform.reach(task, lambda row: row["params"] == "{}")
    worker.terminate()
    await asyncio.to_thread(worker.wait, 60)
