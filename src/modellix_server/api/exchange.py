"""One HTTP exchange: who asks, what is answered, and the line in the request log."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol

from modellix_server.api.platform import Platform
from modellix_server.api.reply import Reply, Streamed, failure
from modellix_server.api.request import ClientGone, Receive, Request, Scope, Send, read_head
from modellix_server.base import log, metrics, time_budget
from modellix_server.base.database import UNREACHABLE
from modellix_server.base.errors import PlatformError, Unavailable
from modellix_server.base.metrics import Counter, Histogram
from modellix_server.identity import Caller
from modellix_server.limits import RateDecision
from modellix_server.openapi.access import Access
from modellix_server.requestlog import LogEntry, redact_body, redact_path
from modellix_server.results import TROUBLE

_LOG = log.get("api")
_BODILESS = (204, 304)
"""Answers that have no body, not even an empty one (RFC 9110, 8.6)."""
_REQUESTS = Counter("modellix_http_requests_total", "Calls of the API by their answer.", ("route", "status", "code"))
_LATENCY = Histogram(
    "modellix_http_request_seconds", "From the head of a request to its whole answer.", metrics.SECONDS, ("route",)
)


@dataclass(slots=True)
class RequestContext:
    """What became known of a request on its way, for the answer's headers and the log."""

    caller: Caller | None = None
    verdict: RateDecision | None = None
    model: str | None = None
    input: bytes | None = None
    logged_elsewhere: bool = False
    """An accepted submission: its task row is its record."""
    request_id: str | None = None
    """What the answer says as X-Request-Id."""
    started: float = field(default_factory=time.perf_counter)


class Stream(Protocol):
    """An answer that takes its time and sends itself, after a head with status 200."""

    async def send(self, send: Send) -> None:
        """Send it to its end, or until the client has gone; gives up what it holds in either case."""
        ...


Endpoint = Callable[[Platform, Request, RequestContext], Awaitable[Reply | Streamed | Stream]]


async def admit(platform: Platform, request: Request, trail: RequestContext) -> tuple[Caller, RateDecision]:
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


class _Unguarded(Exception):
    """An endpoint for callers with a key answered somebody it had not asked for one."""


async def exchange(
    platform: Platform, endpoint: Endpoint, access: Access, scope: Scope, receive: Receive, send: Send
) -> None:
    """Run one endpoint; whatever it raises becomes an answer in the contract's shape."""
    request = read_head(scope, receive)
    trail = RequestContext(request_id=request.id)
    time_budget.begin()
    log.bind(request=request.id)
    try:
        reply = await endpoint(platform, request, trail)
        if access is Access.KEY and trail.caller is None:
            raise _Unguarded
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
    if isinstance(reply, Streamed):
        time_budget.end()  # it is being answered already, for as long as that takes
        size = await _stream(reply, request, receive, send)
        _count(endpoint, 200, None)
        platform.requests.record(_entry(request, trail, 200, size))
        return
    if not isinstance(reply, Reply):
        time_budget.end()
        _count(endpoint, 200, None)
        if not trail.logged_elsewhere:
            platform.requests.record(_entry(request, trail, 200, 0))
        await reply.send(send)
        return
    await _send(reply, request, send)
    _count(endpoint, reply.status, reply.code)
    _LATENCY.observe(time.perf_counter() - trail.started, (endpoint.__name__,))
    if not trail.logged_elsewhere:
        platform.requests.record(_entry(request, trail, reply.status, len(reply.body), reply))


async def _send(reply: Reply, request: Request, send: Send) -> None:
    headers = reply.headers
    if reply.status not in _BODILESS:
        headers = [*headers, (b"content-length", b"%d" % len(reply.body))]
    if request.line:
        request.line.answer(reply.status, headers, reply.body)
    else:
        await send({"type": "http.response.start", "status": reply.status, "headers": headers})
        await send({"type": "http.response.body", "body": reply.body})


def _count(endpoint: Endpoint, status: int, code: str | None) -> None:
    _REQUESTS[endpoint.__name__, status, code or ""] += 1


async def _stream(reply: Streamed, request: Request, receive: Receive, send: Send) -> int:
    """Send piece by piece until the end or until the client goes away; returns the bytes sent.

    When a piece cannot be made the answer breaks off without its end, which every client notices.
    """
    sent = 0

    async def pieces() -> None:
        nonlocal sent
        await send({"type": "http.response.start", "status": 200, "headers": reply.headers})
        async for piece in reply.pieces:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
            sent += len(piece)
        await send({"type": "http.response.body", "body": b""})

    async def until_gone() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    sending, watching = asyncio.create_task(pieces()), asyncio.create_task(until_gone())
    try:
        await asyncio.wait({sending, watching}, return_when=asyncio.FIRST_COMPLETED)
        if sending.done():
            sending.result()
    except (*UNREACHABLE, *TROUBLE) as error:
        _LOG.warning("an answer broke off", path=redact_path(request.path), error=type(error).__name__)
        raise
    finally:
        for task in (sending, watching):
            task.cancel()
        await asyncio.gather(sending, watching, return_exceptions=True)
    return sent


def _entry(request: Request, trail: RequestContext, status: int, size: int, refusal: Reply | None = None) -> LogEntry:
    caller = trail.caller
    refused = refusal is not None and status >= 400
    return LogEntry(
        at=time.time(),
        team_id=caller.team_id if caller else None,
        live=caller.live if caller else None,
        key_id=caller.key_id if caller else None,
        method=request.method,
        path=redact_path(request.path),
        status=status,
        code=refusal.code if refusal else None,
        latency_us=int((time.perf_counter() - trail.started) * 1_000_000),
        bytes_in=request.bytes_in,
        bytes_out=size,
        model=trail.model,
        input=redact_body(trail.input) if refused and trail.input else None,
        answer=redact_body(refusal.body) if refusal and refused else None,
        request_id=request.id,
    )
