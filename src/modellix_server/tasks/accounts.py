"""Where an upstream is reached: the operator's account in live mode, the sandbox in test mode."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from modellix_server.base.outbound import Origins
from modellix_server.upstreams.contract import Upstream


@dataclass(frozen=True, slots=True)
class VendorAccount:
    """What the engine needs to call a vendor. `key` goes to `base_url` and nowhere else."""

    upstream: str
    base_url: str
    region: str
    origins: Origins
    """Where calls and results of this account may go beyond the public internet."""
    key: str = field(repr=False)
    polls_per_s: float | None
    """The operator's own limit on status queries; None takes the vendor's."""
    sandbox: bool = False


FindAccount = Callable[[str, bool], Awaitable[VendorAccount | None]]
"""(upstream, live) -> the account, or None when the operator has configured none."""


def api_path(upstream: Upstream) -> str:
    """Where the vendor's API lies below its host, such as `/api/v1`."""
    return urlsplit(next(iter(upstream.traits.origins.values()))).path.rstrip("/")


class Pace:
    """Spreads calls over time: at most `per_s` a second over all workers, first come first served."""

    def __init__(self, per_s: float) -> None:
        self._per_s = per_s
        self._next = 0.0

    async def turn(self, workers: int) -> None:
        """Wait for the next free place of this worker, one of so many that share the limit evenly."""
        now = time.monotonic()
        place = max(self._next, now)
        self._next = place + workers / self._per_s
        if place > now:
            await asyncio.sleep(place - now)
