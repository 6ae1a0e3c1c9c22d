"""Writes the log off the hot path: rows are collected in memory and written by COPY twice a second.

They stay in memory while the database is away, up to a limit. Rows beyond it are counted, and the loss is logged
and recorded in the database.
"""

import asyncio
import contextlib
import time

import asyncpg

from modellix_server.base import log
from modellix_server.base.database import DATABASE_ERRORS, UNREACHABLE, Connection, Pool
from modellix_server.requestlog import store
from modellix_server.requestlog.sampling import UnknownCallers
from modellix_server.requestlog.store import LogRow

_log = log.get("requestlog")
_EVERY_S = 0.5
_FULL = 5_000
_PARTITIONS_EVERY_S = 3600.0


class Writer:
    """The request log of one process. `start` it, `record` calls, `close` it to write the rest."""

    def __init__(self, db: Pool, *, most: int = 100_000) -> None:
        """Keep at most `most` rows in memory."""
        self.lost = 0
        """Rows that never reached the log."""
        self._db = db
        self._unknown = UnknownCallers()
        self._most = most
        self._rows: list[LogRow] = []
        self._untold: dict[str, int] = {}
        self._wake = asyncio.Event()
        self._closing = False
        self._task: asyncio.Task[None] | None = None
        self._partitions_due = 0.0

    @property
    def waiting(self) -> int:
        """Rows in memory, not written yet."""
        return len(self._rows)

    def start(self) -> None:
        """Start writing."""
        self._task = asyncio.create_task(self._run())

    def record(self, row: LogRow) -> None:
        """Take one row; returns at once. Of callers that nobody knows, some rows a minute are kept, and a count."""
        if row.team_id is None:
            kept = self._unknown.take(row)
            if kept is None:
                return
        rows = self._rows
        if len(rows) >= self._most:
            self._lose(1, "buffer full")
            return
        rows.append(row)
        if len(rows) == _FULL:
            self._wake.set()

    async def close(self, *, timeout_s: float = 5.0) -> None:
        """Write what is left; what cannot be written within `timeout_s` is counted as lost."""
        self._closing = True
        self._wake.set()
        if self._task is not None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._task, timeout_s)
        if self._rows:
            self._lose(len(self._rows), "database unreachable at the end")
            self._rows = []

    async def _run(self) -> None:
        while not self._closing or self._rows or self._untold:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), _EVERY_S)
            self._wake.clear()
            self._rows += self._unknown.ended(at_once=self._closing)
            try:
                await self._flush()
            except DATABASE_ERRORS as error:
                _log.warning("the request log cannot be written", error=type(error).__name__, waiting=len(self._rows))
                await asyncio.sleep(_EVERY_S)

    async def _flush(self) -> None:
        """Write the rows that are in memory now; each stays there until it is committed."""
        if not self._rows and not self._untold:
            return
        async with self._db.acquire() as db:
            if time.monotonic() >= self._partitions_due:
                await store.ensure_partitions(db)
                self._partitions_due = time.monotonic() + _PARTITIONS_EVERY_S
            left = len(self._rows)  # those that come meanwhile wait for the next time: each commit has its price
            while left or self._untold:
                left -= await self._append(db, self._rows[: min(left, _FULL)])

    async def _append(self, db: Connection, rows: list[LogRow]) -> int:
        """Write the rows, which are the oldest in memory, or some of them; returns how many are there no more.

        A row that the database refuses is found by bisection, counted and left out, so that the others are
        written.
        """
        untold = dict(self._untold)
        try:
            await store.append(db, rows, [(lost, reason) for reason, lost in untold.items()])
        except (asyncpg.PostgresError, ValueError, TypeError, OverflowError) as error:
            if isinstance(error, UNREACHABLE) and not isinstance(error, ValueError):
                raise
            if isinstance(error, asyncpg.CheckViolationError) and await store.ensure_partitions(db):
                return 0  # a long sleep: the day had no partition yet
            if not rows:
                raise
            if len(rows) > 1:
                return await self._append(db, rows[: len(rows) // 2])
            self._lose(1, f"refused: {type(error).__name__}")
        else:
            self._told(untold)
        del self._rows[: len(rows)]
        return len(rows)

    def _lose(self, rows: int, reason: str) -> None:
        if reason not in self._untold:  # one line an outage, not one a row
            _log.error("rows of the request log are being lost", reason=reason, lost_before=self.lost)
        self.lost += rows
        self._untold[reason] = self._untold.get(reason, 0) + rows

    def _told(self, told: dict[str, int]) -> None:
        for reason, rows in told.items():
            self._untold[reason] -= rows
            if not self._untold[reason]:
                del self._untold[reason]
