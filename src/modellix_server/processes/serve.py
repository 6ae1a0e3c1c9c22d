"""The API process: opens the rooms, answers HTTP, drains on SIGTERM."""

import asyncio
import contextlib
import gc
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Iterator, Sized
from functools import partial
from importlib.metadata import version
from typing import Any

import uvicorn
import uvloop

from modellix_server import tasks
from modellix_server.api import (
    ApiContext,
    ConnectionLimit,
    HttpProtocol,
    build_app,
    close_overdue,
    on_every_answer,
)
from modellix_server.base import log, tracing
from modellix_server.base.database import UNREACHABLE, Pool, open_pool, require_durability, require_limited_role
from modellix_server.base.metrics import Gauge, Gauges, gauge
from modellix_server.base.notify import follow
from modellix_server.base.process import give_large_blocks_back, raise_file_limit
from modellix_server.base.scheduling import take_short_turns
from modellix_server.base.settings import Settings
from modellix_server.base.waiting_tasks import waiting_tasks
from modellix_server.console import build_console
from modellix_server.docsite import DocSite, build_docsite
from modellix_server.identity import Callers
from modellix_server.ledger import FrozenAccounts
from modellix_server.limits import Windows
from modellix_server.mcp import McpServers
from modellix_server.operations.master_key import self_test
from modellix_server.pricing import PriceBook
from modellix_server.processes.documentation import SiteDocumentation
from modellix_server.processes.metrics import serve_metrics
from modellix_server.requestlog import Writer
from modellix_server.results import Helper, KeptInputs, Spool, Storage, Uploads
from modellix_server.upstreams import load_all

_CONNECTIONS = 8
_STATEMENT_MS = 5_000  # below the time budget of a request, which may need time afterwards to find out what was done
_HINT_GAP_S = 0.02  # at most 50 wake-ups of the workers a second, however many submissions
_THREADS_TURN_S = 0.0001  # the event loop waits so long for a thread that computes, not 5 ms, which is Python's default
_SERVER: dict[str, Any] = {
    "lifespan": "off",
    "ws": "none",
    "access_log": False,
    "log_config": None,
    "server_header": False,
    "proxy_headers": False,
    "timeout_graceful_shutdown": 20,
    "backlog": 4096,
}
_SLOW_END_S = 25  # `up` kills it after 30, as other supervisors do
_LOG = log.get("main")


