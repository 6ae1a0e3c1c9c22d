"""The worker process: runs tasks, and does the platform's chores."""

import asyncio
import contextlib
import faulthandler
import gc
import os
import signal
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from uuid import UUID

import uvloop

from modellix_server import budgets, mail, tasks, webhooks
from modellix_server.base import log, tracing
from modellix_server.base.database import DATABASE_ERRORS, Pool, open_pool, require_durability, require_limited_role
from modellix_server.base.metrics import Gauge, Gauges, gauge
from modellix_server.base.notify import Follower, follow
from modellix_server.base.outbound import Outbound
from modellix_server.base.process import reuse_memory
from modellix_server.base.settings import Settings
from modellix_server.operations import balance_alerts, budget_alerts, inputs, reconciliation, search
from modellix_server.operations.context import Context
from modellix_server.operations.master_key import self_test
from modellix_server.operations.principal import system
from modellix_server.processes.metrics import serve_metrics
from modellix_server.requestlog import drop_old, ensure_partitions
from modellix_server.results import Fetcher, Helper, Spool, Storage, delete_expired, delete_orphans
from modellix_server.tasks.models import load_models
from modellix_server.webhooks import Deliverer

_CONNECTIONS = 6
_USAGE_STEP = 200_000
_IDEMPOTENCY_S = 72 * 3600
_LOG_DAYS = 90
_MESSAGES_S = 30 * 86_400
_MAILS_S = 30 * 86_400
_CHARGES_S = 3 * 86_400  # longer than any task runs
_HANG_LEASES = 3
_LEAST_HANG_S = 10.0  # a machine may be that busy
_LOG = log.get("main")


def run(settings: Settings) -> None:
    """Work until SIGTERM or SIGINT, then drain."""
    log.set_up("work", settings.log_level)
    tracing.set_up("work", version("modellix-server"))
    reuse_memory()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_work(settings))


async def _work(settings: Settings) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, stop.set)
    catalogue, upstreams = load_models(settings)
    transport = mail.open_transport(settings)
    db = await open_pool(settings.database_url, size=_CONNECTIONS, name="work")
    await require_durability(db)
    await require_limited_role(db)
    await self_test(db, settings)
    # Each with a limit of its own on names that are being looked up and on connections.
    vendors, links, receivers = (Outbound(settings.allow_networks) for _ in range(3))
    storage = Storage(settings.storage_url)
    spool = Spool(settings.spool_dir)
    helper = Helper(spool)
    crash_marker = await _open_crash_marker(db, settings.spool_dir)
    tools = tasks.Tools(
        db=db,
        settings=settings,
        catalogue=catalogue,
        upstreams=upstreams,
        outbound=vendors,
        storage=storage,
        helper=helper,
        fetcher=Fetcher(vendors, links, storage, helper, spool),
        callbacks=tasks.Callbacks(settings),
        crash_marker=crash_marker,
    )
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
    name = f"{socket.gethostname()}-{os.getpid()}"
    deliverer = _deliverer(settings, db, receivers)
    followers: list[Follower] = [deliverer]
    background = [
        asyncio.create_task(_chores(settings, db, storage, tools)),
        asyncio.create_task(_stay_awake(settings.lease_s)),
        asyncio.create_task(tools.breakers.keep_fresh()),
        asyncio.create_task(deliverer.run()),
        asyncio.create_task(follow(settings.database_url, followers)),
    ]
    if transport is not None:
        followers.append(sender := mail.MailSender(db, transport))
        background.append(asyncio.create_task(sender.run()))
    worker = tasks.Worker(db, settings.database_url, tools, name=name, lease_s=settings.lease_s)
    gauges = Gauges()
    gauges.add(partial(_gauges, db, worker))
    gauges.add(tools.breakers.gauges)
    try:
        async with serve_metrics(settings, db, gauges):
            await worker.run(stop)
    finally:
        for task in background:
            task.cancel()
        await asyncio.gather(*background, return_exceptions=True)
        await tracing.close()
        for outbound in (vendors, links, receivers):
            await outbound.close()
        await helper.close()
        spool.close()
        crash_marker.close()
        await db.close()


def _deliverer(settings: Settings, db: Pool, outbound: Outbound) -> Deliverer:
    """Webhooks, with the very bytes of a status read as their bodies."""

    async def render(ids: Sequence[UUID]) -> dict[UUID, bytes]:
        found = await tasks.views(db, ids)
        return {
            task_id: b'{"code":0,"message":"success","data":' + tasks.public_form(settings, view) + b"}"
            for task_id, view in found.items()
        }

    async def tell(reason: str, detail: str) -> None:
        await tasks.review(db, None, reason, detail)

    return Deliverer(db, settings.keyring, outbound, render, tell, lease_s=settings.lease_s)


