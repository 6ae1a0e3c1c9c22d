"""Work off the event loop."""

from __future__ import annotations

import asyncio
import threading

import pytest

from modellix_server.base.aside import Aside


async def test_one_call_computes_at_a_time_also_when_its_caller_has_given_up() -> None:
    aside, let_go, begun, ran = Aside(), threading.Event(), threading.Event(), []

    def compute(number: int) -> int:
        begun.set()
        let_go.wait(30)
        ran.append(number)
        return number

    first = asyncio.create_task(aside.run(compute, 1))
    await asyncio.to_thread(begun.wait, 30)
    second, third = (asyncio.create_task(aside.run(compute, number)) for number in (2, 3))
    await asyncio.sleep(0)
    first.cancel()
    second.cancel()
    await asyncio.wait([first, second])
    assert not ran
    let_go.set()
    assert await third == 3
    assert ran == [1, 3]


async def test_what_it_raises_is_raised() -> None:
    def compute() -> None:
        raise ValueError("odd")

    with pytest.raises(ValueError, match="odd"):
        await Aside().run(compute)
