"""The sandbox process: every vendor's emulator behind one port, for test mode and for tests of other software."""

import asyncio
import contextlib
import errno
import gc
import re
import signal
import sys
from collections.abc import AsyncIterator, Callable, Collection, Coroutine, Iterable, Mapping
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any

import uvicorn

from modellix_server.api import CONNECTION, ConnectionLimit, HttpProtocol, close_overdue
from modellix_server.base.addresses import Network
from modellix_server.base.content_coding import DECODED, BrokenCoding, DecodedBody, UnknownCoding
from modellix_server.base.external_link import PUBLIC_ONLY, Origins
from modellix_server.base.outbound import AnswerLost, NotSent, Outbound
from modellix_server.base.process import raise_file_limit, reuse_memory
from modellix_server.base.turn_queue import TurnQueue
from modellix_server.catalogue import samples
from modellix_server.sandbox import load_all, media, wire
from modellix_server.sandbox.callbacks import NO_HEADERS, Post
from modellix_server.sandbox.rendering.studio import Studio
from modellix_server.sandbox.spool import SandboxSpool

_OWN_FILE = re.compile(r"/files/[\w-]+/[\w.-]+$", re.ASCII)
INPUT_LIMIT_BYTES = 100 * 1024 * 1024
INPUT_TIMEOUT_S = 60.0
EXPIRE_EVERY_S = 600.0
CALLBACK_ANSWER_BYTES = 64 * 1024


class Sandbox:
    """The root ASGI app: hands each request to the emulator its path names, and owns what they share.

    `front` names the emulator that also answers at the root; `origin` is the public one of the platform, whose links
    to samples and files work here, and which may be called back, wherever it is.
    """

    def __init__(
        self,
        upstreams: Iterable[str],
        *,
        spool: Path,
        allow_networks: Iterable[Network] = (),
        instant: bool = False,
        front: str | None = None,
        origin: str | None = None,
    ) -> None:
        self._upstreams = tuple(upstreams)
        self._spool = spool
        self._allow_networks = tuple(allow_networks)
        self._instant = instant
        self._front = front
        self._origin = origin
        self._apps: dict[str, wire.App] = {}
        self._held = AsyncExitStack()
        self.connections: Collection[Any] = ()
        """The server's, whose time limits are looked after while the sandbox is open."""

    async def open(self) -> None:
        """Start the render processes and build the emulators."""
        spool = SandboxSpool(self._spool)
        self._held.callback(spool.close)
        outbound = Outbound(self._allow_networks)
        self._held.push_async_callback(outbound.close)
        studio = Studio(spool)
        self._held.callback(studio.close)
        await self._held.enter_async_context(_beside(_every(EXPIRE_EVERY_S, spool.expire)))
        await self._held.enter_async_context(_beside(close_overdue(self.connections)))
        origins = Origins.of(self._origin) if self._origin else PUBLIC_ONLY
        fetch, post = _fetcher(outbound, self._origin, spool), _poster(outbound, origins)
        emulators = load_all()
        self._apps = {name: emulators[name](studio, fetch, post, instant=self._instant) for name in self._upstreams}
        if not self._instant:
            await studio.warm_up()

    async def close(self) -> None:
        """End the render processes and delete the files."""
        await self._held.aclose()

    async def __call__(self, scope: wire.Scope, receive: wire.Receive, send: wire.Send) -> None:
        """Answer one request, or run the application's life from start to end."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            scope["extensions"][wire.CUT] = scope["extensions"][CONNECTION].cut
            await self._route(scope, receive, send)

    async def _live(self, receive: wire.Receive, send: wire.Send) -> None:
        await receive()
        try:
            await self.open()
        except BaseException:
            await self.close()
            raise
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self.close()
        await send({"type": "lifespan.shutdown.complete"})

    async def _route(self, scope: wire.Scope, receive: wire.Receive, send: wire.Send) -> None:
        coding = wire.header(scope, b"content-encoding")
        if coding is None:
            await self._pass_on(scope, receive, send)
            return
        try:
            await self._pass_on(scope, DecodedBody(receive, coding), send)
        except (UnknownCoding, BrokenCoding) as error:
            taken = (b"accept-encoding", ", ".join(DECODED).encode())
            status = 415 if isinstance(error, UnknownCoding) else 400
            await wire.answer_json(send, status, {"message": f"The request body: {error}."}, taken)

    async def _pass_on(self, scope: wire.Scope, receive: wire.Receive, send: wire.Send) -> None:
        path: str = scope["path"]
        name = path[1:].partition("/")[0]
        app = self._apps.get(name)
        if app is not None:
            scope["root_path"] = f"/{name}"
            await app(scope, receive, send)
        elif path == "/healthz":
            await wire.answer_json(send, 200, {"status": "ok", "emulators": list(self._apps)})
        elif self._front is not None:
            await self._apps[self._front](scope, receive, send)
        else:
            await wire.answer_json(send, 404, {"message": f"Emulators: {', '.join(self._apps)}"})


async def _every(pause_s: float, work: Callable[[], None]) -> None:
    while True:
        await asyncio.sleep(pause_s)
        work()


@contextlib.asynccontextmanager
async def _beside(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()


def _fetcher(outbound: Outbound, origin: str | None, spool: SandboxSpool) -> media.Fetch:
    """Load input files the way the whole platform reaches out: public addresses only, within limits.

    Samples of the platform at `origin` are the ones in the package, and its links to files are followed wherever they
    lead: a test on one machine has no public address. For the same reason the emulators' own results, which vendors
    take as inputs again, are read and not fetched; their names cannot be guessed.
    """
    start = None if origin is None else samples.link(origin, "")
    origins = PUBLIC_ONLY if origin is None else Origins.of(origin)

    async def fetch(url: str) -> bytes:
        if start is not None and url.startswith(start):
            path = samples.find(url.removeprefix(start))
            if path is None:
                raise media.Unreachable(url)
            return path.read_bytes()
        own = _OWN_FILE.search(url.partition("#")[0].partition("?")[0])
        if own is not None and (kept := spool.read(own[0])) is not None:
            return kept
        try:
            async with outbound.stream(
                url, origins=origins, timeout_s=INPUT_TIMEOUT_S, max_bytes=INPUT_LIMIT_BYTES
            ) as download:
                if download.status != 200:
                    raise media.Unreachable(url)
                return b"".join([chunk async for chunk in download.chunks()])
        except (NotSent, AnswerLost) as error:
            cause = error.__cause__
            refused = isinstance(cause, OSError) and cause.errno == errno.ECONNREFUSED
            raise media.Unreachable(url, timed_out=isinstance(cause, TimeoutError), refused=refused) from error

    return fetch


def _poster(outbound: Outbound, origins: Origins) -> Post:
    """Call clients back at public addresses, and at the platform's own."""

    async def post(url: str, body: bytes, limit_s: float, headers: Mapping[str, str] = NO_HEADERS) -> bytes | None:
        try:
            answer = await outbound.call(
                "POST",
                url,
                headers={"Content-Type": "application/json", **headers},
                body=body,
                origins=origins,
                timeout_s=limit_s,
                max_bytes=CALLBACK_ANSWER_BYTES,
            )
        except (NotSent, AnswerLost):
            return None
        return answer.body if 200 <= answer.status < 300 else None

    return post


