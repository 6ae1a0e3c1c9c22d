"""HTTP at its edges: methods, paths, headers, bodies. Every answer under /api is JSON in the contract's shape."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

import msgspec
import pytest

PICTURE_MODEL = "alibaba/qwen-image-plus"


def no_route(path: str) -> str:
    """What is said of a path, whose slips are named."""
    slip = ": the path has an empty part ('//')" if "//" in path else ""
    if path.endswith("/"):
        slip = slip or ": the path must not end with '/'"
    return f"Resource not found: no such route{slip}"


# Every route below /api that is for callers with a key, and its methods.
ROUTES = {
    "/api/v1/models": {"GET", "HEAD"},
    "/api/v1/models/alibaba/qwen-image-plus": {"GET", "HEAD"},
    "/api/v1/quote": {"POST"},
    "/api/v1/apikey/validate": {"GET", "HEAD"},
    "/api/v1/team/balance": {"GET", "HEAD"},
    "/api/v1/tasks/task-0000000000007000a000000000000000": {"GET", "HEAD"},
    "/api/v1/tasks/task-0000000000007000a000000000000000/cancel": {"POST"},
    "/api/v1/tasks/task-0000000000007000a000000000000000/result": {"DELETE"},
    "/api/v1/tasks/task-0000000000007000a000000000000000/stream": {"GET", "HEAD"},
    "/api/v1/media/files": {"GET", "HEAD", "POST"},
    "/api/v1/webhooks": {"GET", "HEAD", "POST"},
    "/api/v1/webhooks/secret": {"GET", "HEAD"},
    "/api/v1/webhooks/secret/rotate": {"POST"},
    "/api/v1/webhooks/deliveries": {"GET", "HEAD"},
    "/api/v1/webhooks/deliveries/msg_00000000000000000000000000000000/replay": {"POST"},
    "/api/v1/webhooks/we_00000000000000000000000000000000": {"GET", "HEAD", "PATCH", "DELETE"},
    "/api/v1/webhooks/we_00000000000000000000000000000000/rotate": {"POST"},
    "/api/v1/webhooks/we_00000000000000000000000000000000/deliveries": {"GET", "HEAD"},
    "/api/v1/webhooks/we_00000000000000000000000000000000/replay": {"POST"},
    f"/api/v1/{PICTURE_MODEL}/stream": {"POST"},
    f"/api/v1/text-to-image/{PICTURE_MODEL}/stream": {"POST"},
    f"/api/v1/{PICTURE_MODEL}": {"POST"},
    f"/api/v1/{PICTURE_MODEL}/async": {"POST"},
    f"/api/v1/text-to-image/{PICTURE_MODEL}/async": {"POST"},
}
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND")


@pytest.mark.parametrize("route", ROUTES)
async def test_other_methods(team, route: str) -> None:
    for method in METHODS:
        answer = await team.call(method, route)
        assert answer.headers["content-type"] == "application/json"
        if method in ROUTES[route]:
            assert answer.status in (200, 400, 404)
            assert answer.headers["x-ratelimit-limit"] == "1000000"
        elif method == "HEAD":
            assert (answer.status, answer.body) == (405, b"")
        else:
            answer.refused(405, f"Invalid parameters: method {method} is not allowed here")
            assert set(answer.headers["allow"].split(", ")) == ROUTES[route]


async def test_head_is_get_without_a_body(team) -> None:
    for path in ("/api/v1/models", "/api/v1/team/balance", "/healthz"):
        got, head = await team.get(path), await team.call("HEAD", path)
        assert (head.status, head.body) == (200, b"")
        assert head.headers["content-length"] == got.headers["content-length"]


@pytest.mark.parametrize(
    "path",
    [
        "/api", "/api/", "/api/v1", "/api/v1/", "/api/v2/models", "/api/v1/models/", "/api/v1/models/alibaba",
        "/api/v1/models/alibaba/qwen-image-plus/", "/api/v1/team/balance/", "/api/v1/team", "/api/v1/team/other",
        "/api/v1/apikey/validate/", "/api/v1/quote/", "/api/v1/media/nothing/at/all",
        "/api/v1//models", "/api//v1/models", "/api/v1/nobody", "/api/v1/a/b/c", "/api/v1/a/b/c/d/e",
        "/api/v1/" + "x/" * 3000, "/api/v1/%2e%2e/%2e%2e/etc/passwd", "/api/%00", "/api/%ff%fe",
    ],
    ids=lambda path: path[:40],
)  # fmt: skip
async def test_unknown_routes(team, path: str) -> None:
    """Nothing redirects, a trailing slash included."""
    (await team.get(path)).refused(404, no_route(path))
    (await team.call("DELETE", path)).refused(404, no_route(path))


@pytest.mark.parametrize("path", ["a/b/c", "alibaba/qwen-image-plus/", "alibaba/qwen-image-plus/async/", ""])
async def test_submissions_to_unknown_routes(platform, team, path: str) -> None:
    (await team.post(f"/api/v1/{path}", {"prompt": "a"})).refused(404, no_route(f"/api/v1/{path}"))
    assert await platform.tasks_of(team) == 0


@pytest.mark.parametrize(("name", "whole"), [("nobody", "provider/model"), ("qwen-image-plus", PICTURE_MODEL)])
async def test_a_model_without_its_provider_is_told_its_whole_name(team, name: str, whole: str) -> None:
    told = f"Resource not found: no such route: a model is named with its provider, as in '{whole}'"
    for path in (name, f"{name}/async"):
        (await team.post(f"/api/v1/{path}", {"prompt": "a"})).refused(404, told)


async def test_paths_that_are_percent_encoded(team) -> None:
    assert (await team.post("/api/v1/%61libaba/qwen%2Dimage%2Dplus", {"prompt": "a"})).status == 200
    task = (await team.submit(PICTURE_MODEL, prompt="a")).data["task_id"]
    assert (await team.get(f"/api/v1/tasks/%74ask-{task[5:]}")).data["task_id"] == task
    inside = await team.get(f"/api/v1/tasks/x%2F{task}")  # a slash within a name is no separator
    inside.refused(404, f"Resource not found: task 'x%2F{task}' not found")


async def test_nothing_is_asked_of_a_clients_headers(platform, team) -> None:
    """No User-Agent, Accept or Content-Type at all; then odd ones; then a body where none belongs."""
    raw = Raw(platform.origin)
    body = b'{"prompt":"a"}'
    key = f"Authorization: Bearer {team.text}"
    length = f"Content-Length: {len(body)}"
    assert await raw.send(f"POST /api/v1/{PICTURE_MODEL} HTTP/1.1", key, length, body=body) == 200
    odd = ("User-Agent:", "Accept: text/html", "Content-Type: text/plain; charset=latin-1", "X-Request-Id: x")
    assert await raw.send(f"POST /api/v1/{PICTURE_MODEL} HTTP/1.1", key, length, *odd, body=body) == 200
    assert await raw.send("GET /api/v1/team/balance HTTP/1.1", key, length, "Content-Type: a/b", body=body) == 200
    assert await raw.send("GET /api/v1/team/balance?x=%ff&x=2&&=;a HTTP/1.1", key) == 200
    assert await raw.send("GET /api/v1/team/balance HTTP/1.0", key) == 200
    for path in ("/api%2fv1%2fteam%2fbalance", "/api/v1%2Fteam/balance", "/api/v1/team%2Fbalance"):
        assert await raw.send(f"GET {path} HTTP/1.1", key) == 404
    assert await raw.send(f"GET {platform.origin}/api/v1/team/balance HTTP/1.1", key) == 200
    assert await raw.send("GET /api/v1/team/balance HTTP/1.1", key, "X-Long: " + "x" * 30_000) == 200


async def test_the_host_header_decides_nothing(platform, team) -> None:
    headers = {"Host": "evil.example", "X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "https"}
    receipt = await team.post(f"/api/v1/{PICTURE_MODEL}", {"prompt": "a"}, headers=headers)
    assert receipt.data["get_result"]["url"].startswith(platform.origin)
    await team.finish(receipt.data["task_id"])
    task = (await team.get(f"/api/v1/tasks/{receipt.data['task_id']}", headers=headers)).data
    assert task["result"]["resources"][0]["url"].startswith(platform.origin)


async def test_a_header_sent_twice(platform, team) -> None:
    """With one value it counts once. Neither of two keys counts; a list of two idempotency keys is one key."""
    raw = Raw(platform.origin)
    key = f"Authorization: Bearer {team.text}"
    assert await raw.send("GET /api/v1/team/balance HTTP/1.1", key, key) == 200
    assert await raw.send("GET /api/v1/team/balance HTTP/1.1", key, "Authorization: Bearer x") == 401
    assert await raw.send("GET /api/v1/team/balance HTTP/1.1", "Authorization: Bearer x", key) == 401
    body = b'{"prompt":"a"}'
    sent = (f"POST /api/v1/{PICTURE_MODEL} HTTP/1.1", key, f"Content-Length: {len(body)}")
    for _ in range(2):
        assert await raw.send(*sent, "Idempotency-Key: a", "Idempotency-Key: b", body=body) == 200
    assert await platform.tasks_of(team) == 1


async def test_chunked_bodies(platform, team) -> None:
    body = b'{"prompt":"sent in crumbs"}'

    async def crumbs():
        for place in range(len(body)):
            yield body[place : place + 1]

    answer = await team.call("POST", f"/api/v1/{PICTURE_MODEL}", data=crumbs())
    assert (await platform.row(answer.data["task_id"]))["params"].count("crumbs") == 1
    quote = await team.call("POST", "/api/v1/quote", data=_pieces(300_000))
    quote.refused(413, "Invalid format: a quote needs no bytes of media: send a URL in their place, it is not fetched")


async def test_a_client_that_goes_away_half_way(platform, team) -> None:
    at = urlsplit(platform.origin)
    for sent in (b'{"prom', b" " * 400_000):
        _, writer = await asyncio.open_connection(at.hostname, at.port)
        head = f"POST /api/v1/{PICTURE_MODEL} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {team.text}\r\n"
        writer.write(f"{head}Content-Length: 500000\r\n\r\n".encode() + sent)
        await writer.drain()
        writer.close()
        await writer.wait_closed()
    assert (await team.get("/api/v1/team/balance")).data["balance"] == 100.0
    assert await platform.tasks_of(team) == 0
    await platform.spool_is_empty()


@pytest.mark.parametrize(
    "line",
    ["GET /api/v1 HTTP/x", "NONSENSE", "GET /api/v1/\xff HTTP/1.1", "FOO /api/v1 HTTP/1.1", "GET  HTTP/1.1"],
)
async def test_what_is_no_http_at_all(platform, line: str) -> None:
    assert await Raw(platform.origin).send(line) == 400


async def test_a_nul_in_a_header(platform) -> None:
    assert await Raw(platform.origin).send("GET /api/v1/models HTTP/1.1", "Idempotency-Key: a\0b") == 400


async def test_idempotency_keys_that_are_none(platform, team) -> None:
    for key in ("", "x" * 256, "é", "a\tb"):
        answer = await team.post(f"/api/v1/{PICTURE_MODEL}", {"prompt": "a"}, headers={"Idempotency-Key": key})
        answer.refused(400, "Invalid format: header 'Idempotency-Key' must be 1 to 255 printable ASCII characters")
    assert await platform.tasks_of(team) == 0


async def test_outside_of_api_people_are_answered(platform) -> None:
    for path, status, kind in (("/", 200, "html"), ("/nothing", 404, "html"), ("/results/x/y", 404, "plain")):
        answer = await platform.anyone().get(path)
        assert answer.status == status
        assert answer.headers["content-type"].startswith(f"text/{kind}")


async def _pieces(size: int):
    for _ in range(size // 1000):
        yield b" " * 1000


class Raw:
    """Requests written by hand."""

    def __init__(self, origin: str) -> None:
        self._at = urlsplit(origin)

    async def send(self, *lines: str, body: bytes = b"") -> int:
        """The status of the answer, which must be JSON of the contract's shape."""
        reader, writer = await asyncio.open_connection(self._at.hostname, self._at.port, limit=1 << 20)
        writer.write("\r\n".join([*lines, "Host: x", "Connection: close", "", ""]).encode("latin-1") + body)
        answer = await asyncio.wait_for(reader.read(), 60)
        writer.close()
        head, _, content = answer.partition(b"\r\n\r\n")
        status = int(head.split()[1])
        assert b"content-type: application/json" in head.lower(), answer
        parsed = msgspec.json.decode(content)
        assert parsed["code"] == (0 if status == 200 else status)
        assert isinstance(parsed["message"], str)
        return status


