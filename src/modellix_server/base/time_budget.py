"""Time budget of one request for the database: for all its statements together.

Only time spent on the database counts, not a slow body, a slow storage or a long poll. Work without a request (batches,
workers, commands) has no budget; the time-outs of its statements bound it.
"""

from contextvars import ContextVar

REQUEST_S = 8.0
"""The time that one request may wait for the database.

A healthy database answers in milliseconds; after a restart or a failover it is often back in five seconds. Known
clients time out after 15 seconds, and the answer that makes them retry, 503 with `Retry-After`, must arrive before.
"""


class TimeBudget:
    """The rest of the budget, in seconds; each wait for the database is subtracted."""

    __slots__ = ("left_s",)

    def __init__(self, left_s: float) -> None:
        self.left_s = left_s


_current: ContextVar[TimeBudget | None] = ContextVar("time_budget", default=None)


def begin(left_s: float = REQUEST_S) -> None:
    """Set the budget of the current request."""
    _current.set(TimeBudget(left_s))


def end() -> None:
    """Remove the budget: from now on each statement has its own time-out, as the answer has begun."""
    _current.set(None)


def current() -> TimeBudget | None:
    """The budget of the current request; None outside of requests."""
    return _current.get()
