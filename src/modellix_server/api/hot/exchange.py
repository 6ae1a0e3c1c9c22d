"""Request, body and dispatcher of submissions and status reads: `dispatch.Guarded` in as few steps as possible."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from modellix_server.api.context import ApiContext
from modellix_server.api.dispatch import (
    ClientGone,
    EventStream,
    Receive,
    Refusing,
    Reply,
    RequestContext,
    Scope,
    Send,
    admit,
    count,
    failure,
    observe,
    record,
    refusal_of,
    send_events,
)
from modellix_server.api.hot.coded_body import CODED
from modellix_server.base import log, time_budget
from modellix_server.base.errors import too_large, too_slow
from modellix_server.operations.principal import Permission
from modellix_server.results import Scratch

MOST_BODY_BYTES = 64 * 1024 * 1024
SMALL_BODY_BYTES = 256 * 1024
"""A larger body goes to a scratch file and is parsed in the helper process, off the event loop."""
TURN_BYTES = 16 * 1024
"""A larger body is parsed when it is its team's turn: it may take milliseconds."""
BODY_TIMEOUT_S = 300.0
_SILENT_S = 30.0


class HotRequest(RequestContext):
    """One HTTP request; its headers are read in one pass, as latin-1."""

    __slots__ = (
        *(
            "authorization",
            "coded",
            "content_length",
            "headers",
            "idempotency_key",
            "max_cost",
            "query_string",
            "queue",
        ),
        *("receive", "webhook_url"),
    )

    def __init__(self, ctx: ApiContext, scope: Scope, receive: Receive) -> None:
        super().__init__(ctx, scope)
        self.receive = receive
        self.coded = CODED in scope.get("extensions", ())
        """The body has to be decoded on its way."""
        self.query_string: bytes = scope["query_string"]
        self.headers: list[tuple[bytes, bytes]] = scope["headers"]
        """As received; names in lower case."""
        named = dict(self.headers)
        if len(named) < len(self.headers):
            named = _joined(self.headers)
        of = named.get
        self.authorization = _text(of(b"authorization"))
        self.idempotency_key = _text(of(b"idempotency-key"))
        self.webhook_url = _text(of(b"x-webhook-url"))
        self.max_cost = _text(of(b"x-max-cost"))
        self.queue = _text(of(b"x-queue"))
        length = of(b"content-length")
        self.content_length = int(length) if length is not None and length.isdigit() else None

    def header(self, wanted: bytes) -> str | None:
        """The value of any other header."""
        return next((value.decode("latin-1") for name, value in self.headers if name == wanted), None)


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("latin-1")


def _joined(headers: list[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """A header sent twice is one list (RFC 9110, 5.3), so neither of two keys counts alone; said twice it is one."""
    joined: dict[bytes, bytes] = {}
    for name, value in dict.fromkeys(headers):
        joined[name] = joined[name] + b", " + value if name in joined else value
    return joined


HotHandler = Callable[[HotRequest], Awaitable[Reply | EventStream]]


class HotEndpoint:
    """A hot endpoint as an ASGI application."""

    def __init__(
        self, ctx: ApiContext, handler: HotHandler, permission: Permission, refusing: Refusing = failure
    ) -> None:
        self._ctx = ctx
        self._handler = handler
        self._name = handler.__name__
        self._refusing = refusing
        self.permission = permission

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; every exception becomes an error answer of the contract."""
        request = HotRequest(self._ctx, scope, receive)
        time_budget.begin()
        log.bind(request=request.id)
        reply: Reply | EventStream | None
        try:
            await admit(request, request.authorization, self.permission)
            reply = await self._handler(request)
        except Exception as error:  # noqa: BLE001 - clients get only answers of the contract's shape
            reply = refusal_of(error, request, self._refusing)
            if reply is None:
                return
        if not isinstance(reply, Reply):
            await send_events(request, self._name, reply, scope, receive, send)
            return
        headers = [*reply.headers, (b"content-length", b"%d" % len(reply.body))]
        if request.connection is not None:
            request.connection.answer(reply.status, headers, reply.body)
        else:
            await send({"type": "http.response.start", "status": reply.status, "headers": headers})
            await send({"type": "http.response.body", "body": reply.body})
        count(self._name, reply.status, reply.code)
        observe(self._name, request)
        record(request, reply.status, len(reply.body), reply)


async def read_body(request: HotRequest) -> bytes | Scratch:
    """The body: bytes if it is small, otherwise a scratch file that the caller closes.

    Raises BodyTooLarge, BodyTooSlow or ClientGone.
    """
    if request.connection and not request.coded and (body := request.connection.body(SMALL_BODY_BYTES)) is not None:
        request.bytes_in = len(body)
    else:
        try:
            async with asyncio.timeout(BODY_TIMEOUT_S):
                read = await _read_body(request)
        except TimeoutError:
            raise too_slow(BODY_TIMEOUT_S) from None
        if isinstance(read, Scratch):
            return read
        body = read
    if len(body) > TURN_BYTES:
        await request.ctx.turns.wait(request.who.team.team_id)
    return body


async def _read_body(request: HotRequest) -> bytes | Scratch:
    start, more, length = b"", True, request.content_length
    if length is not None and length > MOST_BODY_BYTES:
        raise too_large(MOST_BODY_BYTES)
    limiter, most_bytes, team_id = request.ctx.body_reads, length or MOST_BODY_BYTES, request.who.team.team_id
    if length is None or length <= SMALL_BODY_BYTES:
        with limiter.join(team_id, min(most_bytes, SMALL_BODY_BYTES)):
            start, more = await _read_start(request)
        if len(start) <= SMALL_BODY_BYTES and not more:
            return start
    with limiter.join(team_id, most_bytes) as body:
        scratch = request.ctx.spool.scratch(most_bytes)
        try:
            await scratch.write(start)
            while more:
                await limiter.take(body)
                chunk, more = await _receive_soon(request)
                await scratch.write(chunk)
        except BaseException:
            scratch.close()
            raise
    return scratch


async def _read_start(request: HotRequest) -> tuple[bytes, bool]:
    """The beginning of the body, up to the size of a small one, and whether there is more."""
    body, more = await _receive(request)
    if not more:
        return body, False
    pending = bytearray(body)
    while more and request.bytes_in <= SMALL_BODY_BYTES:
        chunk, more = await _receive(request)
        pending += chunk
    return bytes(pending), more


async def _receive_soon(request: HotRequest) -> tuple[bytes, bool]:
    """`_receive` for a client that holds memory or disk meanwhile: not for one that says nothing."""
    try:
        async with asyncio.timeout(_SILENT_S):
            return await _receive(request)
    except TimeoutError:
        raise too_slow(_SILENT_S) from None


async def _receive(request: HotRequest) -> tuple[bytes, bool]:
    """The next chunk of the body, counted towards the cap, and whether there is more."""
    message = await request.receive()
    if message["type"] == "http.disconnect":
        raise ClientGone
    chunk: bytes = message.get("body", b"")
    request.bytes_in += len(chunk)
    if request.bytes_in > MOST_BODY_BYTES:
        raise too_large(MOST_BODY_BYTES)
    return chunk, message.get("more_body", False)
