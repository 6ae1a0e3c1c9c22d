"""How many clients' connections a process takes: as many as it may have open files, less a reserve.

When files run short, connections that ask for nothing have to go, the longest idle first. Where all are busy, new ones
are refused. A part of the reserve takes new connections for one request each, so that a health check, say, is answered
all the same: of those that have said nothing yet only the newest few stay, as who has a request sends it at once. The
rest of the reserve is for the database, metrics and files in transfer.
"""

from __future__ import annotations

import heapq
import socket
import time
import weakref
from collections import deque
from collections.abc import Callable, Collection
from enum import Enum
from typing import Protocol

from modellix_server.base import log
from modellix_server.base.metrics import Counter

_LEAST_RESERVE, _MOST_RESERVE = 64, 512
_IDLE_S = 1.0  # a connection that waits for longer may have to go
_LOOK_EVERY_S = 0.1
_TELL_EVERY_S = 10.0
_UNSENT, _MOST_UNSENT_BYTES = getattr(socket, "TCP_NOTSENT_LOWAT", None), 128 * 1024  # tcp(7); where it is known
_LOG = log.get("api")
_REFUSED = Counter("modellix_connections_refused_total", "Connections that were refused, as too many files were open.")
_RECLAIMED = Counter(
    "modellix_connections_reclaimed_total", "Idle connections that were closed to make room for others."
)


class Entrance(Enum):
    """What becomes of a new connection."""

    ORDINARY = "stays until its client or a time limit ends it"
    BRIEF = "takes one request, at once, and is closed"
    REFUSED = "is closed"


def bound_unsent(connected: socket.socket) -> None:
    """Have the kernel take little more of an answer than its client can be sent now, not megabytes."""
    if _UNSENT is not None and connected.family != socket.AF_UNIX:
        connected.setsockopt(socket.IPPROTO_TCP, _UNSENT, _MOST_UNSENT_BYTES)


class Idler(Protocol):
    """A connection, as the limit sees it."""

    @property
    def closing(self) -> bool:
        """Whether it is going already, without waiting for anything."""

    def idle_s(self, now: float) -> float:
        """For how long the client has asked for nothing, or has taken nothing; 0 while it is served."""

    def reclaim(self) -> None:
        """Close it."""


class ConnectionLimit:
    """Admits the connections of one process."""

    def __init__(self, files: int, clock: Callable[[], float] = time.monotonic) -> None:
        """`files`: how many the process may have open."""
        reserve = min(max(_LEAST_RESERVE, files // 8), _MOST_RESERVE)
        self.most = files - reserve
        """Open files from which on room is made."""
        self._most_brief = reserve // 4
        self._most_of_all = self.most + reserve // 2
        self._brief: deque[weakref.ref[Idler]] = deque()
        self._clock = clock
        self._look_at = self._tell_at = 0.0
        self._refused = self._reclaimed = 0  # not told yet

    def admit(self, file: int, new: Idler, connections: Collection[Idler]) -> Entrance:
        """What becomes of a new connection, given the number of its socket and the connections that are open.

        The kernel gives the lowest number that is free (POSIX), so it tells how many files of all kinds are open.
        """
        if file < self.most:
            return Entrance.ORDINARY
        now = self._clock()
        if now >= self._look_at:
            self._look_at = now + _LOOK_EVERY_S
            self._reclaim(now, connections)
        few = self._keep_few_brief(now)  # first, as each that goes makes room
        refused = file >= self._most_of_all and not few
        if refused:
            _REFUSED[()] += 1
            self._refused += 1
        else:
            self._brief.append(weakref.ref(new))
        if now >= self._tell_at and (self._refused or self._reclaimed):
            self._tell_at = now + _TELL_EVERY_S
            self._tell(file)
        return Entrance.REFUSED if refused else Entrance.BRIEF

    def _keep_few_brief(self, now: float) -> bool:
        """Close the oldest brief connections that say nothing, beyond a few; whether few are left, with a new one."""
        for _ in range(len(self._brief)):
            if len(self._brief) < self._most_brief:
                return True
            one = self._brief[0]()
            if one is None or one.closing or one.idle_s(now) > 0:
                self._brief.popleft()
                if one is not None and not one.closing:
                    self._close(one)
            else:
                self._brief.rotate(-1)
        return len(self._brief) < self._most_brief

    def _reclaim(self, now: float, connections: Collection[Idler]) -> None:
        """Close the longest idle connections, some at a time, as looking for them takes time too."""
        idle = [(waited, id(one), one) for one in connections if (waited := one.idle_s(now)) > _IDLE_S]
        for _, _, one in heapq.nlargest(max(8, len(connections) // 8), idle):
            self._close(one)

    def _close(self, one: Idler) -> None:
        one.reclaim()
        _RECLAIMED[()] += 1
        self._reclaimed += 1

    def _tell(self, file: int) -> None:
        _LOG.warning(
            "too many open files: raise the limit (ulimit -n), or find out whose connections these are",
            open_files=file + 1,
            refused=self._refused,
            idle_closed=self._reclaimed,
        )
        self._refused = self._reclaimed = 0
