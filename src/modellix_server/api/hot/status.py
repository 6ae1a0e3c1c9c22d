"""`GET /tasks/{task_id}`: the public form of a task, now or when it has ended."""

from __future__ import annotations

from urllib.parse import parse_qsl
from uuid import UUID

from modellix_server.api.dispatch import ClientGone, Reply, envelope
from modellix_server.api.hot.exchange import HotRequest
from modellix_server.api.no_such_route import no_such_route
from modellix_server.base.errors import InvalidFormat, NotFound, OutOfRange
from modellix_server.base.ids import parse_task_name
from modellix_server.catalogue import show
from modellix_server.operations import tasks
from modellix_server.tasks import LONGEST_WAIT_S

_USUAL_WAIT_S = 10  # with transmission well below the 15 s after which known clients give up


async def read_task(request: HotRequest) -> Reply:
    """The task's state, and its result once it has ended; `wait` delays the answer until then or a time-out."""
    ctx, who = request.ctx, request.who
    request.task_id = task_id = named_task(request.path.rpartition("/")[2])
    wait_s = _wait(request.query_string) if request.query_string else 0
    if wait_s:
        found = await tasks.wait(ctx, who, who.team, task_id, wait_s, request.when_lost)
        if found is None:
            raise ClientGone
        view = found
    else:
        view = await tasks.read(ctx, who, who.team, task_id)
    request.model = view.model
    return envelope(tasks.public_form(ctx, view), request.rate)


def named_task(text: str) -> UUID:
    """The task id in a path. Raises NotFound for a malformed one."""
    task_id = parse_task_name(text)
    if not text:
        raise NotFound(no_such_route("/tasks/"))
    if task_id is None:
        raise NotFound(f"task {show(text)} not found")
    return task_id


def _wait(query: bytes) -> int:
    """Seconds of a `wait` parameter. Raises InvalidFormat or OutOfRange."""
    text = dict(parse_qsl(query.decode("latin-1"), keep_blank_values=True)).get("wait", "0")
    if text == "true":
        return _USUAL_WAIT_S
    if not (text.isascii() and text.isdigit()):
        raise InvalidFormat("parameter 'wait' must be a whole number of seconds, or 'true'")
    if len(text) > 4 or int(text) > LONGEST_WAIT_S:
        raise OutOfRange(f"parameter 'wait' must be at most {LONGEST_WAIT_S} seconds")
    return int(text)
