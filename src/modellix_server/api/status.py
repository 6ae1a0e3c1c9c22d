"""`GET /tasks/{task_id}`: the public form of a task."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec

from modellix_server.api.exchange import Trail, admit
from modellix_server.api.platform import Platform
from modellix_server.api.reply import Reply, success
from modellix_server.api.request import Request
from modellix_server.base.errors import NotFound
from modellix_server.base.ids import parse_task_name, task_name
from modellix_server.base.money import usd_number
from modellix_server.base.settings import Settings
from modellix_server.catalogue import show
from modellix_server.identity import Caller
from modellix_server.results import link
from modellix_server.tasks import Question, StoredResult, TaskView

_MOST_FINISHED = 10_000  # about 15 MB


def question(caller: Caller, text: str) -> Question:
    """The read that a path asks for; NotFound when the text is no task id at all."""
    task_id = parse_task_name(text)
    if task_id is None:
        raise NotFound(f"task {show(text)} not found")
    return Question(task_id, caller.team_id, caller.live, caller.key_id)


async def read_task(platform: Platform, request: Request, trail: Trail) -> Reply:
    """How a task is doing, and its results when it is done."""
    caller, verdict = await admit(platform, request, trail)
    view = await platform.reader.read(question(caller, request.path.rpartition("/")[2]))
    trail.model = view.model
    model_id = view.model.partition("/")[2]
    if view.finished_at is None:
        name = task_name(view.id)
        place = f',"queue_position":{view.queue_position}' if view.queue_position else ""
        pending = f'{{"status":"{view.status}","task_id":"{name}","model_id":"{model_id}"{place}}}'
        return success(pending.encode(), verdict)
    data = platform.finished.get(view.id)
    if data is None:
        data = msgspec.json.encode(_finished(platform.settings, view, view.finished_at, model_id))
        if len(platform.finished) >= _MOST_FINISHED:
            platform.finished.clear()
        platform.finished[view.id] = data
    return success(data, verdict)


def _finished(settings: Settings, view: TaskView, finished_at: datetime, model_id: str) -> dict[str, Any]:
    expires_at = finished_at.timestamp() + settings.result_ttl_s
    resources: list[dict[str, Any]] = []
    metadata: dict[str, Any] = {}
    if view.resources is not None:
        stored = msgspec.json.decode(view.resources, type=StoredResult)
        resources = [
            {"url": link(settings, view.id, index, resource.format, int(expires_at)), **resource.public()}
            for index, resource in enumerate(stored.resources)
        ]
        metadata = stored.metadata()
    answer: dict[str, Any] = {
        "status": view.status,
        "task_id": task_name(view.id),
        "model_id": model_id,
        "duration": int((finished_at - view.created_at).total_seconds() * 1000),
        "result": {
            "resources": resources,
            "metadata": metadata,
            "extensions": {"submit_time": _iso(view.created_at), "end_time": _iso(finished_at)},
        },
        "billing": {"amount": usd_number(view.captured or 0)},
        "result_expires_at": _iso(datetime.fromtimestamp(expires_at, UTC)),
    }
    if view.error_code is not None:
        words = view.error_code.replace("_", " ").capitalize()
        answer["error"] = {"code": view.error_code, "message": f"{words}: {view.error_message}"}
    return answer


def _iso(moment: datetime) -> str:
    """ISO 8601 of a moment in UTC, as the database gives them."""
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")
