"""Progress on its way from the vendor to whoever follows the task: a notice, and no row.

It is a nicety that the next poll tells anew: kept nowhere, lost with a connection, and never worth a transaction.
"""

from __future__ import annotations

import asyncio
import contextlib
from uuid import UUID

from modellix_server.base.database import DATABASE_ERRORS, Pool

PROGRESS_CHANNEL = "modellix_progress"

_GAP_S = 0.2
_MOST_IN_A_NOTICE = 200  # 37 characters each, of 7,999
_MOST_TOLD = 20_000


class Herald:
    """Tells progress, of each task only what has changed, of all together at most five times a second."""

    def __init__(self, db: Pool) -> None:
        self._db = db
        self._told: dict[UUID, float] = {}
        self._fresh: dict[UUID, float] = {}
        self._telling: asyncio.Task[None] | None = None

    def tell(self, task_id: UUID, progress: float) -> None:
        """A task has come so far, from 0 to 1."""
        if self._told.get(task_id) == progress:
            return
        if len(self._told) >= _MOST_TOLD:
            self._told.clear()
        self._told[task_id] = self._fresh[task_id] = progress
        if self._telling is None or self._telling.done():
            self._telling = asyncio.create_task(self._tell_all())

    async def _tell_all(self) -> None:
        while self._fresh:
            some = list(self._fresh.items())[:_MOST_IN_A_NOTICE]
            for task_id, _ in some:
                del self._fresh[task_id]
            payload = ",".join(f"{task_id.hex}{progress:.2f}" for task_id, progress in some)
            with contextlib.suppress(*DATABASE_ERRORS):
                await self._db.execute("select pg_notify($1, $2)", PROGRESS_CHANNEL, payload)
            await asyncio.sleep(_GAP_S)
