"""Emulators call their clients back as the vendors' pages say: who is asked first, how often, what is told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web

ARK = "/ark/api/v3/contents/generations/tasks"
MINIMAX = "/minimax/v1/video_generation"


@dataclass
class Listener:
    """Somebody's web server: what it was sent, and what it answers."""

    url: str = ""
    got: list[dict[str, Any]] = field(default_factory=list)
    answer: Callable[[dict[str, Any]], web.Response] = lambda _: web.Response(text="{}")

    async def handle(self, request: web.Request) -> web.Response:
        body = json.loads(await request.read())
        self.got.append(body)
        return self.answer(body)

    async def until(self, there: Callable[[list[dict[str, Any]]], bool]) -> list[dict[str, Any]]:
        async with asyncio.timeout(60):
            while not there(self.got):  # noqa: ASYNC110 - as a vendor's client would
                await asyncio.sleep(0.02)
        return self.got


@pytest.fixture
async def listener() -> AsyncIterator[Listener]:
    heard = Listener()
    app = web.Application()
    app.router.add_post("/hook", heard.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    heard.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    yield heard
    await runner.cleanup()


async def ark(client, listener: Listener, prompt: str) -> str:
    body = {
        "model": "doubao-seedance-1-0-lite-t2v-250428",
        "content": [{"type": "text", "text": prompt}],
        "duration": 2,
        "resolution": "480p",
        "callback_url": listener.url,
    }
    async with client.http.post(client.running.origin + ARK, json=body, headers=KEY) as answer:
        return (await answer.json())["id"]


KEY = {"Authorization": "Bearer sk-test"}


async def test_ark_tells_every_change_as_a_query_does(client, listener: Listener) -> None:
    task = await ark(client, listener, "a hill")
    got = await listener.until(lambda got: len(got) == 3)
    told = {one["status"]: one for one in got}  # each is its own call, and one may overtake another
    assert told.keys() == {"queued", "running", "succeeded"}
    async with client.http.get(f"{client.running.origin}{ARK}/{task}", headers=KEY) as answer:
        assert await answer.json() == told["succeeded"]


@pytest.mark.full
async def test_ark_repeats_an_end_that_nobody_acknowledges_three_times(client, listener: Listener) -> None:
    listener.answer = lambda _: web.Response(status=500)
    await ark(client, listener, "[sandbox:fail] a hill")
    await listener.until(lambda got: [one["status"] for one in got].count("failed") == 4)
    await asyncio.sleep(4.5)
    words = [one["status"] for one in listener.got]
    assert (words.count("queued"), words.count("running"), words.count("failed")) == (1, 1, 4)


async def minimax(client, listener: Listener, prompt: str) -> str:
    body = {"model": "MiniMax-Hailuo-02", "prompt": prompt, "duration": 6, "callback_url": listener.url}
    async with client.http.post(client.running.origin + MINIMAX, json=body, headers=KEY) as answer:
        return (await answer.json())["task_id"]


async def test_minimax_asks_who_listens_before_it_tells(client, listener: Listener) -> None:
    listener.answer = web.json_response
    task = await minimax(client, listener, "[sandbox:fail=DataInspectionFailed] a hill")
    got = await listener.until(lambda got: got and got[-1].get("status") == "failed")
    assert list(got[0]) == ["challenge"]
    assert [one["status"] for one in got[1:]] == ["processing", "failed"]
    assert {one["task_id"] for one in got[1:]} == {task}
    assert got[-1]["base_resp"]["status_code"] == 1027


@pytest.mark.parametrize("answer", [b'{"challenge": "something else"}', b"not JSON"])
async def test_minimax_tells_nothing_to_who_does_not_answer_its_challenge(client, listener, answer: bytes) -> None:
    listener.answer = lambda _: web.Response(body=answer)
    await minimax(client, listener, "[sandbox:fail=DataInspectionFailed] a hill")
    await listener.until(lambda got: got)
    await asyncio.sleep(2.5)
    assert [list(one) for one in listener.got] == [["challenge"]]
