"""The contract as its real command line client reads it: strict where that client is strict, nothing more.

Modelled on the published client of the original service (version 0.0.7): its time limits, patterns and checks.
"""

from __future__ import annotations

import asyncio
import json
import math
import re
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import pytest

MOST_ANSWER_BYTES = 16 * 1024 * 1024
WHOLE_CALL_S = 15
TASK_ID = re.compile(r"[A-Za-z0-9._~:/+@=-]+")
SUCCESS, FAILURE = {"success", "succeeded", "completed"}, {"failed", "error", "canceled", "cancelled"}
DEFINITE = {400, 401, 402, 403, 404, 405, 413, 415, 422, 429}


class ClientError(Exception):
    """What the client would show its user."""


@dataclass
class Cli:
    """Sends what the client sends, and parses as it parses."""

    platform: Any
    key: str

    async def _call(self, method: str, path: str, body: object = None) -> tuple[int, dict[str, str], Any]:
        headers = {"Authorization": f"Bearer {self.key}"}
        data = None
        if body is not None:
            data = json.dumps(body).encode()
            headers["Content-Type"] = "application/json"
        async with asyncio.timeout(WHOLE_CALL_S):
            answer = await self.platform.anyone().call(method, path, data=data, headers=headers)
        assert len(answer.body) <= MOST_ANSWER_BYTES
        if 200 <= answer.status < 300:
            return answer.status, dict(answer.headers), json.loads(answer.body)
        if 300 <= answer.status < 400:
            raise ClientError("redirects are not followed")
        return answer.status, dict(answer.headers), json.loads(answer.body)

    async def run(self, slug: str, body: dict) -> str:
        status, _, answer = await self._call("POST", f"/api/v1/{slug}", body)
        if status in DEFINITE:
            raise ClientError(f"rejected: {status}")
        task = answer["data"]["task_id"] if status < 300 else None
        if not (isinstance(task, str) and TASK_ID.fullmatch(task) and len(task) <= 512):
            raise ClientError("outcome unknown, may have been charged")
        return task

    async def get(self, task: str) -> dict[str, Any]:
        status, headers, answer = await self._call("GET", f"/api/v1/tasks/{task}")
        if status == 429:
            raise ClientError(f"rate limited until {int(headers['x-ratelimit-reset'])}")
        if status >= 300:
            raise ClientError(answer["message"])
        data = answer["data"]
        if not isinstance(data["status"], str) or data["task_id"] != task:
            raise ClientError("not this task")
        return data

    async def wait(self, task: str) -> dict[str, Any]:
        while True:
            data = await self.get(task)
            if data["status"] in SUCCESS | FAILURE:
                return data
            await asyncio.sleep(0.1)

    async def resources(self, task: str) -> list[str]:
        data = await self.wait(task)
        found = [entry if isinstance(entry, str) else entry["url"] for entry in data["result"]["resources"]]
        assert len(found) <= 1000
        for url in found:
            parts = urlsplit(url)
            assert parts.scheme in ("http", "https")
            assert parts.hostname
            assert not parts.username
            assert not parts.password
        return found

    async def models(self) -> list[dict[str, Any]]:
        _, _, answer = await self._call("GET", "/api/v1/models")
        entries = answer["models"]
        assert isinstance(entries, list)
        for entry in entries:
            assert isinstance(entry["slug"], str)
            assert 0 < len(entry["slug"]) <= 256
            for name in ("type", "provider", "description", "docs_url"):
                assert isinstance(entry[name], str)
        return entries

    async def is_valid(self) -> bool:
        status, _, answer = await self._call("GET", "/api/v1/apikey/validate")
        assert 200 <= status < 300, "doctor takes anything else for a broken connection"
        assert isinstance(answer["data"]["is_valid"], bool)
        return answer["data"]["is_valid"]

    async def balance(self) -> float:
        _, _, answer = await self._call("GET", "/api/v1/team/balance")
        found = answer["data"]["balance"]
        assert not isinstance(found, bool | str)
        assert math.isfinite(found)
        return found


class TestCli:
    """One user's session."""

    @pytest.fixture
    async def cli(self, platform, team) -> Cli:
        return Cli(platform, team.text)

    async def test_doctor(self, platform, cli) -> None:
        assert await cli.is_valid() is True
        assert await cli.balance() == 100
        for key in ("mdlx-typo", "x" * 16_000):
            assert await Cli(platform, key).is_valid() is False

    async def test_model_list(self, cli) -> None:
        assert {"alibaba/qwen-image-plus", "alibaba/wan2.6-t2v"} <= {entry["slug"] for entry in await cli.models()}

    async def test_model_run_and_download(self, platform, cli) -> None:
        task = await cli.run("alibaba/wan2.6-t2i", {"prompt": "a cat", "n": 2})
        urls = await cli.resources(task)
        assert [urlsplit(url).path.rpartition("/")[2] for url in urls] == ["0.png", "1.png"]
        for url in urls:
            async with platform.http.get(url, headers={"User-Agent": "modellix-cli"}) as answer:
                assert answer.status == 200
        assert await cli.balance() == 99.94

    async def test_the_oldest_form(self, cli) -> None:
        """Versions up to 0.0.5 name the type and say `async`; 0.0.6 says `async` alone."""
        for form in ("text-to-image/alibaba/qwen-image-plus/async", "alibaba/qwen-image-plus/async"):
            assert (await cli.wait(await cli.run(form, {"prompt": "a cat"})))["status"] == "success"

    async def test_a_failed_task_ends_the_waiting(self, cli) -> None:
        data = await cli.wait(await cli.run("alibaba/qwen-image-plus", {"prompt": "[sandbox:moderate]"}))
        assert data["status"] in FAILURE
        assert await cli.resources(data["task_id"]) == []

    async def test_refusals_are_definite(self, platform, cli) -> None:
        for slug, body in (
            ("alibaba/qwen-image-plus", {}),
            ("alibaba/nothing", {"prompt": "a"}),
            ("alibaba/qwen-image-plus", []),
        ):
            with pytest.raises(ClientError, match="rejected"):
                await cli.run(slug, body)
        poor = Cli(platform, (await platform.team(0)).text)
        with pytest.raises(ClientError, match="rejected: 402"):
            await poor.run("alibaba/qwen-image-plus", {"prompt": "a"})
        with pytest.raises(ClientError, match=r"^Resource not found: "):
            await cli.get("task-unknown")

    async def test_a_rate_limit_names_a_moment(self, platform) -> None:
        limited = Cli(platform, (await platform.team(rpm=1)).text)
        await limited.balance()
        with pytest.raises(ClientError) as told:
            await limited.get("task-unknown")
        assert 0 < int(str(told.value).rpartition(" ")[2]) - time.time() <= 61
