"""Answers in the contract's envelope, with security headers (OWASP REST Security and HTTP Headers cheat sheets)."""

from __future__ import annotations

import time
from typing import Any, NamedTuple

import msgspec
from starlette.responses import Response

from modellix_server.base.errors import PlatformError, Unauthorized
from modellix_server.base.settings import Settings
from modellix_server.limits import RateDecision
from modellix_server.tasks import ConcurrencyExceeded

Headers = list[tuple[bytes, bytes]]

CLOSED = "default-src 'none'; frame-ancestors 'none'"
"""Content-Security-Policy of answers that are not pages: load nothing, may not be embedded."""

_STANDARD: Headers = [
    (b"content-type", b"application/json"),
    (b"cache-control", b"no-store"),
    (b"content-security-policy", CLOSED.encode()),
]
_EVERYWHERE = [
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "no-referrer"),
]


class Reply(NamedTuple):
    """A complete JSON answer."""

    status: int
    body: bytes
    headers: Headers
    code: str | None = None
    """The error's stable code, for the request log."""

    def response(self) -> Response:
        """The same for Starlette."""
        response = Response(self.body, self.status)
        response.raw_headers += self.headers
        return response


def envelope(data: bytes, rate: RateDecision | None, extra: Headers | None = None) -> Reply:
    """HTTP 200 with `data`, already JSON, in the envelope."""
    body = b'{"code":0,"message":"success","data":' + data + b"}"
    return Reply(200, body, [*_STANDARD, *(rate.headers() if rate else ()), *(extra or ())])


def envelope_of(data: Any, rate: RateDecision | None, **beside: Any) -> Response:
    """HTTP 200 with any value in the envelope, and further fields beside `data`."""
    body = msgspec.json.encode({"code": 0, "message": "success", "data": data, **beside})
    return Reply(200, body, [*_STANDARD, *(rate.headers() if rate else ())]).response()


def failure(error: PlatformError, rate: RateDecision | None = None) -> Reply:
    """The error body: `code` is the HTTP status, `message` is `<Category>: <detail>`."""
    return refusal(error.status, error.message, _headers(error, rate), error.code)


def refusal(status: int, message: str, headers: Headers, code: str | None) -> Reply:
    """An error body from its parts."""
    body = msgspec.json.encode({"code": status, "message": message})
    return Reply(status, body, [*_STANDARD, *headers], code)


def _headers(error: PlatformError, rate: RateDecision | None) -> Headers:
    if isinstance(error, Unauthorized):
        return [(b"www-authenticate", b"Bearer")]  # RFC 9110, 11.6.1
    wait = error.retry_after_s
    if isinstance(error, ConcurrencyExceeded) and wait is not None:
        # There is no window: a slot is freed when a task ends. Reset advises when to ask again.
        return [
            *((name, value) for name, value in (rate.headers() if rate else ()) if name != b"x-ratelimit-reset"),
            (b"x-ratelimit-reset", b"%d" % (int(time.time()) + wait)),
            (b"retry-after", b"%d" % wait),
        ]
    headers = list(rate.headers()) if rate else []
    if wait is not None and not any(name == b"retry-after" for name, _ in headers):
        headers.append((b"retry-after", b"%d" % wait))
    return headers


def on_every_answer(settings: Settings) -> list[tuple[str, str]]:
    """Headers that the server adds to every answer: for `uvicorn.Config(headers=…)`.

    The Content-Security-Policy is not among them, as pages have their own.
    """
    if settings.public_origin.startswith("https://"):
        return [*_EVERYWHERE, ("strict-transport-security", "max-age=31536000")]
    return list(_EVERYWHERE)
