"""A proxy that cuts a connection whose answer takes too long, as many load balancers do."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit


@dataclass
class CuttingProxy:
    """Passes bytes on; `cuts` connections that are older than `after_s` are cut, those after them are not."""

    origin: str
    upstream: str
    after_s: float
    cuts: int
    half_open: bool = False
    """Cut only the client's side, and leave the server in the belief that it is still there."""
    cut: int = 0
    running: set[asyncio.Task[None]] = field(default_factory=set)

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        passing = asyncio.create_task(self._pass_on(reader, writer))
        self.running.add(passing)
        passing.add_done_callback(self.running.discard)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        where = urlsplit(self.upstream)
        back, forth = await asyncio.open_connection(where.hostname, where.port)
        ways = [asyncio.create_task(_pump(reader, forth)), asyncio.create_task(_pump(back, writer))]
        try:
            limit = self.after_s if self.cut < self.cuts else None
            done, _ = await asyncio.wait(ways, timeout=limit, return_when=asyncio.FIRST_COMPLETED)
            if not done:
                self.cut += 1
                for way in ways:
                    way.cancel()
                writer.transport.abort()
                if self.half_open:
                    await back.read()
        finally:
            for way in ways:
                way.cancel()
            for end in (writer, forth):
                end.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()


@contextlib.asynccontextmanager
async def cutting_proxy(upstream: str, **limits: float | bool) -> AsyncIterator[CuttingProxy]:
    proxy = CuttingProxy("", upstream, **limits)  # type: ignore[arg-type]
    server = await asyncio.start_server(proxy.accept, "127.0.0.1", 0)
    proxy.origin = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield proxy
    finally:
        server.close()
        left = list(proxy.running)
        for one in left:
            one.cancel()
        await asyncio.gather(*left, return_exceptions=True)
