"""uvicorn's HTTP with five changes.

Every answer names its request, a small body and a whole answer pass in one piece, bad HTTP is answered in our shape
too, and a process that is about to end takes leave of its connections with their next answer.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterable
from typing import Any, ClassVar

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from modellix_server.api.answers import refusal
from modellix_server.base.ids import request_name
from modellix_server.base.redaction import redact_text

CONNECTION = "modellix.connection"
"""In `scope["extensions"]`: the `ClientConnection` of this request; absent under another server."""

_FIT_ID = re.compile(rb"[!-~]{1,128}")

Headers = Iterable[tuple[bytes, bytes]]


class ClientConnection:
    """One request's end of its client's connection: what our server offers beyond ASGI."""

    __slots__ = ("_cycle", "_protocol", "request_id")

    def __init__(self, protocol: HttpProtocol, cycle: RequestResponseCycle, request_id: str) -> None:
        self._protocol = protocol
        self._cycle = cycle
        self.request_id = request_id
        """As the answer carries it."""

    def body(self, most: int) -> bytes | None:
        """The whole body, if all of it has come and is at most so many bytes; then nothing is left to receive."""
        cycle = self._cycle
        if cycle.more_body or cycle.disconnected or cycle.waiting_for_100_continue or len(cycle.body) > most:
            return None
        body, cycle.body = bytes(cycle.body), bytearray()
        cycle.message_event.clear()
        cycle.flow.resume_reading()
        return body

    def answer(self, status: int, headers: Headers, body: bytes) -> None:
        """Send status, headers and body at once.

        ASGI takes head and body apart, and the server checks each header by regular expression. For answers this
        small that is a quarter of their cost, and the headers of ours have nothing of the client in them.
        """
        self._protocol.send_whole(self._cycle, status, headers, body)

    def when_lost(self, tell: Callable[[], None]) -> None:
        """Call `tell` once, as soon as the connection is gone; in place of what was to be called before."""
        self._protocol.when_lost(tell)

    def cut(self) -> None:
        """End the connection at once, whatever was still to be sent."""
        self._protocol.transport.abort()


class HttpProtocol(HttpToolsProtocol):
    """For `uvicorn.Config(http=…)`, once it knows when this process drains."""

    _tell_loss: Callable[[], None] = staticmethod(lambda: None)
    # The headers of every answer, and how they read. The server makes them anew each second, with the date.
    _standing: ClassVar[tuple[Headers, bytes]] = ((), b"")

    def __init__(self, *given: Any, draining: asyncio.Event, **about: Any) -> None:
        super().__init__(*given, **about)
        self._draining = draining

    def on_headers_complete(self) -> None:
        """Offer the extension to the request whose head has just been read, before anything runs for it."""
        super().on_headers_complete()
        cycle = self.cycle
        if cycle is not None and cycle.scope is self.scope:
            name = self._request_id()
            cycle.default_headers = [*cycle.default_headers, (b"x-request-id", name)]
            extensions: dict[str, Any] = {CONNECTION: ClientConnection(self, cycle, name.decode())}
            self.scope["extensions"] = extensions
        if cycle is not None and self._draining.is_set():
            cycle.keep_alive = False  # the answer will say so, and the client's next request goes elsewhere

    def _request_id(self) -> bytes:
        """The client's own, if it sent one that may stand in a header and a log; else a new one."""
        given = [value for name, value in self.headers if name == b"x-request-id"]
        if len(given) == 1 and _FIT_ID.fullmatch(given[0]) and redact_text(text := given[0].decode()) == text:
            return given[0]
        return request_name()

    def when_lost(self, tell: Callable[[], None]) -> None:
        """As `ClientConnection.when_lost`."""
        if self.transport.is_closing():
            tell()
        else:
            self._tell_loss = tell

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell whoever follows this connection."""
        super().connection_lost(exc)
        self._tell_loss()

    def send_whole(self, cycle: RequestResponseCycle, status: int, headers: Headers, body: bytes) -> None:
        """As `ClientConnection.answer`, for the request of that cycle."""
        if cycle.disconnected:
            return
        lines = [STATUS_LINE[status], self._standing_lines()]
        for name, value in (cycle.default_headers[-1], *headers):
            lines += (name, b": ", value, b"\r\n")
        if not cycle.keep_alive:
            lines.append(b"connection: close\r\n")
        lines.append(b"\r\n")
        if cycle.scope["method"] != "HEAD":
            lines.append(body)
        cycle.response_started = cycle.response_complete = True
        self.transport.write(b"".join(lines))
        cycle.message_event.set()
        if not cycle.keep_alive:
            self.transport.close()
        cycle.on_response()

    def _standing_lines(self) -> bytes:
        headers, lines = HttpProtocol._standing
        if headers is not self.server_state.default_headers:
            headers = self.server_state.default_headers
            lines = b"".join(b"%s: %s\r\n" % header for header in headers)
            HttpProtocol._standing = headers, lines
        return lines

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - the library's words are not the contract's
        """Refuse what the parser could not read, and close the connection."""
        named = [(b"x-request-id", request_name())]
        reply = refusal(400, "Invalid format: this is not a valid HTTP request", named, None)
        headers = (*self.server_state.default_headers, *reply.headers)
        head = [b"HTTP/1.1 400 Bad Request", *(name + b": " + value for name, value in headers)]
        head += [b"content-length: %d" % len(reply.body), b"connection: close", b"", reply.body]
        self.transport.write(b"\r\n".join(head))
        self.transport.close()
