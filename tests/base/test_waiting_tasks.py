"""A process that does not end tells where it waits."""

from __future__ import annotations

import asyncio

import pytest

from modellix_server.base import waiting_tasks as module
from modellix_server.base.waiting_tasks import waiting_tasks


async def outer(event: asyncio.Event) -> None:
    await inner(event)


async def inner(event: asyncio.Event) -> None:
    await event.wait()


def told() -> list[str]:
    return [calls for calls in waiting_tasks() if calls.startswith("outer:")]  # other tests share the event loop


async def test_a_task_is_told_by_its_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_TASKS", 10_000)
    event = asyncio.Event()
    task = asyncio.create_task(outer(event))
    await asyncio.sleep(0)
    (calls,) = told()
    names = [call.rpartition(":")[0] for call in calls.split(" > ")]
    assert names[:3] == ["outer", "inner", "Event.wait"]
    event.set()
    await task
    assert told() == []
