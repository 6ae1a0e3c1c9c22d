"""The engine over all teams, as an operator looks at it: unfinished tasks, workers, failures, vendor accounts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from modellix_server.base.database import Connection, Pool
from modellix_server.base.ids import first_uuid7

_MOST_TASKS = 20_000
_MOST_LIVE_TASKS = 5_000


@dataclass(frozen=True, slots=True)
class ListedWorker:
    """A worker that is alive."""

    name: str
    started_at: datetime
    tasks: int
    """Those that it holds."""


@dataclass(frozen=True, slots=True)
class TaskFailures:
    """Tasks that failed for one reason."""

    code: str
    live: int
    test: int


@dataclass(frozen=True, slots=True)
class AccountHealth:
    """What became of the attempts of live tasks at one vendor account."""

    attempts: int
    taken: int
    """Those that the vendor accepted or answered with a result."""
    answered_at: datetime | None
    """The latest answer."""


async def count_unfinished(db: Pool | Connection) -> Mapping[tuple[str, bool], int]:
    """Unfinished tasks by inner state and mode."""
    rows = await db.fetch("select state, live, count(*) from tasks.task where finished_at is null group by 1, 2")
    return {(state, live): count for state, live, count in rows}


async def list_workers(db: Pool | Connection) -> list[ListedWorker]:
    """All workers that are alive, the oldest first."""
    rows = await db.fetch(
        """select name, started_at, (select count(*) from tasks.task t where t.owner = w.id and t.finished_at is null)
           from tasks.worker w where lease_until > now() order by started_at, id"""
    )
    return [ListedWorker(*row) for row in rows]


async def failures_since(db: Pool | Connection, since: datetime) -> list[TaskFailures]:
    """Why tasks accepted since then failed, the most frequent first; of the newest 20,000."""
    rows = await db.fetch(
        """select error_code, count(*) filter (where live), count(*) filter (where not live)
           from (select error_code, live, state from tasks.task where id >= $1 order by id desc limit $2) as latest
           where state = 'failed' and error_code <> 'canceled' group by 1 order by count(*) desc, 1""",
        first_uuid7(since),
        _MOST_TASKS,
    )
    return [TaskFailures(*row) for row in rows]


async def account_health(db: Pool | Connection, since: datetime) -> Mapping[tuple[str, str], AccountHealth]:
    """The attempts of live tasks accepted since then, by upstream and account; of the newest 5,000 tasks."""
    rows = await db.fetch(
        """select a.upstream, coalesce(a.account, 'main'), count(*),
               count(*) filter (where a.outcome in ('accepted', 'done')), max(a.answered_at)
           from (select id from tasks.task where id >= $1 and live order by id desc limit $2) as latest
           join tasks.attempt a on a.task_id = latest.id group by 1, 2""",
        first_uuid7(since),
        _MOST_LIVE_TASKS,
    )
    return {(upstream, account): AccountHealth(*found) for upstream, account, *found in rows}
