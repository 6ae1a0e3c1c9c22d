"""A crowd of requests that each compute for a moment is begun one by one, so that others go on in between."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from modellix_server.api import app
from modellix_server.base.turn_queue import TurnQueue

CROWD = 20


async def _begun_together(path: str, monkeypatch: pytest.MonkeyPatch) -> int:
    """The most requests of a crowd that begin within one pass of the event loop."""
    passes, begun, ended = 0, [], asyncio.Event()

    async def endpoint(*_: Any) -> None:
        begun.append(passes)

    async def count() -> None:
        nonlocal passes
        while not ended.is_set():
            passes += 1
            await asyncio.sleep(0)

    monkeypatch.setattr(app, "build_router", lambda _: endpoint)
    monkeypatch.setattr(app, "_hot_endpoints", lambda _: (endpoint,) * 3)
    ctx: Any = SimpleNamespace(turns=TurnQueue(), settings=SimpleNamespace(results_url=None, results_origin=""))
    built = app.build_app(ctx)
    counting = asyncio.create_task(count())
    scope = {"type": "http", "method": "GET", "path": path, "headers": [], "client": ("192.0.2.1", 1)}
    await asyncio.gather(*(built(dict(scope), None, None) for _ in range(CROWD)))
    ended.set()
    await counting
    return max(map(begun.count, begun))


@pytest.mark.parametrize("path", ["/samples/walk.mp4", "/results/t/0.png", "/files/f/a.png"])
async def test_requests_for_files_take_turns(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert await _begun_together(path, monkeypatch) == 1


async def test_others_of_programs_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    assert await _begun_together("/healthz", monkeypatch) == CROWD
