"""A program that uses the API."""

from __future__ import annotations

import asyncio
import contextlib
import io
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
import msgspec
from yarl import URL

from modellix_server.identity import ApiKey


@dataclass(frozen=True)
class Answer:
    """One HTTP answer, read to its end; `json` is None where the body is something else."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    json: Any

    @property
    def data(self) -> Any:
        """What a success carries."""
        assert self.status == 200, self.body[:500]
        assert self.json["code"] == 0
        return self.json["data"]

    def refused(self, status: int, message: str) -> Answer:
        """Assert that this is exactly that refusal, in the contract's shape."""
        assert (self.status, self.json) == (status, {"code": status, "message": message}), self.body[:500]
        assert self.headers["content-type"] == "application/json"
        return self


@dataclass
class Client:
    """A program that holds one key."""

    origin: str
    http: aiohttp.ClientSession
    authorization: str | None = None

    async def call(self, method: str, path: str, **about: Any) -> Answer:
        headers = dict(about.pop("headers", {}))
        if self.authorization is not None:
            headers.setdefault("Authorization", self.authorization)
        url = URL(path if path.startswith("http") else self.origin + path, encoded=True)
        async with self.http.request(method, url, headers=headers, allow_redirects=False, **about) as answer:
            body = await answer.read()
            found = {name.lower(): value for name, value in answer.headers.items()}
        parsed = None
        if found.get("content-type") == "application/json":
            with contextlib.suppress(msgspec.DecodeError):
                parsed = msgspec.json.decode(body)
        return Answer(answer.status, found, body, parsed)

    async def get(self, path: str, **about: Any) -> Answer:
        return await self.call("GET", path, **about)

    async def post(self, path: str, body: object = None, **about: Any) -> Answer:
        """Send a JSON value, or bytes as they are."""
        data = io.BytesIO(body if isinstance(body, bytes) else msgspec.json.encode(body))
        headers = {"Content-Type": "application/json", **about.pop("headers", {})}
        return await self.call("POST", path, data=data, headers=headers, **about)

    async def submit(self, model: str, **given: Any) -> Answer:
        return await self.post(f"/api/v1/{model}/async", given)

    async def finish(self, task: str, within_s: float = 90, pause_s: float = 0.1) -> dict[str, Any]:
        """Poll as a client does until the task has ended; its `data`."""
        give_up = time.monotonic() + within_s
        while True:
            data: dict[str, Any] = (await self.get(f"/api/v1/tasks/{task}")).data
            if data["status"] != "pending":
                return data
            assert time.monotonic() < give_up, f"{task} has not ended"
            await asyncio.sleep(pause_s)

    async def run(self, model: str, within_s: float = 90, **given: Any) -> dict[str, Any]:
        return await self.finish((await self.submit(model, **given)).data["task_id"], within_s)

    async def balance(self) -> float:
        return float((await self.get("/api/v1/team/balance")).data["balance"])


@dataclass
class Team(Client):
    """A client with one key of a team of its own."""

    id: int = 0
    key: ApiKey | None = None
    text: str = ""
