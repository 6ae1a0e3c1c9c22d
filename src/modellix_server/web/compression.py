"""Compressed answers."""

from __future__ import annotations

import gzip

from starlette.requests import Request
from starlette.responses import Response

LEAST_BYTES, LEVEL = 1_000, 6


def packed(body: bytes) -> bytes:
    """The body compressed; to be called beside the event loop, as large ones take long."""
    return gzip.compress(body, LEVEL, mtime=0)


def compressed(request: Request, answer: Response) -> Response:
    """A complete answer as its client takes it; to be called beside the event loop, as large ones take long."""
    if _is_taken(request) and len(answer.body) >= LEAST_BYTES and "content-encoding" not in answer.headers:
        return with_packed(request, answer, packed(bytes(answer.body)))
    return answer


def with_packed(request: Request, answer: Response, body: bytes) -> Response:
    """A complete answer as its client takes it, where its compressed body is there already."""
    if _is_taken(request):
        answer.body = body
        answer.headers.update({"Content-Encoding": "gzip", "Content-Length": str(len(body))})
        answer.headers.add_vary_header("Accept-Encoding")
    return answer


def _is_taken(request: Request) -> bool:
    return "gzip" in request.headers.get("accept-encoding", "")