async def _gauges(db: Pool, worker: tasks.Worker) -> list[Gauge]:
    """This worker's own, and the queue's, which are the same from every worker."""
    lines = gauge("modellix_tasks_in_flight", "Tasks that this worker has.", worker.in_flight)
    with contextlib.suppress(*DATABASE_ERRORS):
        now = await tasks.queue_now(db)
        unsent = await mail.backlog(db)
        lines += [
            *gauge("modellix_mails_waiting", "Messages that have not been sent.", unsent.waiting),
            *gauge(
                "modellix_mails_oldest_waiting_seconds",
                "For how long the oldest unsent message has waited.",
                unsent.oldest_s,
            ),
            *gauge("modellix_queue_due", "Tasks that are due and that no worker has yet.", now.due),
            *gauge(
                "modellix_queue_oldest_due_seconds",
                "For how long the oldest due task has waited for a worker.",
                now.oldest_s,
            ),
            *gauge("modellix_tasks_unfinished", "Tasks that have not ended.", now.unfinished),
            *gauge("modellix_workers", "Workers with a lease.", now.workers),
            *await reconciliation.gauges(db),
        ]
    return lines


async def _open_crash_marker(db: Pool, folder: str) -> tasks.CrashMarker:
    """Take note of the tasks that workers on this machine died of, before one of them is handled again."""
    for task_id in tasks.take_marks(folder):
        deaths = await tasks.note_death(db, task_id)
        _LOG.error("a worker died while it handled a task", task=str(task_id), deaths=deaths)
    return tasks.CrashMarker(folder)


async def _stay_awake(lease_s: float) -> None:
    """End the process when its event loop hangs: others have its tasks by then, and a new one must take its place.

    The alarm is a thread that needs no lock of the interpreter, so that it rings whatever hangs. It writes the
    program's stack to the log first.
    """
    try:
        while True:
            faulthandler.dump_traceback_later(max(_LEAST_HANG_S, _HANG_LEASES * lease_s), exit=True)
            await asyncio.sleep(1)
    finally:
        faulthandler.cancel_dump_traceback_later()


@dataclass(frozen=True, slots=True)
class _Chore:
    name: str
    every_s: float
    do: Callable[[], Awaitable[int]]
    """Returns how much was done; after more than nothing there may be more."""
    first_after_s: float = 0

    async def forever(self) -> None:
        await asyncio.sleep(self.first_after_s)
        while True:
            try:
                done = await self.do()
            except Exception:  # noqa: BLE001 - whatever it was, the next time may go well
                _LOG.exception("a chore failed", chore=self.name)
                done = 0
            if not done:
                await asyncio.sleep(self.every_s)


async def _chores(settings: Settings, db: Pool, storage: Storage, tools: tasks.Tools) -> None:
    """What must be done now and then, by whichever worker comes to it; each is safe to run twice."""
    ctx, monitor = Context(settings, db), system("ledger monitor", socket.gethostname())
    chores = (
        _Chore("ledger monitor", 60, lambda: reconciliation.monitor_once(ctx, monitor), first_after_s=5),
        _Chore("ledger check", 2, lambda: reconciliation.check_once(ctx, system("ledger check", socket.gethostname()))),
        _Chore("balance alerts", 15, lambda: balance_alerts.tell_once(ctx, system("alerts", socket.gethostname()))),
        _Chore("budget alerts", 15, lambda: budget_alerts.tell_once(ctx, system("alerts", socket.gethostname()))),
        _Chore("usage", 15, lambda: tasks.add_usage(db, _USAGE_STEP), first_after_s=5),
        _Chore("expired results", 30, lambda: delete_expired(db, storage, 500)),
        _Chore("inputs that are not kept", 30, lambda: inputs.redact_once(ctx, system("inputs", socket.gethostname()))),
        _Chore("words to search for", 60, lambda: search.index_once(ctx, system("search", socket.gethostname()))),
        _Chore("waiting tasks", 5, lambda: tasks.start_waiting(db)),
        _Chore("late verdicts", 30, lambda: tasks.look_again(tools)),
        _Chore("old idempotency keys", 300, lambda: tasks.forget_idempotency_keys(db, _IDEMPOTENCY_S)),
        _Chore("requests that are not sent again", 300, lambda: tasks.forget_sendings(db)),
        _Chore("old charges of budgets", 300, lambda: budgets.forget_old(db, _CHARGES_S)),
        _Chore("old webhook messages", 300, lambda: webhooks.drop_old(db, _MESSAGES_S)),
        _Chore("old mail", 300, lambda: mail.drop_old(db, _MAILS_S)),
        _Chore("request log partitions", 3600, lambda: ensure_partitions(db)),
        _Chore("old request log", 3600, lambda: drop_old(db, _LOG_DAYS)),
        _Chore("files nobody knows", 86_400, lambda: delete_orphans(db, storage), first_after_s=3600),
    )
    await asyncio.gather(*(chore.forever() for chore in chores))
