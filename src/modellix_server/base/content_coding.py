"""Content codings of HTTP bodies (RFC 9110, 8.4): decoded step by step, so that no body grows unseen."""

from __future__ import annotations

import zlib
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

DECODED = ("gzip", "deflate")
"""What is decoded; for `Accept-Encoding`."""

_NONE = frozenset({"", "identity", "none", "binary", "utf-8", "aws-chunked"})
"""Words that say nothing about the bytes; the last four are set by mistake, but often."""
_PIECE_BYTES = 64 * 1024
_MEMBER = b"\x1f\x8b"
_GZIP = zlib.MAX_WBITS | 16


class UnknownCoding(ValueError):
    """A coding that is not decoded here, or several."""


class BrokenCoding(ValueError):
    """The bytes do not follow their coding, or stop half-way."""


def decoder(header: str) -> Inflater | None:
    """What decodes a body with this `Content-Encoding`; None for one that is not coded. Raises UnknownCoding."""
    codings = [one for each in header.split(",") if (one := each.strip().lower()) not in _NONE]
    if not codings:
        return None
    coding = codings[0].removeprefix("x-")
    if len(codings) > 1 or coding not in DECODED:
        raise UnknownCoding("a content coding other than gzip or deflate")
    return Inflater(coding)


class Inflater:
    """Decodes one body."""

    def __init__(self, coding: str) -> None:
        self._gzip = coding == "gzip"
        self._inflate = zlib.decompressobj(_GZIP) if self._gzip else None
        self._rest = b""
        self._held_back = False
        self._empty = True

    @property
    def pending(self) -> bool:
        """Whether `feed` may have more to give without new data."""
        return self._held_back

    def feed(self, data: bytes, most: int) -> bytes:
        """At most so many decoded bytes of all the data so far. Raises BrokenCoding."""
        self._empty = self._empty and not data
        self._rest += data
        if self._inflate is None:
            if len(self._rest) < 2:
                return b""
            self._inflate = zlib.decompressobj(_window(self._rest))
        parts, left = [], most
        try:
            while left and (self._rest or self._held_back):
                if self._inflate.eof and not self._next_member():
                    break
                part = self._inflate.decompress(self._rest, left)
                self._rest = self._inflate.unconsumed_tail or self._inflate.unused_data
                self._held_back = False  # it has given all that it had room for
                parts.append(part)
                left -= len(part)
        except zlib.error:
            raise BrokenCoding("its compression is broken") from None
        self._held_back = not left
        return b"".join(parts)

    def _next_member(self) -> bool:
        """Begin with another member of a gzip file (RFC 1952, 2.2). What else follows an end is dropped."""
        if self._gzip and self._rest == _MEMBER[:1]:
            return False
        if not self._gzip or not self._rest.startswith(_MEMBER):
            self._rest, self._held_back = b"", False
            return False
        self._inflate = zlib.decompressobj(_GZIP)
        return True

    def end(self) -> None:
        """Raise BrokenCoding if a coded body stopped half-way."""
        if not self._empty and (self._inflate is None or not self._inflate.eof):
            raise BrokenCoding("it ended half-way")


def _window(start: bytes) -> int:
    """For `deflate`: zlib's form, as the name means, or without its header, as old servers and clients send it."""
    return zlib.MAX_WBITS if start[0] & 0x0F == 8 and int.from_bytes(start[:2]) % 31 == 0 else -zlib.MAX_WBITS


Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]


class DecodedBody:
    """ASGI's `receive` for a coded body: gives it decoded, in pieces that do not hold up others."""

    def __init__(self, receive: Receive, header: str) -> None:
        """Raises UnknownCoding."""
        self._receive = receive
        self._decoder = decoder(header)
        self._more = True
        self._ended = False

    async def __call__(self) -> Message:
        """The next message. Raises BrokenCoding."""
        inflate = self._decoder
        if inflate is None or self._ended:
            return await self._receive()
        piece = b""
        while not piece:
            if inflate.pending:
                piece = inflate.feed(b"", _PIECE_BYTES)
            elif self._more:
                message = await self._receive()
                if message["type"] != "http.request":
                    return message
                self._more = message.get("more_body", False)
                piece = inflate.feed(message.get("body", b""), _PIECE_BYTES)
            else:
                inflate.end()
                self._ended = True
                break
        return {"type": "http.request", "body": piece, "more_body": not self._ended}
