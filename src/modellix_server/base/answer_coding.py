"""Content codings of answers: those of requests, and two more that result hosts use without being asked.

Brotli (RFC 7932) and Zstandard (RFC 8878) are decoded step by step too. Requests have no use for them.
"""

from __future__ import annotations

import sys
from typing import Protocol

import brotli

from modellix_server.base.content_coding import BrokenCoding, UnknownCoding, decoder

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_WINDOW_LOG = 23
"""Eight megabytes: what a sender may ask a receiver to remember (RFC 9659)."""


class Decoder(Protocol):
    """Decodes one body."""

    def feed(self, data: bytes, most: int) -> bytes:
        """At most so many decoded bytes of all the data so far. Raises BrokenCoding."""

    def end(self) -> None:
        """Raise BrokenCoding if the body stopped half-way."""


def answer_decoder(header: str) -> Decoder | None:
    """What decodes an answer with this `Content-Encoding`; None for one that is not coded. Raises UnknownCoding."""
    try:
        return decoder(header)
    except UnknownCoding:
        match header.strip().lower():
            case "br":
                return _Brotli()
            case "zstd":
                return _Zstandard()
        raise UnknownCoding("a content coding other than gzip, deflate, br or zstd") from None


class _Brotli:
    def __init__(self) -> None:
        self._stream = brotli.Decompressor()
        self._rest = self._kept = b""
        self._empty = True

    def feed(self, data: bytes, most: int) -> bytes:
        self._empty = self._empty and not data
        self._rest += data
        parts, size = [self._kept], len(self._kept)
        try:
            while size < most and not self._stream.is_finished():
                taken = b""  # it has to give what it has before it takes more
                if self._stream.can_accept_more_data():
                    taken, self._rest = self._rest, b""
                part = self._stream.process(taken, output_buffer_limit=most - size)
                if not part and not self._rest and self._stream.can_accept_more_data():
                    break
                parts.append(part)
                size += len(part)
        except brotli.error:
            raise BrokenCoding("its compression is broken") from None
        whole = b"".join(parts)
        self._kept = whole[most:]
        return whole[:most]

    def end(self) -> None:
        if not self._empty and not self._stream.is_finished():
            raise BrokenCoding("it ended half-way")


class _Zstandard:
    def __init__(self) -> None:
        self._stream = _frame()
        self._rest = b""
        self._ended = True

    def feed(self, data: bytes, most: int) -> bytes:
        parts, left = [], most
        self._rest += data
        try:
            while left and (self._rest or not (self._ended or self._stream.needs_input)):
                if self._stream.eof:  # one frame may follow another (RFC 8878, 3.1)
                    self._stream = _frame()
                part = self._stream.decompress(self._rest, left)
                self._rest, self._ended = self._stream.unused_data, self._stream.eof
                parts.append(part)
                left -= len(part)
        except zstd.ZstdError:
            raise BrokenCoding("its compression is broken") from None
        return b"".join(parts)

    def end(self) -> None:
        if not self._ended or self._rest:
            raise BrokenCoding("it ended half-way")


def _frame() -> zstd.ZstdDecompressor:
    return zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: _WINDOW_LOG})
