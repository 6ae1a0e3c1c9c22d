"""Clients who mind every failed request."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from itertools import count

import aiohttp


class Load:
    """Clients who submit at a steady rate and poll each task to its end. They never send anything twice."""

    def __init__(self, origin: str, key: str, *, per_s: float, keep_alive: bool) -> None:
        self.accepted: list[str] = []
        self.requests = 0
        self.slowest_s = 0.0
        self.failures: list[str] = []
        self._origin = origin
        self._headers = {"Authorization": f"Bearer {key}"}
        self._pause_s = 1 / per_s
        self._keep_alive = keep_alive
        self._stop = asyncio.Event()

    async def __aenter__(self) -> Load:
        self._http = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, force_close=not self._keep_alive), headers=self._headers
        )
        self._running = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._stop.set()
        await self._running
        await self._http.close()

    async def finish(self) -> None:
        """Submit no more, and wait until every task has ended."""
        self._stop.set()
        await self._running

    async def submit(self, prompt: str, origin: str | None = None) -> str | None:
        body = {"prompt": prompt}
        path = "/api/v1/text-to-image/alibaba/qwen-image-plus/async"
        data = await self._call("POST", (origin or self._origin) + path, json=body)
        if data is not None:
            self.accepted.append(data["task_id"])
        return data["task_id"] if data else None

    async def _run(self) -> None:
        async with asyncio.TaskGroup() as lives:
            for number in count():
                lives.create_task(self._life(number))
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._stop.wait(), self._pause_s)
                if self._stop.is_set():
                    return

    async def _life(self, number: int) -> None:
        wish = "[sandbox:slow=2] " if number % 15 == 7 else ""  # few, as the vendor draws a picture for each of these
        if task := await self.submit(f"{wish}number {number}"):
            await self.follow(task)

    async def follow(self, task: str) -> None:
        give_up = time.monotonic() + 90
        while data := await self._call("GET", f"{self._origin}/api/v1/tasks/{task}"):
            if data["status"] != "pending":
                return
            if time.monotonic() > give_up:
                self.failures.append(f"{task} has not ended")
                return
            await asyncio.sleep(0.25)

    async def _call(self, method: str, url: str, **about: object) -> dict | None:
        self.requests += 1
        started = time.monotonic()
        try:
            async with self._http.request(method, url, **about) as answer:
                body = await answer.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            self.failures.append(f"{method} {url}: {error!r}")
            return None
        self.slowest_s = max(self.slowest_s, time.monotonic() - started)
        if answer.status != 200:
            self.failures.append(f"{method} {url}: {answer.status} {body[:200]!r}")
            return None
        return json.loads(body)["data"]
