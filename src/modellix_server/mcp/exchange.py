"""Servers whose tools answer at once: a request is run by the SDK, without what the SDK keeps for longer ones.

Its transport gives each request of the protocols of 2025 a session with streams and tasks of its own, which is ten
times the work of the request itself. What is sent is the same, byte for byte; whatever is not a request that succeeds
is left to the SDK's transport.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio
import pydantic_core
from mcp.server.connection import Connection
from mcp.server.lowlevel import Server
from mcp.server.runner import serve_one
from mcp.server.streamable_http import check_accept_headers
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.shared.exceptions import MCPError, NoBackChannelError
from mcp.shared.message import ServerMessageMetadata
from mcp.shared.transport_context import TransportContext
from mcp_types import DEFAULT_NEGOTIATED_VERSION, JSONRPCRequest, JSONRPCResponse, RequestId
from mcp_types.jsonrpc import jsonrpc_message_adapter
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS, MODERN_PROTOCOL_VERSIONS
from pydantic import ValidationError
from starlette.requests import Request

from modellix_server.mcp.calls import Scope
from modellix_server.mcp.front import Receive, Send
from modellix_server.mcp.quick import QuickCalls

MOST_BODY_BYTES = 4 << 20
_START = {
    "type": "http.response.start",
    "status": 200,
    "headers": [
        (b"cache-control", b"no-cache, no-transform"),
        (b"connection", b"keep-alive"),
        (b"content-type", b"text/event-stream"),
        (b"x-accel-buffering", b"no"),
    ],
}
_TRANSPORT = TransportContext(kind="streamable-http", can_send_request=False)


def sessions(server: Server[Any], *, json_response: bool = False) -> StreamableHTTPSessionManager:
    """The SDK's transport, stateless."""
    return StreamableHTTPSessionManager(
        server, stateless=True, json_response=json_response, max_request_body_size=MOST_BODY_BYTES
    )


class SingleExchange:
    """In place of the SDK's transport, for a server whose tools tell nothing before their answer."""

    def __init__(self, server: Server[Any], quick: QuickCalls | None = None) -> None:
        """`quick` answers some calls without the SDK."""
        self._server = server
        self._quick = quick
        self._all = sessions(server)
        # The protocol of 2026 answers in JSON where nothing else was told: as this one does, without waiting for it.
        self._modern = sessions(server, json_response=True)

    @asynccontextmanager
    async def run(self) -> AsyncIterator[None]:
        """Needed around all requests."""
        async with self._all.run(), self._modern.run():
            yield

    async def handle_request(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, whose body is received as a whole."""
        if self._quick:
            body = (await receive())["body"]
            if answer := await self._quick.answer(scope, body):
                await send({"type": "http.response.start", "status": 200, "headers": answer.headers})
                await send({"type": "http.response.body", "body": answer.body})
                return
            receive = replayed(body, receive)
        request = Request(scope, receive)
        version = request.headers.get("mcp-protocol-version")
        if check_accept_headers(request) != (True, True) or not _is_json(request):
            await self._all.handle_request(scope, receive, send)
        elif version in MODERN_PROTOCOL_VERSIONS:
            await self._modern.handle_request(scope, receive, send)
        else:
            body = await request.body()
            data = await self._answer(request, body, DEFAULT_NEGOTIATED_VERSION if version is None else version)
            if data is None:
                await self._all.handle_request(scope, replayed(body, receive), send)
                return
            await send(_START)
            await send({"type": "http.response.body", "body": b"event: message\r\ndata: " + data + b"\r\n\r\n"})

    async def _answer(self, request: Request, body: bytes, version: str) -> bytes | None:
        """The answer to a request of 2025; None to what is none, or is refused."""
        if version not in HANDSHAKE_PROTOCOL_VERSIONS:
            return None
        try:
            message = jsonrpc_message_adapter.validate_python(pydantic_core.from_json(body), by_name=False)
            if not isinstance(message, JSONRPCRequest):
                return None
            at = _At(message.id, ServerMessageMetadata(request_context=request))
            connection = Connection.from_envelope(version, None, None)
            run = serve_one(
                self._server, at, message.method, message.params, connection=connection, lifespan_state=None
            )
            answer = JSONRPCResponse(jsonrpc="2.0", id=message.id, result=await run)
        except (MCPError, ValidationError, ValueError):
            return None
        return answer.model_dump_json(by_alias=True, exclude_unset=True).encode()


@dataclass(slots=True)
class _At:
    """A request as the SDK's handlers see it: nothing can be asked of the client, or told before the answer."""

    request_id: RequestId
    message_metadata: ServerMessageMetadata
    transport: TransportContext = _TRANSPORT
    can_send_request: bool = False
    cancel_requested: anyio.Event = field(default_factory=anyio.Event)

    async def send_raw_request(self, method: str, *_: Any) -> dict[str, Any]:
        raise NoBackChannelError(method)

    async def notify(self, method: str, params: Mapping[str, Any] | None, opts: Any = None) -> None:
        pass

    async def progress(self, progress: float, total: float | None = None, message: str | None = None) -> None:
        pass


def _is_json(request: Request) -> bool:
    return request.headers.get("content-type", "").partition(";")[0].strip() == "application/json"


def replayed(body: bytes, receive: Receive) -> Receive:
    """Gives the body once more, and then what else there is to receive."""
    left = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> Any:
        return left.pop() if left else await receive()

    return again
