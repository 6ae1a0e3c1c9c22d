"""A worker: leases due tasks, runs each of them, keeps its own lease, and releases the tasks of dead workers."""

from __future__ import annotations

import asyncio
import contextlib
import time
from uuid import UUID

import asyncpg

from modellix_server.base import faults, log, tracing
from modellix_server.base.database import DATABASE_ERRORS, Pool, connect
from modellix_server.tasks import signals, store
from modellix_server.tasks.executor import Executor
from modellix_server.tasks.journal import Job
from modellix_server.tasks.signals import Signal
from modellix_server.tasks.steps import Tools
from modellix_server.tasks.store import WORKER_LOCK

HINT_CHANNEL = "modellix_tasks"

_MOST_IN_FLIGHT = 16_000
_CLAIM = 500
_IDLE_S = 0.5
_LEASES_PER_RENEWAL = 3  # renewals in the life of a lease
_LOG = log.get("tasks")


class Lease:
    """How long this worker may believe that its tasks are its own, by its own monotonic clock."""

    def __init__(self, lease_s: float) -> None:
        self.lease_s = lease_s
        self._renewed = time.monotonic()

    def renewed(self, asked_at: float) -> None:
        """The database confirmed a renewal that was asked for at `asked_at`."""
        self._renewed = asked_at

    def fresh(self) -> bool:
        """False when another worker may have taken over; a tenth of the lease is kept as a margin."""
        return time.monotonic() - self._renewed < self.lease_s * 0.9


async def _run(job: Job, executor: Executor) -> None:
    """Run a task whose log lines all name it, and the request that made it."""
    log.bind(task=str(job.id), request=job.request_id)
    await executor.run()


