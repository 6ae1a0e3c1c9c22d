"""Names that nobody answers for: one team's, in links to inputs and webhooks, beside another team's live tasks."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections.abc import AsyncIterator
from pathlib import Path
from statistics import median
from typing import Any

import pytest
from tests.support.name_server import NameServer, name_server
from tests.support.platform_processes import Platform
from tests.support.waiting import eventually

from modellix_server import vault
from modellix_server.base.settings import load

PICTURE, EDIT = "alibaba/qwen-image-plus", "openai/gpt-image-2-edit"
DEAD = 20
TRIED = 5
NAMES = Path(__file__).parents[1] / "support/name_server_of_processes"
_VENDORS = (("dashscope", "dashscope/api/v1", "cn"), ("openai", "openai/v1", "intl"))
SLOWER, SOON_S = 1.5, 1.0
"""Beside the dead names a task may take so many times as long, and as much more as other tests may cost it."""

Stranded = tuple[Platform, NameServer, str, list[str]]


@pytest.fixture(scope="module")
async def stranded(postgres_server, stage, tmp_path_factory) -> AsyncIterator[Stranded]:
    """A platform with vendors, its name server, a receiver of webhooks, and the paths it heard."""
    heard: list[str] = []

    async def hear(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        heard.append(head.split(b" ")[1].decode())
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            await writer.drain()
        writer.close()

    receiver = await asyncio.start_server(hear, "127.0.0.1", 0)
    with pytest.MonkeyPatch.context() as patched:
        async with receiver, name_server("127.0.0.1") as (names, address):
            patched.setenv("PYTHONPATH", str(NAMES))
            patched.setenv("TEST_NAME_SERVER", address)
            async with stage(postgres_server, tmp_path_factory.mktemp("names")) as platform:
                keyring = load(platform.env).keyring
                for upstream, path, region in _VENDORS:
                    about: dict[str, Any] = {
                        "base_url": f"{platform.sandbox}/{path}",
                        "region": region,
                    }
                    await vault.set_account(platform.pool, keyring, upstream, "sk-live", **about)
                yield platform, names, f"http://127.0.0.1:{receiver.sockets[0].getsockname()[1]}", heard


@pytest.mark.full
async def test_twenty_dead_names_of_a_team_hold_up_no_task_of_another(stranded) -> None:
    platform, names, receiver, heard = stranded
    quick, crowd = await platform.team(live=True), await platform.team(live=True)

    async def took() -> float:
        """Seconds until a task has its picture and its webhook was delivered."""
        begun, path = time.monotonic(), f"/{secrets.token_hex(8)}"
        hook = {"X-Webhook-URL": receiver + path}
        made = await quick.post(f"/api/v1/{PICTURE}/async", {"prompt": "a lake"}, headers=hook)
        done = await quick.finish(made.data["task_id"])
        assert done["status"] == "success", done
        await eventually(lambda: path in heard)
        return time.monotonic() - begun

    await took()
    quiet = [await took() for _ in range(TRIED)]
    hooks = [{"X-Webhook-URL": f"https://dead-hook-{number}.example/"} for number in range(DEAD)]
    told = await asyncio.gather(
        *(crowd.post(f"/api/v1/{PICTURE}/async", {"prompt": "x"}, headers=one) for one in hooks)
    )
    await asyncio.gather(*(crowd.finish(one.data["task_id"]) for one in told))
    lost = [
        (await crowd.submit(EDIT, prompt="x", images=[f"https://dead-input-{number}.example/a.png"])).data["task_id"]
        for number in range(DEAD)
    ]
    await eventually(lambda: len({name for name in names.asked if name.startswith("dead-input-")}) == DEAD)
    await eventually(lambda: len({name for name in names.asked if name.startswith("dead-hook-")}) == DEAD)
    beside = [await took() for _ in range(TRIED)]
    assert median(beside) < SLOWER * median(quiet) + SOON_S, (quiet, beside)
    ended = await asyncio.gather(*(crowd.finish(one) for one in lost))
    assert {one["error"]["code"] for one in ended} == {"invalid_input"}
    await platform.books_are_clean()
