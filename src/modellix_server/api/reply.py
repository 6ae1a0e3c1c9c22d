"""Answers: the contract's envelope, as bytes."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import msgspec

from modellix_server.api.security import CLOSED
from modellix_server.base.errors import PlatformError, Unauthorized
from modellix_server.limits import RateDecision
from modellix_server.tasks import ConcurrencyExceeded

Headers = list[tuple[bytes, bytes]]

_JSON = (b"content-type", b"application/json")
_STANDARD: Headers = [
    _JSON,
    (b"cache-control", b"no-store"),
    (b"content-security-policy", CLOSED.encode()),
]


class Reply(NamedTuple):
    """A complete JSON answer."""

    status: int
    body: bytes
    headers: Headers
    code: str | None = None
    """The error's stable code, for the request log."""


class Streamed(NamedTuple):
    """An answer with HTTP 200 that is sent while it is made."""

    headers: Headers
    pieces: AsyncIterator[bytes]


def success(data: bytes, verdict: RateDecision | None, extra: Headers | None = None) -> Reply:
    """HTTP 200 with `data`, already JSON, in the envelope."""
    body = b'{"code":0,"message":"success","data":' + data + b"}"
    return Reply(200, body, [*_STANDARD, *(verdict.headers() if verdict else ()), *(extra or ())])


def success_of(data: Any, verdict: RateDecision | None) -> Reply:
    """HTTP 200 with any value in the envelope."""
    return success(msgspec.json.encode(data), verdict)


def failure(error: PlatformError, verdict: RateDecision | None = None) -> Reply:
    """The error body: `code` is the HTTP status, `message` is `<Category>: <detail>`."""
    return refusal(error.status, error.message, _headers(error, verdict), error.code)


def refusal(status: int, message: str, headers: Headers, code: str | None) -> Reply:
    """An error body from its parts."""
    body = msgspec.json.encode({"code": status, "message": message})
    return Reply(status, body, [*_STANDARD, *headers], code)


def _headers(error: PlatformError, verdict: RateDecision | None) -> Headers:
    if isinstance(error, Unauthorized):
        return [(b"www-authenticate", b"Bearer")]  # RFC 9110, 11.6.1
    wait = error.retry_after_s
    if isinstance(error, ConcurrencyExceeded) and wait is not None:
        # No window to report: a slot frees when a task ends, and the advice is to ask again then.
        return [
            *((name, value) for name, value in (verdict.headers() if verdict else ()) if name != b"x-ratelimit-reset"),
            (b"x-ratelimit-reset", b"%d" % (int(time.time()) + wait)),
            (b"retry-after", b"%d" % wait),
        ]
    headers = list(verdict.headers()) if verdict else []
    if wait is not None and not any(name == b"retry-after" for name, _ in headers):
        headers.append((b"retry-after", b"%d" % wait))
    return headers
