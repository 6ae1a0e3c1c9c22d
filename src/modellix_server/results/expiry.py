"""Deletion of expired results, inputs and uploads."""

import asyncio
import re
import time
from collections.abc import Sequence
from uuid import UUID

from modellix_server.base.database import Pool
from modellix_server.results import store
from modellix_server.results.inputs import stored_input_path
from modellix_server.results.storage import Storage

_RESULT_FILE = re.compile(r"results/([0-9a-f]{32})/", re.ASCII)
_DELETE_TIMEOUT_S = 20.0
_CLAIM_S = 60.0  # well above the time-out, so that a file is not needed again while it may still be deleted


async def delete_expired(db: Pool, storage: Storage, limit: int = 100) -> int:
    """Delete up to `limit` expired results, inputs and uploads each: files first, rows last; the number of all.

    Several processes may do this at once, and a crash half-way leaves rows that are found again a minute later.
    Raises storage.TROUBLE or TimeoutError with the rows still there.
    """
    return (
        await _delete_results(db, storage, limit)
        + await _delete_inputs(db, storage, limit)
        + await store.forget_expired_uploads(db, limit)
    )


async def _delete_results(db: Pool, storage: Storage, limit: int) -> int:
    tasks = await store.claim_expired_results(db, limit, _CLAIM_S)
    if tasks:
        async with asyncio.timeout(_DELETE_TIMEOUT_S):
            await _delete_files(storage, tasks)
        await store.forget_results(db, tasks)
    return len(tasks)


async def _delete_inputs(db: Pool, storage: Storage, limit: int) -> int:
    digests = await store.claim_expired_inputs(db, limit, _CLAIM_S)
    if digests:
        async with asyncio.timeout(_DELETE_TIMEOUT_S):
            await storage.delete([stored_input_path(digest.hex()) for digest in digests])
        await store.forget_inputs(db, digests)
    return len(digests)


async def delete_result(db: Pool, storage: Storage, task_id: UUID) -> None:
    """Delete the result of a task before it expires, if it has one. It is invisible from the first step on.

    Raises storage.TROUBLE or TimeoutError when the files cannot be deleted now: `delete_expired` finds them later.
    """
    if await store.claim_result(db, task_id, _CLAIM_S):
        async with asyncio.timeout(_DELETE_TIMEOUT_S):
            await _delete_files(storage, [task_id])
        await store.forget_results(db, [task_id])


async def discard(storage: Storage, task_id: UUID) -> None:
    """Delete the files of a task that ended without a result. Raises storage.TROUBLE."""
    await _delete_files(storage, [task_id])


async def delete_orphans(db: Pool, storage: Storage, older_than_s: int = 7 * 86_400) -> int:
    """Delete the files of tasks made that long ago which have no result row; the number of tasks.

    A crash between storing a file and settling its task can leave such files. Walks all stored results:
    for once a day. Raises storage.TROUBLE.
    """
    oldest_ms = int((time.time() - older_than_s) * 1000)
    found = 0
    async for page in storage.names("results/"):
        tasks = {UUID(hex=file[1]) for path in page if (file := _RESULT_FILE.match(path))}
        old = [task for task in tasks if task.int >> 80 < oldest_ms]  # a UUIDv7 begins with its milliseconds
        orphans = await store.without_row(db, old)
        await _delete_files(storage, orphans)
        found += len(orphans)
    return found


async def _delete_files(storage: Storage, tasks: Sequence[UUID]) -> None:
    found = await asyncio.gather(*(_files(storage, task) for task in tasks))
    if paths := [path for paths in found for path in paths]:
        await storage.delete(paths)


async def _files(storage: Storage, task_id: UUID) -> list[str]:
    return [path async for page in storage.names(f"results/{task_id.hex}") for path in page]
