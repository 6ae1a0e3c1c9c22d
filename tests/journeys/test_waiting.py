"""A full team's submissions wait when they ask for it, with a place that they are told."""

from __future__ import annotations

import asyncio
import contextlib

import msgspec

PATH = "/api/v1/alibaba/qwen-image-plus/async"
WAIT = {"X-Queue": "wait"}
FULL = "Concurrent limit exceeded: "


async def submit(team, prompt: str, **headers: str):
    return await team.post(PATH, {"prompt": prompt}, headers=WAIT | headers)


async def test_who_waits_is_told_its_place_and_is_served(platform) -> None:
    team = await platform.team(concurrency=1)
    first = (await submit(team, "[sandbox:slow=4] first")).data
    assert "queue_position" not in first
    waiting = [(await submit(team, f"waits {n}")).data for n in range(3)]
    assert [one["queue_position"] for one in waiting] == [1, 2, 3]
    (await team.post(PATH, {"prompt": "does not wait"})).refused(429, FULL + "team limit of 1 running tasks")
    shown = (await team.get(f"/api/v1/tasks/{waiting[2]['task_id']}")).data
    assert (shown["status"], shown["queue_position"]) == ("pending", 3)
    canceled = waiting.pop(1)["task_id"]
    assert (await team.post(f"/api/v1/tasks/{canceled}/cancel")).data["status"] == "failed"
    shown = (await team.get(f"/api/v1/tasks/{waiting[1]['task_id']}")).data
    assert shown["queue_position"] in (1, 2)
    ends = await asyncio.gather(*(team.finish(one["task_id"]) for one in (first, *waiting)))
    assert [end["status"] for end in ends] == ["success"] * 3
    assert ends[1]["result"]["extensions"]["end_time"] <= ends[2]["result"]["extensions"]["end_time"]
    assert "queue_position" not in ends[2]
    assert await platform.balance_of(team) == (100_000_000 - 3 * 17_200, 0)


@contextlib.asynccontextmanager
async def stream(team, task: str, **headers: str):
    """Reads one event after the other: its name, its id and its data."""
    path, headers = f"{team.origin}/api/v1/tasks/{task}/stream", {"Authorization": team.authorization, **headers}
    async with team.http.get(path, headers=headers) as answer:
        assert answer.status == 200

        async def read() -> tuple[str, str | None, dict]:
            async with asyncio.timeout(60):
                while True:
                    lines = (await answer.content.readuntil(b"\n\n")).decode().splitlines()
                    fields = dict(line.split(": ", 1) for line in lines if line and not line.startswith(":"))
                    if "data" in fields:
                        return fields["event"], fields.get("id"), msgspec.json.decode(fields["data"])

        yield read


async def test_a_stream_tells_the_place_and_that_the_wait_is_over(platform) -> None:
    team = await platform.team(concurrency=0)
    first, second, third = [(await submit(team, f"in line {n}")).data["task_id"] for n in range(3)]
    pending = {"status": "pending", "task_id": third, "model_id": "qwen-image-plus", "stage": "queued"}
    async with stream(team, third) as read:
        assert await read() == ("status", "0", pending | {"queue_position": 3})
        await team.post(f"/api/v1/tasks/{first}/cancel")
        assert await read() == ("queue", None, {"task_id": third, "queue_position": 2})
    async with stream(team, third, **{"Last-Event-ID": "0"}) as read:  # who comes back cannot know the place
        assert await read() == ("queue", None, {"task_id": third, "queue_position": 2})
        await team.post(f"/api/v1/tasks/{second}/cancel")
        assert await read() == ("queue", None, {"task_id": third, "queue_position": 1})
        await platform.pool.execute("update limits.team_limit set concurrency = 1 where team_id = $1", team.id)
        told = [await read()]
        while told[-1][2]["status"] == "pending":
            told.append(await read())
        # Which of its moves are told of depends on how fast it goes; that it has left the queue is the first news.
        assert {name for name, *_ in told} == {"status"}
        assert told[0] == ("status", "1", pending) or told[0][2].get("stage") != "queued"
        assert told[-1][2]["status"] == "success"


async def test_a_raised_limit_starts_who_waits(platform) -> None:
    team = await platform.team(concurrency=0)
    task = (await submit(team, "patient")).data["task_id"]
    await platform.pool.execute("update limits.team_limit set concurrency = 1 where team_id = $1", team.id)
    assert (await team.finish(task))["status"] == "success"


async def test_the_queue_is_bounded_and_its_header_is_read_strictly(platform) -> None:
    team = await platform.team(concurrency=0)
    await platform.pool.execute("update limits.team_limit set most_waiting = 1 where team_id = $1", team.id)
    first = await submit(team, "a hill", **{"Idempotency-Key": "k"})
    again = await submit(team, "a hill", **{"Idempotency-Key": "k"})
    assert (first.data["queue_position"], again.data["task_id"]) == (1, first.data["task_id"])
    full = await submit(team, "a hill")
    full.refused(429, FULL + "as many tasks of this team wait for a slot as may")
    assert full.headers["retry-after"] == "5"
    for word in ("", "Wait", "yes", "wait, wait"):
        answer = await team.post(PATH, {"prompt": "a"}, headers={"X-Queue": word})
        answer.refused(400, "Invalid format: header 'X-Queue' can only be 'wait'")
    assert (await team.post(f"/api/v1/tasks/{first.data['task_id']}/cancel")).data["status"] == "failed"
