"""The body of a submission, with a cap: bytes when it is small, else a file."""

from __future__ import annotations

import asyncio
from typing import ClassVar

from modellix_server.api.dispatch import ClientGone
from modellix_server.api.hot.exchange import HotRequest
from modellix_server.base.errors import PlatformError
from modellix_server.results import Scratch

MOST_BODY_BYTES = 64 * 1024 * 1024
SMALL_BODY_BYTES = 256 * 1024
"""Above this a body goes to a scratch file and is parsed in the helper process, so that it delays nobody."""
BODY_TIMEOUT_S = 300.0


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


async def read_body(request: HotRequest) -> bytes | Scratch:
    """The body: bytes when small, otherwise a file that the caller closes.

    Raises BodyTooLarge, BodyTooSlow or ClientGone.
    """
    if request.connection and (body := request.connection.body(SMALL_BODY_BYTES)) is not None:
        request.bytes_in = len(body)
        return body
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            return await _read_body(request)
    except TimeoutError:
        raise too_slow(BODY_TIMEOUT_S) from None


async def _read_body(request: HotRequest) -> bytes | Scratch:
    start, more, length = b"", True, request.content_length
    if length is not None and length > MOST_BODY_BYTES:
        raise too_large()
    if length is None or length <= SMALL_BODY_BYTES:
        start, more = await _read_start(request)
        if len(start) <= SMALL_BODY_BYTES and not more:
            return start
    scratch, limiter = request.ctx.spool.scratch(length or MOST_BODY_BYTES), request.ctx.body_reads
    body = limiter.join()
    try:
        await scratch.write(start)
        while more:
            await limiter.take(body)
            chunk, more = await _receive(request)
            await scratch.write(chunk)
    except BaseException:
        scratch.close()
        raise
    return scratch


async def _read_start(request: HotRequest) -> tuple[bytes, bool]:
    """The body as far as it is small, and whether there is more."""
    body, more = await _receive(request)
    if not more:
        return body, False
    pending = bytearray(body)
    while more and request.bytes_in <= SMALL_BODY_BYTES:
        chunk, more = await _receive(request)
        pending += chunk
    return bytes(pending), more


async def _receive(request: HotRequest) -> tuple[bytes, bool]:
    """The next part of the body, and whether there is more; it counts towards the cap."""
    message = await request.receive()
    if message["type"] == "http.disconnect":
        raise ClientGone
    chunk: bytes = message.get("body", b"")
    request.bytes_in += len(chunk)
    if request.bytes_in > MOST_BODY_BYTES:
        raise too_large()
    return chunk, message.get("more_body", False)


def too_slow(within_s: float) -> BodyTooSlow:
    """The refusal of a body that did not arrive in time."""
    return BodyTooSlow(f"the request body did not arrive within {within_s:.0f} seconds")


def too_large(most_bytes: int = MOST_BODY_BYTES, what: str = "the request body") -> BodyTooLarge:
    """The refusal of a body, or a file in it, above a cap."""
    return BodyTooLarge(f"{what} is larger than {most_bytes / (1 << 20):.0f} MB")
