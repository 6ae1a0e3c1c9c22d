"""A vendor's limit on queries is kept by all workers together."""

from __future__ import annotations

import asyncio
import time

import pytest

from modellix_server.tasks.concurrency_limiter import Pace


@pytest.mark.parametrize(("workers", "least_s"), [(1, 0.2), (3, 0.6)])
async def test_calls_are_spread_over_the_share_of_a_worker(workers: int, least_s: float) -> None:
    pace = Pace(50)
    started = time.monotonic()
    await asyncio.gather(*(pace.turn(workers) for _ in range(11)))
    assert least_s <= time.monotonic() - started < 3 * least_s + 2


async def test_more_workers_make_the_next_wait_longer_at_once() -> None:
    pace = Pace(50)
    await pace.turn(10)
    started = time.monotonic()
    await pace.turn(1)
    assert time.monotonic() - started >= 0.19
