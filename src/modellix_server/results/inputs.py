"""Media that came inside a request body: stored under its digest."""

import asyncio
import contextlib
from collections.abc import Sequence
from pathlib import Path

from modellix_server.base.database import Pool
from modellix_server.inspection import InputFile
from modellix_server.results import store
from modellix_server.results.storage import Storage

_WAIT_FOR_DELETION_S = 10.0

INPUT_TTL_S = 72 * 3600
"""Longer than any task can wait and run."""


async def save_inputs(db: Pool, storage: Storage, files: Sequence[InputFile], ttl_s: int = INPUT_TTL_S) -> None:
    """Store the files, so that a task accepted after this can use them until then.

    The row is written first: it protects the file from deletion, and waits for a deletion that is under way.
    Raises storage.TROUBLE, or TimeoutError when such a deletion does not end.
    """
    await hold_inputs(db, files, ttl_s)
    for file in files:
        path = stored_input_path(file.sha256)
        if file.content is None or await storage.size(path) == file.size:
            continue  # that very file, since its name says what is in it
        if isinstance(file.content, Path):
            await storage.move_in(path, file.content)
        else:
            await storage.put(path, file.content)


async def hold_inputs(db: Pool, files: Sequence[InputFile], ttl_s: int = INPUT_TTL_S) -> None:
    """Protect files from deletion for that long, stored or about to be stored.

    Raises TimeoutError when a deletion under way does not end.
    """
    async with asyncio.timeout(_WAIT_FOR_DELETION_S):
        while not await store.extend_inputs(db, files, ttl_s):  # noqa: ASYNC110 - perhaps another process
            await asyncio.sleep(0.1)


async def drop_inputs(files: Sequence[InputFile]) -> None:
    """Delete the scratch files that were not moved into the storage."""
    if left := [file.content for file in files if isinstance(file.content, Path)]:
        await asyncio.to_thread(_unlink, left)


def _unlink(paths: Sequence[Path]) -> None:
    for path in paths:
        with contextlib.suppress(OSError):
            path.unlink()


def stored_input_path(sha256: str) -> str:
    """Where an input lies in the storage."""
    return f"inputs/{sha256[:2]}/{sha256}"
