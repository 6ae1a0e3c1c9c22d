"""The dispatcher: authenticates, counts the rate limit, checks the permission, runs the endpoint, logs the request.

An endpoint runs only after these checks. Submissions and status reads have a dispatcher of their own, made of the
same parts (`hot.exchange`).
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Hashable, MutableMapping
from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
from starlette.requests import ClientDisconnect
from starlette.requests import Request as StarletteRequest
from starlette.responses import Response, StreamingResponse

from modellix_server.api.context import ApiContext
from modellix_server.api.hot.client_connection import CONNECTION, ClientConnection
from modellix_server.base import log, metrics, time_budget
from modellix_server.base.content_coding import DECODED
from modellix_server.base.errors import PlatformError, Unauthorized, Unavailable, UnsupportedCoding, docs_path
from modellix_server.base.metrics import Counter, Histogram
from modellix_server.identity import Caller
from modellix_server.limits import RateDecision
from modellix_server.openapi.operation import Access
from modellix_server.operations.context import OUT_OF_REACH
from modellix_server.operations.principal import Permission, Principal, anybody, api_key
from modellix_server.requestlog import LogEntry, SubmissionEntry, redact_body, redact_path
from modellix_server.tasks import ConcurrencyExceeded

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

Headers = list[tuple[bytes, bytes]]

CLOSED = "default-src 'none'; frame-ancestors 'none'"
"""Content-Security-Policy of answers that are not pages: load nothing, may not be embedded."""

STANDARD_HEADERS: Headers = [
    (b"content-type", b"application/json"),
    (b"cache-control", b"no-store"),
    (b"content-security-policy", CLOSED.encode()),
]
"""Of every JSON answer."""
_DECODED = ", ".join(DECODED).encode()
HEALTH = ("/healthz", "/readyz")
"""Paths of checks, which are answered whatever else is asked."""
_LOG = log.get("api")
_REQUESTS = Counter("modellix_http_requests_total", "Calls of the API by their answer.", ("route", "status", "code"))
_LATENCY = Histogram(
    "modellix_http_request_seconds", "From the head of a request to its whole answer.", metrics.SECONDS, ("route",)
)
_NOBODY = anybody("unknown")
_BROKEN: tuple[type[Exception], ...] = (
    *OUT_OF_REACH,
    ClientDisconnect,
)  # Starlette takes whatever a stream meets for the latter


class Reply(NamedTuple):
    """A complete JSON answer."""

    status: int
    body: bytes
    headers: Headers
    code: str | None = None
    """The error's stable code, for the request log."""

    def response(self) -> Response:
        """The same for Starlette."""
        response = Response(self.body, self.status)
        response.raw_headers += self.headers
        return response


def envelope(data: bytes, rate: RateDecision | None, extra: Headers | None = None) -> Reply:
    """HTTP 200 with `data`, already JSON, in the envelope."""
    body = b'{"code":0,"message":"success","data":' + data + b"}"
    return Reply(200, body, [*STANDARD_HEADERS, *(rate.headers() if rate else ()), *(extra or ())])


def envelope_of(data: Any, rate: RateDecision | None, **beside: Any) -> Response:
    """HTTP 200 with any value in the envelope, and further fields beside `data`."""
    body = msgspec.json.encode({"code": 0, "message": "success", "data": data, **beside})
    return Reply(200, body, [*STANDARD_HEADERS, *(rate.headers() if rate else ())]).response()


def failure(error: PlatformError, rate: RateDecision | None = None, docs: str = "") -> Reply:
    """The error body: `code` is the HTTP status, `message` is `<Category>: <detail>`. A link leads to its page.

    The link is a header (RFC 8288, relation `help`), as clients of the contract expect exactly two fields.
    """
    return refusal(error.status, error.message, refusal_headers(error, rate, docs), error.code)


def refusal(status: int, message: str, headers: Headers, code: str | None) -> Reply:
    """An error body from its parts."""
    body = msgspec.json.encode({"code": status, "message": message})
    return Reply(status, body, [*STANDARD_HEADERS, *headers], code)


def refusal_headers(error: PlatformError, rate: RateDecision | None, docs: str) -> Headers:
    """What a refusal tells besides its body: when to ask again, which credential is wanted, where its page is."""
    headers = _headers(error, rate)
    if docs:
        headers.append((b"link", f'<{docs}/{docs_path(error.category)}>; rel="help"'.encode()))
    return headers


