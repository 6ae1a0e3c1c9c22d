"""A name server of our own."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections import Counter
from collections.abc import AsyncIterator


class NameServer(asyncio.DatagramProtocol):
    """Answers A queries (RFC 1035): `good-…` has an address, `dead-…` gets no answer, all else does not exist."""

    def __init__(self, address: str = "93.184.216.34") -> None:
        self._address = address
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
            answers = b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, 60, 4) + socket.inet_aton(self._address)
        head = data[:2] + struct.pack("!HHHHH", 0x8180 | (0 if good else 3), 1, 1 if answers else 0, 0, 0)
        self.transport.sendto(head + question + answers, sender)


@contextlib.asynccontextmanager
async def name_server(address: str = "93.184.216.34") -> AsyncIterator[tuple[NameServer, str]]:
    """The server, whose good names have this address, and where it listens, as `address:port`."""
    loop = asyncio.get_running_loop()
    transport, server = await loop.create_datagram_endpoint(lambda: NameServer(address), local_addr=("127.0.0.1", 0))
    try:
        yield server, f"127.0.0.1:{transport.get_extra_info('sockname')[1]}"
    finally:
        transport.close()
