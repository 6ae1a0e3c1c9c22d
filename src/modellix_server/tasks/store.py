"""What workers ask the database beside their moves: registering, claiming, releasing, notes. Times are seconds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from uuid import UUID

import msgspec

from modellix_server.base.database import Connection, Pool
from modellix_server.catalogue import Route
from modellix_server.tasks.journal import Job, storable
from modellix_server.tasks.routing import Destination
from modellix_server.vault import MAIN

_SUSPECT_GRACE_S = 5.0  # after a database start, which frees every lock
WORKER_LOCK = 0x6D6C7877  # class of the advisory locks that say "this worker lives"


async def register(db: Pool | Connection, name: str, lease_s: float) -> int:
    """A new worker's number."""
    number: int = await db.fetchval(
        "insert into tasks.worker (name, lease_until) values ($1, now() + make_interval(secs => $2)) returning id",
        name,
        lease_s,
    )
    return number


async def renew(db: Pool | Connection, worker: int, lease_s: float) -> int:
    """Extend the lease; how many workers have one now, or 0 when this worker has been declared dead."""
    workers: int | None = await db.fetchval(
        """update tasks.worker w set lease_until = now() + make_interval(secs => $2) where id = $1
           returning (select count(*) from tasks.worker o where o.id = w.id or o.lease_until > now())""",
        worker,
        lease_s,
    )
    return workers or 0


async def claim(db: Pool, worker: int, limit: int) -> list[Job]:
    """Lease up to `limit` due tasks."""
    rows = await db.fetch(
        """select t.id, t.team_id, t.live, t.model, t.params, t.price, t.state, t.epoch, t.attempt, t.ticket, t.verdict,
               extract(epoch from now() - t.created_at)::float8 as age_s,
               extract(epoch from t.deadline_at - now())::float8 as left_s, t.cancel,
               case when t.deaths_at = t.moves then t.deaths else 0 end as deaths, t.request_id,
               a.account, a.region, r.route,
               case when t.attempt > 0 then array(
                   select b.upstream || coalesce('/' || nullif(b.account, $3), '')
                   from tasks.attempt b where b.task_id = t.id order by b.n) end as tried
           from tasks.claim($1, $2) t
           left join tasks.attempt a on a.task_id = t.id and a.n = t.attempt
           left join tasks.route r on r.digest = a.route""",
        worker,
        limit,
        MAIN,
    )
    jobs = []
    for *about, account, region, route, tried in rows:
        fields: list[Any] = [*about, destination(account, region, route), tuple(tried or ())]
        jobs.append(Job(*fields))
    return jobs


def destination(account: str | None, region: str | None, route: str | None) -> Destination | None:
    """What the row of an attempt says of where it went."""
    return None if account is None or region is None or route is None else Destination(_route(route), account, region)


@lru_cache(maxsize=4096)
def _route(text: str) -> Route:
    return msgspec.json.decode(text, type=Route)


async def release_dead_workers(db: Pool) -> int:
    """Hand over the tasks of workers that are gone; returns how many."""
    freed: int = await db.fetchval("select tasks.release_dead_workers($1, $2)", WORKER_LOCK, _SUSPECT_GRACE_S)
    return freed


async def reconcile(db: Pool, worker: int, held: Sequence[UUID]) -> dict[tuple[UUID, int], bool]:
    """Give back what the worker owns but does not hold; what it really owns: (task, epoch) -> to be canceled.

    A write whose answer was lost can leave either side with a task the other does not know of. Rows that
    are being written are left for the next time, as waiting for several of them could end in a deadlock.
    """
    await db.execute(
        """update tasks.task t set owner = null, due_at = now()
           where t.id in (
               select o.id from tasks.task o
               where o.owner = $1 and o.finished_at is null
                   and not exists (select 1 from unnest($2::uuid[]) as held (id) where held.id = o.id)
               for update of o skip locked)""",
        worker,
        held,
    )
    rows = await db.fetch(
        """select id, epoch, cancel is not distinct from 'asked' as unwanted from tasks.task
           where owner = $1 and finished_at is null""",
        worker,
    )
    return {(row["id"], row["epoch"]): row["unwanted"] for row in rows}


async def give_back(db: Pool, worker: int, *, leave: bool) -> int:
    """Return a worker's tasks to the queue, except submissions on their way; `leave` also signs it off."""
    returned: int = await db.fetchval(
        """with freed as (
               update tasks.task set owner = null, due_at = now()
               where owner = $1 and finished_at is null and state <> 'submitting' returning 1)
           select count(*) from freed""",
        worker,
    )
    if leave:
        await db.execute(
            """delete from tasks.worker where id = $1
               and not exists (select 1 from tasks.task where owner = $1 and finished_at is null)""",
            worker,
        )
    return returned


async def start_waiting(db: Pool) -> int:
    """Start tasks that wait for a slot where a raised limit has left some free; returns how many."""
    started: int = await db.fetchval("select tasks.start_waiting_of_all()")
    return started


async def note_death(db: Pool, task_id: UUID) -> int | None:
    """A worker died of this task; how many have in its present state, or None when it has ended."""
    deaths: int | None = await db.fetchval("select tasks.note_death($1)", task_id)
    return deaths


async def refuse_cancel(db: Pool, task_id: UUID, epoch: int) -> None:
    """Note that the vendor does not stop a task, if it is still that owner's."""
    await db.execute(
        "update tasks.task set cancel = 'refused' where id = $1 and epoch = $2 and finished_at is null", task_id, epoch
    )


async def review(db: Pool | Connection, task_id: UUID | None, reason: str, detail: str) -> None:
    """Leave something for a person to look at."""
    await db.execute(
        "insert into tasks.review (task_id, reason, detail) values ($1, $2, $3)", task_id, reason, storable(detail)
    )


async def forget_idempotency_keys(db: Pool, older_than_s: float, limit: int = 5_000) -> int:
    """Drop up to `limit` keys past their promised life, of tasks that have ended; returns how many."""
    dropped: int = await db.fetchval(
        """with old as materialized (
               select team_id, live, key, task_id from tasks.idempotency
               where created_at < now() - make_interval(secs => $1) order by created_at limit $2),
           gone as (
               delete from tasks.idempotency i using old o
               where i.team_id = o.team_id and i.live = o.live and i.key = o.key
                   and not exists (select 1 from tasks.task t where t.id = o.task_id and t.finished_at is null)
               returning 1)
           select count(*) from gone""",
        older_than_s,
        limit,
    )
    return dropped


@dataclass(frozen=True, slots=True)
class QueueNow:
    """The queue at one moment, over all teams and workers."""

    due: int
    oldest_s: float
    unfinished: int
    workers: int


async def queue_now(db: Pool | Connection) -> QueueNow:
    """Look at it; what is due is counted by its index, what is unfinished by the teams' slots."""
    row = await db.fetchrow(
        """select count(*), coalesce(extract(epoch from now() - min(due_at)), 0)::float8,
               (select coalesce(sum(running + waiting), 0) from tasks.slot)::bigint,
               (select count(*) from tasks.worker where lease_until > now())
           from tasks.task where owner is null and finished_at is null and due_at <= now()"""
    )
    assert row is not None
    return QueueNow(*row)


async def open_team(db: Connection, team_id: int) -> None:
    """Give a new team its slots, in both modes."""
    await db.execute("select tasks.open_team($1)", team_id)
