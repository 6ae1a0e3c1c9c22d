"""Routes about tasks besides the hot ones: list, cancel, delete a result."""

from __future__ import annotations

import msgspec
from starlette.responses import Response

from modellix_server.api.dispatch import Request
from modellix_server.api.hot.status import named_task
from modellix_server.api.lists import answer_list
from modellix_server.api.parsing import Filters
from modellix_server.base.exports import Exported, iso
from modellix_server.base.ids import parse_task_name, task_name
from modellix_server.base.money import usd_number
from modellix_server.operations import tasks, usage
from modellix_server.tasks import ListedTask, TaskFilter

_COLUMNS = (
    *("task_id", "model", "status", "key_id", "key_name", "submit_time", "end_time", "duration", "quote", "cost"),
    *("error_code", "error_message", "input"),
)


async def list_of_tasks(request: Request) -> Response:
    """`GET /tasks`: newest first; `status`, `model`, `key_id`, `from` and `to` (of submission) narrow it."""
    ctx, who, filters = request.ctx, request.who, Filters(request.query_params)
    names = await usage.key_names(ctx, who, who.team)
    wanted = TaskFilter(
        status=filters.choice("status", ("pending", "success", "failed")),
        model=filters.model("model", ctx.catalogue),
        key_id=filters.key("key_id", names),
        submitted=filters.span(),
    )
    return await answer_list(
        request,
        filters,
        name="tasks",
        columns=_COLUMNS,
        read=lambda after, most: tasks.list_all(ctx, who, who.team, wanted, after=after, most=most),
        show=lambda task: _listed(task, names),
        place=(parse_task_name, task_name),
    )


def _listed(task: ListedTask, names: dict[int, str]) -> Exported:
    ended = task.finished_at
    return {
        "task_id": task_name(task.id),
        "model": task.model,
        "status": task.status,
        "key_id": task.key_id,
        "key_name": None if task.key_id is None else names.get(task.key_id),
        "submit_time": iso(task.created_at),
        "end_time": iso(ended) if ended else None,
        "duration": int((ended - task.created_at).total_seconds() * 1000) if ended else None,
        "quote": usd_number(task.quote),
        "cost": usd_number(task.captured or 0),
        "error_code": task.error_code,
        "error_message": task.error_message,
        "input": msgspec.Raw(task.params.encode()),
    }


async def cancel_task(request: Request) -> Response:
    """`POST /tasks/{task_id}/cancel`: cancel a task if it costs nothing."""
    name, who = request.path_params["task_id"], request.who
    request.context.task_id = task_id = named_task(name)
    if await tasks.cancel(request.ctx, who, who.team, task_id):
        return request.success({"status": "failed", "task_id": name})
    return request.success({"status": "pending", "task_id": name, "cancel": "requested"})


async def delete_task_result(request: Request) -> Response:
    """`DELETE /tasks/{task_id}/result`: delete files, links and the public answer now, before they expire."""
    name, who = request.path_params["task_id"], request.who
    request.context.task_id = task_id = named_task(name)
    await tasks.delete_result(request.ctx, who, who.team, task_id)
    return request.success({"task_id": name, "deleted": True})
