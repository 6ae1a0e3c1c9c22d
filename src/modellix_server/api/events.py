"""Server-sent events: a task's story as it happens (HTML Living Standard, 9.2).

An event tells how the task is now; steps that passed in between are not told again. Its id is the number of the
task's newest move, so a client that comes back with `Last-Event-ID` hears what is new since, from any process.
An idle stream is one suspended coroutine and a comment now and then.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import msgspec

from modellix_server.api.exchange import RequestContext, admit
from modellix_server.api.platform import Platform
from modellix_server.api.reply import Headers, Reply
from modellix_server.api.request import Request, Send
from modellix_server.api.status import question, rendered
from modellix_server.api.submit import accept_task
from modellix_server.base.errors import PlatformError, Unavailable
from modellix_server.base.ids import task_name
from modellix_server.tasks import Subscription, TaskQuery, TaskView

_KEEP_ALIVE_S = 15.0  # proxies commonly cut a connection that is silent for 60 s
_SEND_TIMEOUT_S = 30.0
_RETRY_MS = 2_000
_DATABASE_RETRY_S = 1.0
_HEADERS: Headers = [
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-accel-buffering", b"no"),  # nginx and others that know it pass every event on at once
]
_KEEP_ALIVE = b":\n\n"


class TaskStream:
    """The answer to a request for events."""

    def __init__(
        self,
        platform: Platform,
        request: Request,
        watch: Subscription,
        asked: TaskQuery,
        headers: Headers,
        first: list[bytes],
    ) -> None:
        self.headers = [*_HEADERS, *headers]
        self._platform = platform
        self._request = request
        self._watch = watch
        self._asked = asked
        self._first = first
        self._told: tuple[str, str | None, bool] | None = None
        self._place: int | None = None
        self._progress: float | None = None

    def skip_to(self, last_id: int | None, view: TaskView) -> None:
        """The client knows the task as it was at this event already, if nothing has happened since."""
        if last_id == view.moves:
            self._told = _essence(view)

    async def send(self, send: Send) -> None:
        """Tell the story to its end, or until the client has gone or does not read what it is sent."""
        try:
            await send({"type": "http.response.start", "status": 200, "headers": self.headers})
            async for chunk in self._chunks():
                async with asyncio.timeout(_SEND_TIMEOUT_S):
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
        except TimeoutError:
            self._request.cut_line()
        finally:
            self._watch.close()
        await send({"type": "http.response.body", "body": b""})

    async def _chunks(self) -> AsyncIterator[bytes]:
        yield b"".join([b"retry: %d\n\n" % _RETRY_MS, *self._first])
        spoken = time.monotonic()
        while not self._watch.left:
            said, over = await self._news()
            if said:
                yield said
                spoken = time.monotonic()
            if over:
                return
            while not await self._watch.news(max(0.0, spoken + _KEEP_ALIVE_S - time.monotonic())):
                yield _KEEP_ALIVE
                spoken = time.monotonic()

    async def _news(self) -> tuple[bytes, bool]:
        """What there is to say now, which may be nothing, and whether that is the last."""
        said = b""
        if self._watch.unread:
            self._watch.unread = False
            try:
                view = await self._platform.reader.read(self._asked)
            except Unavailable:
                asyncio.get_running_loop().call_later(_DATABASE_RETRY_S, self._watch.wake)
                return b"", False
            except PlatformError as error:  # the key was revoked, or the task has gone
                return event("refusal", msgspec.json.encode({"code": error.status, "message": error.message})), True
            self._watch.seen = view.moves
            self._watch.waits(view.queue_position)
            if self._told != (essence := _essence(view)):
                self._told, self._place = essence, view.queue_position
                said = event("status", self._data(view), view.moves)
            if view.finished_at is not None:
                return said, True
        if self._watch.place not in (None, self._place):
            self._place = self._watch.place
            said += event("queue", self._about("queue_position", self._place))
        if self._watch.progress not in (None, self._progress):
            self._progress = self._watch.progress
            said += event("progress", self._about("progress", self._progress))
        return said, False

    def _about(self, name: str, value: float | None) -> bytes:
        return msgspec.json.encode({"task_id": task_name(self._asked.task_id), name: value})

    def _data(self, view: TaskView) -> bytes:
        data = rendered(self._platform, view)
        return data if view.stage is None else data[:-1] + f',"stage":"{view.stage}"}}'.encode()


def _essence(view: TaskView) -> tuple[str, str | None, bool]:
    """What makes a task another one to its followers."""
    return view.status, view.stage, view.queue_position is not None


def event(name: str, data: bytes, number: int | None = None) -> bytes:
    """One event; the data is JSON on one line."""
    head = b"event: %s\n" % name.encode()
    if number is not None:
        head = b"id: %d\n" % number + head
    return head + b"data: " + data + b"\n\n"


async def stream_task(platform: Platform, request: Request, trail: RequestContext) -> Reply | TaskStream:
    """`GET /tasks/{task_id}/stream`: how the task is, and every change until its end."""
    caller, verdict = await admit(platform, request, trail)
    asked = question(caller, request.path.split("/")[-2])
    watch = platform.hub.open(team_id=caller.team_id, live=caller.live, key_id=caller.key_id)
    try:
        stream = _follow(platform, request, watch, asked, verdict.headers(), [])
        view = await platform.reader.read(asked)
        trail.model = view.model
        last_id = _last_id(request.last_event_id)
        over = view.finished_at is not None and last_id == view.moves
        if over or request.method == "HEAD":
            watch.close()
            # A browser comes back by itself when a stream has ended, and only 204 keeps it away.
            return Reply(204, b"", verdict.headers()) if over else Reply(200, b"", stream.headers)
        stream.skip_to(last_id, view)
    except BaseException:
        watch.close()
        raise
    return stream


async def submit_and_stream(platform: Platform, request: Request, trail: RequestContext) -> TaskStream:
    """`POST …/stream`: accept one task and tell how it goes. Raises what `POST …/async` raises, and for the stream."""
    caller, verdict = await admit(platform, request, trail)
    watch = platform.hub.open(team_id=caller.team_id, live=caller.live, key_id=caller.key_id)
    try:
        receipt = await accept_task(platform, request, trail)
        asked = TaskQuery(receipt.task_id, caller.team_id, caller.live, caller.key_id)
        extra = [*verdict.headers(), *receipt.headers]
        return _follow(platform, request, watch, asked, extra, [event("accepted", receipt.body)])
    except BaseException:
        watch.close()
        raise


def _follow(
    platform: Platform, request: Request, watch: Subscription, asked: TaskQuery, headers: Headers, first: list[bytes]
) -> TaskStream:
    request.when_lost(watch.leave)
    watch.follow(asked)
    return TaskStream(platform, request, watch, asked, headers, first)


def _last_id(text: str | None) -> int | None:
    """The event that the client heard last; what we never said is no reason to refuse it."""
    return int(text) if text is not None and text.isascii() and text.isdigit() and len(text) < 10 else None
