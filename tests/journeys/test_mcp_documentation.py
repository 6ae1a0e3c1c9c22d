"""The documentation of a running installation, as an agent searches and reads it."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from tests.support.mcp_clients import INITIALIZE, MODES, call, mcp_client, message, post

PAGES = Path(__file__).parents[2] / "docs/site/en"


@pytest.fixture
def url(platform) -> str:
    return f"{platform.origin}/mcp"


async def found(client, query: str, **filters) -> list[str]:
    """The links of what a search finds."""
    result = await client.call_tool("SearchModellix", {"query": query} | filters)
    assert not result.is_error, result.content
    assert all(len(block.text) <= 4000 for block in result.content)
    return [line for block in result.content for line in block.text.splitlines() if line.startswith("Link: ")]


@pytest.mark.full
@pytest.mark.parametrize("mode", MODES)
async def test_an_agent_finds_the_page_and_reads_it(platform, url, mode) -> None:
    docs = f"{platform.origin}/docs"
    async with mcp_client(url, mode=mode) as client:
        links = await found(client, "wan2.6-t2v parameters")
        assert links[0].startswith(f"Link: {docs}/alibaba/wan-2-6-t2v")
        links = await found(client, "too many requests 429", apiReferenceOnly=True)
        assert any("/errors/rate-limit-exceeded" in link for link in links[:3])
        links = await found(client, "如何验证 webhook 签名", language="zh")
        assert links
        assert await found(client, "submit a task with curl", codeOnly=True)
        page = await client.call_tool("read_page", {"page": "alibaba/wan2.6-t2v"})
        assert "# " in page.content[0].text
        by_link = await client.call_tool("read_page", {"page": f"{docs}/alibaba/wan-2-6-t2v.md"})
        assert by_link.content == page.content
        chinese = await client.call_tool("read_page", {"page": f"{docs}/zh/get-started/index"})
        assert "快速" in chinese.content[0].text or "模型" in chinese.content[0].text
        told = (await client.call_tool("SearchModellix", {"query": "webhook", "language": "es"})).content[0].text
        assert told.startswith("Note: there is nothing in the language 'es'")
        error = await client.call_tool("SearchModellix", {"query": "webhook", "version": "v9"})
        assert error.is_error
        texts = {}
        for resource in (await client.list_resources()).resources:
            texts[resource.name] = (await client.read_resource(resource.uri)).contents[0].text
            assert (await platform.anyone().get(str(resource.uri))).body.decode() == texts[resource.name]
        assert texts["skill"].startswith("---\nname: modellix")
        assert texts["llms.txt"].startswith("# Modellix")


async def test_the_card_and_a_bare_client(platform, url) -> None:
    card = (await platform.anyone().get(url)).json
    assert card["server"] == {"name": "Modellix", "version": "1.0.0", "transport": "http"}
    assert list(card["capabilities"]["tools"]) == ["SearchModellix", "read_page"]
    assert message(await post(url, INITIALIZE))["result"]["protocolVersion"] == "2025-06-18"
    asked = call("tools/call", 2, name="SearchModellix", arguments={"query": "idempotency key"})
    assert message(await post(url, asked))["result"]["content"][0]["text"].startswith("Title: ")


async def test_an_error_of_generation_leads_to_its_page(platform, team) -> None:
    async with mcp_client(f"{platform.origin}/mcp/generate", team.authorization) as client:
        result = await client.call_tool("modellix_get_schema", {"model": "alibaba/nothing"})
        page = await platform.anyone().get(result.meta["modellix/error"]["docs_url"])
        assert (page.status, b"Resource not found" in page.body) == (200, True)
        schema = await client.call_tool("modellix_get_schema", {"model": "alibaba/qwen-image-plus"})
        assert (await platform.anyone().get(schema.structured_content["docs_url"])).status == 200


async def test_the_sample_of_the_page_runs(platform, team) -> None:
    page = (PAGES / "ways-to-use/mcp.md").read_text(encoding="utf-8")
    [code] = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    env = {"ORIGIN": platform.origin, "KEY": team.text}
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, env=os.environ | env, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    said, wrong = await child.communicate()
    assert child.returncode == 0, wrong.decode()
    assert (await platform.anyone().get(said.decode().strip())).body[1:4] == b"PNG"


@pytest.mark.parametrize("language", ["en", "zh"])
async def test_what_clients_are_configured_with_leads_to_the_servers(platform, team, language) -> None:
    page = await platform.anyone().get(f"/docs/{'' if language == 'en' else language + '/'}ways-to-use/mcp.md")
    configured = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", page.body.decode(), re.DOTALL)]
    [tool] = [one for one in configured if "server_url" in one]
    assert tool.keys() == {"type", "server_label", "server_url", "require_approval"}
    assert (tool["type"], tool["require_approval"]) == ("mcp", "never")
    servers = [
        server for one in configured for kind in ("mcpServers", "servers") for server in one.get(kind, {}).values()
    ]
    assert len(servers) >= 3
    for server in (*servers, {"url": tool["server_url"]}):
        path = urlsplit(server["url"]).path
        key = team.authorization if "headers" in server else None
        assert ("headers" in server) == (path == "/mcp/generate")
        async with mcp_client(platform.origin + path, key) as client:
            assert (await client.list_tools()).tools
