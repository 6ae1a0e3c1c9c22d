"""Errors: what was refused and why, which request it was, and the task that it is about.

ModellixError
├── NotConfigured          no API key, or an address that is none
├── ConnectionFailed       no answer, or only a part of one
├── BadAnswer              an answer that is not of this API
├── TimedOut               the task has not ended in time; it goes on
├── TaskFailed             the task has failed; it cost nothing
├── WebhookForged          a message that Modellix did not sign
└── ApiError               the API refused the request
    ├── InvalidRequest         400, 405, 408, 413, 422
    ├── AuthenticationFailed   401
    ├── InsufficientBalance    402
    │   └── BudgetExceeded     402, of the key's or the team's budget
    ├── PermissionDenied       403
    ├── NotFound               404
    ├── Conflict               409
    ├── RateLimited            429
    │   └── ConcurrencyLimited 429, too many unfinished tasks
    └── ServerError            500 and above
        └── ServiceUnavailable 503, nothing was done
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


class ModellixError(Exception):
    """Any error of this package. `task_id` names the task that it is about, as far as that is known."""

    def __init__(self, message: str, *, task_id: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.task_id = task_id


class NotConfigured(ModellixError):
    """There is no API key, or the base URL is no origin."""


class ConnectionFailed(ModellixError):
    """No answer came, or only a part of one.

    A submission may have been accepted: submitting it again with the same `idempotency_key` gives the same task.
    """

    def __init__(
        self, message: str, *, sent: bool, request_id: str | None = None, idempotency_key: str | None = None
    ) -> None:
        super().__init__(message)
        self.sent = sent
        """Whether the request may have reached the API."""
        self.request_id = request_id
        self.idempotency_key = idempotency_key


class BadAnswer(ModellixError):
    """The answer is not of this API: a proxy's page, or an address that leads elsewhere."""

    def __init__(self, message: str, *, status: int, request_id: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.request_id = request_id


class TimedOut(ModellixError):
    """The task has not ended within the time given. It goes on: wait again, by `task` or by `task_id`."""

    def __init__(self, message: str, *, task_id: str, task: Any = None) -> None:
        super().__init__(message, task_id=task_id)
        self.task = task


class TaskFailed(ModellixError):
    """The task has failed. It cost nothing."""

    def __init__(self, message: str, *, code: str, task_id: str, docs_url: str, task: Any = None) -> None:
        super().__init__(message, task_id=task_id)
        self.code = code
        """Such as `content_rejected`."""
        self.docs_url = docs_url
        self.task = task


class WebhookForged(ModellixError):
    """The signature does not fit the message, or the message is too old."""


class ApiError(ModellixError):
    """The API refused the request. The message is `<category>: <detail>`."""

    def __init__(
        self,
        message: str,
        *,
        status: int,
        request_id: str | None,
        docs_url: str,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status = self.code = status
        category, colon, detail = message.partition(": ")
        self.category = category if colon else ""
        """Such as `Rate limit exceeded`."""
        self.detail = detail if colon else message
        self.request_id = request_id
        """Of the request in the request log: what an operator asks for."""
        self.docs_url = docs_url
        self.retry_after_s = retry_after_s
        self.idempotency_key: str | None = None
        """Of a submission: sent again with it, a request is never paid twice."""


class InvalidRequest(ApiError):
    """The request is wrong and will stay so."""


class AuthenticationFailed(ApiError):
    """No key, or one that is unknown, revoked or expired."""


class InsufficientBalance(ApiError):
    """The quote exceeds the available balance."""


class BudgetExceeded(InsufficientBalance):
    """The quote exceeds what is left of a budget."""


class PermissionDenied(ApiError):
    """The key may not do this, or may not use this model."""


class NotFound(ApiError):
    """Unknown, expired, or another team's."""


class Conflict(ApiError):
    """It comes too late, or too early."""


class RateLimited(ApiError):
    """Too many requests a minute. `retry_after_s` is exact."""


class ConcurrencyLimited(RateLimited):
    """The team has as many unfinished tasks as it may have."""


class ServerError(ApiError):
    """A fault of the platform or of something before it."""


class ServiceUnavailable(ServerError):
    """Nothing was done, and the same request may succeed later."""


_BY_CATEGORY: Mapping[str, type[ApiError]] = {
    "Budget exceeded": BudgetExceeded,
    "Concurrent limit exceeded": ConcurrencyLimited,
}
_BY_STATUS: Mapping[int, type[ApiError]] = {
    401: AuthenticationFailed,
    402: InsufficientBalance,
    403: PermissionDenied,
    404: NotFound,
    409: Conflict,
    429: RateLimited,
    503: ServiceUnavailable,
}


def class_of(status: int, message: str) -> type[ApiError]:
    """The class of a refusal."""
    by_category = _BY_CATEGORY.get(message.partition(":")[0])
    return by_category or _BY_STATUS.get(status) or (ServerError if status >= 500 else InvalidRequest)


def docs_url(origin: str, name: str) -> str:
    """The page about a category of refusals, or about the code of a failed task."""
    return f"{origin}/docs/errors/{name.lower().replace(' ', '-').replace('_', '-')}"
