"""Webhooks as a team uses them: endpoints, links given with a task, the delivery log, replays."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
from aiohttp import web
from standardwebhooks import Webhook

MODEL = "alibaba/qwen-image-plus"
HOOKS = "/api/v1/webhooks"


@dataclass
class Receiver:
    """A team's own server."""

    url: str = ""
    status: int = 200
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.Response:
        self.got.append(({name.lower(): value for name, value in request.headers.items()}, await request.read()))
        return web.Response(status=self.status)

    async def hears(self, count: int = 1, within_s: float = 180) -> None:
        give_up = time.monotonic() + within_s
        while len(self.got) < count:
            assert time.monotonic() < give_up, f"{len(self.got)} of {count}"
            await asyncio.sleep(0.05)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    made = Receiver()
    app = web.Application()
    app.router.add_post("/hook", made.handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    yield made
    await runner.cleanup()


async def created(team, receiver: Receiver) -> dict:
    return (await team.post(HOOKS, {"url": receiver.url})).data


async def logged(team, path: str = f"{HOOKS}/deliveries", within_s: float = 60) -> list[dict]:
    """The delivery log once nothing in it waits for its first attempt."""
    give_up = time.monotonic() + within_s
    while True:
        found = (await team.get(path)).data["deliveries"]
        if found and all(one["attempts"] for one in found):
            return found
        assert time.monotonic() < give_up, found
        await asyncio.sleep(0.05)


async def test_an_endpoint_hears_the_very_answer_of_a_status_read(team, receiver) -> None:
    endpoint = await created(team, receiver)
    done = await team.run(MODEL, prompt="told")
    await receiver.hears()
    headers, body = receiver.got[0]
    assert body == (await team.get(f"/api/v1/tasks/{done['task_id']}")).body
    assert Webhook(endpoint["secret"]).verify(body, headers)["data"] == done
    assert headers["x-modellix-event"] == "prediction.task.succeeded"
    assert headers["x-modellix-task-id"] == done["task_id"]
    (entry,) = await logged(team, f"{HOOKS}/{endpoint['id']}/deliveries")
    assert (entry["id"], entry["status"]) == (headers["webhook-id"], "delivered")
    assert entry["attempts"][0]["status"] == 200


async def test_a_link_given_with_a_task_hears_of_that_task_alone(team, receiver) -> None:
    link = {"X-Webhook-URL": receiver.url}
    for path in (f"/api/v1/{MODEL}/async", f"/api/v1/text-to-image/{MODEL}/stream"):
        (await team.post(path, {"prompt": "[sandbox:fail] told"}, headers=link))
    await team.run(MODEL, prompt="not told")
    await receiver.hears(2)
    secret = (await team.get(f"{HOOKS}/secret")).data["secret"]
    for headers, body in receiver.got:
        assert Webhook(secret).verify(body, headers)["data"]["status"] == "failed"
        assert headers["x-modellix-event"] == "prediction.task.failed"
    assert (await team.get(HOOKS)).data["endpoints"] == []


@pytest.mark.full
async def test_a_cancel_is_told_as_one(platform, stage, postgres_server, tmp_path, receiver) -> None:
    async with stage(postgres_server, tmp_path) as other:
        other.processes[-1].terminate()
        other.processes[-1].wait(30)
        team = await other.team()
        await created(team, receiver)
        task = (await team.submit(MODEL, prompt="never started")).data["task_id"]
        await team.post(f"/api/v1/tasks/{task}/cancel")
        other.start("work")
        await receiver.hears()
        headers, body = receiver.got[0]
        assert headers["x-modellix-event"] == "prediction.task.canceled"
        assert b'"status":"failed"' in body


async def test_refused_and_repeated_submissions_leave_no_link_behind(platform, receiver) -> None:
    link = {"X-Webhook-URL": receiver.url}
    poor = await platform.team(0)
    assert (await poor.post(f"/api/v1/{MODEL}/async", {"prompt": "x"}, headers=link)).status == 402
    team = await platform.team()
    body, key = {"prompt": "once"}, {"Idempotency-Key": "k"}
    first = (await team.post(f"/api/v1/{MODEL}/async", body, headers=link | key)).data["task_id"]
    again = (await team.post(f"/api/v1/{MODEL}/async", body, headers=link | key)).data["task_id"]
    assert first == again
    await team.finish(first)
    await receiver.hears()
    await asyncio.sleep(0.5)
    assert len(receiver.got) == 1
    assert await platform.pool.fetchval("select count(*) from webhooks.subscription") == 0


@pytest.mark.parametrize("url", ["http://example.com/", "https://10.0.0.1/", "https://user@example.com/", "nonsense"])
async def test_links_inside_are_refused_before_anything_is_charged(platform, team, url: str) -> None:
    answer = await team.post(f"/api/v1/{MODEL}/async", {"prompt": "x"}, headers={"X-Webhook-URL": url})
    assert answer.status == 400
    assert answer.json["message"].startswith("Invalid parameters: header 'X-Webhook-URL' must")
    assert (await team.post(HOOKS, {"url": url})).status == 400
    assert await platform.tasks_of(team) == 0


async def test_the_life_of_an_endpoint(team, receiver) -> None:
    endpoint = await created(team, receiver)
    path = f"{HOOKS}/{endpoint['id']}"
    shown = {name: value for name, value in endpoint.items() if name != "secret"}
    assert (await team.get(path)).data == shown
    assert (await team.get(HOOKS)).data["endpoints"] == [shown]
    assert shown["enabled"] is True
    off = (await team.call("PATCH", path, data=b'{"enabled":false}')).data
    assert (off["enabled"], off["disabled_why"]) == (False, "by its team")
    assert (await team.call("PATCH", path, data=b'{"enabled":true}')).data == shown
    assert shown["alerts"] == {"balance_below": None, "budgets": False}
    told = (await team.call("PATCH", path, data=b'{"alerts":{"balance_below":2.5,"budgets":true}}')).data["alerts"]
    assert told == {"balance_below": 2.5, "budgets": True}
    assert (await team.call("PATCH", path, data=b'{"alerts":{}}')).data == shown
    for wrong in (b'{"balance_below":"5"}', b'{"balance_below":0}', b'{"balance_below":1e-9}', b'{"other":1}'):
        assert (await team.call("PATCH", path, data=b'{"alerts":' + wrong + b"}")).status == 400, wrong
    rotated = (await team.post(f"{path}/rotate")).data["secret"]
    await team.run(MODEL, prompt="told")
    await receiver.hears()
    headers, body = receiver.got[0]
    for secret in (endpoint["secret"], rotated):
        Webhook(secret).verify(body, headers)
    assert (await team.call("DELETE", path)).data == {"id": endpoint["id"], "deleted": True}
    (await team.get(path)).refused(404, "Resource not found: no such endpoint")
    assert (await team.get(f"{HOOKS}/deliveries")).data["deliveries"] == []


async def test_what_has_failed_is_sent_again_when_asked_for(team, receiver) -> None:
    endpoint = await created(team, receiver)
    receiver.status = 410
    await team.run(MODEL, prompt="lost")
    (entry,) = await logged(team)
    assert (entry["status"], entry["attempts"][0]["status"]) == ("failed", 410)
    assert (await team.get(f"{HOOKS}/{endpoint['id']}")).data["disabled_why"] == "it answered 410 Gone"
    receiver.status = 200
    replay = f"{HOOKS}/{endpoint['id']}/replay"
    assert (await team.post(replay, {"since": "2200-01-01"})).data["replayed"] == 0
    assert (await team.call("POST", replay)).data["replayed"] == 1
    await receiver.hears(2)
    assert (await team.post(f"{HOOKS}/deliveries/{entry['id']}/replay")).data == {"id": entry["id"], "replayed": 1}
    await receiver.hears(3)
    assert len({headers["webhook-id"] for headers, _ in receiver.got}) == 1
    assert len({body for _, body in receiver.got}) == 1


async def test_nothing_of_another_team_or_mode_is_seen(platform, team, receiver) -> None:
    endpoint = await created(team, receiver)
    await team.run(MODEL, prompt="mine")
    (entry,) = await logged(team)
    for stranger in (await platform.team(), await platform.key(team, live=True)):
        for method, path in (
            ("GET", endpoint["id"]), ("PATCH", endpoint["id"]), ("DELETE", endpoint["id"]),
            ("POST", f"{endpoint['id']}/rotate"), ("GET", f"{endpoint['id']}/deliveries"),
            ("POST", f"{endpoint['id']}/replay"), ("POST", f"deliveries/{entry['id']}/replay"),
        ):  # fmt: skip
            assert (await stranger.call(method, f"{HOOKS}/{path}")).status == 404, path
        assert (await stranger.get(HOOKS)).data["endpoints"] == []
        assert (await stranger.get(f"{HOOKS}/deliveries")).data["deliveries"] == []
        mine, theirs = [(await one.get(f"{HOOKS}/secret")).data["secret"] for one in (team, stranger)]
        assert mine != theirs


@pytest.mark.parametrize(("method", "path", "body", "message"), [
    ("POST", "", b"{}", "Missing required parameter: parameter 'url' is required"),
    ("POST", "", b'{"url":1}', "Invalid parameters: parameter 'url' must be a string, got 1"),
    ("POST", "", b'{"url":"https://a.test/","x":1}', "Invalid parameters: unknown parameter 'x'; allowed: url, alerts"),
    ("POST", "", b"[]", "Invalid format: the request body must be a JSON object"),
    ("POST", "", b"{", "Invalid format: invalid JSON format"),
    ("PATCH", "/we_" + "0" * 32, b'{"enabled":1}',
     "Invalid parameters: parameter 'enabled' must be true or false, got 1"),
    ("POST", "/we_" + "0" * 32 + "/replay", b'{"since":"soon"}',
     "Invalid format: parameter 'since' must be a time in ISO 8601, such as 2026-11-25T08:00:00Z"),
    ("POST", "/we_" + "0" * 32 + "/replay", b'{"since":"0001-01-01T00:00:00+14:00"}',
     "Invalid format: parameter 'since' must be a time in ISO 8601, such as 2026-11-25T08:00:00Z"),
    ("GET", "/deliveries?limit=x", b"", "Invalid format: parameter 'limit' must be a whole number, got 'x'"),
    ("GET", "/deliveries?limit=0", b"", "Value out of range: parameter 'limit' must be between 1 and 200, got 0"),
])  # fmt: skip
async def test_requests_that_make_no_sense(team, method: str, path: str, body: bytes, message: str) -> None:
    (await team.call(method, HOOKS + path, data=body)).refused(400, message)


async def test_no_secret_is_found_anywhere_after_it_was_shown(platform, team, receiver, superuser) -> None:
    endpoint = await created(team, receiver)
    team_secret = (await team.get(f"{HOOKS}/secret")).data["secret"]
    await team.run(MODEL, prompt="told")
    await receiver.hears()
    for secret in (endpoint["secret"], team_secret):
        for log in ("serve", "work"):
            assert secret.removeprefix("whsec_") not in platform.log(log)
        for table in ("webhooks.secret", "webhooks.endpoint", "webhooks.message", "requestlog.entry"):
            found = await superuser.fetchval(
                f"select count(*) from {table} t where t::text like $1", f"%{secret.removeprefix('whsec_')[:20]}%"
            )
            assert found == 0, table
