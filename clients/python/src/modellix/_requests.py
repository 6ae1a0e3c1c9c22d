"""What is sent and what came back: both halves of the client use these, and none of it waits for anything."""

from __future__ import annotations

import os
import random
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from modellix._uploads import Upload
from modellix._version import VERSION
from modellix.errors import ApiError, BadAnswer, ConnectionFailed, ServerError, class_of, docs_url

if TYPE_CHECKING:
    import httpx2

Wanted = TypeVar("Wanted")

_HELP = re.compile(r'<(https?://[^>\s]+)>; rel="help"')
"""The page about an error, wherever the operator has put the documentation (RFC 8288)."""
_LONGEST_PAUSE_S = 60.0
_DEFINITE = (429, 503)
"""Refusals that say that nothing was done: sent again, any request is safe."""


@dataclass(frozen=True, slots=True)
class ApiRequest:
    """One request, before it has an address and a key."""

    method: str
    path: str
    query: Mapping[str, Any] = field(default_factory=dict)
    body: Any = None
    """JSON."""
    headers: Mapping[str, str] = field(default_factory=dict)
    upload: Upload | None = None
    repeatable: bool = True
    """Whether it may be sent again though the first may have arrived: reads, and what has an Idempotency-Key."""
    timeout_s: float | None = None
    """Silence of the API that ends it; the client's own if None."""

    @property
    def idempotency_key(self) -> str | None:
        """What ties repetitions of a submission together."""
        return self.headers.get("Idempotency-Key")

    def arguments(self, origin: str, key: str) -> dict[str, Any]:
        """What httpx2 builds a request from. Each call is one attempt, with an id of its own."""
        headers = {
            "Authorization": f"Bearer {key}",
            "User-Agent": f"modellix-python/{VERSION}",
            "X-Request-Id": _request_name(),
            **self.headers,
        }
        told: dict[str, Any] = {"method": self.method, "url": origin + self.path, "headers": headers}
        if query := {name: value for name, value in self.query.items() if value is not None}:
            told["params"] = query
        if self.upload is not None:
            told["files"] = {"file": (self.upload.filename, self.upload.rewound())}
        elif self.body is not None:
            headers["Content-Type"] = "application/json"
            told["content"] = msgspec.json.encode(self.body)
        return told


def _request_name() -> str:
    """32 hex digits, the Unix milliseconds first: by their time the platform finds a request without an index."""
    return f"{time.time_ns() // 1_000_000:012x}{os.urandom(10).hex()}"


def pause_s(error: ApiError | ConnectionFailed, attempt: int, *, most: int, repeatable: bool) -> float | None:
    """Seconds until the next attempt, the first being number 0; None if there is to be none."""
    if attempt >= most:
        return None
    spread = random.uniform(0, 0.25)  # noqa: S311 - keeps clients apart, hides nothing
    backoff = min(0.5 * float(2**attempt), 8.0) + spread
    if isinstance(error, ConnectionFailed):
        return backoff if repeatable or not error.sent else None
    if error.status in _DEFINITE:
        if error.retry_after_s is None:
            return backoff
        return error.retry_after_s + spread if error.retry_after_s <= _LONGEST_PAUSE_S else None
    return backoff if repeatable and isinstance(error, ServerError) else None


def refusal(origin: str, status: int, headers: httpx2.Headers, body: bytes) -> ApiError:
    """The error for an answer of 400 or above."""
    try:
        message = str(msgspec.json.decode(body)["message"])
    except (msgspec.DecodeError, KeyError, TypeError, UnicodeDecodeError):
        message = f"HTTP {status} from {origin}, without an explanation"
    category, colon, _ = message.partition(": ")
    waited = headers.get("Retry-After", "")
    page = _HELP.match(headers.get("Link", ""))
    return class_of(status, message)(
        message,
        status=status,
        request_id=headers.get("X-Request-Id"),
        docs_url=page[1] if page else docs_url(origin, category if colon else "index"),
        retry_after_s=float(waited) if waited.isdecimal() else None,
    )


def data_of(response: httpx2.Response) -> Any:
    """What an answer of the API carries. Raises BadAnswer for one that is not the API's."""
    try:
        said = msgspec.json.decode(response.content)
        if said["code"] == 0:
            return said["data"]
    except (msgspec.DecodeError, KeyError, TypeError, UnicodeDecodeError):
        pass
    raise BadAnswer(
        f"{response.request.url} did not answer like Modellix (HTTP {response.status_code}): check the base URL",
        status=response.status_code,
        request_id=response.headers.get("X-Request-Id"),
    )


def read(data: Any, wanted: type[Wanted]) -> Wanted:
    """The answer as its type. Raises BadAnswer."""
    try:
        return msgspec.convert(data, wanted)
    except msgspec.ValidationError as error:
        raise BadAnswer(f"the answer has another form than expected: {error}", status=200) from error


class Deadline:
    """So many seconds from now; None is forever."""

    def __init__(self, timeout_s: float | None) -> None:
        self._ends_at = None if timeout_s is None else time.monotonic() + timeout_s

    def left_s(self, most: float) -> float:
        """Seconds left, at most so many; 0 when it has passed."""
        return most if self._ends_at is None else max(0.0, min(most, self._ends_at - time.monotonic()))


@dataclass(slots=True)
class StreamedMessage:
    """One server-sent event as its lines come (HTML Living Standard, 9.2)."""

    event: str = ""
    data: str = ""
    id: str = ""

    def add(self, line: str) -> StreamedMessage | None:
        """The message, if this line completes one with data; it is empty again then."""
        if not line:
            complete = StreamedMessage(self.event, self.data, self.id)
            self.event = self.data = self.id = ""
            return complete if complete.data else None
        name, _, value = line.partition(":")
        if name in ("event", "data", "id"):
            setattr(self, name, value.removeprefix(" "))
        return None
