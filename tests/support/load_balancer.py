"""A load balancer in front of API processes that come and go."""

from __future__ import annotations

import asyncio
import contextlib
from itertools import count

import aiohttp
from tests.support.ports import free_port


class Front:
    """A load balancer for TCP connections: each new one goes to the next process that is in, and stays there.

    `health_s` makes it look at /readyz as often as that, as most of them do, and take out who is not ready.
    """

    def __init__(self, health_s: float | None = None) -> None:
        self.port = free_port()
        self._in: list[int] = []
        self._open: dict[int, int] = {}
        self._turn = count()
        self._health_s = health_s
        self._known: set[int] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Front:
        self._server = await asyncio.start_server(self._connection, "127.0.0.1", self.port)
        if self._health_s is not None:
            self._tasks.add(asyncio.create_task(self._look()))
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def add(self, port: int) -> None:
        self._known.add(port)
        self._in.append(port)

    def forget(self, port: int) -> None:
        """A process that has ended."""
        self._known.discard(port)

    async def drain(self, port: int) -> None:
        """No new connections; wait until those there are have ended."""
        self._known.discard(port)
        self._in.remove(port)
        while self._open.get(port):  # noqa: ASYNC110
            await asyncio.sleep(0.02)

    async def _look(self) -> None:
        assert self._health_s is not None
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as http:
            while True:
                for port in list(self._known):
                    ready = False
                    with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                        async with http.get(f"http://127.0.0.1:{port}/readyz") as answer:
                            ready = answer.status == 200
                    if not ready and port in self._in:
                        self._in.remove(port)
                    elif ready and port not in self._in and port in self._known:
                        self._in.append(port)
                await asyncio.sleep(self._health_s)

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        port = self._in[next(self._turn) % len(self._in)]
        self._open[port] = self._open.get(port, 0) + 1
        writers = [writer]
        try:
            with contextlib.suppress(ConnectionError, asyncio.CancelledError):
                behind_reader, behind_writer = await asyncio.open_connection("127.0.0.1", port)
                writers.append(behind_writer)
                await asyncio.gather(_pump(reader, behind_writer), _pump(behind_reader, writer))
        finally:
            self._open[port] -= 1
            for one in writers:
                one.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    with contextlib.suppress(ConnectionError, OSError):
        writer.close()
