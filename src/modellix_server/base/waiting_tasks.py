"""Where the tasks of an event loop wait: for the log of a process that should have ended."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from types import CodeType, FrameType
from typing import Any

_MOST_TASKS, _MOST_DEPTH = 20, 20


def waiting_tasks() -> list[str]:
    """For each task, at most twenty, its calls from the first to the one that waits: `run:40 > read:12`."""
    tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    return [" > ".join(_calls(task.get_coro())) for task in tasks[:_MOST_TASKS]]


def _calls(awaited: Any) -> Iterator[str]:
    # `Task.get_stack` shows the first call alone of a coroutine that waits.
    for _ in range(_MOST_DEPTH):
        frame: FrameType | None = getattr(awaited, "cr_frame", None) or getattr(awaited, "ag_frame", None)
        if frame is None:
            break
        code: CodeType = frame.f_code
        yield f"{code.co_qualname}:{frame.f_lineno}"
        awaited = getattr(awaited, "cr_await", None) or getattr(awaited, "ag_await", None)
