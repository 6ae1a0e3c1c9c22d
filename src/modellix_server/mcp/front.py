"""Both servers at their paths, in front of another application."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

from modellix_server.base import log
from modellix_server.identity import Callers
from modellix_server.limits import AddressLimit, Windows
from modellix_server.mcp.calls import KeyAdmission, Scope
from modellix_server.mcp.discovery import DOCS, GENERATION, discovery
from modellix_server.mcp.documentation import Documentation
from modellix_server.operations.context import ServingContext
from modellix_server.requestlog import Writer

if TYPE_CHECKING:
    from modellix_server.mcp.transport import McpEndpoint

_LOG = log.get("mcp")

Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


class McpServers:
    """An application that answers at the paths of both servers.

    Their library takes almost as long to load as the rest of this process together. The first call has it loaded, in
    a thread, so that neither the start of a process nor other requests wait for it.
    """

    def __init__(
        self,
        ctx: ServingContext,
        callers: Callers,
        windows: Windows,
        request_log: Writer,
        strangers: AddressLimit,
        others: App,
        documentation: Documentation | None = None,
    ) -> None:
        """`others` answers at all other paths; without a documentation there is no server for it."""
        self._ctx = ctx
        self._others = others
        known = (GENERATION,) if documentation is None else (DOCS, GENERATION)
        self._paths = {server.path for server in known}
        self._cards = discovery(ctx.settings.public_origin, ctx.settings.docs_origin, known)
        self._documentation = documentation
        self._keys = KeyAdmission(callers, windows, request_log, strangers)
        self._endpoints: asyncio.Future[Mapping[str, McpEndpoint]] = asyncio.get_running_loop().create_future()
        self._wanted, self._ending = asyncio.Event(), asyncio.Event()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run the servers from their first call on, as long as the context is open."""
        running = asyncio.create_task(self._run())
        try:
            yield
        finally:
            self._ending.set()
            self._wanted.set()
            await running

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["method"] in ("GET", "HEAD") and (card := self._cards.get(scope["path"])):
            await card(scope, receive, send)
            return
        if scope["path"] not in self._paths:
            await self._others(scope, receive, send)
            return
        self._wanted.set()
        endpoints = self._endpoints.result() if self._endpoints.done() else await asyncio.shield(self._endpoints)
        await endpoints[scope["path"]](scope, receive, send)

    async def _run(self) -> None:
        await self._wanted.wait()
        if self._ending.is_set():
            return
        try:
            endpoints = await asyncio.to_thread(self._build)
        except Exception as error:  # noqa: BLE001 - each call fails then, and the rest of the process goes on
            _LOG.exception("the MCP servers cannot be loaded")
            self._endpoints.set_exception(error)
            return
        async with AsyncExitStack() as stack:
            for endpoint in endpoints.values():
                await stack.enter_async_context(endpoint.run())
            self._endpoints.set_result(endpoints)
            await self._ending.wait()

    def _build(self) -> Mapping[str, McpEndpoint]:
        building: Any = importlib.import_module("modellix_server.mcp.building")
        found: Mapping[str, McpEndpoint] = building.build_endpoints(self._ctx, self._keys, self._documentation)
        return found
