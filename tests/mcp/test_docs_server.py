"""The documentation server: search and pages over MCP, with a small documentation in place of the site."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import httpx2
import pytest
import uvicorn
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS, MODERN_PROTOCOL_VERSIONS
from tests.support.mcp_clients import INITIALIZE, MODES, FoundPassage, call, mcp_client, message, post
from tests.support.ports import free_port
from tests.support.waiting import eventually

from modellix_server.api import ConnectionLimit, HttpProtocol
from modellix_server.base.body_read_limiter import BodyReadLimiter
from modellix_server.base.errors import InvalidParameters
from modellix_server.base.metrics import counters, histograms
from modellix_server.base.turn_queue import TurnQueue
from modellix_server.mcp import McpServers

FILTERS = "query, version, language, apiReferenceOnly, codeOnly"
PAGES = Path(__file__).parents[2] / "docs/site/en"


class WrittenPages:
    """The written pages of the site, searched by counting words."""

    def __init__(self, origin: str) -> None:
        self.texts = {file.stem: file.read_text(encoding="utf-8") for file in sorted(PAGES.glob("*.md"))}
        self.site = f"{origin}/docs"
        self.asked: list[tuple[str, dict]] = []
        self.passes = 0
        self.began: list[int] = []
        """In which pass of the event loop each search that takes long began."""

    async def search(self, _who: str, query: str, **filters) -> Sequence[FoundPassage]:
        if query == "takes long":
            self.began.append(self.passes)
            time.sleep(0.003)  # noqa: ASYNC251 - as a search, which computes
        self.asked.append((query, filters))
        if filters["version"] not in ("", "v0.1"):
            raise InvalidParameters(f"there is no documentation of version {filters['version']!r}")
        words = query.lower().split()
        counted = [(sum(text.lower().count(word) for word in words), slug) for slug, text in self.texts.items()]
        best = [slug for count, slug in sorted(counted, reverse=True) if count][:5]
        return [FoundPassage(slug.capitalize(), "", f"{self.site}/{slug}", "en", self.texts[slug]) for slug in best]

    async def page(self, name: str, language: str) -> str | None:
        return self.texts.get(name)

    async def skill(self) -> str:
        return "# The skill"

    async def contents(self) -> str:
        return "# The index"


@pytest.fixture(scope="module")
async def served() -> AsyncIterator[tuple[str, WrittenPages]]:
    port = free_port()
    origin = f"http://127.0.0.1:{port}"
    pages = WrittenPages(origin)
    settings = SimpleNamespace(public_origin=origin, docs_origin=f"{origin}/docs")
    ctx = SimpleNamespace(settings=settings, body_reads=BodyReadLimiter())
    servers = McpServers(ctx, None, None, None, None, None, pages)
    protocol = partial(HttpProtocol, draining=asyncio.Event(), limit=ConnectionLimit(10_000), turns=TurnQueue())
    config = uvicorn.Config(servers, http=protocol, port=port, lifespan="off", log_config=None)
    server = uvicorn.Server(config)
    async with servers.running():
        serving = asyncio.create_task(server._serve())
        await eventually(lambda: server.started)
        yield f"{origin}/mcp", pages
        server.should_exit = True
        await serving


@pytest.mark.parametrize("mode", MODES)
async def test_an_agent_searches_and_reads(served, mode) -> None:
    url, pages = served
    async with mcp_client(url, mode=mode) as client:
        search, read = (await client.list_tools()).tools
        assert (search.name, read.name) == ("SearchModellix", "read_page")
        schema = search.input_schema
        types = {name: about["type"] for name, about in schema["properties"].items()}
        assert types == {
            "query": "string",
            "version": "string",
            "language": "string",
            "apiReferenceOnly": "boolean",
            "codeOnly": "boolean",
        }
        assert (schema["type"], schema["required"]) == ("object", ["query"])
        found = await client.call_tool("SearchModellix", {"query": "how do I sign webhooks"})
        assert not found.is_error
        for block in found.content:
            title, link, content = block.text.split("\n")[:3]
            assert title.startswith("Title: ")
            assert link.startswith(f"Link: {pages.site}/")
            assert content.startswith("Content: ")
            assert len(block.text) <= 4000
        whole = await client.call_tool("read_page", {"page": f"{pages.site}/quickstart.md#first"})
        assert whole.content[0].text == pages.texts["quickstart"]
        for name in ("quickstart", "/docs/quickstart", "quickstart.md"):
            assert (await client.call_tool("read_page", {"page": name})).content == whole.content
        resources = {one.name: one for one in (await client.list_resources()).resources}
        assert resources.keys() == {"skill", "llms.txt"}
        skill = await client.read_resource(resources["skill"].uri)
        assert (skill.contents[0].text, skill.contents[0].mime_type) == ("# The skill", "text/markdown")
        with pytest.raises(Exception, match="there is no such resource"):
            await client.read_resource("file:///etc/passwd")


async def test_filters_are_handed_on(served) -> None:
    url, pages = served
    given = {"query": " a   task ", "version": "v0.1", "language": "zh-CN", "apiReferenceOnly": True, "codeOnly": True}
    async with mcp_client(url) as client:
        found = await client.call_tool("SearchModellix", given)
    wanted = {"version": "v0.1", "language": "zh-CN", "api_only": True, "code_only": True}
    assert pages.asked[-1] == ("a task", wanted)
    assert found.content[0].text.startswith("Note: there is nothing in the language 'zh-CN' about this")


async def test_bad_questions(served) -> None:
    url, pages = served
    async with mcp_client(url) as client:
        for given, told in (
            ({}, "Missing required parameter: parameter 'query' is required"),
            ({"query": "  "}, "Invalid parameters: parameter 'query' must not be empty"),
            ({"query": 1}, "Invalid parameters: parameter 'query': expected str, got int"),
            ({"query": "a", "version": "v9"}, "Invalid parameters: there is no documentation of version 'v9'"),
            ({"query": "a", "codeOnly": "yes"}, "Invalid parameters: parameter 'codeOnly': expected bool, got str"),
            (
                {"query": "a", "kind": "api"},
                f"Invalid parameters: unknown parameter 'kind'; allowed: {FILTERS}",
            ),
        ):
            result = await client.call_tool("SearchModellix", given)
            assert result.is_error
            assert result.content[0].text.splitlines()[0] == told
        long = await client.call_tool("SearchModellix", {"query": "task " * 2_000})
        assert not long.is_error
        assert len(pages.asked[-1][0]) <= 1_000
        hostile = await client.call_tool("SearchModellix", {"query": '"((title:* AND -[a TO \x00 \U0001f600 ^9~'})
        assert not hostile.is_error
        nothing = await client.call_tool("SearchModellix", {"query": "zzzzqqq"})
        assert [block.text[:20] for block in nothing.content] == ["No page answers this"]
        missing = await client.call_tool("read_page", {"page": "get-started/quick start"})
        assert missing.is_error
        assert "there is no page 'get-started/quick start'; perhaps you mean" in missing.content[0].text


async def test_a_bare_client_of_2025_needs_no_session(served) -> None:
    url, _ = served
    hello = message(await post(url, INITIALIZE))["result"]
    assert hello["protocolVersion"] == "2025-06-18"
    assert hello["serverInfo"]["name"] == "Modellix"
    assert hello["serverInfo"]["version"] == "1.0.0"
    found = message(await post(url, call("tools/call", 2, name="SearchModellix", arguments={"query": "webhooks"})))
    assert found["id"] == 2
    assert found["result"]["content"][0]["text"].startswith("Title: ")
    assert not found["result"]["isError"]


async def test_requests_that_are_none(served) -> None:
    url, pages = served
    assert (await post(url, INITIALIZE, Host="evil.example")).status_code == 421
    assert (await post(url, INITIALIZE, Origin="http://evil.example")).status_code == 403
    answer = await post(url, b" " * (5 << 20))
    assert (answer.status_code, answer.json()["code"]) == (413, 413)
    async with httpx2.AsyncClient() as http:
        card = (await http.get(url, headers={"Accept": "*/*"})).json()
    assert card["server"] == {"name": "Modellix", "version": "1.0.0", "transport": "http"}
    search = card["capabilities"]["tools"]["SearchModellix"]
    assert search.keys() == {"name", "description", "inputSchema", "operationId"}
    assert json.dumps(card).count(pages.site) == 2


async def test_the_servers_can_be_found(served) -> None:
    url, _ = served
    origin = url.removesuffix("/mcp")
    async with httpx2.AsyncClient() as http:
        catalog = (await http.get(f"{origin}/.well-known/mcp/catalog.json")).json()
        cards = [(await http.get(entry["url"])) for entry in catalog["entries"]]
        assert [card.headers["content-type"] for card in cards] == ["application/mcp-server-card+json"] * 2
        docs, generation = (card.json() for card in cards)
        assert (await http.get(f"{origin}/.well-known/mcp/server-card.json")).json() == docs
        assert [one["remotes"][0]["url"] for one in (docs, generation)] == [url, f"{url}/generate"]
        assert docs["remotes"][0]["supportedProtocolVersions"] == [
            *HANDSHAKE_PROTOCOL_VERSIONS,
            *MODERN_PROTOCOL_VERSIONS,
        ]
        assert [header["name"] for header in generation["remotes"][0]["headers"]] == ["Authorization"]
        assert docs["name"] == "1.0.0.127/docs"


async def test_many_searches_at_once_take_turns(served) -> None:
    """Those of a millisecond compute one after another: a submission waits for these, not for all."""
    url, pages = served
    asked = call("tools/call", 2, name="SearchModellix", arguments={"query": "takes long"})

    async def count() -> None:
        while True:
            await asyncio.sleep(0)
            pages.passes += 1

    counting = asyncio.create_task(count())
    answers = await asyncio.gather(*(post(url, asked) for _ in range(20)))
    counting.cancel()
    assert {answer.status_code for answer in answers} == {200}
    assert len(pages.began) == 20
    assert min(later - earlier for earlier, later in pairwise(pages.began)) >= 3


async def test_nothing_is_loaded_before_the_first_call() -> None:
    code = """
