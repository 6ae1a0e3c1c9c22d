"""Time limits of a client's connection. One look at all connections a second decides, no timer each."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection
from enum import Enum
from typing import Any

from modellix_server.base.process import give_holes_back

HEAD_LIMIT_S = 10
"""For a whole head; from the connection's begin for the first one."""
# Longer than a load balancer keeps an idle connection (60 s is usual): it must be the one who closes it, or a request
# may meet our end of it closing.
_IDLE_LIMIT_S = 75
_UNREAD_LIMIT_S = 60
_BODY_WINDOW_S = 60
_LEAST_BODY_BYTES = 240 * _BODY_WINDOW_S  # in that time; Kestrel, another server, asks for the same
_LINGER_S = 2  # after a last answer that its client may not have read yet, as it is still sending
_LOOK_EVERY_S = 1.0
_MANY, _QUIET_LOOKS = 100, 5  # connections that have gone, and looks since then, before memory is given back
_AS_ONE_MORE_BYTES = 256 * 1024  # that a connection has sent: the memory of large bodies is that of many connections
_GRACE = 10  # times as long as others who was served may be idle when files run short
_BRIEF_HEAD_S, _BRIEF_ANSWER_S = 2, 10  # of a connection that was let in although files run short


class Overdue(Enum):
    """What becomes of a client that keeps us waiting."""

    CUT = "the connection is ended, whatever was still to be sent"
    CLOSED = "the connection is closed"
    REFUSED = "the client is told that its head did not arrive"


class ConnectionClock:
    """Since when a client keeps us waiting, and for what."""

    __slots__ = (
        *(
            "heard_bytes",
            "_asked",
            "_served",
            "_brief",
            "_end_at",
            "_head_since",
            "_heard_before",
            "_heard_since",
            "_since",
        ),
        *("_unread_bytes", "_unread_since"),
    )

    def __init__(self) -> None:
        self.heard_bytes = 0
        """Received so far; the connection counts them."""
        self._asked = self._served = self._brief = False
        self._end_at = self._head_since = self._heard_since = self._unread_since = 0.0
        self._heard_before = self._unread_bytes = 0
        self._since = time.monotonic()  # nothing is asked of us since then

    @property
    def brief(self) -> bool:
        """Whether the connection takes one request only, and soon."""
        return self._brief

    def shorten(self) -> None:
        """Make it a brief connection."""
        self._brief, self._end_at = True, self._since + _BRIEF_HEAD_S

    def head_begun(self) -> None:
        """A head has come in part."""
        self._head_since = self._head_since or time.monotonic()

    def head_ended(self) -> None:
        """The head is there, or is not waited for any more."""
        self._head_since, self._asked = 0.0, True

    def started(self) -> None:
        """An answer is being made."""
        if self._brief:
            self._end_at = time.monotonic() + _BRIEF_ANSWER_S

    def answered(self, status: int) -> None:
        """The answer has been written."""
        self._since, self._served = time.monotonic(), status < 400

    def idle_s(self, now: float, *, serving: bool) -> float:
        """For how long the client has asked for nothing, or has taken nothing; 0 while it is served.

        Less counts for one that was served before: it may ask again.
        """
        if serving or self._unread_bytes:
            return now - self._unread_since if self._unread_bytes else 0.0
        waited = now - max(self._since, self._head_since)
        return waited / _GRACE if self._served else waited

    def look(self, now: float, unread: int, *, serving: bool, lingering: bool, body_due: bool) -> Overdue | None:
        """What becomes of the client now.

        `unread` bytes are written and not taken. `body_due`: we would read more of a body.
        """
        if not unread or unread < self._unread_bytes or not self._unread_since:
            self._unread_since = now
        self._unread_bytes = unread
        if (
            now - self._unread_since > _UNREAD_LIMIT_S
            or 0 < self._end_at < now
            or self._body_is_late(now, due=body_due)
        ):
            return Overdue.CUT
        if serving:
            return None
        if lingering:
            return Overdue.CUT if now - self._since > _LINGER_S else None
        if self._head_since and now - self._head_since > HEAD_LIMIT_S:
            return Overdue.REFUSED
        return Overdue.CLOSED if now - self._since > (_IDLE_LIMIT_S if self._asked else HEAD_LIMIT_S) else None

    def _body_is_late(self, now: float, *, due: bool) -> bool:
        """Whether far too little of a body has come in a minute, though we would have read more."""
        if not due:
            self._heard_since = 0.0
        elif not self._heard_since or now - self._heard_since > _BODY_WINDOW_S:
            late = self._heard_since and self.heard_bytes - self._heard_before < _LEAST_BODY_BYTES
            self._heard_since, self._heard_before = now, self.heard_bytes
            return bool(late)
        return False


async def close_overdue(connections: Collection[Any]) -> None:
    """Look after the connections' time limits for as long as the server runs: uvicorn's set of `HttpProtocol`s.

    When many have gone, or those that sent much, the memory that they had goes back to the system.
    """
    most = quiet = 0
    while True:
        await asyncio.sleep(_LOOK_EVERY_S)
        _close_overdue(list(connections), time.monotonic())
        there = sum(1 + connection.clock.heard_bytes // _AS_ONE_MORE_BYTES for connection in connections)
        most, quiet = max(most, there), quiet + 1 if there < most - _MANY else 0
        if quiet == _QUIET_LOOKS:
            most = quiet = 0
            await asyncio.to_thread(give_holes_back)


def _close_overdue(connections: Collection[Any], now: float) -> None:
    # A function of its own, as a loop's last connection would be kept until the next look.
    for connection in connections:
        connection.close_if_overdue(now)
