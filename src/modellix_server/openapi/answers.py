"""Answers in OpenAPI: the contract's envelope, its errors, the headers of each."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from modellix_server.base.errors import PlatformError
from modellix_server.openapi.openai_api import STATUSES, openai_error
from modellix_server.openapi.operation import JSON, Access, AnswerDoc, RouteDoc
from modellix_server.openapi.shapes import Schema, obj, only, ref, text, whole

REASONS = {
    400: "The request is wrong; the message names the parameter and the limit",
    401: "No key, or a malformed, unknown or revoked one",
    402: "The quote exceeds the available balance",
    403: "The caller does not have the permission",
    404: "Unknown, expired, or another team's",
    408: "The body arrived too slowly",
    409: "Too late, or too early, for this request",
    413: "The body is too large",
    415: "The body has a content coding other than gzip or deflate",
    422: "The `Idempotency-Key` was used with another request",
    429: "Too many requests a minute, or as many unfinished tasks, open streams or uploads as the team may have",
    500: "A fault of the platform",
    502: "The task failed; it cost nothing",
    503: "Nothing was done and nothing charged; the same request may succeed later",
    504: "The task goes on: the same request, sent again, waits for it",
}
"""Why an answer has the status of an error."""
_ALWAYS = {Access.KEY: (401, 403, 429, 500, 503), Access.PUBLIC: (429, 500)}
_WITHOUT_NUMBERS = (401, 500, 503)
"""Errors without rate-limit headers: they precede, or replace, the count of the caller's requests."""

_COUNT = {
    "X-RateLimit-Limit": "RateLimitLimit",
    "X-RateLimit-Remaining": "RateLimitRemaining",
    "X-RateLimit-Reset": "RateLimitReset",
}
HEADERS: dict[str, Schema] = {
    "RequestId": {
        "description": "The request's own, if it has one of 1 to 128 printable characters without spaces; else a new "
        "one. It is in the request log",
        "required": True,
        "schema": text(pattern="^[!-~]{1,128}$"),
    },
    "RateLimitLimit": {
        "description": "Requests per minute: the tighter of the limits of key and team",
        "required": True,
        "schema": whole(minimum=1),
    },
    "RateLimitRemaining": {
        "description": "Requests left in this window",
        "required": True,
        "schema": whole(minimum=0),
    },
    "RateLimitReset": {
        "description": "When the window ends, in Unix seconds",
        "required": True,
        "schema": whole(minimum=0),
    },
    "RetryAfter": {"description": "Seconds", "required": True, "schema": whole(minimum=1)},
    "AcceptEncoding": {
        "description": "The content codings of requests that are decoded",
        "required": True,
        "schema": only("gzip, deflate"),
    },
    "Help": {
        "description": '`<link>; rel="help"`: the page of the documentation about this error',
        "required": False,
        "schema": text(pattern='^<[^>]+>; rel="help"$'),
    },
    "Challenge": {"description": "The required scheme", "required": True, "schema": only("Bearer")},
}
"""`components/headers`."""


def families(error: type[PlatformError] = PlatformError) -> Iterator[type[PlatformError]]:
    """This error and all its subclasses."""
    yield error
    for below in error.__subclasses__():
        yield from families(below)


def error_answers() -> dict[str, Any]:
    """`components/responses` of the errors that callers with a key get. KeyError for a status without a description."""
    found = {_named(status): _error(status, Access.KEY) for status in sorted({error.status for error in families()})}
    return found | {_named(status, "OpenAi"): _openai(status) for status in STATUSES}


def answers(operation: RouteDoc, access: Access) -> dict[str, Any]:
    """The `responses` of an operation."""
    answer = operation.answer
    found = {200: ref(answer.component, "responses") if answer.component else success(answer, access)}
    if answer.plain:
        found[206] = success(replace(answer, about="The range that was asked for"), access)
        found[416] = {"description": "There is no such range"}
    found |= {status: {"description": about, "headers": _headers(access)} for status, about in operation.empty.items()}
    for status in {*_ALWAYS[access], *operation.refuses}:
        alike = access is Access.KEY or status in _WITHOUT_NUMBERS
        named = _named(status, "OpenAi" if operation.openai_errors else "")
        found[status] = ref(named, "responses") if alike else _error(status, access)
    return {str(status): found[status] for status in sorted(found)}


def success(answer: AnswerDoc, access: Access) -> dict[str, Any]:
    """One success."""
    body = answer.schema if answer.bare else envelope(answer.schema, **answer.beside)
    content = {answer.mime: body, **answer.also}
    said = {
        "description": answer.about,
        "headers": {**_headers(Access.PUBLIC if answer.plain else access), **answer.headers},
        "content": {mime: {"schema": schema} for mime, schema in content.items()},
    }
    return said | ({"links": dict(answer.links)} if answer.links else {})


def envelope(data: Schema, **beside: Schema) -> Schema:
    """The contract's envelope around the `data` of a success."""
    return obj(code=only(0), message=only("success"), data=data, **beside)


def _headers(access: Access) -> dict[str, Any]:
    said = {"X-Request-Id": ref("RequestId", "headers")}
    if access is Access.KEY:
        said |= {name: ref(component, "headers") for name, component in _COUNT.items()}
    return said


def _named(status: int, form: str = "") -> str:
    return f"{form}Error{status}"


def _openai(status: int) -> dict[str, Any]:
    headers = _error_headers(status, Access.KEY)
    return openai_error(REASONS[status], {name: headers[name] for name in headers if name != "Link"})


def _error(status: int, access: Access) -> dict[str, Any]:
    categories = sorted({error.category for error in families() if error.status == status})
    message = text("`<category>: <detail>`", pattern=f"^({'|'.join(categories)}): ")
    return {
        "description": REASONS[status],
        "headers": _error_headers(status, access),
        "content": {JSON: {"schema": obj(code=only(status), message=message)}},
    }


def _error_headers(status: int, access: Access) -> dict[str, Any]:
    headers = _headers(Access.PUBLIC if status in _WITHOUT_NUMBERS else access)
    if status == 401:
        headers["WWW-Authenticate"] = ref("Challenge", "headers")
    if status == 415:
        headers["Accept-Encoding"] = ref("AcceptEncoding", "headers")
    if status in (429, 503):
        headers["Retry-After"] = ref("RetryAfter", "headers")
    headers["Link"] = ref("Help", "headers")
    return headers
