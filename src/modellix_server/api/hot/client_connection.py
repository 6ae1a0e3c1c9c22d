"""A request and its answer on a client's connection: ASGI's `receive` and `send`, and what our server offers beyond."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterable, Mapping, MutableMapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from modellix_server.api.hot.request_head import UnfitRequestError

if TYPE_CHECKING:
    from modellix_server.api.hot.protocol import HttpProtocol

CONNECTION = "modellix.connection"
"""In `scope["extensions"]`: the `ClientConnection` of this request; absent under another server."""

Headers = Iterable[tuple[bytes, bytes]]

_BUFFERED_BODY_BYTES = 64 * 1024  # more of a body is not read before its endpoint asks for it
_COPIED_BYTES = 16 * 1024  # of a part that is sent in one write with the head: a larger one is not copied
_MANY_PARTS, _LEAST_PART_BYTES = 1024, 8  # from so many parts on, their average
_UNFIT = re.compile(rb"[\x00\r\n]")
_STATUS_LINES = {status.value: b"HTTP/1.1 %d %s\r\n" % (status, status.phrase.encode()) for status in HTTPStatus}
_BODILESS = (204, 304)


class ClientConnection:
    """One request's end of its client's connection."""

    __slots__ = (
        *("keep_alive", "request_id", "gone", "started", "complete", "status", "_parts", "_part_bytes"),
        *(
            "_wire",
            "_head_only",
            "_may_chunk",
            "_continue",
            "_body",
            "_more_body",
            "_told_end",
            "_news",
            "_chunked",
            "_left",
            "_held",
        ),
    )

    def __init__(
        self,
        wire: HttpProtocol,
        request_id: bytes,
        *,
        head_only: bool,
        keep_alive: bool,
        expects_continue: bool,
        may_chunk: bool = True,
    ) -> None:
        self.request_id = request_id.decode()
        """As the answer carries it."""
        self.keep_alive = keep_alive
        """Whether the connection takes another request after this one."""
        self.gone = False
        """The client has closed the connection, or it broke."""
        self.started = False
        """The head of the answer has been written."""
        self.complete = False
        """The whole answer has been written."""
        self.status = 0
        """Of the answer, once its head has been written."""
        self._wire = wire
        self._head_only = head_only
        self._may_chunk = may_chunk
        self._continue = expects_continue
        self._body: bytes | bytearray = b""
        self._parts = self._part_bytes = 0
        self._more_body = True
        self._told_end = False
        self._news: asyncio.Event | None = None
        self._chunked = False
        self._held = b""  # the head, which waits for the first part of the body
        self._left: int | None = 0  # None: as long as it is, ended by the connection's end

    @property
    def brief(self) -> bool:
        """Whether the connection was let in for one request, to be answered soon, although files run short."""
        return self._wire.clock.brief

    # -- the request's body, from the connection

    @property
    def receiving(self) -> bool:
        """Whether more of the body is to come."""
        return self._more_body

    @property
    def is_full(self) -> bool:
        """Whether so much of the body has come that its endpoint has to take some before more is read."""
        return len(self._body) > _BUFFERED_BODY_BYTES and not self.gone

    def add(self, part: bytes) -> None:
        """Another part of the body has come. What comes after the answer is dropped.

        Raises UnfitRequestError for a thousand parts of a few bytes: each costs as much as a large one.
        """
        if self.gone:
            return
        self._parts += 1
        self._part_bytes += len(part)
        if self._parts > _MANY_PARTS and self._part_bytes < self._parts * _LEAST_PART_BYTES:
            raise UnfitRequestError(400, "the body comes in more than a thousand chunks of a few bytes")
        if self.complete:
            return
        if self._body:
            if not isinstance(self._body, bytearray):
                self._body = bytearray(self._body)
            self._body += part
        else:
            self._body = part
        if self.is_full:
            self._wire.pause_reading()
        self._wake()

    def end_body(self) -> None:
        """The body is complete."""
        self._more_body = False
        self._wake()

    def lose(self) -> None:
        """The connection has gone."""
        self.gone = True
        if self._news is not None:
            self._wire.in_turn(self._news.set, of="lost")

    def _wake(self) -> None:
        if self._news is not None:
            self._news.set()

    # -- for the endpoint

    def body(self, most: int) -> bytes | None:
        """The whole body, if all of it has come and is at most so many bytes; then nothing is left to receive."""
        if self._more_body or self.gone or self._continue or len(self._body) > most:
            return None
        body, self._body, self._told_end = bytes(self._body), b"", True
        self._wire.resume_reading()
        return body

    async def receive(self) -> MutableMapping[str, Any]:
        """ASGI: the next part of the body; then, when the client has gone or is answered, `http.disconnect`."""
        if self._continue and not self._wire.transport.is_closing():
            self._wire.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        self._continue = False
        while not (self.gone or self.complete):
            if self._body or not (self._more_body or self._told_end):
                body, self._body = bytes(self._body), b""
                self._told_end = not self._more_body
                return {"type": "http.request", "body": body, "more_body": self._more_body}
            self._news = self._news or asyncio.Event()
            self._news.clear()
            self._wire.resume_reading()  # which may bring news at once
            await self._news.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Mapping[str, Any]) -> None:
        """ASGI: the head, or a part of the body; returns when the next one may be made, as the client takes them.

        Raises ConnectionResetError, as ASGI 2.4 has it, when the client has gone.
        """
        if self.gone:
            raise ConnectionResetError
        if message["type"] == "http.response.start":
            self._send_head(message["status"], message.get("headers", ()))
        else:
            self._send_part(message.get("body", b""), more=message.get("more_body", False))
        if self._wire.write_paused and not self.complete:
            await self._wire.writable()

    def answer(self, status: int, headers: Headers, body: bytes) -> None:
        """Send status, headers and body at once.

        ASGI takes head and body apart, and has each header checked by regular expression. For answers this small
        that is a quarter of their cost, and the headers of ours have nothing of the client in them.
        """
        if self.gone:
            return
        lines = self._head(status, headers)
        if not self._head_only:
            lines.append(body)
        self._wire.transport.write(b"".join(lines))
        self.started = True
        self._finish()

    def when_lost(self, tell: Callable[[], None]) -> None:
        """Call `tell` once, as soon as the connection is gone; in place of what was to be called before."""
        self._wire.when_lost(tell)

    def cut(self) -> None:
        """End the connection at once, whatever was still to be sent."""
        self._wire.transport.abort()

    # -- writing

    def _head(self, status: int, headers: Headers) -> list[bytes]:
        """The lines of the answer's head, with the empty one at its end."""
        self.status = status
        lines = [_STATUS_LINES[status], self._wire.standing_lines()]
        if self._wire.names_requests:
            lines += (b"x-request-id: ", self.request_id.encode(), b"\r\n")
        for name, value in headers:
            lines += (name, b": ", value, b"\r\n")
        lines.append(b"\r\n" if self.keep_alive else b"connection: close\r\n\r\n")
        return lines

    def _send_head(self, status: int, headers: Headers) -> None:
        if self.started:
            raise RuntimeError("this answer has its head already")
        length: int | None = None
        kept = []
        for name, value in headers:
            if _UNFIT.search(name) or _UNFIT.search(value):
                raise RuntimeError("a header may not hold the end of a line")
            if (lowered := name.lower()) == b"content-length":
                length = int(value)
            elif lowered == b"connection":
                self.keep_alive = self.keep_alive and b"close" not in value.lower()
                continue
            kept.append((name, value))
        if length is not None:
            self._left = length
        elif not (self._head_only or status in _BODILESS):
            if self._may_chunk:
                self._chunked = True
                kept.append((b"transfer-encoding", b"chunked"))
            else:  # HTTP/1.0 has no chunks (RFC 9112, 6.1)
                self._left, self.keep_alive = None, False
        # Most bodies follow at once, and each write is a call of the system: the head is sent with the first part.
        self._held = b"".join(self._head(status, kept))
        asyncio.get_running_loop().call_soon(self._send_held)
        self.started = True

    def _send_held(self) -> None:
        """Send the head by itself, if nothing of the body has come."""
        if self._held and not (self.gone or self._wire.transport.is_closing()):
            self._wire.transport.write(self._held)
        self._held = b""

    def _write(self, part: bytes) -> None:
        held, self._held = self._held, b""
        if len(part) > _COPIED_BYTES:
            self._wire.transport.writelines((held, part))
        elif held or part:
            self._wire.transport.write(held + part)

    def _send_part(self, body: bytes, *, more: bool) -> None:
        if not self.started or self.complete:
            raise RuntimeError("this answer has no head yet, or has ended")
        if self._head_only:
            self._left = 0
            self._write(b"")
        elif self._chunked:
            framed = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
            self._write(framed if more else framed + b"0\r\n\r\n")
        else:
            if self._left is not None:
                self._left -= len(body)
                if self._left < 0:
                    raise RuntimeError("the answer is longer than its Content-Length")
            self._write(body)
        if not more:
            if self._left:
                raise RuntimeError("the answer is shorter than its Content-Length")
            self._finish()

    def _finish(self) -> None:
        self.complete = True
        self._body = b""
        self._wake()
        self._wire.answered(self)
