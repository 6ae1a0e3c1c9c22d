"""Rate limit of requests without a key, per client address, in this process."""

import time
from collections.abc import Callable

from modellix_server.limits.errors import RateLimited

_WINDOW_S = 60


class Reports:
    """A limit per minute and address, and one for all addresses, which bounds the memory."""

    def __init__(self, *, each: int = 30, together: int = 3000, clock: Callable[[], float] = time.monotonic) -> None:
        self._each = each
        self._together = together
        self._clock = clock
        self._ends = 0.0
        self._total = 0
        self._used: dict[str, int] = {}

    def take(self, address: str) -> None:
        """Count one; raises RateLimited."""
        now = self._clock()
        if now >= self._ends:  # one window for all addresses, so that memory is bounded by the limit
            self._ends, self._total = now + _WINDOW_S, 0
            self._used.clear()
        if self._total >= self._together or self._used.get(address, 0) >= self._each:
            raise RateLimited(f"{self._each} reports per minute", retry_after_s=int(self._ends - now) + 1)
        self._total += 1
        self._used[address] = self._used.get(address, 0) + 1
