"""How long one request waits for the database: once for all that it asks, not for each statement anew.

Only time spent on the database counts. A body that comes slowly, a storage far away or a client that waits for its
task's end takes nothing of it. What runs for no request (batches, workers, commands) has no patience to lose, and is
bounded by the time-outs of its statements.
"""

from __future__ import annotations

from contextvars import ContextVar

REQUEST_S = 8.0
"""What one request spends at most on waiting for the database.

A database that is well answers in milliseconds, and one that is started again, or handed over to its standby, is often
back in five seconds: that is worth waiting for. Known clients give up after 15 seconds, and the answer that tells them
to come back, 503 with `Retry-After`, must reach them before that.
"""


class Patience:
    """What is left of it, in seconds; whoever waits for the database takes off how long that was."""

    __slots__ = ("left_s",)

    def __init__(self, left_s: float) -> None:
        self.left_s = left_s


_current: ContextVar[Patience | None] = ContextVar("patience", default=None)


def begin(left_s: float = REQUEST_S) -> None:
    """From now on this request waits so long for the database, all in all."""
    _current.set(Patience(left_s))


def end() -> None:
    """From now on what this request asks of the database is bounded statement by statement: it is being answered."""
    _current.set(None)


def current() -> Patience | None:
    """That of the request on whose behalf this runs; None when it is for none."""
    return _current.get()
