"""One HTTP exchange: who asks, what is answered, and the line in the request log."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol

from modellix_server.api.platform import Platform
from modellix_server.api.protocol import EXTENSION
from modellix_server.api.reply import Reply, failure
from modellix_server.api.request import ClientGone, Receive, Request, Scope, Send, read_head
from modellix_server.base import log
from modellix_server.base.database import UNREACHABLE
from modellix_server.base.errors import PlatformError, Unavailable
from modellix_server.identity import Caller
from modellix_server.limits import Verdict
from modellix_server.requestlog import Entry, redact_body, redact_path
from modellix_server.results import TROUBLE

_LOG = log.get("api")


@dataclass(slots=True)
class Trail:
    """What became known of a request on its way, for the answer's headers and the log."""

    caller: Caller | None = None
    verdict: Verdict | None = None
    model: str | None = None
    input: bytes | None = None
    logged_elsewhere: bool = False
    """An accepted submission: its task row is its record."""
    started: float = field(default_factory=time.perf_counter)


class Stream(Protocol):
    """An answer that takes its time and sends itself, after a head with status 200."""

    status: int
    code: str | None
    body: bytes

    async def send(self, send: Send) -> None:
        """Send it to its end, or until the client has gone; gives up what it holds in either case."""
        ...


Endpoint = Callable[[Platform, Request, Trail], Awaitable[Reply | Stream]]


async def admit(platform: Platform, request: Request, trail: Trail) -> tuple[Caller, Verdict]:
    """Who is calling, counted against the request limits.

    Raises Unauthorized, RateLimited, or Unavailable.
    """
    caller = platform.callers.cached(request.authorization)
    if caller is None:
        caller = await platform.callers.authenticate(request.authorization)
    trail.caller = caller
    trail.verdict = verdict = platform.windows.take(caller)
    if not verdict.allowed:
        raise verdict.error()
    return caller, verdict


async def exchange(platform: Platform, endpoint: Endpoint, scope: Scope, receive: Receive, send: Send) -> None:
    """Run one endpoint; whatever it raises becomes an answer in the contract's shape."""
    request = read_head(scope, receive)
    trail = Trail()
    try:
        reply = await endpoint(platform, request, trail)
    except PlatformError as error:
        reply = failure(error, trail.verdict)
    except ClientGone:
        return
    except (*UNREACHABLE, *TROUBLE) as error:
        _LOG.warning("a request met trouble", path=redact_path(request.path), error=type(error).__name__)
        reply = failure(Unavailable("please retry later", retry_after_s=2), trail.verdict)
    except Exception:  # noqa: BLE001 - nothing may reach the client but an answer in the contract's shape
        _LOG.exception("request failed", method=request.method, path=redact_path(request.path))
        reply = failure(PlatformError("please retry later"), trail.verdict)
    if not isinstance(reply, Reply):
        if not trail.logged_elsewhere:
            platform.requests.record(_entry(request, trail, reply))
        await reply.send(send)
        return
    headers = reply.headers
    if reply.status != 204:  # which has no body, not even an empty one (RFC 9110, 8.6)
        headers = [*headers, (b"content-length", b"%d" % len(reply.body))]
    if send_whole := scope.get("extensions", {}).get(EXTENSION):
        send_whole(reply.status, headers, reply.body)
    else:
        await send({"type": "http.response.start", "status": reply.status, "headers": headers})
        await send({"type": "http.response.body", "body": reply.body})
    if not trail.logged_elsewhere:
        platform.requests.record(_entry(request, trail, reply))


def _entry(request: Request, trail: Trail, reply: Reply | Stream) -> Entry:
    caller = trail.caller
    refused = reply.status >= 400
    return Entry(
        at=time.time(),
        team_id=caller.team_id if caller else None,
        live=caller.live if caller else None,
        key_id=caller.key_id if caller else None,
        method=request.method,
        path=redact_path(request.path),
        status=reply.status,
        code=reply.code,
        latency_us=int((time.perf_counter() - trail.started) * 1_000_000),
        bytes_in=request.bytes_in,
        bytes_out=len(reply.body),
        model=trail.model,
        input=redact_body(trail.input) if refused and trail.input else None,
        answer=redact_body(reply.body) if refused else None,
    )
