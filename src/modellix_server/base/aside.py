"""Work of milliseconds off the event loop."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

_Given = ParamSpec("_Given")
_Made = TypeVar("_Made")


class Aside:
    """Computes in one thread, whoever gives up: each that computes keeps the interpreter from the event loop."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="aside")

    async def run(self, compute: Callable[_Given, _Made], *given: _Given.args, **more: _Given.kwargs) -> _Made:
        """What `compute` returns or raises, in the caller's context; not begun when its caller has given up."""
        call = partial(contextvars.copy_context().run, compute, *given, **more)
        return await asyncio.get_running_loop().run_in_executor(self._thread, call)
