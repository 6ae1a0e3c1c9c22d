"""What answers without the SDK's transport sends what that transport sends, byte for byte."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS, MODERN_PROTOCOL_VERSIONS
from tests.support.mcp_clients import INITIALIZE, FoundPassage, call

from modellix_server.base.body_read_limiter import BodyReadLimiter
from modellix_server.base.errors import InvalidParameters
from modellix_server.base.json_body import WHOLE_BODY
from modellix_server.base.turn_queue import TurnQueue
from modellix_server.limits import AddressLimit
from modellix_server.mcp.calls import AddressAdmission, new_call
from modellix_server.mcp.docs import build_docs
from modellix_server.mcp.exchange import SingleExchange, sessions
from modellix_server.mcp.transport import McpEndpoint, OwnOrigins, Receiving

SITE = "https://example.com/docs"
TEXT = 'Quotes " and \\, tabs\t and\x01 controls\x7f, lines\r\n and\u2028 others, 中文, \U0001f600, </script>.'
ACCEPT = "application/json, text/event-stream"
RECEIVING = Receiving(1 << 20, BodyReadLimiter())


class OnePassage:
    """A documentation that answers everything in the same way."""

    async def search(self, _who: str, query: str, **_: Any) -> list[FoundPassage]:
        if query == "wrong":
            raise InvalidParameters("this is refused")
        return [FoundPassage("Title", "Heading", f"{SITE}/page#heading", "en", TEXT)]

    async def page(self, name: str, language: str) -> str | None:
        return TEXT

    async def skill(self) -> str:
        return TEXT

    contents = skill


@pytest.fixture(scope="module")
async def both() -> AsyncIterator[tuple[Any, Any]]:
    settings = SimpleNamespace(public_origin="https://example.com", docs_origin=SITE)
    server, calls, _card = build_docs(OnePassage(), settings, SITE)
    quick, sdk = SingleExchange(server, calls), sessions(server)
    ready, over = asyncio.Event(), asyncio.Event()

    async def run() -> None:
        async with quick.run(), sdk.run():
            ready.set()
            await over.wait()

    running = asyncio.create_task(run())  # their task groups end in the task that began them
    await ready.wait()
    yield quick, sdk
    over.set()
    await running


async def sent(exchange: Any, body: bytes, headers: list[tuple[str, str]]) -> tuple[Any, ...]:
    """Status, headers and body of an answer."""
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/mcp",
        "query_string": b"",
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers],
    }
    new_call(scope)
    messages: list[Any] = []
    left = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Any:
        return left.pop() if left else await asyncio.get_running_loop().create_future()

    async def send(message: Any) -> None:
        messages.append(message)

    answer = exchange if isinstance(exchange, McpEndpoint) else exchange.handle_request
    await asyncio.wait_for(answer(scope, receive, send), 30)
    start, *parts = messages
    assert [part["more_body"] for part in parts[:-1]] == [True] * (len(parts) - 1)
    assert not parts[-1].get("more_body")
    return start["status"], sorted(start["headers"]), b"".join(part.get("body", b"") for part in parts)


def modern(message: dict[str, Any], version: str) -> dict[str, Any]:
    """The same message as the protocol of 2026 has it."""
    about = {"io.modelcontextprotocol/protocolVersion": version, "io.modelcontextprotocol/clientCapabilities": {}}
    return {**message, "params": {**message["params"], "_meta": about}}


SEARCH = call("tools/call", 7, name="SearchModellix", arguments={"query": "a"})
MESSAGES = [
    SEARCH,
    SEARCH | {"id": "a string"},
    SEARCH | {"id": "\u00e9\x01"},
    SEARCH | {"id": 2**70},
    SEARCH | {"id": 1.5},
    SEARCH | {"id": 1.0},
    SEARCH | {"id": -1},
    SEARCH | {"id": True},
    SEARCH | {"id": None},
    SEARCH | {"jsonrpc": "1.0"},
    SEARCH | {"more": 1},
    {name: value for name, value in SEARCH.items() if name != "id"},
    call("tools/call", 1, name="SearchModellix", arguments={"query": "a"}, _meta={"progressToken": 5}),
    call("tools/call", 1, name="SearchModellix", arguments={"query": "a"}, _meta={"progressToken": []}),
    call("tools/call", 1, name="SearchModellix", arguments={"query": "a"}, _meta=None),
    call("tools/call", 1, name="SearchModellix", arguments={"query": "a"}, _meta={"traceparent": "x" * 3_000}),
    call("tools/call", 1, name="SearchModellix", arguments={"query": "a"}, task={"ttl": 5}),
    call("tools/call", 1, name="SearchModellix", arguments=None),
    call("tools/call", 1, name="SearchModellix", arguments={"query": "a", "language": "zh", "codeOnly": True}),
    call("tools/call", 1, name="SearchModellix", arguments={"query": "wrong"}),
    call("tools/call", 1, name="SearchModellix", arguments={}),
    call("tools/call", 1, name="SearchModellix", arguments=[]),
    call("tools/call", 1, name="SearchModellix"),
    call("tools/call", 1, name="nothing", arguments={}),
    call("tools/call", 1, name=None),
    call("tools/call", 1, name="read_page", arguments={"page": "page"}),
    call("tools/list"),
    call("tools/list", cursor="x"),
    call("resources/list"),
    call("resources/read", uri=f"{SITE}/skill.md"),
    call("resources/read", uri="file:///etc/passwd"),
    call("ping"),
    call("prompts/list"),
    call("nothing/known"),
    call("notifications/initialized"),
    call("logging/setLevel", level="debug"),
    INITIALIZE,
    call("initialize", protocolVersion="1999-01-01", capabilities={}, clientInfo={"name": "a", "version": "1"}),
    call("initialize"),
    {"jsonrpc": "2.0", "id": 1, "result": {}},
    {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}},
]
BODIES = [
    b"",
    b"{",
    b"null",
    b"[]",
    b"[" * 100_000,
    json.dumps([SEARCH]).encode(),
    json.dumps(SEARCH, ensure_ascii=False, indent=2).encode(),
    json.dumps(SEARCH).replace('"a"', '"\\ud800"').encode(),
    json.dumps(SEARCH).replace('"a"', "NaN").encode(),
    json.dumps(SEARCH).replace('"id"', '"id": 8, "id"').encode(),
    json.dumps(SEARCH).encode("utf-16"),
    b"\xef\xbb\xbf" + json.dumps(SEARCH).encode(),
]


@pytest.mark.parametrize("version", [None, *HANDSHAKE_PROTOCOL_VERSIONS, *MODERN_PROTOCOL_VERSIONS, "1999-01-01"])
async def test_the_same_bytes_are_answered_by_the_same_bytes(both, version) -> None:
    quick, sdk = both
    is_modern = version in MODERN_PROTOCOL_VERSIONS
    bodies = [json.dumps(modern(one, version) if is_modern and "params" in one else one).encode() for one in MESSAGES]
    succeeded = 0
    for body in [*bodies, *BODIES]:
        headers = [("Accept", ACCEPT), ("Content-Type", "application/json")]
        if version is not None:
            headers.append(("MCP-Protocol-Version", version))
        if is_modern:
            told = json.loads(body) if body in bodies else {}
            params = told.get("params", {})
            headers.append(("Mcp-Method", str(told.get("method"))))
            if isinstance(name := params.get("name", params.get("uri")), str):
                headers.append(("Mcp-Name", name))
        wanted = await sent(sdk, body, headers)
        assert await sent(quick, body, headers) == wanted, body[:200]
        succeeded += wanted[0] == 200 and b'"result"' in wanted[2]
    assert succeeded >= (0 if version == "1999-01-01" else 6)


@pytest.mark.parametrize(
    "changed",
    [
        {"Accept": "*/*"},
        {"Accept": "application/json"},
        {"Accept": "text/event-stream"},
        {"Accept": ""},
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/json; charset=utf-8"},
        {"Content-Type": "APPLICATION/JSON"},
        {"Content-Type": ""},
        {"MCP-Session-Id": "mine"},
        {"Last-Event-ID": "1"},
        {"MCP-Protocol-Version": ""},
        {"Host": "elsewhere", "Origin": "https://elsewhere"},
    ],
)
async def test_headers_mean_the_same(both, changed) -> None:
    quick, sdk = both
    headers = {"Accept": ACCEPT, "Content-Type": "application/json"} | changed
    body = json.dumps(SEARCH).encode()
    assert await sent(quick, body, [*headers.items()]) == await sent(sdk, body, [*headers.items()])


async def test_routing_headers_of_2026_mean_the_same(both) -> None:
    quick, sdk = both
    [version] = MODERN_PROTOCOL_VERSIONS
    body = json.dumps(modern(SEARCH, version)).encode()
    base = [("Accept", ACCEPT), ("Content-Type", "application/json"), ("MCP-Protocol-Version", version)]
    for more in (
        [("Mcp-Method", "tools/call")],
        [("Mcp-Method", "tools/list"), ("Mcp-Name", "SearchModellix")],
        [("Mcp-Method", "tools/call"), ("Mcp-Name", "read_page")],
        [("Mcp-Method", "tools/call"), ("Mcp-Name", "SearchModellix"), ("Mcp-Name", "SearchModellix")],
        [("Mcp-Method", "tools/call"), ("Mcp-Name", "SearchModellix"), ("Mcp-Param-Query", "b")],
    ):
        assert await sent(quick, body, base + more) == await sent(sdk, body, base + more), more


def posted() -> dict[str, Any]:
    """The scope of a message."""
    headers = {"accept": ACCEPT, "content-type": "application/json", "host": "example.com"}
    return {
        "type": "http",
        "method": "POST",
        "path": "/mcp",
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    }


@pytest.mark.parametrize("kind", [0, 1])
async def test_a_client_that_goes_with_the_answer_is_counted(both, kind) -> None:
    """It closes the connection before the end of the answer is said, as clients of event streams do."""
    entrance = AddressAdmission(AddressLimit("calls", each=1_000, together=1_000))
    recorded: list[int] = []
    entrance.record = lambda call: recorded.append(call.bytes_out)  # type: ignore[method-assign]
    endpoint = McpEndpoint(both[kind], entrance, OwnOrigins(["https://example.com"]), b"", RECEIVING)
    scope = posted()
    left = [{"type": "http.request", "body": json.dumps(SEARCH).encode(), "more_body": False}]

    async def receive() -> Any:
        return left.pop() if left else await asyncio.get_running_loop().create_future()

    async def send(message: Any) -> None:
        if message["type"] == "http.response.body" and not (message.get("more_body") or message["body"]):
            raise ConnectionResetError

    await asyncio.wait_for(endpoint(scope, receive, send), 30)
    assert len(recorded) == 1
    assert recorded[0] > 100


async def test_a_body_that_came_with_its_head_is_not_waited_for(both) -> None:
    entrance = AddressAdmission(AddressLimit("calls", each=1_000, together=1_000))
    endpoint = McpEndpoint(both[0], entrance, OwnOrigins(["https://example.com"]), b"", RECEIVING)
    body, asked = json.dumps(SEARCH).encode(), []

    def whole(most: int) -> bytes:
        asked.append(most)
        return b"\xef\xbb\xbf" + body

    async def receive() -> Any:
        raise AssertionError("there is nothing to wait for")

    messages: list[Any] = []

    async def send(message: Any) -> None:
        messages.append(message)

    scope = {**posted(), WHOLE_BODY: whole}
    await endpoint(scope, receive, send)
    assert asked == [RECEIVING.most_bytes]
    assert messages[0]["status"] == 200
    assert b"example.com/docs/page" in messages[1]["body"]


async def test_many_searches_at_once_leave_room_for_others(both) -> None:
    """Each computes without a pause: between two of them, everything else that is ready has its turn."""
    quick, _ = both
    entrance = AddressAdmission(AddressLimit("calls", each=1_000, together=1_000))
    endpoint = McpEndpoint(quick, entrance, OwnOrigins(["https://example.com"]), b"", RECEIVING, TurnQueue())
    headers = [("Accept", ACCEPT), ("Content-Type", "application/json"), ("Host", "example.com")]
    answered = 0

    async def search() -> None:
        nonlocal answered
        status, _headers, _parts = await sent(endpoint, json.dumps(SEARCH).encode(), headers)
        assert status == 200
        answered += 1

    searches = asyncio.gather(*(search() for _ in range(50)))
    rounds = 0
    while not searches.done():
        await asyncio.sleep(0)
        rounds += 1
        assert answered <= rounds / 3, "some rounds of the event loop are between two searches"
    await searches
