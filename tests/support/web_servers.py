"""Somebody's web server, which links lead to."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterable, Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from itertools import cycle
from pathlib import Path


class _Folder(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Tests have other witnesses."""


class _Files(BaseHTTPRequestHandler):
    """Answers with the files of a dictionary, by path."""

    def __init__(self, files: dict[str, bytes], *about: object) -> None:
        self._files = files
        super().__init__(*about)

    def do_GET(self) -> None:
        body = self._files.get(self.path)
        if body is None:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Tests have other witnesses."""


class _Refusing(BaseHTTPRequestHandler):
    """A vendor that refuses each request, in one way after the other, and notes method and `X-Request-Id`."""

    def __init__(
        self, refusals: Iterator[tuple[int, object]], calls: list[tuple[str, str | None]], *about: object
    ) -> None:
        self._refusals, self._calls = refusals, calls
        super().__init__(*about)

    def do_POST(self) -> None:
        self._calls.append((self.command, self.headers["X-Request-Id"]))
        self.rfile.read(int(self.headers["Content-Length"] or 0))
        status, said = next(self._refusals)
        body = json.dumps(said).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        self.do_POST()

    def log_message(self, *_: object) -> None:
        """Tests have other witnesses."""


def refusing_vendor(
    refusals: Iterable[tuple[int, object]], calls: list[tuple[str, str | None]]
) -> contextlib.AbstractContextManager[str]:
    """The origin of a server that refuses each request, with status and JSON; `calls` grows by what it is asked."""
    return _serving(partial(_Refusing, cycle(refusals), calls))


def showing_folder(folder: Path) -> contextlib.AbstractContextManager[str]:
    """The origin of a server that shows a folder."""
    return _serving(partial(_Folder, directory=str(folder)))


def showing_files(files: dict[str, bytes]) -> contextlib.AbstractContextManager[str]:
    """The origin of a server that shows what is in `files` by then, by path."""
    return _serving(partial(_Files, files))


@contextlib.contextmanager
def _serving(handler: type[BaseHTTPRequestHandler] | partial[BaseHTTPRequestHandler]) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