import asyncio, sys
from types import SimpleNamespace
import modellix_server.processes.serve
from modellix_server.base.metrics import counters, histograms
from modellix_server.mcp import McpServers

async def main():
    async def others(scope, receive, send):
        await send(scope["path"])
    ctx = SimpleNamespace(settings=SimpleNamespace(public_origin="http://127.0.0.1", docs_origin=""))
    servers = McpServers(ctx, None, None, None, None, others)
    async with servers.running():
        await servers({"path": "/console", "method": "GET"}, None, told)

async def told(path):
    assert path == "/console"

asyncio.run(main())
print("mcp.server" in sys.modules)
"""
    child = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdout=subprocess.PIPE)
    said, _ = await child.communicate()
    assert (child.returncode, said) == (0, b"False\n")


async def test_calls_are_counted_by_tool_and_answer(served) -> None:
    url, _ = served
    calls = next(one for one in counters if one.name == "modellix_mcp_calls_total")
    seconds = next(one for one in histograms if one.name == "modellix_mcp_call_seconds")
    before = dict(calls)
    for arguments in ({"query": "webhooks"}, {"query": ""}, {"query": ""}):
        await post(url, call("tools/call", 1, name="SearchModellix", arguments=arguments))
    await post(url, call("tools/call", 1, name="unknown", arguments={}))
    await post(url, b" " * (5 << 20))
    added = {labels: count - before.get(labels, 0) for labels, count in calls.items() if count != before.get(labels)}
    assert added == {
        ("/mcp", "SearchModellix", 200, ""): 1,
        ("/mcp", "SearchModellix", 400, "invalid_parameters"): 2,
        ("/mcp", "", 200, ""): 1,
        ("/mcp", "", 413, "body_too_large"): 1,
    }
    assert ("/mcp", "SearchModellix") in [labels for labels, _counts, _sum in seconds.rows()]


async def test_an_address_has_so_many_calls(served) -> None:
    """The last test here, as it uses them up."""
    url, _ = served
    async with httpx2.AsyncClient(timeout=60) as http:
        headers = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}
        give_up, answers = time.monotonic() + 120, []
        while all(answer.status_code == 400 for answer in answers):
            assert time.monotonic() < give_up
            answers = await asyncio.gather(*(http.post(url, content=b"{}", headers=headers) for _ in range(20)))
    answer = next(answer for answer in answers if answer.status_code != 400)
    assert answer.status_code == 429
    assert answer.json()["message"] == "Rate limit exceeded: 1200 calls per minute"
    assert 1 <= int(answer.headers["retry-after"]) <= 61
