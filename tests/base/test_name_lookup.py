"""Names by a name server of our own: some are answered, some are denied, and for some it never says anything."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
from tests.support.name_server import NameServer, name_server
from tests.support.waiting import eventually

from modellix_server.base.name_lookup import NameLookup


@pytest.fixture
async def names() -> AsyncIterator[tuple[NameServer, NameLookup]]:
    async with name_server() as (server, address):
        lookup = NameLookup([address])
        yield server, lookup
        await lookup.close()


async def test_names_are_found_or_refused_and_local_ones_need_no_server(names) -> None:
    server, lookup = names
    assert await lookup("good-1.example", 443) == ["93.184.216.34"]
    assert {"127.0.0.1"} <= set(await lookup("localhost", 80)) <= {"127.0.0.1", "::1"}
    for wrong in ("nothing.example", "bad..name", "x" * 64 + ".example", "a b.example"):
        with pytest.raises(OSError, match="not resolved"):
            await lookup(wrong, 443)
    assert await lookup("0x7f.1", 80) == ["127.0.0.1"]
    assert await lookup("::1", 80) == ["::1"]
    assert not {"localhost", "0x7f.1", "::1"} & set(server.asked)


async def test_dead_names_end_by_themselves_and_hold_up_no_other(names) -> None:
    server, lookup = names
    started = time.monotonic()
    dead = [asyncio.create_task(lookup(f"dead-{number}.example", 443)) for number in range(100)]
    await eventually(lambda: len(server.asked) == 100)
    found = await asyncio.gather(*(lookup(f"good-{number}.example", 443) for number in range(200)))
    assert all(addresses == ["93.184.216.34"] for addresses in found)
    assert not any(task.done() for task in dead), "the others were answered while these waited"
    ended = await asyncio.gather(*dead, return_exceptions=True)
    assert all(isinstance(one, OSError) for one in ended)
    assert time.monotonic() - started < 60


async def test_one_that_is_given_up_leaves_the_rest_alone(names) -> None:
    _, lookup = names
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await lookup("dead-1.example", 443)
    assert await lookup("good-1.example", 443) == ["93.184.216.34"]


async def test_only_so_many_at_once() -> None:
    async with name_server() as (server, address):
        lookup = NameLookup([address], most_at_once=2)
        waiting = [asyncio.create_task(lookup(f"dead-{number}.example", 443)) for number in range(3)]
        await eventually(lambda: len(server.asked) == 2)
        await asyncio.sleep(0.2)
        assert len(server.asked) == 2
        for task in waiting:
            task.cancel()
        await lookup.close()
