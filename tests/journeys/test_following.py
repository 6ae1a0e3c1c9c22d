"""Ways to follow a task: long poll and server-sent events."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import aiohttp
import msgspec
import pytest
from tests.support.waiting import eventually

from modellix_server import identity

MODEL = "alibaba/qwen-image-plus"
STREAM = f"/api/v1/{MODEL}/stream"


@dataclass(frozen=True)
class Event:
    name: str
    data: Any
    id: int | None


async def events(answer: aiohttp.ClientResponse, within_s: float = 60) -> AsyncIterator[Event]:
    """The events of one stream until the server ends it. As strict as the standard about what is sent."""
    fields: dict[str, str] = {}
    async with asyncio.timeout(within_s):
        async for raw in answer.content:
            line = raw.decode().removesuffix("\n")
            if line:
                name, colon, value = line.partition(":")
                assert colon, line
                if name:
                    fields[name] = value.removeprefix(" ")
                continue
            if "data" in fields:
                number = int(fields["id"]) if "id" in fields else None
                yield Event(fields["event"], msgspec.json.decode(fields["data"]), number)
            fields = {}
    assert not fields, "an event was cut off"


@contextlib.asynccontextmanager
async def opened(client, path: str, body: object = None, **headers: str) -> AsyncIterator[aiohttp.ClientResponse]:
    method = "GET" if body is None else "POST"
    headers = {"Authorization": client.authorization, **headers}
    data = None if body is None else msgspec.json.encode(body)
    async with client.http.request(method, client.origin + path, headers=headers, data=data) as answer:
        yield answer


class Follower:
    """Somebody who follows a task from now on."""

    def __init__(self, client, task: str) -> None:
        self.seen: list[Event] = []
        self.stream = asyncio.create_task(self._read(client, f"/api/v1/tasks/{task}/stream"))

    async def _read(self, client, path: str) -> list[Event]:
        async with opened(client, path) as answer:
            assert answer.status == 200, await answer.text()
            async for event in events(answer):
                self.seen.append(event)
        return self.seen

    async def sees(self, stage: str | None = None) -> None:
        """Wait until it has been told this stage, or anything at all."""
        await eventually(lambda: [one for one in self.seen if stage in (None, one.data.get("stage"))])


async def events_of(client, path: str, body: object = None, **headers: str) -> list[Event]:
    async with opened(client, path, body, **headers) as answer:
        assert answer.status == 200, await answer.text()
        return [event async for event in events(answer)]


async def submitted(team, prompt: str) -> str:
    return (await team.submit(MODEL, prompt=prompt)).data["task_id"]


# Long poll.


async def test_a_long_poll_answers_when_the_task_has_ended(team) -> None:
    task = await submitted(team, "[sandbox:slow=2] soon")
    started = time.monotonic()
    answer = await team.get(f"/api/v1/tasks/{task}?wait=30")
    assert answer.data["status"] == "success"
    assert answer.data["result"]["resources"]
    assert 1 < time.monotonic() - started < 29
    assert (await team.get(f"/api/v1/tasks/{task}")).body == answer.body
    started = time.monotonic()
    assert (await team.get(f"/api/v1/tasks/{task}?wait=true")).data["status"] == "success"
    assert time.monotonic() - started < 10


async def test_a_long_poll_answers_pending_when_the_time_is_up(team) -> None:
    task = await submitted(team, "[sandbox:never] never")
    started = time.monotonic()
    assert (await team.get(f"/api/v1/tasks/{task}?wait=2")).data["status"] == "pending"
    assert 1.9 < time.monotonic() - started < 20


async def test_a_long_poll_is_one_request(platform) -> None:
    team = await platform.team(key_rpm=3)
    task = await submitted(team, "[sandbox:slow=1] counted")
    answer = await team.get(f"/api/v1/tasks/{task}?wait=20")
    assert answer.headers["x-ratelimit-remaining"] == "1"


@pytest.mark.parametrize(("wait", "why"), [
    ("-1", "Invalid format: parameter 'wait' must be a whole number of seconds, or 'true'"),
    ("1.5", "Invalid format: parameter 'wait' must be a whole number of seconds, or 'true'"),
    ("%D9%A3", "Invalid format: parameter 'wait' must be a whole number of seconds, or 'true'"),
    ("31", "Value out of range: parameter 'wait' must be at most 30 seconds"),
    ("9" * 5000, "Value out of range: parameter 'wait' must be at most 30 seconds"),
])  # fmt: skip
async def test_a_wait_that_makes_no_sense(team, wait: str, why: str) -> None:
    task = await submitted(team, "a task")
    (await team.get(f"/api/v1/tasks/{task}?wait={wait}")).refused(400, why)


# Server-sent events.


@pytest.mark.parametrize("path", [STREAM, f"/api/v1/text-to-image/{MODEL}/stream"])
async def test_submit_and_follow_in_one_request(team, path: str) -> None:
    told = await events_of(team, path, {"prompt": "[sandbox:slow=1] a story"})
    accepted, *changes, last = told
    assert (accepted.name, accepted.id, accepted.data["status"]) == ("accepted", None, "pending")
    task = accepted.data["task_id"]
    assert [event.name for event in changes] == ["status"] * len(changes)
    stages = [event.data.pop("stage") for event in changes]
    assert stages == sorted(stages, key=["queued", "running", "storing"].index)
    assert "running" in stages
    plain = {"status": "pending", "task_id": task, "model_id": "qwen-image-plus"}
    assert [event.data for event in changes] == [plain] * len(changes)
    numbers = [event.id for event in told[1:]]
    assert numbers == sorted(set(numbers))
    assert (last.name, last.data) == ("status", (await team.get(f"/api/v1/tasks/{task}")).data)


async def test_the_head_of_a_stream(team) -> None:
    task = await submitted(team, "[sandbox:never] open")
    async with opened(team, f"/api/v1/tasks/{task}/stream") as answer:
        assert answer.status == 200
        assert answer.headers["content-type"] == "text/event-stream"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-accel-buffering"] == "no"
        assert answer.headers["x-ratelimit-limit"] == "1000000"
        assert await answer.content.readline() == b"retry: 2000\n"
    head = await team.call("HEAD", f"/api/v1/tasks/{task}/stream")
    assert (head.status, head.body) == (200, b"")


async def test_a_stream_is_taken_up_where_it_broke_off(team) -> None:
    task = await submitted(team, "[sandbox:slow=2] again")
    path = f"/api/v1/tasks/{task}/stream"
    async with opened(team, path) as answer:
        async for event in events(answer):
            if event.data["stage"] == "running":
                break
    rest = await events_of(team, path, **{"Last-Event-ID": str(event.id)})
    # The task has moved since, perhaps within the stage: how it is now is said again then.
    stages = [one.data.get("stage") for one in rest]
    assert stages == [one for one in ("running", "storing", None) if one in stages]
    assert rest[-1].data["status"] == "success"
    # Whoever lost the last event gets it; whoever has it is told not to come back, which browsers would do for ever.
    missed = await events_of(team, path, **{"Last-Event-ID": str(event.id)})
    assert missed == [rest[-1]]
    async with opened(team, path, **{"Last-Event-ID": str(rest[-1].id)}) as answer:
        assert (answer.status, await answer.read()) == (204, b"")
        assert "content-length" not in answer.headers


@pytest.mark.parametrize("last", ["", "x", "-1", "1e3", "99999", "9" * 400])
async def test_an_id_we_never_gave_tells_nothing(team, last: str) -> None:
    task = (await team.run(MODEL, prompt="done"))["task_id"]
    (only,) = await events_of(team, f"/api/v1/tasks/{task}/stream", **{"Last-Event-ID": last})
    assert only.data["status"] == "success"


async def test_progress_is_told_beside_the_story(platform, team) -> None:
    task = await submitted(team, "[sandbox:slow=4] in parts")
    follower = Follower(team, task)
    await follower.sees("running")
    for percent in (25, 25, 50):
        told = f"{task.removeprefix('task-')}:{percent}"
        await platform.pool.execute("select pg_notify('modellix_progress', $1)", told)
        await asyncio.sleep(0.1)
    told = [event for event in await follower.stream if event.name == "progress"]
    assert [event.data for event in told] == [{"task_id": task, "progress": far} for far in (0.25, 0.5)]
    assert {event.id for event in told} == {None}


async def test_a_failure_is_told_too(team) -> None:
    *_, last = await events_of(team, STREAM, {"prompt": "[sandbox:fail] no"})
    assert last.data["status"] == "failed"
    assert last.data["error"]["code"] == "upstream_refused"


@pytest.mark.full
async def test_a_cancel_is_told(platform, stage, postgres_server, tmp_path) -> None:
    async with stage(postgres_server, tmp_path) as other:
        other.processes[-1].terminate()  # nobody works: the task stays queued
        other.processes[-1].wait(30)
        team = await other.team()
        task = await submitted(team, "waits")
        follower = Follower(team, task)
        waiting = asyncio.create_task(team.get(f"/api/v1/tasks/{task}?wait=30"))
        await follower.sees()
        await asyncio.sleep(0.5)
        await team.post(f"/api/v1/tasks/{task}/cancel")
        first, last = await follower.stream
        assert (first.id, first.data["stage"]) == (0, "queued")
        assert (last.id, last.data["error"]["code"]) == (1, "canceled")
        assert (await waiting).data == last.data


async def test_refusals_before_a_stream_are_ordinary_ones(platform, team) -> None:
    task = await submitted(team, "mine")
    stranger = await platform.team()
    for client, path in ((stranger, task), (team, "task-0000000000007000a000000000000000"), (team, "x")):
        answer = await client.get(f"/api/v1/tasks/{path}/stream")
        answer.refused(404, f"Resource not found: task '{path}' not found")
    nobody = platform.anyone()
    (await nobody.get(f"/api/v1/tasks/{task}/stream")).refused(401, "Authentication failed: invalid or missing API key")
    (await team.post(STREAM, {})).refused(400, "Missing required parameter: parameter 'prompt' is required")
    poor = await platform.team(0)
    assert (await poor.post(STREAM, {"prompt": "x"})).status == 402
    assert (await team.post("/api/v1/alibaba/nothing/stream", {})).status == 404


async def test_one_idempotency_key_is_one_task_in_every_form(platform, team) -> None:
    body, key = {"prompt": "[sandbox:slow=1] once"}, {"Idempotency-Key": "k"}
    tasks = {
        (await events_of(team, STREAM, body, **key))[0].data["task_id"],
        (await events_of(team, STREAM, body, **key))[0].data["task_id"],
        (await team.post(f"/api/v1/{MODEL}/async", body, headers=key)).data["task_id"],
    }
    assert len(tasks) == 1
    assert await platform.tasks_of(team) == 1


async def test_a_revoked_key_ends_its_streams(platform) -> None:
    team = await platform.team()
    task = await submitted(team, "[sandbox:never] watched")
    other = await platform.key(team)
    goes, stays = Follower(other, task), Follower(team, task)
    await goes.sees()
    await stays.sees()
    await identity.revoke_key(platform.pool, other.key.id)
    *_, last = await asyncio.wait_for(goes.stream, 60)
    assert last.name == "refusal"
    assert last.data == {"code": 401, "message": "Authentication failed: invalid or missing API key"}
    assert not stays.stream.done()
    stays.stream.cancel()


@pytest.mark.full
async def test_places_are_given_back(stage, postgres_server, tmp_path) -> None:
    """A client that goes away frees its place at once: more than the limit come one after the other."""
    async with stage(postgres_server, tmp_path) as platform:
        team = await platform.team()
        task = await submitted(team, "[sandbox:never] watched")
        path = f"/api/v1/tasks/{task}/stream"
        async with contextlib.AsyncExitStack() as staying:
            for _ in range(950):
                assert (await staying.enter_async_context(opened(team, path))).status == 200
            for _ in range(3):
                async with contextlib.AsyncExitStack() as leaving:
                    for _ in range(50):
                        assert (await leaving.enter_async_context(opened(team, path))).status == 200
                    full = await team.get(path)
                    full.refused(
                        429, "Concurrent limit exceeded: 1000 open streams and waiting requests for this API key"
                    )
                    assert full.headers["retry-after"] == "5"
                    assert (await team.get(f"/api/v1/tasks/{task}")).data["status"] == "pending"
                await asyncio.sleep(1)


@pytest.mark.full
async def test_a_stopping_server_sends_its_followers_away(stage, postgres_server, tmp_path) -> None:
    async with stage(postgres_server, tmp_path) as platform:
        team = await platform.team()
        task = await submitted(team, "[sandbox:never] watched")
        follower = Follower(team, task)
        waiting = asyncio.create_task(team.get(f"/api/v1/tasks/{task}?wait=30"))
        await follower.sees()
        await asyncio.sleep(1)
        serve = platform.processes[1]
        serve.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(serve.wait, 50) == 0
        assert (await follower.stream)[-1].data["status"] == "pending"
        assert (await waiting).data["status"] == "pending"


@pytest.mark.full
async def test_a_stream_outlives_a_restart_of_the_database(stage, postgres_server, tmp_path, superuser) -> None:
    async with stage(postgres_server, tmp_path) as platform:
        team = await platform.team()
        following = asyncio.create_task(events_of(team, STREAM, {"prompt": "[sandbox:slow=4] through"}))
        await asyncio.sleep(1.5)
        name = platform.database.rpartition("/")[2].partition("?")[0]
        await postgres_server.setup.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where datname = $1", name
        )
        assert (await following)[-1].data["status"] == "success"
