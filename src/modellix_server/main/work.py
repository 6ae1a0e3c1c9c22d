"""The worker process: runs tasks, and does the platform's chores."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import uvloop

from modellix_server.base import log
from modellix_server.base.database import Pool, open_pool, require_durability, require_limited_role
from modellix_server.base.outbound import Outbound
from modellix_server.base.settings import Settings
from modellix_server.main.accounts import AccountFinder
from modellix_server.main.models import load_models
from modellix_server.main.sealed import self_test
from modellix_server.requestlog import drop_old, ensure_partitions
from modellix_server.results import Fetcher, Helper, Spool, Storage, delete_expired, delete_orphans
from modellix_server.tasks import Media, Tools, Worker, forget_idempotency_keys

_CONNECTIONS = 6
_IDEMPOTENCY_S = 72 * 3600
_LOG_DAYS = 90
_LOG = log.get("main")


def run(settings: Settings) -> None:
    """Work until SIGTERM or SIGINT, then drain."""
    log.set_up("work", settings.log_level)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_work(settings))


async def _work(settings: Settings) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, stop.set)
    catalogue, upstreams = load_models(settings)
    db = await open_pool(settings.database_url, size=_CONNECTIONS, name="work")
    await require_durability(db)
    await require_limited_role(db)
    await self_test(db, settings)
    outbound = Outbound(settings.allow_networks)
    storage = Storage(settings.storage_url)
    spool = Spool(settings.spool_dir)
    helper = Helper(spool)
    tools = Tools(
        db=db,
        catalogue=catalogue,
        upstreams=upstreams,
        find_account=AccountFinder(db, settings).find,
        outbound=outbound,
        media=Media.of(settings, storage, helper, Fetcher(outbound, storage, helper, spool), upstreams),
        result_ttl_s=settings.result_ttl_s,
    )
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
    name = f"{socket.gethostname()}-{os.getpid()}"
    chores = asyncio.create_task(_chores(db, storage))
    try:
        await Worker(db, settings.database_url, tools, name=name, lease_s=settings.lease_s).run(stop)
    finally:
        chores.cancel()
        await asyncio.gather(chores, return_exceptions=True)
        await outbound.close()
        await helper.close()
        spool.close()
        await db.close()


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


async def _chores(db: Pool, storage: Storage) -> None:
    """What must be done now and then, by whichever worker comes to it; each is safe to run twice."""
    chores = (
        _Chore("expired results", 30, lambda: delete_expired(db, storage, 500)),
        _Chore("old idempotency keys", 300, lambda: forget_idempotency_keys(db, _IDEMPOTENCY_S)),
        _Chore("request log partitions", 3600, lambda: ensure_partitions(db)),
        _Chore("old request log", 3600, lambda: drop_old(db, _LOG_DAYS)),
        _Chore("files nobody knows", 86_400, lambda: delete_orphans(db, storage), first_after_s=3600),
    )
    await asyncio.gather(*(chore.forever() for chore in chores))
