"""Canceling over HTTP, with vendors that stop a task and vendors that do not."""

from __future__ import annotations

import pytest

PICTURE = "alibaba/qwen-image-plus"
ARK = ("bytedance/seedance-1.0-lite-t2v", {"duration": 2, "resolution": "480p"})
MONEY = 100_000_000


@pytest.mark.parametrize(("model", "given"), [(PICTURE, {}), ARK], ids=["dashscope", "ark"])
async def test_what_still_waits_at_the_vendor_is_stopped(platform, team, model: str, given: dict) -> None:
    task = (await team.submit(model, prompt="[sandbox:queue=30] a hill", **given)).data["task_id"]
    await platform.reach(task, lambda row: row["state"] == "running")
    answer = await team.post(f"/api/v1/tasks/{task}/cancel")
    assert answer.data == {"status": "failed", "task_id": task}
    ended = (await team.get(f"/api/v1/tasks/{task}")).data
    assert (ended["status"], ended["error"]["code"], ended["billing"]["amount"]) == ("failed", "canceled", 0)
    assert await platform.balance_of(team) == (MONEY, 0)
    assert (await team.post(f"/api/v1/tasks/{task}/cancel")).data == answer.data


@pytest.mark.parametrize(
    ("model", "given"),
    [
        pytest.param(PICTURE, {}, id="dashscope"),
        pytest.param(*ARK, id="ark", marks=pytest.mark.full),
        pytest.param("minimax/hailuo-02-t2v", {}, id="minimax", marks=pytest.mark.full),
    ],
)
async def test_what_the_vendor_works_on_is_charged_and_the_client_is_told(platform, team, model, given) -> None:
    task = (await team.submit(model, prompt="[sandbox:slow=3] a hill", **given)).data["task_id"]
    await platform.reach(task, lambda row: row["state"] == "running")
    words = f"Conflict: task '{task}' is not stopped by the vendor; it runs on and is charged as delivered"
    (await team.post(f"/api/v1/tasks/{task}/cancel")).refused(409, words)
    ended = await team.finish(task)
    assert (ended["status"], ended["billing"]["amount"] > 0) == ("success", True)
    assert await platform.balance_of(team) == (MONEY - round(ended["billing"]["amount"] * 1e6), 0)
    (await team.post(f"/api/v1/tasks/{task}/cancel")).refused(409, f"Conflict: task '{task}' has ended")
