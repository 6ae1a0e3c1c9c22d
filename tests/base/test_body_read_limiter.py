"""Turns at reading large bodies."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack

import pytest

from modellix_server.base.body_read_limiter import BodyReadLimiter
from modellix_server.base.errors import Unavailable


async def test_one_at_a_time_and_the_earliest_body_first() -> None:
    limiter, order = BodyReadLimiter(), []

    async def read(body: int) -> None:
        for _ in range(3):
            await limiter.take(body)
            order.append(body)

    with limiter.join(1, 9) as first, limiter.join(1, 9) as second, limiter.join(1, 9) as third:
        await asyncio.gather(*(read(body) for body in (first, second, third)))
    # The first turn is free at once. Then the second body has a turn before the first one asks again.
    assert sorted(order) == [1] * 3 + [2] * 3 + [3] * 3
    assert order.index(3) > max(index for index, body in enumerate(order) if body == 1)


async def test_between_two_turns_there_is_a_pause() -> None:
    limiter, loop = BodyReadLimiter(), asyncio.get_running_loop()
    with limiter.join(1, 9) as body:
        await limiter.take(body)
        begun = loop.time()
        for _ in range(10):
            await limiter.take(body)
    assert loop.time() - begun >= 0.009


async def test_who_leaves_takes_no_turn() -> None:
    limiter = BodyReadLimiter()
    with limiter.join(1, 9) as first, limiter.join(2, 9) as second:
        await limiter.take(first)
        gone = asyncio.create_task(limiter.take(first))
        waiting = asyncio.create_task(limiter.take(second))
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.wait_for(waiting, 60)


def test_a_team_has_its_share_of_the_bytes_and_all_have_theirs() -> None:
    limiter, mb = BodyReadLimiter(), 1 << 20
    with ExitStack() as held:
        for _ in range(4):
            held.enter_context(limiter.join(1, 64 * mb))
        with pytest.raises(Unavailable, match="this team"), limiter.join(1, 1):
            pass
        for team_id in (2, 3, 4):
            held.enter_context(limiter.join(team_id, 256 * mb))
        with pytest.raises(Unavailable, match="too many"), limiter.join(5, 1):
            pass
    with limiter.join(1, 256 * mb):
        assert limiter._bytes == {1: 256 * mb}
    assert not limiter._bytes
