"""ASGI helpers of the emulators: reading a body, answering JSON, cutting the connection."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, MutableMapping
from typing import Any, TypeVar
from urllib.parse import parse_qsl

import msgspec

from modellix_server.base.json_body import without_mark

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

CUT = "modellix.cut"
"""ASGI extension of our server: a function that drops the connection at once."""

Result = TypeVar("Result")

_ENDLESS_BYTES = 64 * 1024**3
_encode = msgspec.json.Encoder().encode


class BodyOverCap(Exception):
    """The request body is larger than the emulator takes."""


class Gone(Exception):
    """The client left before its body was complete."""


async def read_body(receive: Receive, limit_bytes: int) -> bytes:
    """The whole request body. Raises TooLarge or Gone."""
    message = await receive()
    if message["type"] != "http.request":
        raise Gone
    if not message.get("more_body"):
        body: bytes = message.get("body", b"")
        if len(body) > limit_bytes:
            raise BodyOverCap
        return without_mark(body)
    parts = [message.get("body", b"")]
    size = len(parts[0])
    while message.get("more_body"):
        message = await receive()
        if message["type"] != "http.request":
            raise Gone
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > limit_bytes:
            raise BodyOverCap
    return without_mark(b"".join(parts))


def header(scope: Scope, name: bytes) -> str | None:
    """The first header called `name` (lower case), or None; blanks around are not of its value (RFC 9110, 5.5)."""
    for key, value in scope["headers"]:
        if key == name:
            text: bytes = value.strip(b" \t")
            return text.decode("latin-1")
    return None


BAD_KEYS = ("invalid", "sk-invalid")
"""Keys that every emulator refuses, for tests of what follows; all others are good, in whatever form a vendor has."""


def bearer(scope: Scope) -> str | None:
    """The key that a request presents; None where there is none, or one of the bad ones."""
    scheme, _, key = (header(scope, b"authorization") or "").partition(" ")
    key = key.strip()
    return key if scheme.lower() == "bearer" and key and key not in BAD_KEYS else None


def query(scope: Scope) -> dict[str, str]:
    """The query string; of a repeated name the last counts."""
    return dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True, max_num_fields=50))


def path_in_app(scope: Scope) -> str:
    """The path below the prefix this app is mounted at."""
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", ""))


def origin(scope: Scope) -> str:
    """Where the client reached this app: scheme, host and prefix, for links to our own files.

    The Host header is trusted here: a link is only given to the client that sent the header.
    """
    host = header(scope, b"host")
    if not host:
        server = scope.get("server") or ("127.0.0.1", 80)
        host = f"{server[0]}:{server[1]}"
    return f"{scope['scheme']}://{host}{scope.get('root_path', '')}"


async def answer(send: Send, status: int, body: bytes, content_type: bytes, *more: tuple[bytes, bytes]) -> None:
    """Send a complete answer; `more` are headers of the vendor's."""
    headers = [(b"content-type", content_type), (b"content-length", b"%d" % len(body)), *more]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def answer_json(send: Send, status: int, value: object, *more: tuple[bytes, bytes]) -> None:
    """Send `value` as JSON; `more` are headers of the vendor's."""
    await answer(send, status, _encode(value), b"application/json", *more)


async def answer_without_end(send: Send, receive: Receive, content_type: bytes, start: bytes, step: bytes) -> None:
    """Send `start`, then `step` repeatedly until the client leaves or a limit is reached."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", content_type)]})
    await send({"type": "http.response.body", "body": start, "more_body": True})
    left = asyncio.ensure_future(until_gone(receive))
    try:
        sent_bytes = 0
        while not left.done() and sent_bytes < _ENDLESS_BYTES:
            await send({"type": "http.response.body", "body": step, "more_body": True})
            await asyncio.sleep(0)
            sent_bytes += len(step)
    finally:
        left.cancel()
    await send({"type": "http.response.body"})


async def until_gone(receive: Receive) -> None:
    """Return when the client has left."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def unless_gone(receive: Receive, work: Coroutine[Any, Any, Result]) -> Result:
    """The result of the work. Raises Gone when the client leaves first; the work continues."""
    doing, left = asyncio.ensure_future(work), asyncio.ensure_future(until_gone(receive))
    await asyncio.wait({doing, left}, return_when=asyncio.FIRST_COMPLETED)
    if not doing.done():
        doing.add_done_callback(lambda done: done.cancelled() or done.exception())
        raise Gone
    left.cancel()
    return doing.result()


async def cut(scope: Scope, receive: Receive) -> None:
    """Drop the connection without a byte of answer. Needs a server with our extension."""
    scope["extensions"][CUT]()
    await until_gone(receive)
