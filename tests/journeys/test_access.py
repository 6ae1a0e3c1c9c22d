"""Every route with every kind of credential. A route that has no row here fails the first test.

A new route: declare it with its level and its permission in `api.app`, and add one `Row` to `MATRIX`.
"""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import aiohttp
import msgspec
import pytest
from starlette.routing import Route
from yarl import URL

from modellix_server.api.app import build_router
from modellix_server.api.dispatch import Guarded
from modellix_server.api.hot.exchange import HotEndpoint
from modellix_server.base.errors import Unauthorized
from modellix_server.base.turn_queue import TurnQueue
from modellix_server.catalogue import Catalogue
from modellix_server.identity import Caller, keys, revoke_key
from modellix_server.limits import AddressLimit, Windows
from modellix_server.openapi.operation import Access, Declared
from modellix_server.operations.principal import OF_AN_API_KEY, Permission

NO_KEY = {"code": 401, "message": "Authentication failed: invalid or missing API key"}
OPENAI_NO_KEY = {
    "error": {
        "message": NO_KEY["message"],
        "type": "authentication_error",
        "param": None,
        "code": "unauthorized",
    }
}
HOOK = "/api/v1/webhooks/we_" + "0" * 32  # whose others cannot reach it: tests/journeys/test_webhooks.py
PICTURE = {"model": "alibaba/qwen-image-plus", "input": {"prompt": "a"}}
SETTINGS = SimpleNamespace(
    public_origin="http://127.0.0.1:8000", docs_origin="http://127.0.0.1:8000/docs", openai_models=()
)


@dataclass(frozen=True)
class Row:
    """How to call a route, and what a caller who may gets."""

    access: Access
    path: str = ""
    """With `{task}` (a finished task) or `{link}` (its file) of the calling team where the route has one."""
    body: Any = None
    good: int = 200
    foreign: int | None = None
    """What a good key of another team, or of the other mode, gets; None: the same as a good one, of its own."""


