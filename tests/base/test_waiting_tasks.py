"""A process that does not end tells where it waits."""

from __future__ import annotations

import asyncio

from modellix_server.base.waiting_tasks import waiting_tasks


async def outer(event: asyncio.Event) -> None:
    await inner(event)


async def inner(event: asyncio.Event) -> None:
    await event.wait()


async def test_a_task_is_told_by_its_calls() -> None:
    event = asyncio.Event()
    task = asyncio.create_task(outer(event))
    await asyncio.sleep(0)
    (calls,) = waiting_tasks()
    names = [call.rpartition(":")[0] for call in calls.split(" > ")]
    assert names[:3] == ["outer", "inner", "Event.wait"]
    event.set()
    await task
    assert waiting_tasks() == []
