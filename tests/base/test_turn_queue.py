"""Turns of requests that compute: between two of them everybody else has theirs."""

from __future__ import annotations

import asyncio
import time
from itertools import pairwise

from modellix_server.base.turn_queue import TurnQueue


async def test_who_asks_again_and_again_takes_turns_with_the_others() -> None:
    queue, order = TurnQueue(), []

    async def compute(who: str) -> None:
        await queue.wait(who)
        order.append(who)

    await asyncio.gather(*(compute(who) for who in ["crowd"] * 20 + ["other"] * 2 + ["third"]))
    assert len(order) == 23
    assert order[:5] == ["crowd", "other", "third", "crowd", "other"]


async def test_between_two_turns_the_loop_goes_round_some_times() -> None:
    queue, begun, passes = TurnQueue(), [], 0

    async def compute() -> None:
        await queue.wait("crowd")
        begun.append(passes)

    crowd = [asyncio.create_task(compute()) for _ in range(5)]
    while len(begun) < 5:
        await asyncio.sleep(0)
        passes += 1
    await asyncio.gather(*crowd)
    assert all(later - earlier >= 4 for earlier, later in pairwise(begun))


async def test_a_turn_is_shared_by_those_who_take_little() -> None:
    """Until its time is over: who takes long has it alone."""
    queue, begun, passes = TurnQueue(shared_s=0.5), [], 0

    async def compute(*, takes_long: bool) -> None:
        await queue.wait("crowd")
        begun.append(passes)
        if takes_long:
            time.sleep(0.6)  # noqa: ASYNC251 - as one who computes

    crowd = [asyncio.create_task(compute(takes_long=number == 2)) for number in range(5)]
    while len(begun) < 5:
        await asyncio.sleep(0)
        passes += 1
    await asyncio.gather(*crowd)
    assert begun[2] - begun[0] <= 2
    assert begun[3] - begun[2] >= 4
    assert begun[4] - begun[3] <= 1


async def test_a_turn_is_over_when_its_task_had_to_wait() -> None:
    queue = TurnQueue()
    turn = await queue.wait("one")
    assert not queue.is_over(turn)
    await asyncio.sleep(0)
    assert queue.is_over(turn)


async def test_who_has_gone_holds_up_nobody() -> None:
    queue = TurnQueue()
    gone = [asyncio.create_task(queue.wait("crowd")) for _ in range(50)]
    stays = asyncio.create_task(queue.wait("crowd"))
    await asyncio.sleep(0)
    for task in gone:
        task.cancel()
    await asyncio.wait_for(stays, 5)
    await asyncio.wait_for(queue.wait("later"), 5)