MATRIX = {
    "GET /api/v1/models": Row(Access.KEY),
    "GET /api/v1/models/{provider}/{model}": Row(Access.KEY, "/api/v1/models/alibaba/qwen-image-plus"),
    "GET /api/v1/models/{provider}/{model}/api_schema": Row(
        Access.PUBLIC, "/api/v1/models/alibaba/qwen-image-plus/api_schema"
    ),
    "GET /models/{provider}/{model}/api_schema": Row(Access.PUBLIC, "/models/alibaba/qwen-image-plus/api_schema"),
    "POST /api/v1/quote": Row(Access.KEY, body=PICTURE),
    "GET /api/v1/apikey/validate": Row(Access.PUBLIC),
    "GET /api/v1/key": Row(Access.KEY),
    "GET /api/v1/team/balance": Row(Access.KEY),
    "GET /api/v1/team/ledger": Row(Access.KEY),
    "GET /api/v1/team/usage": Row(Access.KEY),
    "GET /api/v1/logs": Row(Access.KEY),
    "GET /api/v1/media/files": Row(Access.KEY),
    "POST /api/v1/media/files": Row(Access.KEY, body={}, good=400),
    "DELETE /api/v1/media/files/{file_id}": Row(Access.KEY, "/api/v1/media/files/{spare_file}", foreign=404),
    "GET /files/{name}": Row(Access.LINK, "{file_link}"),
    "GET /api/v1/tasks": Row(Access.KEY),
    "GET /api/v1/tasks/{task_id}": Row(Access.KEY, "/api/v1/tasks/{task}", foreign=404),
    "POST /api/v1/tasks/{task_id}/cancel": Row(Access.KEY, "/api/v1/tasks/{task}/cancel", good=409, foreign=404),
    "DELETE /api/v1/tasks/{task_id}/result": Row(Access.KEY, "/api/v1/tasks/{spare}/result", foreign=404),
    # Refused after the key was taken, so that no row makes tasks.
    "POST /api/v1/{provider}/{model}": Row(Access.KEY, "/api/v1/alibaba/qwen-image-plus", body={}, good=400),
    "POST /api/v1/{provider}/{model}/async": Row(
        Access.KEY, "/api/v1/alibaba/qwen-image-plus/async", body={}, good=400
    ),
    "POST /api/v1/{type}/{provider}/{model}/async": Row(
        Access.KEY, "/api/v1/text-to-image/alibaba/qwen-image-plus/async", body={}, good=400
    ),
    "GET /api/v1/tasks/{task_id}/stream": Row(Access.KEY, "/api/v1/tasks/{task}/stream", foreign=404),
    "POST /api/v1/{provider}/{model}/stream": Row(
        Access.KEY, "/api/v1/alibaba/qwen-image-plus/stream", body={}, good=400
    ),
    "POST /api/v1/{type}/{provider}/{model}/stream": Row(
        Access.KEY, "/api/v1/text-to-image/alibaba/qwen-image-plus/stream", body={}, good=400
    ),
    "GET /api/v1/webhooks": Row(Access.KEY),
    "POST /api/v1/webhooks": Row(Access.KEY, body={}, good=400),
    "GET /api/v1/webhooks/secret": Row(Access.KEY),
    "POST /api/v1/webhooks/secret/rotate": Row(Access.KEY, body={}),
    "GET /api/v1/webhooks/deliveries": Row(Access.KEY),
    "POST /api/v1/webhooks/deliveries/{message_id}/replay": Row(
        Access.KEY, "/api/v1/webhooks/deliveries/msg_0/replay", body={}, good=404
    ),
    "GET /api/v1/webhooks/{endpoint_id:endpoint}": Row(Access.KEY, HOOK, good=404),
    "PATCH /api/v1/webhooks/{endpoint_id:endpoint}": Row(Access.KEY, HOOK, body={}, good=404),
    "DELETE /api/v1/webhooks/{endpoint_id:endpoint}": Row(Access.KEY, HOOK, good=404),
    "POST /api/v1/webhooks/{endpoint_id:endpoint}/rotate": Row(Access.KEY, f"{HOOK}/rotate", body={}, good=404),
    "GET /api/v1/webhooks/{endpoint_id:endpoint}/deliveries": Row(Access.KEY, f"{HOOK}/deliveries", good=404),
    "POST /api/v1/webhooks/{endpoint_id:endpoint}/replay": Row(Access.KEY, f"{HOOK}/replay", body={}, good=404),
    "POST /api/v1/keys/leaked": Row(Access.PUBLIC, body={"key": "not a key"}),
    "POST /v1/images/generations": Row(Access.KEY, body={}, good=400),
    "POST /v1/images/edits": Row(Access.KEY, body={}, good=400),
    "POST /v1/videos": Row(Access.KEY, body={"model": "alibaba/qwen-image-plus"}, good=400),
    "POST /v1/videos/edits": Row(Access.KEY, body={"model": "alibaba/qwen-image-plus"}, good=400),
    "POST /v1/videos/generations": Row(Access.KEY, body={"model": "alibaba/qwen-image-plus"}, good=400),
    "POST /v1/videos/{video_id}/remix": Row(Access.KEY, "/v1/videos/{task}/remix", body={}, good=400, foreign=404),
    "GET /v1/videos": Row(Access.KEY),
    # The finished task makes a picture: no video to anybody. Another team's video: tests/journeys/test_openai_videos.py
    "GET /v1/videos/{video_id}": Row(Access.KEY, "/v1/videos/{task}", good=404),
    "DELETE /v1/videos/{video_id}": Row(Access.KEY, "/v1/videos/{task}", good=404),
    "GET /v1/videos/{video_id}/content": Row(Access.KEY, "/v1/videos/{task}/content", good=404),
    "GET /v1/models": Row(Access.KEY),
    "GET /v1/models/{name}": Row(Access.KEY, "/v1/models/gpt-image-2"),
    "GET /v1/models/{provider}/{model}": Row(Access.KEY, "/v1/models/alibaba/qwen-image-plus"),
    "POST /callbacks/{upstream}/{token}": Row(Access.LINK, "/callbacks/ark/forged", body={}),
    "POST /payments/stripe/events": Row(Access.LINK, body={}, good=400),
    "GET /api/v1/openapi.json": Row(Access.PUBLIC),
    "GET /openapi.json": Row(Access.PUBLIC),
    "GET /openapi/{provider}.json": Row(Access.PUBLIC, "/openapi/alibaba.json"),
    "GET /healthz": Row(Access.PUBLIC),
    "GET /readyz": Row(Access.PUBLIC),
    "GET /results/{task_id}/{name}": Row(Access.LINK, "{link}"),
    "GET /samples/{name}": Row(Access.PUBLIC, "/samples/nothing.png", good=404),
}


