"""The storage as many readers at once find it."""

from __future__ import annotations

import os
import subprocess
import sys

READ_AT_ONCE = """
import asyncio, sys
from pathlib import Path
from modellix_server.results import Storage

async def main():
    storage = Storage(Path(sys.argv[1]).as_uri())
    await storage.put("inputs/a", bytes(300_000))

    async def read():
        opened = await storage.open("inputs/a")
        return sum([len(piece) async for piece in opened.chunks])

    assert set(await asyncio.gather(*(read() for _ in range(300)))) == {300_000}

asyncio.run(main())
print(sum(file.read_text() == "tokio-rt-worker\\n" for file in Path("/proc/self/task").glob("*/comm")))
"""


def test_hundreds_of_readers_of_local_files_share_a_few_threads(tmp_path):
    """In a process of its own, where nothing else has started any."""
    command = [sys.executable, "-c", READ_AT_ONCE, str(tmp_path)]
    threads = int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    assert 0 < threads <= 30 + (os.cpu_count() or 1), "there were more than two hundred"
