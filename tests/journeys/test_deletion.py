"""A result deleted on request: gone at once, while the task and its cost stay on record."""

from __future__ import annotations

from pathlib import Path

PICTURE = "alibaba/qwen-image-plus"


def stored(platform, task: str) -> list[Path]:
    return list((platform.folder / "storage" / "results" / task.removeprefix("task-")).glob("*"))


async def test_a_result_is_deleted_before_its_time(platform, team) -> None:
    data = await team.run(PICTURE, prompt="a hill")
    task, url = data["task_id"], data["result"]["resources"][0]["url"]
    assert (await team.get(url)).status == 200
    assert len(stored(platform, task)) == 1
    row, balance = await platform.row(task), await platform.balance_of(team)
    for _ in range(2):
        deleted = await team.call("DELETE", f"/api/v1/tasks/{task}/result")
        assert deleted.data == {"task_id": task, "deleted": True}
        (await team.get(f"/api/v1/tasks/{task}")).refused(404, f"Resource not found: task '{task}' not found")
        assert (await team.get(url)).status == 404
        assert stored(platform, task) == []
    assert await platform.pool.fetchval("select count(*) from results.result where task_id = $1", row["id"]) == 0
    assert (await platform.row(task), await platform.balance_of(team)) == (row, balance)


async def test_what_belongs_to_others_is_neither_seen_nor_deleted(platform, team) -> None:
    data = await team.run(PICTURE, prompt="a hill")
    task = data["task_id"]
    for other in (await platform.team(), await platform.key(team, live=True)):
        answer = await other.call("DELETE", f"/api/v1/tasks/{task}/result")
        answer.refused(404, f"Resource not found: task '{task}' not found")
    assert (await team.get(data["result"]["resources"][0]["url"])).status == 200


async def test_only_an_ended_task_has_something_to_delete(platform, team) -> None:
    task = (await team.submit(PICTURE, prompt="[sandbox:slow=4]")).data["task_id"]
    words = f"Conflict: task '{task}' has not ended yet: cancel it first, or wait"
    (await team.call("DELETE", f"/api/v1/tasks/{task}/result")).refused(409, words)
    failed = (await team.run(PICTURE, prompt="[sandbox:refuse]"))["task_id"]
    assert (await team.call("DELETE", f"/api/v1/tasks/{failed}/result")).data["deleted"] is True
    assert (await team.get(f"/api/v1/tasks/{failed}")).data["error"]["code"] == "invalid_input"