class Worker:
    """One worker process's engine."""

    def __init__(self, db: Pool, dsn: str, tools: Tools, *, name: str, lease_s: float) -> None:
        self._db = db
        self._dsn = dsn
        self._tools = tools
        self._name = name
        self._lease = Lease(lease_s)
        self._number = 0
        self._hint = asyncio.Event()
        self._broken = asyncio.Event()
        self._jobs: dict[UUID, tuple[Job, asyncio.Task[None]]] = {}
        self._executors: dict[UUID, Executor] = {}
        self._claiming = asyncio.Lock()

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop`, then finish submissions on their way and give everything else back."""
        self._number = await store.register(self._db, self._name, self._lease.lease_s)
        self._tools.open_journal(self._number)
        self._connection = await self._open_connection()
        self._tools.workers = await store.renew(self._connection, self._number, self._lease.lease_s)
        _LOG.info("worker started", worker=self._number)
        keepers = [asyncio.create_task(self._keep_lease()), asyncio.create_task(self._release_dead_workers())]
        stopped = asyncio.create_task(stop.wait())
        try:
            while not stop.is_set():
                full = await self._claim_some()
                if not full:
                    await self._wait(stopped)
                for keeper in keepers:
                    if keeper.done():  # without them this worker would only seem to live: let another start
                        keeper.result()
        finally:
            stopped.cancel()
            await self._drain()
            for keeper in keepers:
                keeper.cancel()
            await asyncio.gather(*keepers, stopped, return_exceptions=True)
            await store.give_back(self._db, self._number, leave=True)
            self._connection.terminate()
            _LOG.info("worker stopped", worker=self._number)

    async def _wait(self, stopped: asyncio.Task[bool]) -> None:
        hint = asyncio.create_task(self._hint.wait())
        await asyncio.wait({hint, stopped}, timeout=_IDLE_S, return_when=asyncio.FIRST_COMPLETED)
        hint.cancel()
        self._hint.clear()

    async def _release_dead_workers(self) -> None:
        while True:
            await asyncio.sleep(_IDLE_S)
            with contextlib.suppress(*DATABASE_ERRORS):
                if freed := await store.release_dead_workers(self._db):
                    _LOG.warning("took over from dead workers", tasks=freed)
                    for limiter in self._tools.limiters.values():
                        limiter.narrow()
                    self._hint.set()

    async def _claim_some(self) -> bool:
        """Start what is due; True when there is probably more."""
        room = min(_CLAIM, _MOST_IN_FLIGHT - len(self._jobs))
        if room <= 0 or not self._lease.fresh():
            return False
        async with self._claiming:
            try:
                claimed = await store.claim(self._db, self._number, room)
            except DATABASE_ERRORS as error:
                _LOG.warning("cannot claim", error=type(error).__name__)
                return False
            if claimed:
                self._tools.helper.get_ready()  # while the vendor works on them
                await faults.point("claimed")
            for job in claimed:
                self._start(job)
        return len(claimed) == room

    def _start(self, job: Job) -> None:
        if known := self._jobs.get(job.id):  # lost and claimed again
            if job.id in self._tools.submitting:
                return  # its answer goes on record first; what we then own and do not hold is given back
            known[1].cancel()
        self._executors[job.id] = executor = Executor(job, self._tools, self._lease)
        run, marker = _run(job, executor), self._tools.crash_marker
        task = asyncio.create_task(marker.watch(job.id, run) if marker else run)
        self._jobs[job.id] = (job, task)
        tracing.record("claim", job.id, worker=self._number, state=job.state, epoch=job.epoch)
        task.add_done_callback(lambda done: self._ended(job, done))

    def _ended(self, job: Job, task: asyncio.Task[None]) -> None:
        if (known := self._jobs.get(job.id)) and known[1] is task:
            del self._jobs[job.id], self._executors[job.id]
        if not task.cancelled() and (error := task.exception()):
            _LOG.error("a task broke off", task=str(job.id), exc_info=error)

    @property
    def in_flight(self) -> int:
        """How many tasks this worker has."""
        return len(self._jobs)

    def _signal(self, payload: str) -> None:
        signal = Signal.read(payload)
        if signal is not None and (executor := self._executors.get(signal.task_id)):
            executor.inbox.receive(signal)

    async def _open_connection(self) -> asyncpg.Connection[asyncpg.Record]:
        """The worker's own connection: its advisory lock is what says that it lives."""
        connection = await connect(self._dsn, name="worker-lease", statement_timeout_ms=5_000)
        try:
            await connection.execute("select pg_advisory_lock($1, $2)", WORKER_LOCK, self._number)
            await connection.add_listener(HINT_CHANNEL, lambda *_: self._hint.set())
            await connection.add_listener(signals.CHANNEL, lambda *said: self._signal(str(said[3])))
        except BaseException:
            connection.terminate()  # or each try would leave a connection behind
            raise
        self._broken = broken = asyncio.Event()
        connection.add_termination_listener(lambda _: broken.set())
        return connection

    async def _keep_lease(self) -> None:
        """Renew the lease over its connection; when that breaks, open another at once and see which tasks are left."""
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._broken.wait(), self._lease.lease_s / _LEASES_PER_RENEWAL)
            try:
                if self._connection.is_closed():
                    self._connection = await self._open_connection()
                asked_at = time.monotonic()
                workers = await store.renew(self._connection, self._number, self._lease.lease_s)
                if not workers:
                    raise SystemExit(f"worker {self._number} was declared dead; a new one must start")
                self._tools.workers = workers
                self._lease.renewed(asked_at)
                await self._reconcile()
            except DATABASE_ERRORS as error:
                _LOG.warning("cannot renew the lease", error=type(error).__name__)
                self._connection.terminate()
                await asyncio.sleep(_IDLE_S)

    async def _reconcile(self) -> None:
        """Drop what is no longer ours; a submission on its way is let finish, so that its answer is on record."""
        async with self._claiming:
            owned = await store.reconcile(self._db, self._number, list(self._jobs))
            for job, task in list(self._jobs.values()):
                cancel_wanted = owned.get((job.id, job.epoch))
                if cancel_wanted is None and job.id not in self._tools.submitting:
                    task.cancel()
                elif cancel_wanted:  # the word of it may have got lost
                    self._executors[job.id].inbox.receive(Signal(job.id, None))

    async def _drain(self) -> None:
        """Cancel what only waits; let submissions that are on their way come back.

        Unless the database is away for so long that the tasks are no longer ours: then nothing can be written.
        """
        self._tools.draining = True
        for job, task in list(self._jobs.values()):
            if job.id not in self._tools.submitting:
                task.cancel()
        while (waiting := [task for _, task in self._jobs.values()]) and self._lease.fresh():
            await asyncio.wait(waiting, timeout=_IDLE_S)
