"""A team that goes on with its work while others attack: what it sees, and what the attack leaves in the server."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
from tests.support.api_client import Team
from tests.support.platform_processes import Platform

_TRIES = 4
"""As clients have them: where connections run short, one that was opened a moment before its request may have to go."""
MODEL = "alibaba/qwen-image-plus"


@dataclass
class Seen:
    """What the bystander was answered, and how long that took."""

    statuses: list[int] = field(default_factory=list)
    took_s: list[float] = field(default_factory=list)
    reopened: int = 0
    """Kept connections that the server had closed, as it may: a client opens another one (RFC 9112, 9.3.1)."""

    def share_s(self, share: float) -> float:
        """Within what time this share of the requests was answered."""
        return sorted(self.took_s)[int(len(self.took_s) * share)]


@contextlib.asynccontextmanager
async def bystander(platform: Platform, team: Team, *, every_s: float = 0.1) -> AsyncIterator[Seen]:
    """Submit, read and ask for health while the block runs, each time by a connection that is kept and by a new one."""
    seen, stop = Seen(), asyncio.Event()
    task = (await team.submit(MODEL, prompt="a quiet lake")).data["task_id"]
    headers = {"Authorization": team.authorization or ""}

    async def once(
        http: aiohttp.ClientSession, method: str, path: str, body: object, about: dict[str, str]
    ) -> aiohttp.ClientResponse:
        async with http.request(method, platform.origin + path, json=body, headers=about) as answer:
            await answer.read()
        return answer

    async def ask(http: aiohttp.ClientSession, method: str, path: str, body: object = None) -> None:
        begun, about = time.perf_counter(), {**headers, "Idempotency-Key": secrets.token_hex(8)}
        for left in reversed(range(_TRIES)):
            try:
                answer = await once(http, method, path, body, about)
                break
            except aiohttp.ClientConnectionError:
                seen.reopened += 1
                if not left:
                    raise
        seen.statuses.append(answer.status)
        seen.took_s.append(time.perf_counter() - begun)

    async def work() -> None:
        limit = aiohttp.ClientTimeout(20)
        async with aiohttp.ClientSession(timeout=limit) as kept:
            while not stop.is_set():
                async with aiohttp.ClientSession(timeout=limit) as fresh:
                    for http in (kept, fresh):
                        await ask(http, "POST", f"/api/v1/{MODEL}/async", {"prompt": "a quiet lake"})
                        await ask(http, "GET", f"/api/v1/tasks/{task}")
                        await ask(http, "GET", "/healthz")
                await asyncio.sleep(every_s)

    working = asyncio.create_task(work())
    try:
        yield seen
        stop.set()
        await working
    finally:
        working.cancel()


def memory_mb(pid: int) -> float:
    """Resident memory of a process."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


def open_files(pid: int) -> int:
    """How many files, connections included, a process has open."""
    return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
