"""Work off the event loop."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from modellix_server.base.aside import Aside


async def test_one_call_computes_at_a_time_also_when_its_caller_has_given_up() -> None:
    aside, let_go, begun, ran = Aside(), threading.Event(), threading.Event(), []

    def compute(number: int) -> int:
        begun.set()
        let_go.wait(30)
        ran.append(number)
        return number

    first = asyncio.create_task(aside.run("one", compute, 1))
    await asyncio.to_thread(begun.wait, 30)
    second, third = (asyncio.create_task(aside.run("one", compute, number)) for number in (2, 3))
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
        await Aside().run("one", compute)


async def test_who_has_much_takes_turns_with_who_has_little() -> None:
    aside, ran = Aside(), []
    many = [asyncio.create_task(aside.run("many", ran.append, f"many {number}")) for number in range(5)]
    await asyncio.sleep(0)
    one = asyncio.create_task(aside.run("one", ran.append, "one"))
    await asyncio.gather(*many, one)
    assert ran.index("one") <= 2
    assert len(ran) == 6


async def test_who_gives_up_in_its_turn_passes_it_on() -> None:
    aside, let_go, begun = Aside(), threading.Event(), threading.Event()

    def compute() -> None:
        begun.set()
        let_go.wait(30)

    first = asyncio.create_task(aside.run("one", compute))
    await asyncio.to_thread(begun.wait, 30)
    second = asyncio.create_task(aside.run("two", str))
    third = asyncio.create_task(aside.run("three", str))
    await asyncio.sleep(0)
    first.cancel()  # the second one's turn begins, and it gives up in the same pass of the event loop
    first.add_done_callback(lambda _: second.cancel())
    let_go.set()
    assert await asyncio.wait_for(third, 30) == ""


async def test_data_is_taken_in_pieces_that_compute_about_a_millisecond() -> None:
    quick, slow, some = [], [], []

    def take(piece: bytes) -> None:
        slow.append(piece)
        compute(0.003)

    def take_by_size(piece: bytes) -> None:
        some.append(piece)
        compute(len(piece) / 20e6)

    data = bytes(range(256)) * 2_000
    await Aside().feed("one", quick.append, data)
    await Aside().feed("one", take, data[:40_960])
    await Aside().feed("one", take_by_size, data)
    assert b"".join(quick) == b"".join(some) == data
    assert max(map(len, quick)) == 128 * 1024
    assert [len(piece) for piece in slow] == [4_096] * 10
    assert max(map(len, some)) < 40_000  # 20 KB, or what is counted beside a busy machine


def compute(for_s: float) -> None:
    until = time.thread_time() + for_s
    while time.thread_time() < until:
        pass
