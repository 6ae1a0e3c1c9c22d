"""uvicorn's HTTP with one change: what is no HTTP at all is answered in the contract's shape too."""

from __future__ import annotations

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from modellix_server.api.reply import refusal


class Protocol(HttpToolsProtocol):
    """For `uvicorn.Config(http=…)`."""

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - the library's words are not the contract's
        """Refuse what the parser could not read, and close the connection."""
        reply = refusal(400, "Invalid format: this is not a valid HTTP request", [], None)
        head = [b"HTTP/1.1 400 Bad Request", *(name + b": " + value for name, value in reply.headers)]
        head += [b"content-length: %d" % len(reply.body), b"connection: close", b"", reply.body]
        self.transport.write(b"\r\n".join(head))
        self.transport.close()
