"""How programs find the servers: a card of each, and a catalogue of the cards (SEP-2127, a draft)."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import msgspec
from starlette.responses import Response

PROTOCOLS = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28")
_SCHEMA = "https://static.modelcontextprotocol.io/schemas/v1/server-card.schema.json"
_CARD, _CATALOG = "application/mcp-server-card+json", "application/json"
_HEADERS = {
    "Access-Control-Allow-Origin": "*",
    "Cache-Control": "public, max-age=3600",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}


class Discovered(NamedTuple):
    """A server, as its card describes it."""

    path: str
    name: str
    title: str
    about: str
    needs_key: bool


GENERATION = Discovered(
    "/mcp/generate", "generation", "Modellix generation", "Makes pictures and videos, with an API key.", needs_key=True
)
DOCS = Discovered(
    "/mcp", "docs", "Modellix", "Searches the documentation of this Modellix installation.", needs_key=False
)


def discovery(origin: str, docs: str, servers: tuple[Discovered, ...]) -> Mapping[str, Response]:
    """Path -> answer; the first server is the one of the whole host."""
    host = urlsplit(origin).hostname or ""
    cards = {server: _card(origin, host, docs, server) for server in servers}
    entries = [
        {
            "identifier": f"urn:air:{host}:{server.name}",
            "displayName": server.title,
            "description": server.about,
            "type": _CARD,
            "url": f"{origin}{server.path}/server-card",
        }
        for server in servers
    ]
    return {
        **{f"{server.path}/server-card": _json(card, _CARD) for server, card in cards.items()},
        "/.well-known/mcp/server-card.json": _json(cards[servers[0]], _CARD),
        "/.well-known/mcp/catalog.json": _json({"specVersion": "1.0", "entries": entries}, _CATALOG),
    }


def _card(origin: str, host: str, docs: str, server: Discovered) -> dict[str, Any]:
    remote: dict[str, Any] = {
        "type": "streamable-http",
        "url": f"{origin}{server.path}",
        "supportedProtocolVersions": list(PROTOCOLS),
    }
    if server.needs_key:
        remote["headers"] = [
            {
                "name": "Authorization",
                "description": "Bearer, and an API key of this installation",
                "isRequired": True,
                "isSecret": True,
            }
        ]
    return {
        "$schema": _SCHEMA,
        "name": f"{'.'.join(reversed(host.split('.')))}/{server.name}",
        "version": version("modellix-server"),
        "title": server.title,
        "description": server.about,
        "websiteUrl": docs,
        "remotes": [remote],
    }


def _json(value: dict[str, Any], kind: str) -> Response:
    return Response(msgspec.json.encode(value), 200, _HEADERS, kind)
