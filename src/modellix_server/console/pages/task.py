"""One task of a team: all its records, and what can be done with it."""

import secrets
from datetime import timedelta
from typing import Any
from uuid import UUID

import msgspec
from starlette.responses import RedirectResponse, Response

from modellix_server.base.errors import InvalidFormat, NotFound
from modellix_server.base.ids import parse_task_name, task_name
from modellix_server.console.cards import make_card
from modellix_server.console.dispatch import PageRequest, local_path
from modellix_server.console.i18n import gettext as _
from modellix_server.console.pages.tasks import submitter_names
from modellix_server.operations import task_inputs, task_records, tasks
from modellix_server.operations.submissions import SubmitOptions
from modellix_server.operations.task_inputs import TaskMedia

_ONCE_CHARACTERS = 64


async def show(request: PageRequest) -> Response:
    """Status, results, inputs, timeline, money and messages of one task."""
    ctx, who = request.ctx, request.who
    found = await task_records.read(ctx, who, who.team, _task_id(request))
    task = found.task
    params: dict[str, Any] = msgspec.json.decode(task.params)
    media = await task_inputs.media_of(ctx, task)
    kept_until = None
    if task.finished_at is not None:
        kept_until = task.finished_at + timedelta(seconds=ctx.settings.result_ttl_s)
    return request.render(
        "tasks/task.html",
        card=make_card(ctx, task),
        records=found,
        inputs=_inputs(params, media),
        media=media,
        redacted=not params,
        kept_until=kept_until,
        names=await submitter_names(request),
        once=secrets.token_urlsafe(16),
    )


async def card(request: PageRequest) -> Response:
    """One task as a card: a piece of a page."""
    task = await tasks.find(request.ctx, request.who, request.who.team, _task_id(request))
    return request.render("tasks/card.html", card=make_card(request.ctx, task))


async def run_again(request: PageRequest) -> Response:
    """Accept the same task once more; a form that is sent twice makes one."""
    once = request.fields.get("once", "")
    if not once or len(once) > _ONCE_CHARACTERS:
        raise InvalidFormat(_("this form is incomplete: reload the page"))
    name = request.scope.get("request_id")
    options = SubmitOptions(idempotency_key=f"{request.who.id}/again/{once}", request_id=name)
    accepted = await task_inputs.repeat(request.ctx, request.who, request.who.team, _task_id(request), options)
    if not accepted.replayed:
        request.made_tasks.append(accepted.task_id)
    return RedirectResponse(f"/console/tasks/{task_name(accepted.task_id)}", 303)


async def cancel(request: PageRequest) -> Response:
    """Cancel a task if it costs nothing."""
    await tasks.cancel(request.ctx, request.who, request.who.team, _task_id(request))
    return _back(request)


async def delete_result(request: PageRequest) -> Response:
    """Delete files and links of a task's result now."""
    await tasks.delete_result(request.ctx, request.who, request.who.team, _task_id(request))
    return _back(request)


def _back(request: PageRequest) -> Response:
    there = request.fields.get("back") or f"/console/tasks/{request.path_params['task_id']}"
    return RedirectResponse(local_path(there), 303)


def _task_id(request: PageRequest) -> UUID:
    """Of the task that the path names. Raises NotFound."""
    found = parse_task_name(request.path_params["task_id"])
    if found is None:
        raise NotFound(_("there is no such task"))
    return found


def _inputs(params: dict[str, Any], media: list[TaskMedia]) -> list[tuple[str, str]]:
    """Name and text of each input that is no media."""
    shown = {one.where.partition("[")[0].partition(".")[0] for one in media}
    return [
        (name, value if isinstance(value, str) else msgspec.json.format(msgspec.json.encode(value)).decode())
        for name, value in params.items()
        if name not in shown
    ]