def _headers(error: PlatformError, rate: RateDecision | None) -> Headers:
    if isinstance(error, Unauthorized):
        return [(b"www-authenticate", b"Bearer")]  # RFC 9110, 11.6.1
    if isinstance(error, UnsupportedCoding):  # RFC 9110, 12.5.3
        return [*(rate.headers() if rate else ()), (b"accept-encoding", _DECODED)]
    wait = error.retry_after_s
    if isinstance(error, ConcurrencyExceeded) and wait is not None:
        # There is no window: a slot is freed when a task ends. Reset advises when to ask again.
        return [
            *((name, value) for name, value in (rate.headers() if rate else ()) if name != b"x-ratelimit-reset"),
            (b"x-ratelimit-reset", b"%d" % (int(time.time()) + wait)),
            (b"retry-after", b"%d" % wait),
        ]
    headers = list(rate.headers()) if rate else []
    if wait is not None and not any(name == b"retry-after" for name, _ in headers):
        headers.append((b"retry-after", b"%d" % wait))
    return headers


class ClientGone(Exception):
    """The client closed the connection before it was answered."""


class RequestContext:
    """One request: who sends it, and what the answer's headers and the request log need."""

    __slots__ = (
        *("ctx", "method", "path", "address", "connection", "id", "who", "caller", "rate"),
        *("model", "task_id", "made_task", "input", "bytes_in", "started"),
    )

    def __init__(self, ctx: ApiContext, scope: Scope) -> None:
        self.ctx = ctx
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        client = scope.get("client")
        self.address: str = client[0] if client else "unknown"
        """Of the peer; behind trusted proxies, of whom they name."""
        # Popped, as it refers back to the scope: a cycle would keep the request until the next garbage collection.
        self.connection: ClientConnection | None = scope.get("extensions", {}).pop(CONNECTION, None)
        self.id = self.connection.request_id if self.connection else None
        """Sent as X-Request-Id."""
        self.who: Principal = _NOBODY
        self.caller: Caller | None = None
        self.rate: RateDecision | None = None
        self.model: str | None = None
        self.input: bytes | None = None
        self.bytes_in = 0
        self.task_id: UUID | None = None
        """The task that the call is about."""
        self.made_task = False
        """An accepted submission: its record is the task's row, and what that row does not say."""
        self.started = time.perf_counter()

    async def take_turn(self, who: Hashable) -> None:
        """Wait for a turn of a team or an address, but not on a connection that took one of the last places."""
        if self.connection is None or not self.connection.brief:
            await self.ctx.turns.wait(who)

    def when_lost(self, tell: Callable[[], None]) -> None:
        """Call `tell` when the client's connection is lost."""
        if self.connection is not None:
            self.connection.when_lost(tell)


class Request(StarletteRequest):
    """A request that has passed the dispatcher's checks."""

    def __init__(self, context: RequestContext, scope: Scope, receive: Receive) -> None:
        super().__init__(scope, receive)
        self.context = context

    @property
    def ctx(self) -> ApiContext:
        """The context of operations."""
        return self.context.ctx

    @property
    def who(self) -> Principal:
        """The principal that sends it."""
        return self.context.who

    async def stream(self) -> AsyncGenerator[bytes, None]:
        """The body in chunks, counted for the log."""
        async for chunk in super().stream():
            self.context.bytes_in += len(chunk)
            yield chunk

    def success(self, data: Any, **beside: Any) -> Response:
        """HTTP 200 with a value in the envelope."""
        return envelope_of(data, self.context.rate, **beside)


class EventStream(Response):
    """An answer of unlimited duration, logged when it begins."""


Handler = Callable[[Request], Awaitable[Response]]
Refusing = Callable[[PlatformError, RateDecision | None, str], Reply]
"""Makes the answer to a refusal."""


async def admit(context: RequestContext, authorization: str | None, permission: Permission) -> None:
    """Authenticate, count the request against the limits, check the permission, in this order.

    Refusals take turns: who is refused may ask again without a pause. Raises Unauthorized, RateLimited, Forbidden, or
    Unavailable.
    """
    ctx = context.ctx
    caller = ctx.callers.cached(authorization)
    if caller is None:
        try:
            caller = await ctx.callers.authenticate(authorization)
        except Unauthorized:
            await context.take_turn(context.address)
            context.rate = ctx.strangers.refusal(context.address)
            if context.rate is not None:
                raise context.rate.error() from None
            raise
    context.caller = caller
    context.rate = rate = ctx.windows.take(caller)
    if not rate.allowed:
        await context.take_turn(caller.team_id)
        raise rate.error()
    context.who = who = api_key(caller, context.address)
    who.require(permission)


