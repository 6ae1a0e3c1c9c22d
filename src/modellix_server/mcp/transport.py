"""MCP over HTTP: what a request must be before the SDK sees it.

Streamable HTTP without sessions: each POST is complete in itself, in the protocols of 2025 and of 2026 alike. A plain
GET answers with a card that describes the server; there is no stream to listen to.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import msgspec
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from modellix_server.base import log, time_budget
from modellix_server.base.body_read_limiter import BodyReadLimiter
from modellix_server.base.errors import PlatformError, Unauthorized, Unavailable, too_large, too_slow
from modellix_server.base.json_body import WHOLE_BODY, require_few_parts, without_mark
from modellix_server.base.metrics import SECONDS, Counter, Histogram
from modellix_server.base.turn_queue import TurnQueue
from modellix_server.mcp.calls import Admission, McpCall, Scope, new_call
from modellix_server.mcp.exchange import SingleExchange, replayed
from modellix_server.mcp.front import Receive, Send
from modellix_server.operations.context import OUT_OF_REACH

_BODY_TIMEOUT_S = 60.0
_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
_CLOSED = {"Cache-Control": "no-store", "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'"}
_CALLS = Counter(
    "modellix_mcp_calls_total",
    "Messages to the MCP servers by the tool they call, if any, and their answer.",
    ("path", "tool", "status", "code"),
)
_LATENCY = Histogram(
    "modellix_mcp_call_seconds",
    "From the head of a message to its whole answer.",
    (*SECONDS, 30.0, 60.0, 300.0),
    ("path", "tool"),
)
_LOG = log.get("mcp")

Headers = Mapping[bytes, bytes]
"""Of a request: the first of each name, in lower case."""


class OwnOrigins:
    """The origins at which this installation is known. Keeps pages of others from asking through a user's browser."""

    def __init__(self, origins: Iterable[str]) -> None:
        self._origins: set[bytes] = set()
        self._hosts: set[bytes] = set()
        for origin in origins:
            parts = urlsplit(origin.lower())
            name, colon, port = parts.netloc.rpartition(":") if parts.port else (parts.netloc, "", "")
            for known in _LOOPBACK if name in _LOOPBACK else (name,):
                host = f"{known}{colon}{port}"
                self._origins.add(f"{parts.scheme}://{host}".encode())
                self._hosts.add(host.encode())
                if not port:
                    self._hosts.add(f"{host}:{443 if parts.scheme == 'https' else 80}".encode())

    def refusal(self, headers: Headers) -> Response | None:
        """The answer to a request for another host, or of another site's page; None to any other.

        Somebody may have made a name lead here, so that a page under that name may ask.
        """
        if headers.get(b"host", b"").lower() not in self._hosts:
            return _error(421, "Invalid format: this host is not known here, use the installation's public address")
        origin = headers.get(b"origin")
        if origin is not None and origin.lower() not in self._origins:
            return _error(403, "Permission denied: pages of other sites may not use this")
        return None


class McpEndpoint:
    """One MCP server as an ASGI application."""

    def __init__(
        self,
        exchange: StreamableHTTPSessionManager | SingleExchange,
        admission: Admission,
        origins: OwnOrigins,
        card: bytes,
        receiving: Receiving,
        turns: TurnQueue | None = None,
    ) -> None:
        """With `turns`, calls wait for theirs before they compute anything."""
        self._turns = turns
        self._receiving = receiving
        self._admission = admission
        self._origins = origins
        self._card = card
        self._exchange = exchange

    def run(self) -> AbstractAsyncContextManager[None]:
        """Needed around all calls."""
        return self._exchange.run()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        turn = await self._turn(scope)
        call, headers = new_call(scope), dict(reversed(scope["headers"]))
        time_budget.begin()
        log.bind(request=call.request_id)
        answer = self._origins.refusal(headers)
        if answer is None and call.method != "POST":
            answer = self._describe(call.method, headers)
        if answer is not None:
            await answer(scope, receive, send)
            return
        try:
            await self._admission.admit(call, _authorization_of(scope))
            body = await _read_body(call, scope, headers, receive, self._receiving)
        except ClientDisconnect:
            return
        except PlatformError as error:
            call.refused = error
        except OUT_OF_REACH as error:
            _LOG.warning("a call met trouble", error=type(error).__name__)
            call.refused = Unavailable("please retry later", retry_after_s=2)
        watched = _watched(call, send)
        if call.refused is not None:
            await _refusal(call, call.refused)(scope, receive, watched)
        else:
            if self._turns is not None and self._turns.is_over(turn):  # the body was still on its way
                await self._turn(scope)
            await self._exchange.handle_request(scope, replayed(body, receive), watched)
        if call.complete:
            _count(call)
            self._admission.record(call)

    async def _turn(self, scope: Scope) -> int:
        return await self._turns.wait((scope.get("client") or ("unknown",))[0]) if self._turns is not None else 0

    def _describe(self, method: str, headers: Headers) -> Response:
        if method not in ("GET", "HEAD") or b"text/event-stream" in headers.get(b"accept", b""):
            return Response(None, 405, {"Allow": "GET, HEAD, POST", **_CLOSED})
        return Response(self._card, 200, {**_CLOSED, "Cache-Control": "public, max-age=300"}, "application/json")


