"""All SQL of the tasks room that is not a function in its migrations. Times are seconds, money micro-dollars."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar
from uuid import UUID

from modellix_server.base.batcher import Batcher
from modellix_server.base.database import DATABASE_ERRORS, Connection, Pool, refused
from modellix_server.tasks.signals import PROGRESS_CHANNEL

_SUSPECT_GRACE_S = 5.0  # after a database start, which frees every lock
_MOST_IN_A_NOTICE = 200  # of at most 37 characters each; a notice takes 7,999
WORKER_LOCK = 0x6D6C7877  # class of the advisory locks that say "this worker lives"


@dataclass(frozen=True, slots=True)
class Job:
    """A claimed task, as a worker holds it. `age_s` and `left_s` are as of the claim, by the database's clock."""

    id: UUID
    team_id: int
    live: bool
    model: str
    params: str
    price: str
    state: str
    epoch: int
    attempt: int
    ticket: str | None
    verdict: str | None
    age_s: float
    left_s: float
    cancel: str | None = None
    deaths: int = 0
    """How many workers died of handling it since its last move."""
    request_id: str | None = None
    """Of the call that made it; None for a task of an older version."""


@dataclass(frozen=True, slots=True)
class Move:
    """A wish to move a task from one unfinished state to another; `due_in_s` gives it back to the queue."""

    job: UUID
    epoch: int
    was: str
    becomes: str
    due_in_s: float | None = None
    upstream: str | None = None
    ticket: str | None = None
    verdict: str | None = None
    outcome: str | None = None
    status: int | None = None
    answer: str | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Ending:
    """A wish to end a task: with `capture` and `resources`, or with an error."""

    job: UUID
    epoch: int
    was: str
    team_id: int
    live: bool
    capture: int = 0
    resources: str | None = None
    bytes: int | None = None
    error_code: str | None = None
    error_message: str | None = None
    outcome: str | None = None
    status: int | None = None
    answer: str | None = None
    review: str | None = None


Wish = TypeVar("Wish", Move, Ending)


class Journal:
    """Every state move of one worker, written in shared transactions."""

    def __init__(self, db: Pool, worker: int | None, result_ttl_s: int) -> None:
        self._db = db
        self._worker = worker
        self._ttl_s = result_ttl_s
        self.advance = Batcher(_each_alone_if_refused(self._advance), flushers=2, most=500)
        self.progress = Batcher(self._tell_progress, flushers=1, most=_MOST_IN_A_NOTICE)
        self.settle = Batcher(_each_alone_if_refused(self._settle), flushers=2, most=200)

    async def _advance(self, moves: list[Move]) -> Sequence[bool]:
        moved = await self._db.fetchval(
            "select tasks.advance($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
            [m.job for m in moves],
            [m.epoch for m in moves],
            [m.was for m in moves],
            [m.becomes for m in moves],
            self._worker,
            [m.due_in_s for m in moves],
            [m.upstream for m in moves],
            [m.ticket for m in moves],
            [m.verdict for m in moves],
            [m.outcome for m in moves],
            [m.status for m in moves],
            [_storable(m.answer) for m in moves],
            [_storable(m.note) for m in moves],
        )
        return _answers(moved, len(moves))

    async def _tell_progress(self, news: list[tuple[UUID, float]]) -> Sequence[None]:
        """Tell those who listen; `news` are tasks and shares from 0 to 1."""
        payload = " ".join(f"{task.hex}:{100 * share:.0f}" for task, share in news)
        await self._db.execute("select pg_notify($1, $2)", PROGRESS_CHANNEL, payload)
        return [None] * len(news)

    async def _settle(self, endings: list[Ending]) -> Sequence[bool]:
        ended = await self._db.fetchval(
            "select tasks.settle($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)",
            [e.job for e in endings],
            [e.epoch for e in endings],
            [e.was for e in endings],
            [e.team_id for e in endings],
            [e.live for e in endings],
            self._worker,
            [e.capture for e in endings],
            [e.resources for e in endings],
            [e.bytes for e in endings],
            self._ttl_s,
            [e.error_code for e in endings],
            [_storable(e.error_message, 500) for e in endings],
            [e.outcome for e in endings],
            [e.status for e in endings],
            [_storable(e.answer) for e in endings],
            [_storable(e.review) for e in endings],
        )
        return _answers(ended, len(endings))


def _each_alone_if_refused(
    write: Callable[[list[Wish]], Awaitable[Sequence[bool]]],
) -> Callable[[list[Wish]], Awaitable[Sequence[bool | BaseException]]]:
    """Write a batch; when the database refuses it, item by item, so that an odd one harms no neighbour."""

    async def flush(batch: list[Wish]) -> Sequence[bool | BaseException]:
        try:
            return await write(batch)
        except DATABASE_ERRORS as error:
            if not refused(error):
                raise
            return [error] if len(batch) == 1 else [one for item in batch for one in await flush([item])]

    return flush


def _storable(text: str | None, most: int | None = None) -> str | None:
    """Words from outside as PostgreSQL takes them: no NUL, no half of a surrogate pair."""
    if text is None:
        return None
    return text[:most].replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()


def _answers(ordinals: list[int], size: int) -> list[bool]:
    done = set(ordinals)
    return [ordinal in done for ordinal in range(1, size + 1)]


async def register(db: Pool | Connection, name: str, lease_s: float) -> int:
    """A new worker's number."""
    number: int = await db.fetchval(
        "insert into tasks.worker (name, lease_until) values ($1, now() + make_interval(secs => $2)) returning id",
        name,
        lease_s,
    )
    return number


async def renew(db: Pool | Connection, worker: int, lease_s: float) -> int:
    """Extend the lease; how many workers have one now, or 0 when this worker has been buried."""
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
        """select id, team_id, live, model, params, price, state, epoch, attempt, ticket, verdict,
               extract(epoch from now() - created_at)::float8 as age_s,
               extract(epoch from deadline_at - now())::float8 as left_s, cancel,
               case when deaths_at = moves then deaths else 0 end as deaths, request_id
           from tasks.claim($1, $2)""",
        worker,
        limit,
    )
    return [Job(*row) for row in rows]


async def bury_the_dead(db: Pool) -> int:
    """Hand over the tasks of workers that are gone; returns how many."""
    freed: int = await db.fetchval("select tasks.bury_the_dead($1, $2)", WORKER_LOCK, _SUSPECT_GRACE_S)
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


async def review(db: Pool, task_id: UUID | None, reason: str, detail: str) -> None:
    """Leave something for a person to look at."""
    await db.execute(
        "insert into tasks.review (task_id, reason, detail) values ($1, $2, $3)", task_id, reason, _storable(detail)
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