def server(sandbox: Sandbox, *, host: str, port: int) -> uvicorn.Server:
    """The server `run` runs; for tests that want it in a thread or with a free port (0)."""
    protocol: Any = partial(
        HttpProtocol,
        draining=asyncio.Event(),
        limit=ConnectionLimit(raise_file_limit()),
        turns=TurnQueue(),
        names_requests=False,  # the vendors name theirs themselves
    )
    served = uvicorn.Server(
        uvicorn.Config(
            sandbox,
            host=host,
            port=port,
            loop="uvloop",
            http=protocol,
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=3,
            backlog=4096,
        )
    )
    sandbox.connections = served.server_state.connections
    return served


def run(
    *,
    host: str,
    port: int,
    upstreams: list[str] | None,
    instant: bool,
    spool: Path,
    allow_networks: Iterable[Network] = (),
    origin: str | None = None,
) -> None:
    """Serve emulators until SIGTERM or Ctrl-C.

    Each is at `/<vendor>`, below which the paths are the vendor's own. Without `upstreams` all are served; a
    single one also answers at the root. `spool` is where result files go: a directory of our own is made in it
    and removed at the end. `origin` as in `Sandbox`. Raises ValueError for an unknown vendor or a bad `origin`.
    """
    reuse_memory()
    emulators = load_all()
    names = list(emulators) if upstreams is None else upstreams
    unknown = [name for name in names if name not in emulators]
    if unknown or not names:
        raise ValueError(f"no emulator for {', '.join(unknown) or 'nothing'}; there are {', '.join(emulators)}")
    front = names[0] if upstreams is not None and len(names) == 1 else None
    # The server raises the signal again once it has shut down; being asked to stop is no failure.
    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, lambda *_: sys.exit(0))
    sandbox = Sandbox(names, spool=spool, allow_networks=allow_networks, instant=instant, front=front, origin=origin)
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
    server(sandbox, host=host, port=port).run()
