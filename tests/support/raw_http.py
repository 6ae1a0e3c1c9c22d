"""The platform's HTTP server with an application that answers by path, and clients that write what they like."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import uvicorn

from modellix_server.api.hot.client_connection import CONNECTION, ClientConnection
from modellix_server.api.hot.connection_clock import close_overdue
from modellix_server.api.hot.connection_limit import ConnectionLimit
from modellix_server.api.hot.protocol import HttpProtocol
from modellix_server.base.turn_queue import TurnQueue
from modellix_server.processes.serve import _SERVER as SETTINGS

HOST = b"Host: x\r\n"
CHUNKED = b"POST /body HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n"


class Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self):
        yield


@dataclass
class Served:
    """A server with an application that answers by path."""

    port: int = 0
    draining: asyncio.Event = field(default_factory=asyncio.Event)
    let_go: asyncio.Event = field(default_factory=asyncio.Event)
    seen: list[Any] = field(default_factory=list)
    lost: int = 0
    written: int = 0
    connections: Any = None
    limit: ConnectionLimit = field(default_factory=lambda: ConnectionLimit(100_000))

    async def app(self, scope: Any, receive: Any, send: Any) -> None:
        self.seen.append(scope)
        connection: ClientConnection = scope["extensions"].pop(CONNECTION)
        endpoint = getattr(self, scope["path"].strip("/"), None)
        if endpoint is None:
            text = f"{scope['method']} {scope['path']} {scope['query_string'].decode()}".encode()
            connection.answer(200, [(b"content-length", b"%d" % len(text))], text)
        else:
            await endpoint(connection, receive, send)

    async def body(self, connection, receive, _send) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                self.lost += 1
                return
            body, more = body + message["body"], message["more_body"]
        connection.answer(200, [(b"content-length", b"%d" % len(body))], body)

    async def late(self, connection, receive, send) -> None:
        await self.let_go.wait()
        await self.body(connection, receive, send)

    async def whole(self, connection, _receive, _send) -> None:
        connection.answer(200, [], repr(connection.body(1000)).encode())

    async def early(self, connection, _receive, _send) -> None:
        connection.answer(413, [(b"content-length", b"3")], b"big")

    async def large(self, connection, _receive, _send) -> None:
        connection.answer(200, [(b"content-length", b"20000000")], bytes(20_000_000))

    async def slow(self, connection, _receive, _send) -> None:
        await self.let_go.wait()
        connection.answer(200, [(b"content-length", b"4")], b"slow")

    async def lose(self, connection, receive, _send) -> None:
        connection.when_lost(self.let_go.set)
        await self.let_go.wait()
        self.lost += (await receive())["type"] == "http.disconnect"

    async def stream(self, _connection, _receive, send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(400):
            await send({"type": "http.response.body", "body": bytes(50_000), "more_body": True})
            self.written += 50_000
        await send({"type": "http.response.body", "body": b""})

    async def breaks(self, _connection, _receive, send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"begun", "more_body": True})
        raise RuntimeError("broken off")

    async def fails(self, _connection, _receive, _send) -> None:
        raise RuntimeError("before anything was said")

    async def inject(self, _connection, _receive, send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"x-file", b"a\r\nb: c")]})


@asynccontextmanager
async def serving_app() -> AsyncIterator[Served]:
    made = Served()
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        made.port = listener.getsockname()[1]
        http: Any = partial(HttpProtocol, draining=made.draining, limit=made.limit, turns=TurnQueue())
        about = SETTINGS | {"timeout_graceful_shutdown": 1, "interface": "asgi3"}
        server = Server(uvicorn.Config(made.app, http=http, **about))
        made.connections = server.server_state.connections
        serving = asyncio.create_task(server.serve([listener]))
        overdue = asyncio.create_task(close_overdue(made.connections))
        await asyncio.sleep(0)
        while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.01)
        yield made
        overdue.cancel()
        server.should_exit = True
        await serving


@dataclass
class Client:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def answer(self, *, head_only: bool = False) -> tuple[int, dict[str, str], bytes]:
        head = await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), 10)
        first, *lines = head.decode().split("\r\n")[:-2]
        headers = dict(line.split(": ", 1) for line in lines)
        body = b"" if head_only else await self.reader.readexactly(int(headers.get("content-length", 0)))
        return int(first.split()[1]), headers, body

    async def ask(self, *parts: bytes, **about: Any) -> tuple[int, dict[str, str], bytes]:
        self.writer.write(b"".join(parts))
        return await self.answer(**about)

    async def closed(self, within_s: float = 10) -> bytes:
        with contextlib.suppress(ConnectionError):
            return await asyncio.wait_for(self.reader.read(), within_s)
        return b""


def get(path: str, *lines: bytes) -> bytes:
    return b"GET %b HTTP/1.1\r\n%b%b\r\n" % (path.encode(), HOST, b"".join(line + b"\r\n" for line in lines))


def post(path: str, body: bytes, *lines: bytes) -> bytes:
    length = b"content-length: %d" % len(body)
    return get(path, length, *lines).replace(b"GET", b"POST", 1) + body