async def test_pipelined_requests_are_answered_in_order(platform, team) -> None:
    """Each answer goes to its own request, with its own length, however many were sent at once."""
    origin = urlsplit(platform.origin)
    reader, writer = await asyncio.open_connection(origin.hostname, origin.port)
    paths = ["/healthz", "/api/v1/tasks/nothing", "/api/v1/team/balance", "/healthz"]
    for path in paths:
        writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: {team.authorization}\r\n\r\n".encode())
    statuses = []
    for _ in paths:
        head = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 60)).decode().lower()
        statuses.append(int(head.split()[1]))
        length = next(int(line.split(":")[1]) for line in head.splitlines() if line.startswith("content-length"))
        assert msgspec.json.decode(await reader.readexactly(length))["code"] in (0, statuses[-1])
    assert statuses == [200, 404, 200, 200]
    writer.close()


async def test_bodies_arrive_whole_however_they_are_sent(platform, team) -> None:
    """Small, padded past what is kept in memory, in chunks, and after an invitation: all in a row on one connection."""
    origin = urlsplit(platform.origin)
    reader, writer = await asyncio.open_connection(origin.hostname, origin.port)
    bodies = [
        f'{{"prompt":"[sandbox:refuse] body {n}"{" " * pad}}}'.encode() for n, pad in enumerate((0, 300_000, 9, 9))
    ]

    def head(*lines: str) -> bytes:
        first = (f"POST /api/v1/{PICTURE_MODEL} HTTP/1.1", "Host: x", f"Authorization: {team.authorization}")
        return "\r\n".join([*first, *lines, "", ""]).encode()

    async def answered() -> bytes:
        return await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 60)

    whole = [head(f"Content-Length: {len(body)}") + body for body in bodies]
    chunked = [head("Transfer-Encoding: chunked") + b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body) for body in bodies]
    invited = head(f"Content-Length: {len(bodies[3])}", "Expect: 100-continue")
    ids = []
    writer.write(b"".join(whole[:3] + chunked[:3]) + invited)
    for number in range(7):
        if number == 6:
            assert await answered() == b"HTTP/1.1 100 Continue\r\n\r\n"
            writer.write(bodies[3])
        said = (await answered()).decode().lower()
        length = next(int(line.split(":")[1]) for line in said.splitlines() if line.startswith("content-length"))
        ids.append(msgspec.json.decode(await reader.readexactly(length))["data"]["task_id"])
    prompts = [msgspec.json.decode((await platform.row(task))["params"])["prompt"] for task in ids]
    assert prompts == [f"[sandbox:refuse] body {n}" for n in (0, 1, 2, 0, 1, 2, 3)]
    writer.close()
