"""Names by a name server of our own: some are answered, some are denied, and for some it never says anything."""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from collections import Counter
from collections.abc import AsyncIterator

import pytest
from tests.support.waiting import eventually

from modellix_server.base.name_lookup import NameLookup


class NameServer(asyncio.DatagramProtocol):
    """Answers A queries (RFC 1035): `good-…` has an address, `dead-…` gets no answer, all else does not exist."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, sender: tuple[str, int]) -> None:
        labels, at = [], 12
        while length := data[at]:
            labels.append(data[at + 1 : at + 1 + length].decode())
            at += 1 + length
        name, question = ".".join(labels), data[12 : at + 5]
        kind = struct.unpack("!H", data[at + 1 : at + 3])[0]
        self.asked[name] += 1
        if name.startswith("dead-"):
            return
        good = name.startswith("good-")
        answers = b""
        if good and kind == 1:
            answers = b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, 60, 4) + socket.inet_aton("93.184.216.34")
        head = data[:2] + struct.pack("!HHHHH", 0x8180 | (0 if good else 3), 1, 1 if answers else 0, 0, 0)
        self.transport.sendto(head + question + answers, sender)


@pytest.fixture
async def names() -> AsyncIterator[tuple[NameServer, NameLookup]]:
    loop = asyncio.get_running_loop()
    transport, server = await loop.create_datagram_endpoint(NameServer, local_addr=("127.0.0.1", 0))
    lookup = NameLookup([f"127.0.0.1:{transport.get_extra_info('sockname')[1]}"])
    yield server, lookup
    await lookup.close()
    transport.close()


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
    loop = asyncio.get_running_loop()
    transport, server = await loop.create_datagram_endpoint(NameServer, local_addr=("127.0.0.1", 0))
    lookup = NameLookup([f"127.0.0.1:{transport.get_extra_info('sockname')[1]}"], most_at_once=2)
    waiting = [asyncio.create_task(lookup(f"dead-{number}.example", 443)) for number in range(3)]
    await eventually(lambda: len(server.asked) == 2)
    await asyncio.sleep(0.2)
    assert len(server.asked) == 2
    for task in waiting:
        task.cancel()
    await lookup.close()
    transport.close()