def table() -> list[Any]:
    return list(build_router(SimpleNamespace(settings=SETTINGS, db=None, catalogue=Catalogue({}))).routes)


def declared(routes: list[Any]) -> dict[str, Access]:
    """Every method and path with its level; AttributeError for a route that was written down without one."""
    return {
        f"{method} {route.path}": route.access
        for route in routes
        for method in sorted(route.methods)
        if method != "HEAD"  # comes with GET
    }


def test_every_route_has_a_level_and_a_row_and_they_agree():
    assert declared(table()) == {name: row.access for name, row in MATRIX.items()}


def test_every_route_for_keys_asks_for_a_permission_that_keys_have():
    asked = {route.permission for route in table() if route.access is Access.KEY}
    assert asked
    assert asked <= OF_AN_API_KEY


def test_a_route_without_a_level_or_a_permission_cannot_be_written_down():
    with pytest.raises(TypeError):
        Declared("/x", None, methods=["GET"])
    with pytest.raises(TypeError):
        Declared("/x", None, Access.KEY, None, ["GET"])
    with pytest.raises(AttributeError):
        declared([Route("/x", lambda request: None)])


class Callers:
    """Knows one key, `Bearer good`."""

    def cached(self, header):
        return Caller(1, 1, True, "k", 3, rpm=2, key_rpm=2) if header == "Bearer good" else None

    async def authenticate(self, header):
        raise Unauthorized("invalid or missing API key")


@pytest.mark.parametrize("kind", [Guarded, HotEndpoint])
async def test_an_endpoint_runs_only_for_whom_the_dispatcher_has_let_in(kind):
    ran, sent, logged = [], [], []

    async def endpoint(request):
        ran.append(request)
        raise Unauthorized("it ran")

    async def send(message):
        sent.append(message)

    room = {"callers": Callers(), "windows": Windows(), "strangers": AddressLimit("requests", each=0, together=0)}
    room |= {"turns": TurnQueue()}
    ctx = SimpleNamespace(**room, settings=SETTINGS, request_log=SimpleNamespace(record=logged.append))

    async def ask(permission: Permission, key: str) -> tuple[int, bytes]:
        about = (Access.KEY, permission) if kind is Guarded else (permission,)
        head = [(b"authorization", key.encode())]
        scope = {"type": "http", "method": "GET", "path": "/api/v1/x", "query_string": b"", "headers": head}
        sent.clear()
        await kind(ctx, endpoint, *about)(scope, None, send)
        return sent[0]["status"], sent[1]["body"]

    for bad in ("Bearer bad", "", "Bearer good, Bearer good"):
        assert (await ask(Permission.READ_TASKS, bad))[0] == 401
    denied = b'{"code":403,"message":"Permission denied: you may not revoke API keys of others"}'
    assert await ask(Permission.MANAGE_KEYS, "Bearer good") == (403, denied)
    assert (b"x-ratelimit-remaining", b"1") in sent[0]["headers"]
    assert ran == []
    assert [(one.status, one.team_id) for one in logged] == [(401, None)] * 3 + [(403, 1)]
    status, body = await ask(Permission.READ_TASKS, "Bearer good")
    assert (status, b"it ran" in body, len(ran)) == (401, True, 1)
    assert (await ask(Permission.READ_TASKS, "Bearer good"))[0] == 429
    assert len(ran) == 1


