"""A task as its team sees it: the `data` of a status read, of an event and of a webhook, all the same."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec

from modellix_server.base.ids import task_name
from modellix_server.base.money import usd_number
from modellix_server.base.settings import Settings
from modellix_server.results import link
from modellix_server.tasks.delivered import StoredResult
from modellix_server.tasks.read import TaskView


def public_form(settings: Settings, view: TaskView) -> bytes:
    """The JSON of a task. That of a finished one never changes as long as its result is kept."""
    model_id = view.model.partition("/")[2]
    if view.finished_at is None:
        place = f',"queue_position":{view.queue_position}' if view.queue_position else ""
        return f'{{"status":"{view.status}","task_id":"{task_name(view.id)}","model_id":"{model_id}"{place}}}'.encode()
    return msgspec.json.encode(_finished(settings, view, view.finished_at, model_id))


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
