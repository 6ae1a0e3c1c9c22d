"""uvicorn's HTTP with two changes: a whole answer leaves in one piece, and bad HTTP is answered in our shape too."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from modellix_server.api.reply import refusal

EXTENSION = "modellix.whole_answer"
"""In `scope["extensions"]`: a function that sends status, headers and body at once.

ASGI takes head and body apart, and the server checks each header by regular expression. For answers this small that
is a quarter of their cost, and the headers of ours have nothing of the client in them.
"""

LINE = "modellix.line"
"""In `scope["extensions"]`: a `Line`, the client's connection. It tells of its own end without being waited for."""

Headers = Iterable[tuple[bytes, bytes]]


class Protocol(HttpToolsProtocol):
    """For `uvicorn.Config(http=…)`."""

    _tell_loss: Callable[[], None] = staticmethod(lambda: None)

    def on_headers_complete(self) -> None:
        """Offer the extension to the request whose head has just been read, before anything runs for it."""
        super().on_headers_complete()
        if self.cycle is not None and self.cycle.scope is self.scope:
            extensions: dict[str, Any] = {EXTENSION: partial(self._send_whole, self.cycle), LINE: self}
            self.scope["extensions"] = extensions

    def when_lost(self, tell: Callable[[], None]) -> None:
        """Call `tell` once, as soon as the connection is gone; in place of what was to be called before."""
        if self.transport.is_closing():
            tell()
        else:
            self._tell_loss = tell

    def cut(self) -> None:
        """End the connection at once, whatever was still to be sent."""
        self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell whoever follows this connection."""
        super().connection_lost(exc)
        self._tell_loss()

    def _send_whole(self, cycle: RequestResponseCycle, status: int, headers: Headers, body: bytes) -> None:
        if cycle.disconnected:
            return
        lines = [STATUS_LINE[status]]
        for name, value in (*self.server_state.default_headers, *headers):
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

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - the library's words are not the contract's
        """Refuse what the parser could not read, and close the connection."""
        reply = refusal(400, "Invalid format: this is not a valid HTTP request", [], None)
        headers = (*self.server_state.default_headers, *reply.headers)
        head = [b"HTTP/1.1 400 Bad Request", *(name + b": " + value for name, value in headers)]
        head += [b"content-length: %d" % len(reply.body), b"connection: close", b"", reply.body]
        self.transport.write(b"\r\n".join(head))
        self.transport.close()
