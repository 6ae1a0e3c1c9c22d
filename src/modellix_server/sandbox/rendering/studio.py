"""The render processes: images and video are made there, so that the event loop is never blocked.

A process that dies is replaced, and its work is repeated once. All of them end with their parent.
"""

import asyncio
import multiprocessing
import os
import signal
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import ParamSpec, TypeVar

from modellix_server.base.process import die_with_parent, reuse_memory
from modellix_server.base.scheduling import give_way
from modellix_server.sandbox.rendering import clips, crafts, montage, paint
from modellix_server.sandbox.rendering.clips import Clip
from modellix_server.sandbox.rendering.crafts.brief import Craft, Crafted
from modellix_server.sandbox.rendering.montage import Filmed, Montage
from modellix_server.sandbox.rendering.paint import Picture
from modellix_server.sandbox.spool import SandboxSpool

Args = ParamSpec("Args")
Result = TypeVar("Result")
Order = TypeVar("Order")


class Studio:
    """At most `workers` renders at a time, each in a process of its own; the others wait in order."""

    def __init__(self, spool: SandboxSpool, *, workers: int = 2) -> None:
        self.spool = spool
        self._workers = workers
        self._free = asyncio.Semaphore(workers)
        self._pool = self._new_pool()
        self._closed = False
        self.waiting = 0
        """Jobs that wait for a free process."""

    def _new_pool(self) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(
            self._workers,
            mp_context=multiprocessing.get_context("spawn"),
            initializer=_begin,
            initargs=(os.getpid(),),
        )

    async def warm_up(self) -> None:
        """Start one process before it is needed. The others start when there is work for two at a time."""
        await self._run(_ready)

    def close(self) -> None:
        """End the processes, unfinished work included."""
        self._closed = True
        processes = list((self._pool._processes or {}).values())  # noqa: SLF001  (3.11 has no public way to stop them)
        self._pool.shutdown(wait=False, cancel_futures=True)
        for process in processes:
            process.kill()
            process.join()

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """A free render process, kept while the block runs."""
        self.waiting += 1
        try:
            await self._free.acquire()
        finally:
            self.waiting -= 1
        try:
            yield
        finally:
            self._free.release()

    async def paint(self, order: Picture) -> tuple[Path, tuple[int, int]]:
        """Make a picture; its file and size. To be called in a `place`. Raises BadMedia."""
        return await self.make(".png", paint.paint, order)

    async def film(self, order: Clip) -> tuple[Path, tuple[int, int]]:
        """Make a clip; its file and size. To be called in a `place`. Raises BadMedia."""
        return await self.make(".mp4", clips.film, order)

    async def cut(self, order: Montage) -> tuple[Path, Filmed]:
        """Make a clip of given material; its file and measures. To be called in a `place`. Raises BadMedia."""
        return await self.make(".mp4", montage.cut, order)

    async def craft(self, order: Craft) -> Crafted:
        """Do a special task; its files. To be called in a `place`. Raises BadMedia."""
        stem = self.spool.new_path("")
        try:
            return await self._run(crafts.craft, order, stem)
        except BaseException:
            for path in stem.parent.glob(stem.name + "*"):
                path.unlink(missing_ok=True)
            raise

    async def make(self, suffix: str, work: Callable[[Order, Path], Result], order: Order) -> tuple[Path, Result]:
        """Run a vendor-specific function: its file and its description. To be called in a `place`."""
        path = self.spool.new_path(suffix)
        try:
            return path, await self._run(work, order, path)
        except BaseException:
            path.unlink(missing_ok=True)
            raise

    async def _run(self, work: Callable[Args, Result], *args: Args.args, **kwargs: Args.kwargs) -> Result:
        loop = asyncio.get_running_loop()
        call = partial(work, *args, **kwargs)
        pool = self._pool
        try:
            return await loop.run_in_executor(pool, call)
        except BrokenProcessPool:
            if self._closed:
                raise asyncio.CancelledError from None
            if pool is self._pool:
                self._pool = self._new_pool()
            return await loop.run_in_executor(self._pool, call)


def _begin(parent_pid: int) -> None:
    """Set up a render process: it ends with its parent, ignores Ctrl-C, and has a low priority."""
    die_with_parent(parent_pid)
    give_way(10)
    reuse_memory()
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _ready() -> None:
    """Does nothing: afterwards the process has started and its imports are loaded."""
