"""The parts of an ASGI request that the handlers need, and its body with a cap."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar
from urllib.parse import parse_qsl

from modellix_server.api.body_read_limiter import BodyReadLimiter
from modellix_server.api.protocol import LINE, ClientConnection
from modellix_server.base.errors import InvalidFormat, PlatformError
from modellix_server.results import Scratch, Spool

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

MOST_BODY_BYTES = 64 * 1024 * 1024
SMALL_BODY_BYTES = 256 * 1024
"""Above this a body goes to a scratch file and is parsed in the helper process, so that it delays nobody."""


_BODY_TIMEOUT_S = 300.0


class BodyTooLarge(PlatformError):
    """The body is over the cap."""

    status: ClassVar[int] = 413
    category: ClassVar[str] = "Invalid format"
    code: ClassVar[str] = "body_too_large"


class BodyTooSlow(PlatformError):
    """The body trickles in: its connection is not held for ever."""

    status: ClassVar[int] = 408
    category: ClassVar[str] = "Invalid format"
    code: ClassVar[str] = "body_too_slow"


class ClientGone(Exception):
    """The client closed the connection before its request was complete; there is nobody to answer."""


@dataclass(slots=True)
class Request:
    """One HTTP request, its headers found once."""

    method: str
    path: str
    receive: Receive
    authorization: str | None = field(repr=False)
    idempotency_key: str | None
    content_length: int | None
    params: Mapping[str, str]
    """Named parts of the path, where a router found them."""
    query: Mapping[str, str]
    address: str | None
    """Where the connection comes from; behind a proxy, the proxy's."""
    headers: Sequence[tuple[bytes, bytes]]
    """All of them, as they came; names in lower case."""
    bytes_in: int = 0
    max_cost: str | None = None
    queue: str | None = None
    line: ClientConnection | None = None
    last_event_id: str | None = None
    webhook_url: str | None = None
    id: str | None = None
    """What the answer says as X-Request-Id."""

    def when_lost(self, tell: Callable[[], None]) -> None:
        """Call `tell` as soon as the client's connection is gone."""
        if self.line is not None:
            self.line.when_lost(tell)

    def cut_line(self) -> None:
        """End the client's connection at once."""
        if self.line is not None:
            self.line.cut()

    def header(self, wanted: bytes) -> str:
        """A header's value, empty when there is none."""
        return next((value.decode("latin-1") for name, value in self.headers if name == wanted), "")

    @property
    def content_type(self) -> str:
        """The header's value, empty when there is none."""
        return self.header(b"content-type")


def read_head(scope: Scope, receive: Receive) -> Request:
    """The request's head; header values are latin-1 as HTTP has it."""
    authorization = idempotency_key = content_length = max_cost = queue = last_event_id = webhook_url = None
    for name, value in scope["headers"]:
        if name == b"authorization":
            authorization = _joined(authorization, value)
        elif name == b"idempotency-key":
            idempotency_key = _joined(idempotency_key, value)
        elif name == b"last-event-id":
            last_event_id = value.decode("latin-1")
        elif name == b"x-webhook-url":
            webhook_url = _joined(webhook_url, value)
        elif name == b"x-max-cost":
            max_cost = _joined(max_cost, value)
        elif name == b"x-queue":
            queue = _joined(queue, value)
        elif name == b"content-length" and value.isdigit():
            content_length = int(value)
    # Taken out, as it leads back to the scope: a circle would keep all of a request until the next garbage collection.
    line = scope.get("extensions", {}).pop(LINE, None)
    return Request(
        scope["method"],
        scope["path"],
        receive,
        authorization,
        idempotency_key,
        content_length,
        scope.get("path_params", {}),
        _query(scope["query_string"]) if scope["query_string"] else {},
        client[0] if (client := scope.get("client")) else None,
        max_cost=max_cost,
        queue=queue,
        headers=scope["headers"],
        line=line,
        id=line.request_id if line else None,
        last_event_id=last_event_id,
        webhook_url=webhook_url,
    )


