"""`GET /tasks/{task_id}`: the public form of a task, now or as soon as it has ended."""

from __future__ import annotations

import time

from modellix_server.api.exchange import RequestContext, admit
from modellix_server.api.platform import Platform
from modellix_server.api.reply import Reply, success
from modellix_server.api.request import ClientGone, Request
from modellix_server.base.errors import InvalidFormat, NotFound, OutOfRange
from modellix_server.base.ids import parse_task_name
from modellix_server.catalogue import show
from modellix_server.identity import Caller
from modellix_server.tasks import LONGEST_WAIT_S, TaskQuery, TaskView, public_form

_MOST_FINISHED = 10_000  # about 15 MB
_USUAL_WAIT_S = 10  # with its way there and back well below the 15 s at which known clients give up


def question(caller: Caller, text: str) -> TaskQuery:
    """The read that a path asks for; NotFound when the text is no task id at all."""
    task_id = parse_task_name(text)
    if task_id is None:
        raise NotFound(f"task {show(text)} not found")
    return TaskQuery(task_id, caller.team_id, caller.live, caller.key_id)


async def read_task(platform: Platform, request: Request, trail: RequestContext) -> Reply:
    """How a task is doing, and its results when it is done; with `wait` not before it is, or the time is up."""
    caller, verdict = await admit(platform, request, trail)
    asked = question(caller, request.path.rpartition("/")[2])
    if wait_s := _wait(request.query.get("wait", "0")):
        view = await _when_finished(platform, request, asked, wait_s)
    else:
        view = await platform.reader.read(asked)
    trail.model = view.model
    return success(rendered(platform, view), verdict)


def rendered(platform: Platform, view: TaskView) -> bytes:
    """The public form of a task; that of a finished one is made once."""
    if view.finished_at is None:
        return public_form(platform.settings, view)
    data = platform.finished.get(view.id)
    if data is None:
        data = public_form(platform.settings, view)
        if len(platform.finished) >= _MOST_FINISHED:
            platform.finished.clear()
        platform.finished[view.id] = data
    return data


def _wait(text: str) -> int:
    """Seconds of a `wait` parameter. Raises InvalidFormat or OutOfRange."""
    if text == "true":
        return _USUAL_WAIT_S
    if not (text.isascii() and text.isdigit()):
        raise InvalidFormat("parameter 'wait' must be a whole number of seconds, or 'true'")
    if len(text) > 4 or int(text) > LONGEST_WAIT_S:
        raise OutOfRange(f"parameter 'wait' must be at most {LONGEST_WAIT_S} seconds")
    return int(text)


async def _when_finished(platform: Platform, request: Request, asked: TaskQuery, wait_s: int) -> TaskView:
    """The task at its end, or as it is when the time is up; raises ClientGone when nobody waits any more."""
    until = time.monotonic() + wait_s
    watch = platform.hub.open(team_id=asked.team_id, live=asked.live, key_id=asked.key_id)
    try:
        request.when_lost(watch.leave)
        watch.follow(asked)
        while True:
            view = await platform.reader.read(asked)
            watch.seen = view.moves
            left_s = until - time.monotonic()
            if view.finished_at is not None or platform.hub.closed or left_s <= 0:
                return view
            await watch.news(left_s)
            if watch.left and not platform.hub.closed:
                raise ClientGone
    finally:
        watch.close()
