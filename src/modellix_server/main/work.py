"""The worker process: runs tasks, and does the platform's chores."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

import uvloop

from modellix_server import webhooks
from modellix_server.base import log
from modellix_server.base.database import Pool, open_pool, require_durability
from modellix_server.base.notify import follow
from modellix_server.base.outbound import Outbound
from modellix_server.base.settings import Settings
from modellix_server.main.accounts import AccountFinder
from modellix_server.main.models import load_models
from modellix_server.requestlog import drop_old, ensure_partitions
from modellix_server.results import Fetcher, Helper, Spool, Storage, delete_expired, delete_orphans
from modellix_server.tasks import Media, Tools, Worker, forget_idempotency_keys, public_form, review, views
from modellix_server.webhooks import Deliverer

_CONNECTIONS = 6
_IDEMPOTENCY_S = 72 * 3600
_LOG_DAYS = 90
_MESSAGES_S = 30 * 86_400
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
        media=Media.of(settings, storage, helper, Fetcher(outbound, storage, helper, spool)),
        result_ttl_s=settings.result_ttl_s,
    )
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
    name = f"{socket.gethostname()}-{os.getpid()}"
    deliverer = _deliverer(settings, db, outbound)
    chores = [
        asyncio.create_task(_chores(db, storage)),
        asyncio.create_task(deliverer.run()),
        asyncio.create_task(follow(settings.database_url, [deliverer])),
    ]
    try:
        await Worker(db, settings.database_url, tools, name=name, lease_s=settings.lease_s).run(stop)
    finally:
        for chore in chores:
            chore.cancel()
        await asyncio.gather(*chores, return_exceptions=True)
        await outbound.close()
        await helper.close()
        spool.close()
        await db.close()


def _deliverer(settings: Settings, db: Pool, outbound: Outbound) -> Deliverer:
    """Webhooks, with the very bytes of a status read as their bodies."""

    async def render(ids: Sequence[UUID]) -> dict[UUID, bytes]:
        found = await views(db, ids)
        return {
            task_id: b'{"code":0,"message":"success","data":' + public_form(settings, view) + b"}"
            for task_id, view in found.items()
        }

    async def tell(reason: str, detail: str) -> None:
        await review(db, None, reason, detail)

    return Deliverer(db, settings.keyring, outbound, render, tell, lease_s=settings.lease_s)


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
        _Chore("old webhook messages", 300, lambda: webhooks.drop_old(db, _MESSAGES_S)),
        _Chore("request log partitions", 3600, lambda: ensure_partitions(db)),
        _Chore("old request log", 3600, lambda: drop_old(db, _LOG_DAYS)),
        _Chore("files nobody knows", 86_400, lambda: delete_orphans(db, storage), first_after_s=3600),
    )
    await asyncio.gather(*(chore.forever() for chore in chores))
