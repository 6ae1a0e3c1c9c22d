"""Work of milliseconds off the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import ParamSpec, TypeVar

_Given = ParamSpec("_Given")
_Made = TypeVar("_Made")


class Aside:
    """Computes in a thread, one call at a time: each thread that computes keeps the interpreter from the event loop."""

    def __init__(self) -> None:
        self._computing = asyncio.Lock()

    async def run(self, compute: Callable[_Given, _Made], *given: _Given.args, **more: _Given.kwargs) -> _Made:
        """What `compute` returns or raises."""
        async with self._computing:
            return await asyncio.to_thread(compute, *given, **more)
