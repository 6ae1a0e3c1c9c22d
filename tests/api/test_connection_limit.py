"""Who has to go when open files run short."""

from __future__ import annotations

from dataclasses import dataclass

import structlog

from modellix_server.api.hot.connection_limit import ConnectionLimit, Entrance


@dataclass(eq=False)
class Connection:
    since: float
    open: bool = True

    def idle_s(self, now: float) -> float:
        return max(now - self.since, 0.0) if self.open else 0.0

    @property
    def closing(self) -> bool:
        return not self.open

    def reclaim(self) -> None:
        self.open = False


def test_who_has_to_go() -> None:
    """Nobody while there is room; then the longest idle ones, some at a time; and the newest where none is idle."""
    now = [100.0]
    limit = ConnectionLimit(256, clock=lambda: now[0])
    assert limit.most == 192
    old, fresh = [Connection(since) for since in range(50)], [Connection(99.0) for _ in range(100)]
    assert limit.admit(191, Connection(100.0), old + fresh) is Entrance.ORDINARY
    assert all(one.open for one in old)
    new = Connection(100.0)
    with structlog.testing.capture_logs() as told:
        assert limit.admit(192, new, old + fresh) is Entrance.BRIEF
    assert [one.open for one in old] == [False] * 18 + [True] * 32
    assert all(one.open for one in fresh)
    (line,) = told
    assert (line["log_level"], line["idle_closed"]) == ("warning", 18)
    now[0] += 0.05
    limit.admit(200, new, old)  # too soon for another look
    assert sum(one.open for one in old) == 32
    now[0] += 10
    served = [Connection(200.0) for _ in range(16)]  # not idle at all
    for one in served:
        limit.admit(230, one, fresh)
    assert sum(one.open for one in fresh) == 88
    now[0] += 10
    with structlog.testing.capture_logs() as told:
        for _ in range(3):
            assert limit.admit(230, new, fresh) is Entrance.REFUSED
        now[0] += 10
        assert limit.admit(230, new, fresh) is Entrance.REFUSED
    assert all(one.open for one in served)
    assert [line["refused"] for line in told] == [1, 3]


def test_who_has_a_request_sends_it_at_once() -> None:
    """Of the connections in the reserve those that say nothing go first; those that are served may be more."""
    now = [100.0]
    limit = ConnectionLimit(256, clock=lambda: now[0])
    served = [Connection(200.0) for _ in range(4)]  # not idle at all
    silent = [Connection(99.9) for _ in range(20)]
    for one in served + silent:
        assert limit.admit(200, one, ()) is Entrance.BRIEF
    assert all(one.open for one in served)
    assert [one.open for one in silent] == [False] * 8 + [True] * 12
    for one in silent[8:]:
        one.since = 200.0
    assert limit.admit(223, Connection(200.0), ()) is Entrance.BRIEF
    assert limit.admit(224, Connection(200.0), ()) is Entrance.REFUSED
    for one in silent[8:10]:
        one.open = False
    assert limit.admit(224, Connection(200.0), ()) is Entrance.BRIEF


def test_much_is_left_for_many_files() -> None:
    assert ConnectionLimit(1_024).most == 896
    assert ConnectionLimit(65_536).most == 65_024
