"""Items that arrive during one call form the next one."""

from __future__ import annotations

import asyncio

import pytest

from modellix_server.base.batcher import Batcher


@pytest.mark.parametrize(("gathering", "sizes"), [(False, [1, 3, 1]), (True, [1, 4])])
async def test_a_gathering_batcher_takes_what_those_ask_who_were_answered_just_now(
    gathering: bool, sizes: list[int]
) -> None:
    seen: list[int] = []
    begun, let_go = asyncio.Event(), asyncio.Event()

    async def flush(items: list[str]) -> list[str]:
        seen.append(len(items))
        begun.set()
        await let_go.wait()
        return items

    ask = Batcher(flush, gathering=gathering)

    async def ask_twice() -> None:
        await ask("first")
        await ask("again")

    twice = asyncio.create_task(ask_twice())
    await begun.wait()
    others = [asyncio.create_task(ask("other")) for _ in range(3)]
    await asyncio.sleep(0)
    let_go.set()
    await asyncio.wait_for(asyncio.gather(twice, *others), 10)
    assert seen == sizes
