"""Calls of tools that are cheaper than the SDK: it takes longer to read a question than the search to answer it.

What is certain to succeed is answered here, with the bytes that the SDK would send. Anything else is left to the SDK:
other methods, refusals, and whatever is unusual in a request.
"""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Literal, NamedTuple

import msgspec
from mcp.server.lowlevel import Server
from mcp.server.streamable_http import check_accept_headers
from mcp.shared.inbound import InboundModernRoute, classify_inbound_request
from mcp_types import DEFAULT_NEGOTIATED_VERSION, SERVER_INFO_META_KEY
from mcp_types.methods import validate_client_request
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS, MODERN_PROTOCOL_VERSIONS
from msgspec import Raw, Struct
from pydantic import ValidationError
from starlette.requests import Request

from modellix_server.base.errors import PlatformError
from modellix_server.mcp.calls import Scope, call_of


class TextBlock(NamedTuple):
    """A part of a tool's answer."""

    text: str
    encoded: Raw
    """As JSON."""


Tool = Callable[[str, dict[str, Any]], Awaitable[Sequence[TextBlock]]]
"""Address of who asks, arguments -> parts of the answer. Raises PlatformError."""

_METHOD = "tools/call"
_MOST_META_BYTES = 2_000
_NUMBER = re.compile(rb"0|-?[1-9][0-9]{0,15}")
_STREAM = [
    (b"cache-control", b"no-cache, no-transform"),
    (b"connection", b"keep-alive"),
    (b"content-type", b"text/event-stream"),
    (b"x-accel-buffering", b"no"),
]


class QuickAnswer(NamedTuple):
    """An answer with status 200."""

    headers: list[tuple[bytes, bytes]]
    body: bytes


class _Params(Struct, forbid_unknown_fields=True):
    name: str
    arguments: dict[str, Any]
    meta: Raw = msgspec.field(name="_meta", default=Raw())


class _ToolCall(Struct, forbid_unknown_fields=True):
    jsonrpc: Literal["2.0"]
    id: Raw
    method: Literal["tools/call"]
    params: _Params


_DECODER = msgspec.json.Decoder(_ToolCall)


class QuickCalls:
    """Some tools of a server, whose calls tell nothing before their answer."""

    def __init__(self, server: Server[Any], tools: Mapping[str, Tool]) -> None:
        self._tools = tools
        self._stamp = {SERVER_INFO_META_KEY: server.server_info_stamp}

    async def answer(self, scope: Scope, body: bytes) -> QuickAnswer | None:
        """The answer to a request; None to one that the SDK has to answer."""
        headers = dict(scope["headers"])
        if len(headers) != len(scope["headers"]) or not _are_usual(
            headers.get(b"accept", b""), headers.get(b"content-type", b"")
        ):
            return None
        try:
            asked = _DECODER.decode(body)
            number = _id_of(asked.id)
            version = headers.get(b"mcp-protocol-version", DEFAULT_NEGOTIATED_VERSION.encode()).decode()
        except ValueError:  # of msgspec and of Unicode
            return None
        tool, meta = self._tools.get(asked.params.name), bytes(asked.params.meta)
        if tool is None or number is None or not _is_fit(version, meta):
            return None
        is_modern = version in MODERN_PROTOCOL_VERSIONS
        if is_modern and not (
            headers.get(b"mcp-method") == _METHOD.encode() and headers.get(b"mcp-name") == asked.params.name.encode()
        ):
            return None
        call = call_of(scope)
        try:
            blocks = await tool(call.address, asked.params.arguments)
        except PlatformError:
            return None
        call.tool = asked.params.name
        if is_modern:
            content = [{"text": block.text, "type": "text"} for block in blocks]
            return _as_json(number, {"content": content, "isError": False}, self._stamp)
        result = {"content": [block.encoded for block in blocks], "isError": False}
        data = msgspec.json.encode({"jsonrpc": "2.0", "id": number, "result": result})
        return QuickAnswer(_STREAM, b"event: message\r\ndata: " + data + b"\r\n\r\n")


def text_block(text: str) -> TextBlock:
    """A text as a part of an answer."""
    return TextBlock(text, Raw(msgspec.json.encode({"text": text, "type": "text"})))


def _as_json(number: int | str, result: dict[str, Any], stamp: dict[str, Any]) -> QuickAnswer:
    """As the SDK answers the protocol of 2026: in ASCII, and with its own name."""
    whole = {"jsonrpc": "2.0", "id": number, "result": {**result, "resultType": "complete", "_meta": stamp}}
    body = json.dumps(whole, separators=(",", ":")).encode()
    return QuickAnswer([(b"content-length", b"%d" % len(body)), (b"content-type", b"application/json")], body)


def _id_of(raw: Raw) -> int | str | None:
    """A request's id: a whole number that every client knows, or a text. Raises ValueError for a broken text."""
    given = bytes(raw)
    if _NUMBER.fullmatch(given):
        return int(given)
    return msgspec.json.decode(given, type=str) if given.startswith(b'"') else None


@lru_cache(maxsize=200)
def _are_usual(accept: bytes, kind: bytes) -> bool:
    """Whether a client takes both forms of an answer and sends JSON: in other cases the SDK decides."""
    request = Request({"type": "http", "headers": [(b"accept", accept)]})
    return check_accept_headers(request) == (True, True) and kind.partition(b";")[0].strip() == b"application/json"


@lru_cache(maxsize=1_000)
def _is_fit(version: str, meta: bytes) -> bool:
    """Whether the SDK takes what a client says of itself; the same with each of its calls."""
    params: dict[str, Any] = {"name": "a", "arguments": {}}
    if len(meta) > _MOST_META_BYTES:
        return False
    if meta:
        params["_meta"] = json.loads(meta)
    if version in MODERN_PROTOCOL_VERSIONS:
        headers = {"mcp-protocol-version": version, "mcp-method": _METHOD, "mcp-name": "a"}
        body = {"jsonrpc": "2.0", "id": 1, "method": _METHOD, "params": params}
        if not isinstance(classify_inbound_request(body, headers=headers), InboundModernRoute):
            return False
    elif version not in HANDSHAKE_PROTOCOL_VERSIONS:
        return False
    try:
        validate_client_request(_METHOD, version, params)
    except ValidationError:
        return False
    return True
