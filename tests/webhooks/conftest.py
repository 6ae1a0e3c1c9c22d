"""A database, a deliverer, and receivers that behave as they are told."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from uuid import UUID

import pytest

from modellix_server import webhooks
from modellix_server.base.database import Pool
from modellix_server.base.envelope import Keyring
from modellix_server.base.ids import task_name, uuid7
from modellix_server.base.notify import follow
from modellix_server.base.outbound import Outbound
from modellix_server.base.team_mode import TeamMode
from modellix_server.webhooks import Deliverer

LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"),)
MINE = TeamMode(1, live=True)
SUCCEEDED = "prediction.task.succeeded"


@dataclass
class Got:
    """One request as a receiver saw it."""

    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Receiver:
    """Somebody's server: a raw one, so that it can misbehave."""

    answer: Callable[[Got, asyncio.StreamWriter], Awaitable[None]]
    got: list[Got] = field(default_factory=list)
    origin: str = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError), contextlib.closing(writer):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
                headers = {
                    name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)
                }
                body = await reader.readexactly(int(headers["content-length"]))
                self.got.append(Got(head[0].split()[1], headers, body))
                await self.answer(self.got[-1], writer)
                await writer.drain()


async def fine(_: Got, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")


@dataclass
class Stage:
    pool: Pool
    keys: Keyring
    deliverer: Deliverer
    bodies: dict[UUID, bytes]
    told: list[str]
    receivers: list[asyncio.Server] = field(default_factory=list)

    async def receiver(self, answer: Callable = fine) -> Receiver:
        made = Receiver(answer)
        server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
        self.receivers.append(server)
        made.origin = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        return made

    async def endpoint(self, url: str, of: TeamMode = MINE) -> tuple[webhooks.Endpoint, str]:
        return await webhooks.create(self.pool, self.keys, of, url, LOOPBACK)

    async def end(self, count: int = 1, of: TeamMode = MINE, event: str = SUCCEEDED) -> list[UUID]:
        """Tasks of a team end, as far as the webhooks can see."""
        tasks = [uuid7() for _ in range(count)]
        for task in tasks:
            self.bodies[task] = f'{{"code":0,"message":"success","data":{{"task_id":"{task_name(task)}"}}}}'.encode()
        await self.pool.execute(
            "select webhooks.enqueue($1, $2, $3, $4)",
            tasks, [of.team_id] * count, [of.live] * count, [event] * count,
        )  # fmt: skip
        return tasks

    async def until(self, there: Callable[[], object], within_s: float = 60) -> None:
        give_up = time.monotonic() + within_s
        while not there():
            assert time.monotonic() < give_up, "it did not come to that"
            await asyncio.sleep(0.02)

    async def states(self) -> Counter[str]:
        return Counter(row[0] for row in await self.pool.fetch("select state from webhooks.message"))

    async def settled(self, state: str, count: int, within_s: float = 60) -> None:
        give_up = time.monotonic() + within_s
        while (states := await self.states())[state] != count:
            assert time.monotonic() < give_up, states
            await asyncio.sleep(0.05)

    async def hurry(self) -> None:
        """Time passes: whatever waits is due."""
        await self.pool.execute("update webhooks.message set due_at = now() where state = 'waiting'")
        self.deliverer.heard("")

    async def log(self, of: TeamMode = MINE) -> list[list[tuple[int | None, str | None]]]:
        found = await webhooks.deliveries(self.pool, of, None, 100)
        return [[(attempt.status, attempt.error) for attempt in one.attempts] for one in found]


@pytest.fixture
async def stage(pool: Pool, settings, database) -> AsyncIterator[Stage]:
    bodies: dict[UUID, bytes] = {}
    told: list[str] = []

    async def render(ids: Sequence[UUID]) -> dict[UUID, bytes]:
        return {one: bodies[one] for one in ids if one in bodies}

    async def tell(reason: str, detail: str) -> None:
        told.append(f"{reason}: {detail}")

    outbound = Outbound(LOOPBACK)
    deliverer = Deliverer(pool, settings.keyring, outbound, render, tell, lease_s=1)
    made = Stage(pool, settings.keyring, deliverer, bodies, told)
    background = [asyncio.create_task(deliverer.run()), asyncio.create_task(follow(database.app_dsn, [deliverer]))]
    yield made
    for server in made.receivers:
        server.close()
    for task in background:
        task.cancel()
    await asyncio.gather(*background, return_exceptions=True)
    await outbound.close()
