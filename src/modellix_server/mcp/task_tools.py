"""Tools that submit, follow and cancel tasks."""

from __future__ import annotations

import asyncio
import hashlib
import time
from typing import Any

import msgspec
from msgspec import UNSET

from modellix_server.base.errors import InvalidFormat
from modellix_server.base.ids import task_name
from modellix_server.base.money import micros_from_usd
from modellix_server.catalogue import Model
from modellix_server.mcp.answers import ToolAnswer
from modellix_server.mcp.tool_arguments import NameTask, SubmitTask, WaitTask
from modellix_server.mcp.tool_context import ToolContext, task_answer
from modellix_server.mcp.tool_media import media_taken_out
from modellix_server.operations import submissions, tasks
from modellix_server.operations.submissions import SubmitOptions
from modellix_server.tasks import Accepted, Subscription, TaskView
from modellix_server.webhooks import check_url

_SAME_CALL_S = 600
_REPORT_EVERY_S = 10.0
_encode = msgspec.json.Encoder(order="sorted").encode


async def submit(tool: ToolContext, given: SubmitTask) -> ToolAnswer:
    """Accept one task. A client that has gone meanwhile does not stop it half-way."""
    return await asyncio.shield(_submit(tool, given))


async def _submit(tool: ToolContext, given: SubmitTask) -> ToolAnswer:
    ctx, call = tool.ctx, tool.call
    model = ctx.catalogue.named(given.model)
    call.model = model.slug
    options = _options(tool, given)
    params, files = await media_taken_out(model, given.input, call.bytes_in)
    accepted = await submissions.submit(ctx, tool.who, model, params, files, options)
    call.task_id, call.made_task = accepted.task_id, not accepted.replayed
    return ToolAnswer(_receipt(tool, model, accepted, options))


def _receipt(tool: ToolContext, model: Model, accepted: Accepted, options: SubmitOptions) -> dict[str, Any]:
    name = task_name(accepted.task_id)
    data: dict[str, Any] = {
        "status": "pending",
        "task_id": name,
        "model_id": model.id,
        "duration": tool.call.spent_ms,
        "get_result": {"method": "GET", "url": f"{tool.ctx.settings.public_origin}/api/v1/tasks/{name}"},
        "replayed": accepted.replayed,
        "idempotency_key": options.idempotency_key,
    }
    if accepted.queue_position:
        data["queue_position"] = accepted.queue_position
    return data


def _options(tool: ToolContext, given: SubmitTask) -> SubmitOptions:
    """Raises InvalidFormat, InvalidParameters."""
    most = url = None
    if given.max_cost is not UNSET:
        try:
            most = micros_from_usd(repr(given.max_cost))
        except ValueError:
            raise InvalidFormat("parameter 'max_cost' has at most six decimals") from None
    if given.webhook_url is not UNSET:
        url = check_url(given.webhook_url, tool.ctx.settings.allow_networks, "parameter 'webhook_url'")
    key = given.idempotency_key if given.idempotency_key is not UNSET else _key_of_call(tool, given)
    return SubmitOptions(
        idempotency_key=key,
        idempotency_key_name="parameter 'idempotency_key'",
        max_cost=most,
        max_cost_name="parameter 'max_cost'",
        wait=given.queue,
        webhook_url=url,
        request_id=tool.call.request_id,
    )


def _key_of_call(tool: ToolContext, given: SubmitTask) -> str:
    """A key for a call that names none: the same message sent again is the same task, for some minutes.

    Ids of messages are unique within one run of a client only; without a limit in time, the same wish in a later run
    would get the earlier picture.
    """
    said = _encode([tool.who.id, tool.message_id, given, int(time.time()) // _SAME_CALL_S])
    return f"mcp-{hashlib.sha256(said).hexdigest()[:40]}"


async def get(tool: ToolContext, given: NameTask) -> ToolAnswer:
    """A task as it is."""
    view = await tasks.read(tool.ctx, tool.who, tool.team, tool.task(given.task_id))
    tool.call.model = view.model
    return task_answer(tool.ctx, view)


async def cancel(tool: ToolContext, given: NameTask) -> ToolAnswer:
    """Cancel a task if that costs nothing."""
    if await tasks.cancel(tool.ctx, tool.who, tool.team, tool.task(given.task_id)):
        return ToolAnswer({"status": "failed", "task_id": given.task_id})
    return ToolAnswer({"status": "pending", "task_id": given.task_id, "cancel": "requested"})


async def wait(tool: ToolContext, given: WaitTask) -> ToolAnswer:
    """A task when it has ended, or as it is when the time is up; meanwhile the client hears how it goes."""
    task_id, started = tool.task(given.task_id), time.monotonic()
    subscription = tasks.subscribe(tool.ctx, tool.who, tool.team)
    try:
        subscription.follow(tasks.query(tool.who, tool.team, task_id))
        while True:
            subscription.unread = False
            view = await tasks.read(tool.ctx, tool.who, tool.team, task_id)
            tool.call.model = view.model
            subscription.seen = view.moves
            subscription.waits(view.queue_position)
            if view.finished_at is not None or subscription.left:
                return task_answer(tool.ctx, view)
            while not (subscription.unread or subscription.left):
                spent_s = time.monotonic() - started
                if spent_s >= given.timeout_s:
                    return task_answer(tool.ctx, view)
                await tool.report(round(spent_s, 3), _words(view, subscription))
                await subscription.news(min(_REPORT_EVERY_S, given.timeout_s - spent_s))
    finally:
        subscription.close()


def _words(view: TaskView, subscription: Subscription) -> str:
    """How a task goes, in words."""
    if subscription.position is not None:
        return f"{view.model}: position {subscription.position} in the queue"
    if subscription.progress is not None:
        return f"{view.model}: {view.stage or view.status}, {subscription.progress:.0%}"
    return f"{view.model}: {view.stage or view.status}"
