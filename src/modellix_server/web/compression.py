"""Compressed answers."""

from __future__ import annotations

import gzip

from starlette.requests import Request
from starlette.responses import Response

LEAST_BYTES, LEVEL = 1_000, 6


def compressed(request: Request, answer: Response) -> Response:
    """A complete answer as its client takes it; to be called beside the event loop, as large ones take long."""
    taken = "gzip" in request.headers.get("accept-encoding", "")
    if taken and len(answer.body) >= LEAST_BYTES and "content-encoding" not in answer.headers:
        answer.body = gzip.compress(bytes(answer.body), LEVEL, mtime=0)
        answer.headers.update({"Content-Encoding": "gzip", "Content-Length": str(len(answer.body))})
        answer.headers.add_vary_header("Accept-Encoding")
    return answer