def run(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT."""
    log.set_up("serve", settings.log_level)
    tracing.set_up("serve", version("modellix-server"))
    take_short_turns(os.getpid())
    sys.setswitchinterval(_THREADS_TURN_S)
    give_large_blocks_back()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(settings))


class _Server(uvicorn.Server):
    """A server that leaves signals to the event loop.

    Its own way raises the signal once more when it has drained, which ends the process before the rooms
    behind it are closed and the last rows of the request log are written.
    """

    def __init__(self, config: uvicorn.Config, ctx: ApiContext) -> None:
        super().__init__(config)
        self._subscriptions = ctx.subscriptions
        self._draining = ctx.draining
        self._notice_s = ctx.settings.drain_s

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Drain on SIGTERM and SIGINT; a second one hurries, and a SIGINT then no longer waits for open requests."""
        loop = asyncio.get_running_loop()
        for signum in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(signum, self._on_signal, signum)
        yield

    def _on_signal(self, signum: int) -> None:
        if not self._draining.is_set():
            asyncio.get_running_loop().call_later(self._notice_s + _SLOW_END_S, _tell_what_waits)
        if self._draining.is_set() or not self._notice_s:
            self._draining.set()
            self.handle_exit(signum, None)
        else:
            _LOG.info("not ready any more, ending soon", in_s=self._notice_s)
            self._draining.set()
            asyncio.get_running_loop().call_later(self._notice_s, self.handle_exit, signal.SIGTERM, None)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Send followers of tasks away first: they would keep their connections open for ever."""
        self._subscriptions.close()
        await super().shutdown(sockets)


def _tell_what_waits() -> None:
    """Log it, as this process should have ended."""
    _LOG.warning("this process has not ended yet", waits=waiting_tasks())


async def _serve(settings: Settings) -> None:
    limit = ConnectionLimit(raise_file_limit())
    async with open_context(settings, most_followers=limit.most // 2) as ctx:
        where: dict[str, Any] = {"host": settings.host, "port": settings.port, "headers": on_every_answer(settings)}
        of_all: dict[str, Any] = {
            "draining": ctx.draining,
            "turns": ctx.turns,
            "trusted_proxies": settings.trusted_proxies,
        }
        protocol: Any = partial(HttpProtocol, limit=limit, **of_all)
        site = DocSite(ctx)
        pages = build_docsite(site, build_console(ctx))
        kept = (ctx.callers, ctx.windows, ctx.request_log, ctx.strangers)
        servers = McpServers(ctx, *kept, pages, SiteDocumentation(site))
        config = uvicorn.Config(build_app(ctx, servers), http=protocol, **_SERVER, **where)
        server = _Server(config, ctx)
        gc.collect()
        gc.freeze()  # what is alive now stays: the collector need not look at it again
        gc.set_threshold(50_000, 20, 50)
        gauges = Gauges()
        gauges.add(partial(_gauges, ctx, server.server_state.connections, limit))
        async with servers.running(), serve_metrics(settings, ctx.db, gauges):
            beside = [
                asyncio.create_task(close_overdue(server.server_state.connections)),
                asyncio.create_task(_prepare(site, settings.docs_after_s)),
            ]
            try:
                await server.serve()
            finally:
                for one in beside:
                    one.cancel()
                site.close()


async def _prepare(site: DocSite, after_s: float) -> None:
    """Have the documentation made, so that its first reader need not wait; but first everything else has to start."""
    await asyncio.sleep(after_s)
    await site.library()


async def _gauges(ctx: ApiContext, connections: Sized, limit: ConnectionLimit) -> list[Gauge]:
    rows = ctx.request_log
    return [
        *gauge("modellix_request_log_waiting", "Rows that are not written yet.", rows.waiting),
        *gauge("modellix_request_log_lost", "Rows that never reached the log, since the start.", rows.lost),
        *gauge("modellix_connections", "Connections of clients that are open.", len(connections)),
        *gauge("modellix_connections_max", "Open files from which on connections are closed or refused.", limit.most),
        *gauge("modellix_draining", "Whether this process has been asked to end.", int(ctx.draining.is_set())),
    ]


@contextlib.asynccontextmanager
async def open_context(settings: Settings, *, most_followers: int | None = None) -> AsyncIterator[ApiContext]:
    """The rooms of one API process, opened and, at the end, closed in good order.

    `most_followers`: clients that may follow tasks at a time, if files run short.
    """
    db = await open_pool(settings.database_url, size=_CONNECTIONS, name="serve", statement_timeout_ms=_STATEMENT_MS)
    await require_durability(db)
    await require_limited_role(db)
    await self_test(db, settings)
    hint = asyncio.Event()
    callers = Callers(db, settings.secret)
    book = PriceBook(db)
    await book.refresh()
    breakers = tasks.Breakers(db)
    routing = tasks.Routing(db, settings, breakers)
    frozen = FrozenAccounts(db)
    await frozen.refresh()
    writer = Writer(db)
    spool = Spool(settings.spool_dir)
    helper = Helper(spool)
    storage = Storage(settings.storage_url)
    uploads = Uploads(settings, db, storage, helper)
    kept_inputs = KeptInputs(db, storage, helper, spool)
    ctx = ApiContext(
        settings,
        db,
        callers=callers,
        windows=Windows(),
        intake=tasks.Intake(settings, db, helper, uploads, kept_inputs, load_all()),
        submissions=tasks.Submissions(db, hint),
        reader=tasks.Reader(db, settings.result_ttl_s),
        model_health=tasks.ModelHealthReader(db),
        subscriptions=(subscriptions := tasks.SubscriptionHub(db, most_followers)),
        request_log=writer,
        callbacks=tasks.Callbacks(settings),
        callback_notifier=tasks.CallbackNotifier(db),
        storage=storage,
        helper=helper,
        spool=spool,
        uploads=uploads,
        kept_inputs=kept_inputs,
        prices=book.prices,
        obstacle=routing.obstacle,
        frozen=frozen.holds,
    )
    writer.start()
    background = [
        asyncio.create_task(follow(settings.database_url, [callers, routing, subscriptions, *subscriptions.more])),
        asyncio.create_task(subscriptions.keep_looking()),
        asyncio.create_task(subscriptions.positions.keep_counting()),
        asyncio.create_task(_wake_workers(db, hint)),
        asyncio.create_task(book.keep_fresh()),
        asyncio.create_task(breakers.keep_fresh()),
        asyncio.create_task(callers.keep_noting_use()),
        asyncio.create_task(frozen.keep_fresh()),
    ]
    try:
        yield ctx
    finally:
        for task in background:
            task.cancel()
        await asyncio.gather(*background, return_exceptions=True)
        await callers.note_use()
        await ctx.gateways.close()
        await writer.close()
        await tracing.close()
        await helper.close()
        spool.close()
        await db.close()


async def _wake_workers(db: Pool, hint: asyncio.Event) -> None:
    """Tell the workers that something was accepted; they look by themselves anyway, only later."""
    while True:
        await hint.wait()
        hint.clear()
        with contextlib.suppress(*UNREACHABLE):
            await db.execute("select pg_notify($1, '')", tasks.HINT_CHANNEL)
        await asyncio.sleep(_HINT_GAP_S)
