"""What the engine refuses."""

from __future__ import annotations

from modellix_server.base.errors import PlatformError


class ConcurrencyExceeded(PlatformError):
    """The team already has as many unfinished tasks as it may."""

    status, category, code = 429, "Concurrent limit exceeded", "concurrency_exceeded"


class TooManyFollowers(ConcurrencyExceeded):
    """The key or the team has as many open streams and waiting requests as it may."""

    code = "too_many_followers"


class IdempotencyMismatch(PlatformError):
    """The Idempotency-Key was used earlier with another request."""

    status, category, code = 422, "Invalid parameters", "idempotency_mismatch"


class NotCancelable(PlatformError):
    """The task is past the point where it can be canceled."""

    status, category, code = 409, "Conflict", "not_cancelable"


class Unfinished(PlatformError):
    """What was asked for is possible only when the task has ended."""

    status, category, code = 409, "Conflict", "task_unfinished"