def _count(call: McpCall) -> None:
    tool, refused = call.tool or "", call.refused
    _CALLS[call.path, tool, refused.status if refused else call.status, refused.code if refused else ""] += 1
    _LATENCY.observe(time.perf_counter() - call.started, (call.path, tool))


def _authorization_of(scope: Scope) -> str | None:
    """The header; if sent twice, both values joined, which no key matches."""
    found = [value for name, value in scope["headers"] if name == b"authorization"]
    return b", ".join(found).decode("latin-1") if found else None


@dataclass(frozen=True, slots=True)
class Receiving:
    """How bodies are received."""

    most_bytes: int
    limiter: BodyReadLimiter
    """Of the bytes of all bodies that are on their way."""


async def _read_body(call: McpCall, scope: Scope, headers: Headers, receive: Receive, receiving: Receiving) -> bytes:
    """The whole body. Raises BodyTooLarge, BodyTooSlow, InvalidFormat, Unavailable, ClientDisconnect."""
    come: Callable[[int], bytes | None] | None = scope.get(WHOLE_BODY)
    body = come(receiving.most_bytes) if come is not None else None
    if body is None:
        body = await _received(call, headers, receive, receiving)
    call.bytes_in = len(body)
    whole = without_mark(body)
    require_few_parts(whole)
    return whole


async def _received(call: McpCall, headers: Headers, receive: Receive, receiving: Receiving) -> bytes:
    text, most = headers.get(b"content-length", b""), receiving.most_bytes
    length = int(text) if text.isdigit() else most
    if length > most:
        raise too_large(most)
    body = bytearray()
    try:
        with receiving.limiter.join(call.caller.team_id if call.caller else 0, length):
            async with asyncio.timeout(_BODY_TIMEOUT_S):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise ClientDisconnect
                    body += message.get("body", b"")
                    call.bytes_in = len(body)
                    if len(body) > most:
                        raise too_large(most)
                    if not message.get("more_body", False):
                        return bytes(body)
    except TimeoutError:
        raise too_slow(_BODY_TIMEOUT_S) from None


def _watched(call: McpCall, send: Send) -> Send:
    """Adds the headers of limits, and notes what was sent."""

    async def watched(message: Any) -> None:
        if message["type"] == "http.response.start":
            call.status = message["status"]
            if call.rate is not None:
                message = {**message, "headers": [*message.get("headers", ()), *call.rate.headers()]}
        body = message.get("body", b"")
        is_last = message["type"] == "http.response.body" and not message.get("more_body", False)
        try:
            await send(message)
        except ConnectionResetError:  # who has the whole answer may go before its end is said
            call.complete = is_last and not body
            return
        call.bytes_out += len(body)
        call.complete = is_last

    return watched


def _refusal(call: McpCall, error: PlatformError) -> Response:
    """The error as the API answers it."""
    headers = dict(_CLOSED)
    if isinstance(error, Unauthorized):
        headers["WWW-Authenticate"] = "Bearer"
    elif error.retry_after_s is not None and (
        call.rate is None or call.rate.allowed
    ):  # else the limit's headers say it
        headers["Retry-After"] = str(error.retry_after_s)
    return _error(error.status, error.message, headers)


def _error(status: int, message: str, headers: Mapping[str, str] = _CLOSED) -> Response:
    return Response(msgspec.json.encode({"code": status, "message": message}), status, headers, "application/json")
