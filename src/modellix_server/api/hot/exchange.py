"""The dispatcher of submissions and status reads: what `dispatch.Guarded` does, in as few steps as there can be."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from modellix_server.api.answers import Reply
from modellix_server.api.context import ApiContext
from modellix_server.api.dispatch import (
    EventStream,
    Receive,
    RequestContext,
    Scope,
    Send,
    admit,
    count,
    observe,
    record,
    refusal_of,
    send_events,
)
from modellix_server.base import log, time_budget
from modellix_server.operations.principal import Permission


class HotRequest(RequestContext):
    """One HTTP request, its headers found once; their values are latin-1, as HTTP has it."""

    __slots__ = (
        *("authorization", "content_length", "headers", "idempotency_key", "max_cost", "query_string", "queue"),
        *("receive", "webhook_url"),
    )

    def __init__(self, ctx: ApiContext, scope: Scope, receive: Receive) -> None:
        super().__init__(ctx, scope)
        self.receive = receive
        self.query_string: bytes = scope["query_string"]
        self.headers: list[tuple[bytes, bytes]] = scope["headers"]
        """All of them, as they came; names in lower case."""
        authorization = idempotency_key = content_length = max_cost = queue = webhook_url = None
        for name, value in self.headers:
            if name == b"authorization":
                authorization = _joined(authorization, value)
            elif name == b"idempotency-key":
                idempotency_key = _joined(idempotency_key, value)
            elif name == b"x-webhook-url":
                webhook_url = _joined(webhook_url, value)
            elif name == b"x-max-cost":
                max_cost = _joined(max_cost, value)
            elif name == b"x-queue":
                queue = _joined(queue, value)
            elif name == b"content-length" and value.isdigit():
                content_length = int(value)
        self.authorization: str | None = authorization
        self.idempotency_key: str | None = idempotency_key
        self.webhook_url: str | None = webhook_url
        self.max_cost: str | None = max_cost
        self.queue: str | None = queue
        self.content_length: int | None = content_length

    def header(self, wanted: bytes) -> str | None:
        """Another header's value."""
        return next((value.decode("latin-1") for name, value in self.headers if name == wanted), None)


def _joined(former: str | None, value: bytes) -> str:
    """A header sent twice is one list (RFC 9110, 5.3): neither of two keys can then pass for the only one."""
    text = value.decode("latin-1")
    return text if former is None else f"{former}, {text}"


HotHandler = Callable[[HotRequest], Awaitable[Reply | EventStream]]


class HotEndpoint:
    """A hot endpoint as an ASGI application: for the short cut past the router, and for the router."""

    def __init__(self, ctx: ApiContext, handler: HotHandler, permission: Permission) -> None:
        self._ctx = ctx
        self._handler = handler
        self._name = handler.__name__
        self.permission = permission

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; whatever the endpoint raises becomes an answer in the contract's shape."""
        request = HotRequest(self._ctx, scope, receive)
        time_budget.begin()
        log.bind(request=request.id)
        reply: Reply | EventStream | None
        try:
            await admit(request, request.authorization, self.permission)
            reply = await self._handler(request)
        except Exception as error:  # noqa: BLE001 - nothing may reach the client but an answer in the contract's shape
            reply = refusal_of(error, request)
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
        if not request.logged_elsewhere:
            record(request, reply.status, len(reply.body), reply)
