"""Strangers who attack, in a process of their own: what they do is in `bench/attacks.py`."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator


@contextlib.asynccontextmanager
async def strangers(port: int, *attacks: tuple[object, ...], within_s: float = 120) -> AsyncIterator[None]:
    """Run attacks, each a name, a count and arguments; what they hold is held while the block runs."""
    wanted = ["|".join(map(str, one)) for one in attacks]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.attacks", str(port), *wanted),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        assert await asyncio.wait_for(process.stdout.readline(), within_s) == b"done\n"
        yield
        process.stdin.close()
        await asyncio.wait_for(process.wait(), 30)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
