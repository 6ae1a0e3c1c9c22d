"""One stream of events for all tasks that a page shows as running.

An event only names a task that has news, and what of them is nowhere else (progress); the page then fetches the piece
that shows it. One stream a page, however many tasks: browsers open six connections to a host at most. The stream ends
after a minute and the browser opens it again, so that who was signed out hears no more.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from uuid import UUID

import msgspec
from starlette.responses import Response, StreamingResponse

from modellix_server.base import time_budget
from modellix_server.base.errors import InvalidFormat, NotFound, Unavailable
from modellix_server.base.ids import parse_task_name, task_name
from modellix_server.console.dispatch import PageRequest
from modellix_server.console.i18n import gettext as _
from modellix_server.operations import tasks

_MOST_TASKS = 50
_LASTS_S = 60.0
_KEEP_ALIVE_S = 15.0
_DATABASE_RETRY_S = 1.0
_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}  # nginx and others would hold events back


async def follow(request: PageRequest) -> Response:
    """`?task=task-…~3&task=…`: events about these tasks, of each of which the page shows so many moves."""
    named = [one.partition("~") for one in request.query_params.getlist("task")]
    shown = {parse_task_name(name): int(moves) if moves.isdecimal() else -1 for name, _, moves in named}
    if not shown or None in shown or len(shown) > _MOST_TASKS:
        raise InvalidFormat(_("a stream follows 1 to 50 tasks"))
    followed: list[_Followed] = []
    try:
        for task_id, moves in shown.items():
            assert task_id is not None
            followed.append(_Followed(request, task_id, moves))
        return StreamingResponse(_events(followed), headers=_HEADERS, media_type="text/event-stream")
    except BaseException:
        _close(followed)
        raise


class _Followed:
    """A task that the page shows, and what it shows of it."""

    def __init__(self, request: PageRequest, task_id: UUID, moves: int) -> None:
        self._request = request
        self._name = task_name(task_id)
        self._query = tasks.query(request.who, request.who.team, task_id)
        self._position: int | None = None
        self._progress: float | None = None
        self.subscription = tasks.subscribe(request.ctx, request.who, request.who.team)
        self.subscription.follow(self._query)
        self.subscription.seen = moves

    async def news(self) -> bytes:
        """An event, if there is anything that the page does not show."""
        subscription, changed = self.subscription, False
        if subscription.unread:
            subscription.unread = False
            try:
                who = self._request.who
                view = await tasks.read(self._request.ctx, who, who.team, self._query.task_id)
            except Unavailable:
                asyncio.get_running_loop().call_later(_DATABASE_RETRY_S, subscription.wake)
                return b""
            except NotFound:  # deleted, or its result was: the page says so
                changed = subscription.seen >= 0
                subscription.seen = -1
            else:
                changed = subscription.seen != view.moves
                subscription.seen = view.moves
                subscription.waits(view.queue_position)
        told = self._position, self._progress
        self._position, self._progress = subscription.position, subscription.progress
        if not changed and told == (self._position, self._progress):
            return b""
        data = {"task": self._name, "changed": changed or told[0] != self._position, "progress": self._progress}
        return b"data: " + msgspec.json.encode(data) + b"\n\n"


async def _events(followed: list[_Followed]) -> AsyncIterator[bytes]:
    time_budget.end()
    until = time.monotonic() + _LASTS_S
    waiting = {asyncio.ensure_future(one.subscription.news(_LASTS_S)): one for one in followed}
    try:
        yield b"retry: 1000\n\n" + b"".join([await one.news() for one in followed])
        while (left_s := until - time.monotonic()) > 0 and not any(one.subscription.left for one in followed):
            woken, _rest = await asyncio.wait(
                waiting, timeout=min(left_s, _KEEP_ALIVE_S), return_when=asyncio.FIRST_COMPLETED
            )
            said = b""
            for future in woken:
                one = waiting.pop(future)
                waiting[asyncio.ensure_future(one.subscription.news(_LASTS_S))] = one
                said += await one.news()
            yield said or b":\n\n"
    finally:
        for future in waiting:
            future.cancel()
        _close(followed)


def _close(followed: list[_Followed]) -> None:
    for one in followed:
        one.subscription.close()
