"""A proxy between a client and the platform, which spoils answers as it is told."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Fault:
    """What happens to the next requests whose path begins so."""

    path: str
    kind: str
    """`cut`: it arrives and its answer is lost; `unsent`: it never arrives; `half`: half of the body comes back, of
    a stream its first event; `silent`: no answer until the client goes; else an HTTP status, answered in place of the
    platform."""
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b'{"code": 0, "message": "x"}'


class FaultyProxy(ThreadingHTTPServer):
    """Forwards everything, faults aside, and notes method, path and headers of each request."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, behind: str) -> None:
        super().__init__(("127.0.0.1", 0), _Forwarding)
        self.behind = urlsplit(behind)
        self.origin = f"http://127.0.0.1:{self.server_address[1]}"
        self.faults: list[Fault] = []
        self.seen: list[tuple[str, str, dict[str, str]]] = []
        self._lock = threading.Lock()

    def spoil(self, path: str, kind: str, times: int = 1, **about: object) -> None:
        self.faults += [Fault(path, kind, **about)] * times

    def fault_for(self, path: str) -> Fault | None:
        with self._lock:
            found = next((one for one in self.faults if path.startswith(one.path)), None)
            if found:
                self.faults.remove(found)
            return found

    def handle_error(self, *_: object) -> None:
        """Cut connections are what it is for."""


class _Forwarding(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: FaultyProxy

    def _forward(self) -> None:
        self.server.seen.append((self.command, self.path, {k.lower(): v for k, v in self.headers.items()}))
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        fault = self.server.fault_for(self.path)
        if fault and fault.kind == "unsent":
            return self._cut()
        if fault and fault.kind == "silent":
            self.close_connection = True
            self.rfile.read(1)
            return None
        if fault and fault.kind.isdecimal():
            return self._answer(int(fault.kind), fault.headers, fault.body)
        connection = http.client.HTTPConnection(self.server.behind.netloc, timeout=60)
        with contextlib.closing(connection):
            connection.request(self.command, self.path, body, dict(self.headers))
            answer = connection.getresponse()
            kept = {k: v for k, v in answer.headers.items() if k.lower() not in ("content-length", "transfer-encoding")}
            if answer.headers.get("Content-Type") == "text/event-stream":
                return self._stream(answer, kept, fault)
            content = answer.read()
        if fault and fault.kind == "cut":
            return self._cut()
        if fault and fault.kind == "half":
            self._head(answer.status, kept, len(content))
            self.wfile.write(content[: len(content) // 2])
            return self._cut()
        return self._answer(answer.status, kept, content)

    def do_GET(self) -> None:
        self._forward()

    def do_POST(self) -> None:
        self._forward()

    def do_PUT(self) -> None:
        """How programs in other languages spoil: `/faults` with the arguments of `spoil`."""
        told = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.spoil(**told | {"body": told.get("body", "").encode()})
        self._answer(204, {}, b"")

    def do_DELETE(self) -> None:
        self._forward()

    def _stream(self, answer: http.client.HTTPResponse, headers: dict[str, str], fault: Fault | None) -> None:
        self.close_connection = True
        self._head(answer.status, {**headers, "Connection": "close"}, None)
        told = False
        while line := answer.readline():
            self.wfile.write(line)
            told = told or line.startswith(b"data:")
            if line == b"\n" and told and fault:
                self._cut()
                return

    def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self._head(status, headers, len(body))
        self.wfile.write(body)

    def _head(self, status: int, headers: dict[str, str], length: int | None) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if length is not None:
            self.send_header("Content-Length", str(length))
        self.end_headers()

    def _cut(self) -> None:
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, *_: object) -> None:
        """Tests have other witnesses."""


@contextlib.contextmanager
def open_proxy(behind: str) -> Iterator[FaultyProxy]:
    """A proxy in front of an origin."""
    with FaultyProxy(behind) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()
