"""Answers of OpenAI's API: its errors, and which of them a client should send again by itself."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from modellix_server.api.dispatch import STANDARD_HEADERS, Headers, Reply, refusal_headers
from modellix_server.base.errors import PlatformError
from modellix_server.limits import RateDecision

_TYPES = {
    401: "authentication_error",
    402: "insufficient_quota",
    403: "permission_error",
    404: "not_found_error",
    409: "conflict_error",
    429: "rate_limit_error",
}
_PARAM = re.compile(r"parameter '([^'\[.]+)")
_MAY_COME_AGAIN = (408, 429, 500, 503)
"""Nothing was done, or what was done is found again: the client's own rule applies."""
_STATUS_OF_A_FAILURE = {"invalid_input": 400, "content_rejected": 400}
_CODE_OF_A_FAILURE = {"content_rejected": "moderation_blocked"}


def answer(data: Any, rate: RateDecision | None, extra: Headers | None = None) -> Reply:
    """HTTP 200 with a JSON value."""
    body = data if isinstance(data, bytes) else msgspec.json.encode(data)
    return Reply(200, body, [*STANDARD_HEADERS, *(rate.headers() if rate else ()), *(extra or ())])


def failure(error: PlatformError, rate: RateDecision | None = None, docs: str = "") -> Reply:
    """A refusal. What another attempt does not change is marked, so that no client sends it again by itself."""
    named = _PARAM.search(error.message)
    reply = error_reply(error.status, error.message, error.code, rate, param=named[1] if named else None)
    headers = [*STANDARD_HEADERS, *refusal_headers(error, rate, docs)]
    if error.status not in _MAY_COME_AGAIN:
        headers.append((b"x-should-retry", b"false"))
    return reply._replace(headers=headers)


def error_reply(
    status: int,
    message: str,
    code: str,
    rate: RateDecision | None,
    *,
    param: str | None = None,
    extra: Headers | None = None,
) -> Reply:
    """An error of OpenAI's form."""
    kind = _TYPES.get(status, "invalid_request_error" if status < 500 else "server_error")
    body = msgspec.json.encode({"error": {"message": message, "type": kind, "param": param, "code": code}})
    return Reply(status, body, [*STANDARD_HEADERS, *(rate.headers() if rate else ()), *(extra or ())], code)


def failed_task(code: str, message: str, rate: RateDecision | None) -> Reply:
    """A task that failed, as the answer to the request that waited for it: final, and it cost nothing."""
    return error_reply(
        _STATUS_OF_A_FAILURE.get(code, 502),
        message,
        _CODE_OF_A_FAILURE.get(code, code),
        rate,
        extra=[(b"x-should-retry", b"false")],
    )


def still_running(name: str, rate: RateDecision | None) -> Reply:
    """The task goes on: the same request, sent again, waits for it."""
    return error_reply(
        504,
        f"Task still running: send the same request again to wait for '{name}', or read it at /api/v1/tasks/{name}",
        "still_running",
        rate,
        extra=[(b"x-should-retry", b"true"), (b"retry-after", b"1")],
    )
