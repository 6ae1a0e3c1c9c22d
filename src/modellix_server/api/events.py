"""Server-sent events about a task (HTML Living Standard, 9.2).

An event carries the task's present state; intermediate states are not replayed. Its id is the number of the task's
latest move, so a client that reconnects with `Last-Event-ID` gets what is new since, from any process. An idle stream
is one suspended coroutine and a periodic comment.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from uuid import UUID

import msgspec
from starlette.responses import Response

from modellix_server.api.dispatch import EventStream, Headers, Receive, Request, RequestContext, Scope, Send
from modellix_server.api.hot.exchange import HotRequest
from modellix_server.api.hot.status import named_task
from modellix_server.api.hot.submit import accept_task
from modellix_server.base.errors import PlatformError, Unavailable
from modellix_server.base.ids import task_name
from modellix_server.operations import tasks
from modellix_server.tasks import Subscription, TaskView

KEEP_ALIVE_S = 15.0
"""Between signs of life: proxies commonly cut a connection that is silent for 60 s."""
_SEND_TIMEOUT_S = 30.0
_PIECE = 1 << 18
_RETRY_MS = 2_000
_DATABASE_RETRY_S = 1.0
EVENT_HEADERS: Headers = [
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-accel-buffering", b"no"),  # tells nginx and others not to buffer events
]
"""Of every stream of events."""
KEEP_ALIVE = b":\n\n"
"""A comment, which clients ignore."""


class TaskStream(EventStream):
    """The answer to a request for events."""

    def __init__(
        self,
        context: RequestContext,
        subscription: Subscription,
        task_id: UUID,
        first: bytes = b"",
        headers: Headers | None = None,
    ) -> None:
        self.status_code = 200
        self.raw_headers = [*EVENT_HEADERS, *(context.rate.headers() if context.rate else ()), *(headers or ())]
        self._context = context
        self._task_id = task_id
        self._subscription = subscription
        self._first = first
        self._told: tuple[str, str | None, bool] | None = None
        self._position: int | None = None
        self._progress: float | None = None
        context.when_lost(subscription.leave)
        subscription.follow(tasks.query(context.who, context.who.team, task_id))

    async def read(self) -> TaskView:
        """The task as it is now. Raises what `operations.tasks.read` raises."""
        who = self._context.who
        return await tasks.read(self._context.ctx, who, who.team, self._task_id)

    def skip_to(self, last_id: int | None, view: TaskView) -> None:
        """Omit the first event if the client has seen it already."""
        if last_id == view.moves:
            self._told = _essence(view)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - as ASGI has it
        """Send events until the task has ended, the client has gone, or it stops reading."""
        try:
            await send_stream(self._context, self.raw_headers, self._chunks(), send)
        finally:
            self._subscription.close()

    async def _chunks(self) -> AsyncIterator[bytes]:
        yield b"retry: %d\n\n" % _RETRY_MS + self._first
        spoken = time.monotonic()
        while not self._subscription.left:
            said, over = await self._news()
            if said:
                yield said
                spoken = time.monotonic()
            if over:
                return
            while not await self._subscription.news(max(0.0, spoken + KEEP_ALIVE_S - time.monotonic())):
                yield KEEP_ALIVE
                spoken = time.monotonic()

    async def _news(self) -> tuple[bytes, bool]:
        """New events, possibly none, and whether they are the last."""
        said, subscription = b"", self._subscription
        if subscription.unread:
            subscription.unread = False
            try:
                view = await self.read()
            except Unavailable:
                asyncio.get_running_loop().call_later(_DATABASE_RETRY_S, subscription.wake)
                return b"", False
            except PlatformError as error:  # the key was revoked, or the task has gone
                return event("refusal", msgspec.json.encode({"code": error.status, "message": error.message})), True
            subscription.seen = view.moves
            subscription.waits(view.queue_position)
            if self._told != (essence := _essence(view)):
                self._told, self._position = essence, view.queue_position
                said = event("status", self._data(view), view.moves)
            if view.finished_at is not None:
                return said, True
        if subscription.position not in (None, self._position):
            self._position = subscription.position
            said += event("queue", self._about("queue_position", self._position))
        if subscription.progress not in (None, self._progress):
            self._progress = subscription.progress
            said += event("progress", self._about("progress", self._progress))
        return said, False

    def _about(self, name: str, value: float | None) -> bytes:
        return msgspec.json.encode({"task_id": task_name(self._task_id), name: value})

    def _data(self, view: TaskView) -> bytes:
        data = tasks.public_form(self._context.ctx, view)
        return data if view.stage is None else data[:-1] + f',"stage":"{view.stage}"}}'.encode()


async def send_stream(context: RequestContext, headers: Headers, chunks: AsyncIterator[bytes], send: Send) -> None:
    """Send events until there are no more; a client that stops reading is cut off."""
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    try:
        async for chunk in chunks:
            for start in range(0, len(chunk), _PIECE):
                async with asyncio.timeout(_SEND_TIMEOUT_S):
                    piece = chunk[start : start + _PIECE]
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
    except TimeoutError:
        if context.connection is not None:
            context.connection.cut()
    await send({"type": "http.response.body", "body": b""})


def _essence(view: TaskView) -> tuple[str, str | None, bool]:
    """What followers see of a task: an event is sent when it changes."""
    return view.status, view.stage, view.queue_position is not None


def event(name: str, data: bytes, number: int | None = None) -> bytes:
    """One event; the data is JSON on one line."""
    head = b"event: %s\n" % name.encode()
    if number is not None:
        head = b"id: %d\n" % number + head
    return head + b"data: " + data + b"\n\n"


async def stream_task(request: Request) -> Response:
    """`GET /tasks/{task_id}/stream`: the task's state, and every change until its end."""
    context, who = request.context, request.who
    _require_room(context)
    context.task_id = task_id = named_task(request.path_params["task_id"])
    subscription = tasks.subscribe(request.ctx, who, who.team)
    try:
        stream = TaskStream(context, subscription, task_id)
        view = await stream.read()
        context.model = view.model
        last_id = _last_id(request.headers.get("last-event-id"))
        over = view.finished_at is not None and last_id == view.moves
        if over or request.method == "HEAD":
            subscription.close()
            # A browser reconnects when a stream has ended, unless it is answered 204.
            response = Response(None, 204 if over else 200)
            response.raw_headers += stream.raw_headers[len(EVENT_HEADERS) if over else 0 :]
            return response
        stream.skip_to(last_id, view)
    except BaseException:
        subscription.close()
        raise
    return stream


def _require_room(context: RequestContext) -> None:
    """Refuse to follow a task where files run short: there is room for one answer. Raises Unavailable."""
    if context.connection is not None and context.connection.brief:
        raise Unavailable("too many clients follow tasks here; poll instead", retry_after_s=5)


async def submit_and_stream(request: HotRequest) -> TaskStream:
    """`POST …/stream`: accept one task and follow it. Raises what `POST …/async` raises, and TooManyFollowers."""
    _require_room(request)
    subscription = tasks.subscribe(request.ctx, request.who, request.who.team)
    try:
        receipt = await accept_task(request)
        return TaskStream(request, subscription, receipt.task_id, event("accepted", receipt.body), receipt.headers)
    except BaseException:
        subscription.close()
        raise


def _last_id(text: str | None) -> int | None:
    """The id of the last event that the client saw; an invalid one is ignored."""
    return int(text) if text is not None and text.isascii() and text.isdigit() and len(text) < 10 else None
