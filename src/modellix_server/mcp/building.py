"""Makes the servers: imported when their library may be loaded."""

from __future__ import annotations

from logging import WARNING, getLogger

from sse_starlette.sse import AppStatus

from modellix_server.base.body_read_limiter import BodyReadLimiter
from modellix_server.base.turn_queue import TurnQueue
from modellix_server.limits import AddressLimit
from modellix_server.mcp.calls import AddressAdmission, KeyAdmission
from modellix_server.mcp.discovery import DOCS, GENERATION
from modellix_server.mcp.docs import build_docs
from modellix_server.mcp.documentation import Documentation
from modellix_server.mcp.exchange import MOST_BODY_BYTES, SingleExchange, sessions
from modellix_server.mcp.generation import build_generation
from modellix_server.mcp.transport import McpEndpoint, OwnOrigins, Receiving
from modellix_server.operations.context import ServingContext

_CALLS_EACH, _CALLS_TOGETHER = 1_200, 30_000
"""Of the documentation, per minute: by one address, by all. Behind one address may be a company of agents."""
_MOST_QUESTION_BYTES = 64 * 1024
"""Of the documentation: who has no key may send no more, as a question has a thousand characters."""
_TURN_S = 0.001
"""Of the documentation: calls compute together for so long, then submissions and all else have their turn."""


def build_endpoints(
    ctx: ServingContext, keys: KeyAdmission, documentation: Documentation | None
) -> dict[str, McpEndpoint]:
    """The servers by their paths."""
    # The process ends when every answer is complete: the tools that wait are told so by their subscriptions.
    AppStatus.enable_automatic_graceful_drain = False
    getLogger("mcp").setLevel(WARNING)  # it tells the end of every call, also of those without a key
    origins = OwnOrigins([ctx.settings.public_origin, ctx.settings.docs_origin])
    server, card = build_generation(ctx)
    received = Receiving(MOST_BODY_BYTES, ctx.body_reads)
    endpoints = {GENERATION.path: McpEndpoint(sessions(server), keys, origins, card, received)}
    if documentation is not None:
        everybody = AddressAdmission(AddressLimit("calls", each=_CALLS_EACH, together=_CALLS_TOGETHER))
        server, quick, card = build_docs(documentation, ctx.settings, ctx.settings.docs_origin)
        received = Receiving(_MOST_QUESTION_BYTES, BodyReadLimiter())
        turns = TurnQueue(_TURN_S)
        endpoints[DOCS.path] = McpEndpoint(SingleExchange(server, quick), everybody, origins, card, received, turns)
    return endpoints
