"""Tasks that never end at their vendor are nobody else's trouble."""

from __future__ import annotations

import asyncio
import time

import pytest

STUCK, NORMAL = 1_000, 50


async def seconds_to_end(stage, count: int, words: str) -> list[float]:
    """Submit so many ordinary tasks at once; how long each took, sorted."""
    started = time.monotonic()
    tasks = await asyncio.gather(
        *(stage.submit("alibaba/wan2.6-t2i", prompt=f"{words} {n}", n=1, size="768*768") for n in range(count))
    )
    await stage.until(f"select count(*) = 0 from tasks.task where finished_at is null and params like '%{words}%'", 90)
    rows = [await stage.row(task) for task in tasks]
    assert {row["state"] for row in rows} == {"succeeded"}
    assert time.monotonic() - started < 90
    return sorted((row["finished_at"] - row["created_at"]).total_seconds() for row in rows)


@pytest.mark.full
@pytest.mark.timeout(300)
async def test_stuck_tasks_delay_nobody(stage) -> None:
    stage.worker(lease_s="30")
    alone = await seconds_to_end(stage, NORMAL, "alone")
    await asyncio.gather(*(stage.submit(prompt=f"[sandbox:never] {n}") for n in range(STUCK)))
    await stage.until(f"select count(*) = {STUCK} from tasks.task where state = 'running'", 90)
    among = await seconds_to_end(stage, NORMAL, "among")
    print(f"slowest alone {alone[-1]:.1f} s, among {STUCK} stuck ones {among[-1]:.1f} s")
    assert among[-1] < 3 * alone[-1] + 3
    assert await stage.pool.fetchval("select count(*) from tasks.task where state = 'running'") == STUCK
    await stage.books_are_clean()
