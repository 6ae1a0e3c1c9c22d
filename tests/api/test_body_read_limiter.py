"""Turns at reading large bodies."""

from __future__ import annotations

import asyncio

from modellix_server.api.hot.body_read_limiter import BodyReadLimiter


async def test_one_at_a_time_and_the_earliest_body_first() -> None:
    limiter, order = BodyReadLimiter(), []

    async def read(body: int) -> None:
        for _ in range(3):
            await limiter.take(body)
            order.append(body)

    await asyncio.gather(*(read(limiter.join()) for _ in range(3)))
    # The first turn is free at once. Then the second body has a turn before the first one asks again.
    assert sorted(order) == [1] * 3 + [2] * 3 + [3] * 3
    assert order.index(3) > max(index for index, body in enumerate(order) if body == 1)


async def test_between_two_turns_there_is_a_pause() -> None:
    limiter, loop = BodyReadLimiter(), asyncio.get_running_loop()
    body = limiter.join()
    await limiter.take(body)
    begun = loop.time()
    for _ in range(10):
        await limiter.take(body)
    assert loop.time() - begun >= 0.009


async def test_who_leaves_takes_no_turn() -> None:
    limiter = BodyReadLimiter()
    first, second = limiter.join(), limiter.join()
    await limiter.take(first)
    gone = asyncio.create_task(limiter.take(first))
    waiting = asyncio.create_task(limiter.take(second))
    await asyncio.sleep(0)
    gone.cancel()
    await asyncio.wait_for(waiting, 60)