def _query(text: bytes) -> dict[str, str]:
    """Parameters by name. An empty one is there too: a variable that a script left empty must not widen a list."""
    return dict(parse_qsl(text.decode("latin-1"), keep_blank_values=True))


def _joined(former: str | None, value: bytes) -> str:
    """A header sent twice is one list (RFC 9110, 5.3): neither of two keys can then pass for the only one."""
    text = value.decode("latin-1")
    return text if former is None else f"{former}, {text}"


async def read_body(request: Request, spool: Spool, turns: BodyReadLimiter) -> bytes | Scratch:
    """The body: bytes when small, otherwise a file that the caller closes.

    Raises BodyTooLarge, BodyTooSlow or ClientGone.
    """
    if request.line and (body := request.line.body(SMALL_BODY_BYTES)) is not None:
        request.bytes_in = len(body)
        return body
    try:
        async with asyncio.timeout(_BODY_TIMEOUT_S):
            return await _read_body(request, spool, turns)
    except TimeoutError:
        raise _too_slow() from None


async def read_small_body(request: Request, advice: str) -> bytes:
    """The body where only a small one makes sense. Raises BodyTooLarge with `advice`, BodyTooSlow or ClientGone."""
    if (request.content_length or 0) > SMALL_BODY_BYTES:
        raise BodyTooLarge(advice)
    try:
        async with asyncio.timeout(_BODY_TIMEOUT_S):
            body, more = await _read_start(request)
    except TimeoutError:
        raise _too_slow() from None
    if more or len(body) > SMALL_BODY_BYTES:
        raise BodyTooLarge(advice)
    return body


async def _read_start(request: Request) -> tuple[bytes, bool]:
    """The body as far as it is small, and whether there is more."""
    body, more = await _receive(request)
    if not more:
        return body, False
    pending = bytearray(body)
    while more and request.bytes_in <= SMALL_BODY_BYTES:
        chunk, more = await _receive(request)
        pending += chunk
    return bytes(pending), more


async def _read_body(request: Request, spool: Spool, turns: BodyReadLimiter) -> bytes | Scratch:
    start, more, length = b"", True, request.content_length
    if length is not None and length > MOST_BODY_BYTES:
        raise _too_large()
    if length is None or length <= SMALL_BODY_BYTES:
        start, more = await _read_start(request)
        if len(start) <= SMALL_BODY_BYTES and not more:
            return start
    scratch = spool.scratch(length or MOST_BODY_BYTES)
    body = turns.join()
    try:
        await scratch.write(start)
        while more:
            await turns.take(body)
            chunk, more = await _receive(request)
            await scratch.write(chunk)
    except BaseException:
        scratch.close()
        raise
    return scratch


async def _receive(request: Request) -> tuple[bytes, bool]:
    """The next part of the body, and whether there is more; it counts towards the cap."""
    message = await request.receive()
    if message["type"] == "http.disconnect":
        raise ClientGone
    chunk: bytes = message.get("body", b"")
    request.bytes_in += len(chunk)
    if request.bytes_in > MOST_BODY_BYTES:
        raise _too_large()
    return chunk, message.get("more_body", False)


def _too_slow() -> BodyTooSlow:
    return BodyTooSlow(f"the request body did not arrive within {_BODY_TIMEOUT_S:.0f} seconds")


def _too_large() -> BodyTooLarge:
    return BodyTooLarge(f"the request body is larger than {MOST_BODY_BYTES // 1024 // 1024} MB")


def check_idempotency_key(key: str | None) -> None:
    """Raises InvalidFormat unless the key is absent or 1 to 255 printable ASCII characters."""
    if key is not None and not (1 <= len(key) <= 255 and key.isascii() and key.isprintable()):
        raise InvalidFormat("header 'Idempotency-Key' must be 1 to 255 printable ASCII characters")
