"""Waiting for what must come to be, however busy the machine is."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Callable
from typing import Any

LONG_S = 60.0
"""For what comes at once on a machine that is not busy: only what never comes takes so long."""


async def eventually(there: Callable[[], Any], within_s: float = LONG_S, every_s: float = 0.02) -> Any:
    """What `there()` gives, awaited if need be, once that is true. Fails when it is not in time."""
    give_up = time.monotonic() + within_s
    while True:
        found = there()
        if inspect.isawaitable(found):
            found = await found
        if found:
            return found
        assert time.monotonic() < give_up, "it did not come to that"
        await asyncio.sleep(every_s)