class Guarded:
    """An ordinary endpoint as an ASGI application."""

    def __init__(
        self,
        ctx: ApiContext,
        handler: Handler,
        access: Access,
        permission: Permission | None,
        refusing: Refusing = failure,
    ) -> None:
        self._ctx = ctx
        self._handler = handler
        self._access = access
        self._permission = permission
        self._refusing = refusing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; every exception becomes an error answer of the contract."""
        context, name = RequestContext(self._ctx, scope), self._handler.__name__
        time_budget.begin()
        log.bind(request=context.id)
        reply: Reply | None = None
        try:
            response = await self._answer(Request(context, scope, receive))
        except Exception as error:  # noqa: BLE001 - clients get only answers of the contract's shape
            reply = refusal_of(error, context, self._refusing)
            if reply is None:
                return
            response = reply.response()
        if isinstance(response, EventStream):
            await send_events(context, name, response, scope, receive, send)
            return
        if isinstance(response, StreamingResponse):
            time_budget.end()  # the answer has begun, and may take long
        sent = 0

        async def counted(message: Message) -> None:
            nonlocal sent
            await send(message)
            sent += len(message.get("body", b""))

        try:
            await response(scope, receive, counted)
        except _BROKEN as error:
            if context.connection is None or not context.connection.gone:
                _LOG.warning("an answer broke off", path=redact_path(context.path), error=type(error).__name__)
                raise
        count(name, response.status_code, reply.code if reply else None)
        if not isinstance(response, StreamingResponse):
            observe(name, context)
        record(context, response.status_code, sent, reply)

    async def _answer(self, request: Request) -> Response:
        context = request.context
        if self._access is Access.KEY:
            assert self._permission is not None
            await admit(context, authorization_of(request), self._permission)
            await context.take_turn(context.who.team.team_id)  # what is not hot leaves the others room
        else:
            context.who = anybody(context.address)
            if self._access is Access.PUBLIC and context.path not in HEALTH:
                context.ctx.strangers.take(context.address)
                await context.take_turn(context.address)
            if self._permission is not None:
                context.who.require(self._permission)
        try:
            return await self._handler(request)
        except PlatformError:
            if self._access is Access.LINK:  # a file is sent at once; who guesses at links waits
                await context.take_turn(context.address)
            raise


def authorization_of(request: StarletteRequest) -> str | None:
    """The header; of two that differ both values joined (RFC 9110, 5.3), which no key matches."""
    told = dict.fromkeys(request.headers.getlist("authorization"))
    return ", ".join(told) if told else None


def refusal_of(error: Exception, context: RequestContext, refusing: Refusing = failure) -> Reply | None:
    """The answer to an exception; None when the client has gone. To be called in an `except` block."""
    docs = context.ctx.settings.docs_origin
    if isinstance(error, PlatformError):
        return refusing(error, context.rate, docs)
    if isinstance(error, ClientGone | ClientDisconnect):
        return None
    if isinstance(error, OUT_OF_REACH):
        _LOG.warning("a request met trouble", path=redact_path(context.path), error=type(error).__name__)
        return refusing(Unavailable("please retry later", retry_after_s=2), context.rate, docs)
    _LOG.exception("request failed", method=context.method, path=redact_path(context.path))
    return refusing(PlatformError("please retry later"), context.rate, docs)


async def send_events(
    context: RequestContext, route: str, stream: EventStream, scope: Scope, receive: Receive, send: Send
) -> None:
    """Send an event stream until its end or until the client has gone."""
    time_budget.end()
    count(route, 200, None)
    record(context, 200, 0)
    await stream(scope, receive, send)


def count(route: str, status: int, code: str | None) -> None:
    """Count an answer."""
    _REQUESTS[route, status, code or ""] += 1


def observe(route: str, context: RequestContext) -> None:
    """Record the latency of a complete answer."""
    _LATENCY.observe(time.perf_counter() - context.started, (route,))


def record(context: RequestContext, status: int, size: int, reply: Reply | None = None) -> None:
    """Write the call to the request log; `reply` is the error answer, if it was refused."""
    caller, latency_us = context.caller, int((time.perf_counter() - context.started) * 1_000_000)
    if context.made_task:
        assert context.task_id is not None
        assert caller is not None
        context.ctx.request_log.record(
            SubmissionEntry(
                context.task_id,
                caller.team_id,
                caller.live,
                redact_path(context.path),
                latency_us,
                context.bytes_in,
                size,
                context.id,
            )
        )
        return
    refused = reply is not None and status >= 400
    kept = refused and (caller is None or caller.input_days != 0)
    context.ctx.request_log.record(
        LogEntry(  # by position, as names would take as long again
            datetime.now(UTC),
            caller.team_id if caller else None,
            caller.live if caller else None,
            caller.key_id if caller else None,
            context.method,
            redact_path(context.path),
            status,
            latency_us,
            context.bytes_in,
            size,
            context.model,
            context.task_id,
            context.id,
            reply.code if reply else None,
            input=redact_body(context.input) if kept and context.input else None,
            answer=redact_body(reply.body) if reply and kept else None,
        )
    )
