"""Makes the servers: imported when their library may be loaded."""

from __future__ import annotations

from asyncio import Semaphore

from sse_starlette.sse import AppStatus

from modellix_server.limits import AddressLimit
from modellix_server.mcp.calls import AddressAdmission, KeyAdmission
from modellix_server.mcp.discovery import DOCS, GENERATION
from modellix_server.mcp.docs import build_docs
from modellix_server.mcp.documentation import Documentation
from modellix_server.mcp.exchange import SingleExchange, sessions
from modellix_server.mcp.generation import build_generation
from modellix_server.mcp.transport import McpEndpoint, OwnOrigins
from modellix_server.operations.context import ServingContext

_CALLS_EACH, _CALLS_TOGETHER = 600, 30_000
"""Of the documentation, per minute: by one address, by all."""
_AT_ONCE = 1
"""Of the documentation: a call computes for a millisecond, and between two of them submissions have their turn."""


def build_endpoints(
    ctx: ServingContext, keys: KeyAdmission, documentation: Documentation | None
) -> dict[str, McpEndpoint]:
    """The servers by their paths."""
    # The process ends when every answer is complete: the tools that wait are told so by their subscriptions.
    AppStatus.enable_automatic_graceful_drain = False
    origins = OwnOrigins([ctx.settings.public_origin, ctx.settings.docs_origin])
    server, card = build_generation(ctx)
    endpoints = {GENERATION.path: McpEndpoint(sessions(server), keys, origins, card)}
    if documentation is not None:
        everybody = AddressAdmission(AddressLimit("calls", each=_CALLS_EACH, together=_CALLS_TOGETHER))
        server, quick, card = build_docs(documentation, ctx.settings, ctx.settings.docs_origin)
        endpoints[DOCS.path] = McpEndpoint(SingleExchange(server, quick), everybody, origins, card, Semaphore(_AT_ONCE))
    return endpoints