@dataclass(frozen=True)
class Stage:
    """A team with a finished task, and everybody who might ask about it."""

    own: dict[str, str]
    bad: dict[str, str | None]
    good: Any
    other_team: Any
    other_mode: Any

    async def ask(self, name: str, who: Any, **changed: Any) -> Any:
        row = dataclasses.replace(MATRIX[name], **changed)
        method, path = name.split(" ")
        body = {} if row.body is None else {"data": msgspec.json.encode(row.body)}
        return await who.call(method, (row.path or path).format(**self.own), **body)


@pytest.fixture(scope="module")
async def accessed(platform, draw) -> Stage:
    team = await platform.team()
    revoked = await platform.key(team)
    await revoke_key(platform.pool, revoked.key.id)
    done = await team.run("alibaba/qwen-image-plus", prompt="mine")
    text = team.text
    bad = {
        "none": None,
        "empty": "",
        "other scheme": f"Basic {text}",
        "without scheme": text,
        "cut": f"Bearer {text[:-1]}",
        "wrong checksum": f"Bearer {text[:-1]}{'0' if text[-1] != '0' else '1'}",
        "two keys": f"Bearer {text}, Bearer {text}",
        "unknown": f"Bearer {keys.mint(live=False)}",
        "unknown live": f"Bearer {keys.mint(live=True)}",
        "revoked": revoked.authorization,
        "quote": "Bearer ' or 1=1 --",
        "not ASCII": "Bearer mdlx-ключ".encode().decode("latin-1"),
    }
    link = URL(done["result"]["resources"][0]["url"]).raw_path_qs
    spare = await team.run("alibaba/qwen-image-plus", prompt="mine too")
    own = {"task": done["task_id"], "spare": spare["task_id"], "link": link}
    for name in ("file", "spare_file"):
        sent = aiohttp.FormData()
        sent.add_field("file", draw.picture(), filename="a.png")
        kept = (await team.call("POST", "/api/v1/media/files", data=sent)).data
        own |= {name: kept["file_id"], f"{name}_link": URL(kept["url"]).raw_path_qs}
    return Stage(own, bad, team, await platform.team(), await platform.key(team, live=True))


@pytest.mark.parametrize("name", MATRIX)
async def test_who_has_no_good_key_gets_nothing_that_needs_one(platform, accessed, name):
    row = MATRIX[name]
    for kind, header in accessed.bad.items():
        answer = await accessed.ask(name, platform.anyone(header))
        if row.access is Access.KEY:
            said = NO_KEY if " /v1/" not in name else OPENAI_NO_KEY
            assert (answer.status, answer.json) == (401, said), kind
            assert answer.headers["www-authenticate"] == "Bearer"
            assert "x-ratelimit-limit" not in answer.headers
        else:
            assert answer.status == row.good, kind


@pytest.mark.parametrize("name", MATRIX)
async def test_a_good_key_opens_its_own_and_nothing_of_others(accessed, name):
    row = MATRIX[name]
    assert (await accessed.ask(name, accessed.good)).status == row.good
    for who in (accessed.other_team, accessed.other_mode):
        assert (await accessed.ask(name, who)).status == (row.foreign or row.good)
    if row.foreign == 404:
        unknown = accessed.own | {"task": "task-" + "0" * 32, "spare_file": "file-" + "0" * 32}
        nowhere = await dataclasses.replace(accessed, own=unknown).ask(name, accessed.other_team)
        theirs = await accessed.ask(name, accessed.other_team)
        assert nowhere.status == 404
        alike = [re.sub(rb"(task|file)-[0-9a-f]{32}", b"", answer.body) for answer in (theirs, nowhere)]
        assert alike[0] == alike[1]


async def test_a_link_without_its_signature_is_nothing(platform, accessed):
    link = accessed.own["link"]
    for changed in (link.partition("?")[0], link[:-1] + ("0" if link[-1] != "0" else "1"), link.replace("/0.", "/1.")):
        answer = await platform.anyone(accessed.good.authorization).get(changed)
        assert answer.status == 404, changed
