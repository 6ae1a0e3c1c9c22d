"""The official MCP client, and requests as a client without an SDK sends them."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import httpx2
from mcp.client.streamable_http import streamable_http_client

from mcp import Client

ACCEPT = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}
MODES = ["auto", "legacy"]
"""The protocol of 2026, and that of 2025 with its handshake."""


class FoundPassage(NamedTuple):
    """For `mcp.Passage`, without a documentation."""

    title: str
    heading: str
    url: str
    language: str
    text: str


@contextlib.asynccontextmanager
async def mcp_client(url: str, authorization: str | None = None, mode: str = "auto") -> AsyncIterator[Client]:
    headers = {"Authorization": authorization} if authorization else {}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=120) as http,
        Client(streamable_http_client(url, http_client=http), mode=mode) as client,
    ):
        yield client


async def post(url: str, body: Any, **headers: str) -> httpx2.Response:
    """One POST; a body that is no bytes as JSON."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    async with httpx2.AsyncClient(timeout=60) as http:
        return await http.post(url, content=content, headers=ACCEPT | headers)


def call(method: str, number: int = 1, **params: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": number, "method": method, "params": params}


def message(answer: httpx2.Response) -> dict[str, Any]:
    """The one message of an answer in events."""
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert "mcp-session-id" not in answer.headers
    lines = [line.removeprefix("data: ") for line in answer.text.splitlines() if line.startswith("data: ")]
    assert "event: message" in answer.text.splitlines()
    found: dict[str, Any] = json.loads(lines[-1])
    return found


INITIALIZE = call(
    "initialize", protocolVersion="2025-06-18", capabilities={}, clientInfo={"name": "bare", "version": "1"}
)
