"""How models did lately: of all tasks of this installation, success and usual time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from modellix_server.base.database import Pool
from modellix_server.base.ids import first_uuid7

_SPAN = timedelta(hours=24)
_MOST_TASKS = 20_000
_FRESH_S = 60.0

# The latest of the span: ids are in the order of time, so that the key gives them without a look at the others. What
# a team canceled says nothing about the model.
_SUMMED = """
    select model, live, count(*) filter (where state = 'succeeded') as succeeded,
        count(*) filter (where state = 'failed' and error_code <> 'canceled') as failed,
        (percentile_cont(0.5) within group (order by extract(epoch from finished_at - created_at) * 1000)
            filter (where state = 'succeeded'))::bigint as usual_ms
    from (
        select model, live, state, error_code, finished_at, created_at from tasks.task
        where id >= $1 order by id desc limit $2
    ) as latest
    where finished_at is not null
    group by model, live"""


@dataclass(frozen=True, slots=True)
class ModelHealth:
    """What became of a model's tasks in the last 24 hours, of the newest 20,000 of all models."""

    succeeded: int
    failed: int
    usual_ms: int | None
    """Median from accept to success."""

    @property
    def success_percent(self) -> int:
        """Of those that ended; rounded down, so that 100 is all."""
        return self.succeeded * 100 // (self.succeeded + self.failed)


class ModelHealthReader:
    """Reads it once a minute at most, and once for all who ask meanwhile."""

    def __init__(self, db: Pool) -> None:
        self._db = db
        self._read_at = float("-inf")
        self._found: Mapping[tuple[str, bool], ModelHealth] = {}
        self._reading = asyncio.Lock()

    async def read(self) -> Mapping[tuple[str, bool], ModelHealth]:
        """By model and mode; a model without ended tasks is not there."""
        async with self._reading:
            if time.monotonic() - self._read_at > _FRESH_S:
                rows = await self._db.fetch(_SUMMED, first_uuid7(datetime.now(UTC) - _SPAN), _MOST_TASKS)
                self._found = {
                    (row["model"], row["live"]): ModelHealth(row["succeeded"], row["failed"], row["usual_ms"])
                    for row in rows
                    if row["succeeded"] + row["failed"]
                }
                self._read_at = time.monotonic()
        return self._found
