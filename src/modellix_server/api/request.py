"""The parts of an ASGI request that the handlers need, and its body with a cap."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qsl

from modellix_server.base.errors import InvalidFormat, PlatformError
from modellix_server.results import Spool

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

MOST_BODY_BYTES = 64 * 1024 * 1024
SMALL_BODY_BYTES = 256 * 1024
"""Above this a body goes to a file and is parsed in the helper process, so that it delays nobody."""


class BodyTooLarge(PlatformError):
    """The body is over the cap."""

    status: ClassVar[int] = 413
    category: ClassVar[str] = "Invalid format"
    code: ClassVar[str] = "body_too_large"


class ClientGone(Exception):
    """The client closed the connection before its request was complete; there is nobody to answer."""


@dataclass(slots=True)
class Request:
    """One HTTP request, its headers found once."""

    method: str
    path: str
    receive: Receive
    authorization: str | None
    idempotency_key: str | None
    content_length: int | None
    params: Mapping[str, str]
    """Named parts of the path, where a router found them."""
    query: Mapping[str, str]
    bytes_in: int = 0


def read_head(scope: Scope, receive: Receive) -> Request:
    """The request's head; header values are latin-1 as HTTP has it."""
    authorization = idempotency_key = content_length = None
    for name, value in scope["headers"]:
        if name == b"authorization":
            authorization = value.decode("latin-1")
        elif name == b"idempotency-key":
            idempotency_key = value.decode("latin-1")
        elif name == b"content-length" and value.isdigit():
            content_length = int(value)
    return Request(
        scope["method"],
        scope["path"],
        receive,
        authorization,
        idempotency_key,
        content_length,
        scope.get("path_params", {}),
        dict(parse_qsl(scope["query_string"].decode("latin-1"))) if scope["query_string"] else {},
    )


async def read_body(request: Request, spool: Spool) -> bytes | Path:
    """The body: bytes when small, otherwise a file that the caller deletes.

    Raises BodyTooLarge, or ClientGone.
    """
    if request.content_length is not None and request.content_length > MOST_BODY_BYTES:
        raise _too_large()
    message = await request.receive()
    if message["type"] == "http.disconnect":
        raise ClientGone
    body: bytes = message.get("body", b"")
    if not message.get("more_body"):
        request.bytes_in = len(body)
        return body
    chunks = [body]
    size = len(body)
    while size <= SMALL_BODY_BYTES:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        chunks.append(message.get("body", b""))
        size += len(chunks[-1])
        if not message.get("more_body"):
            request.bytes_in = size
            return b"".join(chunks)
    return await _write(request, chunks, size, spool.path())


async def _write(request: Request, chunks: list[bytes], size: int, path: Path) -> Path:
    try:
        with path.open("xb") as file:
            file.writelines(chunks)
            more = True
            while more:
                message = await request.receive()
                if message["type"] == "http.disconnect":
                    raise ClientGone
                chunk = message.get("body", b"")
                size += len(chunk)
                if size > MOST_BODY_BYTES:
                    raise _too_large()
                file.write(chunk)
                more = message.get("more_body", False)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    request.bytes_in = size
    return path


def _too_large() -> BodyTooLarge:
    return BodyTooLarge(f"the request body is larger than {MOST_BODY_BYTES // 1024 // 1024} MB")


def check_idempotency_key(key: str | None) -> None:
    """Raises InvalidFormat unless the key is absent or 1 to 255 printable ASCII characters."""
    if key is not None and not (1 <= len(key) <= 255 and key.isascii() and key.isprintable()):
        raise InvalidFormat("header 'Idempotency-Key' must be 1 to 255 printable ASCII characters")
