"""Requests per minute, counted in this process.

A window opens with its first request and ends 60 s after that request's second, so `Reset` is exact:
the first moment at which a refused client is let in again. A request counts against its key and
against its team (test and live apart) and passes only if both have room; a refused one counts nowhere.
"""

import time
from collections.abc import Callable
from typing import Literal, NamedTuple, Protocol

from modellix_server.base.addresses import subscriber_of
from modellix_server.limits.store import RateLimited

_WINDOW_S = 60

Scope = Literal["key", "team", "address"]


class Subject(Protocol):
    """Whose request it is, and what they may send per minute."""

    @property
    def key_id(self) -> int: ...  # noqa: D102
    @property
    def team_id(self) -> int: ...  # noqa: D102
    @property
    def live(self) -> bool: ...  # noqa: D102
    @property
    def rpm(self) -> int: ...  # noqa: D102
    @property
    def key_rpm(self) -> int: ...  # noqa: D102


class RateDecision(NamedTuple):
    """Whether a request may pass, and the numbers of its tightest window."""

    limit: int
    """Requests per minute."""
    remaining: int
    """Requests left in the window after this one."""
    reset_epoch_s: int
    """Unix second at which the window ends."""
    scope: Scope
    retry_after_s: int
    """Seconds until the window ends; 0 when the request may pass."""

    @property
    def allowed(self) -> bool:
        """Whether the request may pass; it is counted then."""
        return self.retry_after_s == 0

    def headers(self) -> list[tuple[bytes, bytes]]:
        """The answer's headers as ASGI wants them; `Retry-After` on a refusal only."""
        lines = [
            (b"x-ratelimit-limit", b"%d" % self.limit),
            (b"x-ratelimit-remaining", b"%d" % self.remaining),
            (b"x-ratelimit-reset", b"%d" % self.reset_epoch_s),
        ]
        if self.retry_after_s:
            lines.append((b"retry-after", b"%d" % self.retry_after_s))
        return lines

    def error(self) -> RateLimited:
        """The refusal in the words of the contract."""
        whose = {"key": "this API key", "team": "this team", "address": "this address"}[self.scope]
        return RateLimited(f"{self.limit} requests per minute for {whose}", retry_after_s=self.retry_after_s)


class _Windows:
    """Open windows, oldest first: `[end, used]` by subject."""

    def __init__(self) -> None:
        self._open: dict[int, list[int]] = {}

    def __len__(self) -> int:
        return len(self._open)

    def at(self, subject: int, now: int) -> list[int]:
        """The subject's window; a new one if there is none or it is not current (a clock may step back)."""
        window = self._open.get(subject)
        if window is not None and window[0] - _WINDOW_S <= now < window[0]:
            return window
        # All windows have the same length, so those that have ended are in front. Removing two for each new one
        # bounds the memory by the number of windows open within a minute.
        self._open.pop(subject, None)
        for oldest in list(_first_two(self._open)):
            if not self._open[oldest][0] - _WINDOW_S <= now < self._open[oldest][0]:
                del self._open[oldest]
        window = self._open[subject] = [now + _WINDOW_S, 0]
        return window


def _first_two(windows: dict[int, list[int]]) -> list[int]:
    subjects = iter(windows)
    return [subject for subject, _ in zip(subjects, range(2), strict=False)]


class Windows:
    """All windows of a process."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._keys = _Windows()
        self._teams = _Windows()

    def __len__(self) -> int:
        """Windows kept in memory."""
        return len(self._keys) + len(self._teams)

    def take(self, subject: Subject) -> RateDecision:
        """Count one request of the subject, or refuse it."""
        now = int(self._clock())
        key = self._keys.at(subject.key_id, now)
        team = self._teams.at(subject.team_id * 2 + subject.live, now)
        key_left = subject.key_rpm - key[1]
        team_left = subject.rpm - team[1]
        if key_left > 0 and team_left > 0:
            key[1] += 1
            team[1] += 1
            if (key_left, -key[0]) <= (team_left, -team[0]):
                return RateDecision(subject.key_rpm, key_left - 1, key[0], "key", 0)
            return RateDecision(subject.rpm, team_left - 1, team[0], "team", 0)
        # When both are full the one that ends last is what the client has to wait for.
        if team_left > 0 or (key_left <= 0 and key[0] >= team[0]):
            return RateDecision(subject.key_rpm, 0, key[0], "key", key[0] - now)
        return RateDecision(subject.rpm, 0, team[0], "team", team[0] - now)


class AddressLimit:
    """A limit per minute and address, and one for all addresses, which bounds the memory. Of 0 there is none."""

    def __init__(self, what: str, *, each: int, together: int, clock: Callable[[], float] = time.monotonic) -> None:
        """`what` names in a refusal what is counted."""
        self._what = what
        self._each = each
        self._together = together
        self._clock = clock
        self._ends = 0.0
        self._total = 0
        self._used: dict[str, int] = {}

    def take(self, address: str) -> None:
        """Count one for the subscriber at an address; raises RateLimited."""
        if (refused := self.refusal(address)) is not None:
            raise RateLimited(f"{self._each} {self._what} per minute", retry_after_s=refused.retry_after_s)

    def refusal(self, address: str) -> RateDecision | None:
        """Count one for the subscriber at an address, or refuse it."""
        if not self._each:
            return None
        now, address = self._clock(), subscriber_of(address)
        if now >= self._ends:  # one window for all addresses, so that memory is bounded by the limit
            self._ends, self._total = now + _WINDOW_S, 0
            self._used.clear()
        if self._total >= self._together or self._used.get(address, 0) >= self._each:
            wait = int(self._ends - now) + 1
            return RateDecision(self._each, 0, int(time.time()) + wait, "address", wait)
        self._total += 1
        self._used[address] = self._used.get(address, 0) + 1
        return None
