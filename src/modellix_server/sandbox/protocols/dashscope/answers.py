"""The vendor's answers as JSON values: task records, results, usage, task lists."""

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

from modellix_server.base.ids import uuid4_text
from modellix_server.sandbox.protocols.dashscope.make import DashScopeOutcome
from modellix_server.sandbox.protocols.dashscope.work import DashScopeTask

REGION = timezone(timedelta(hours=8))
"""Beijing and Singapore share their time; the texts carry no zone."""
EXTENDED = ", soft natural light, balanced composition, fine detail"
"""What the imitated prompt rewriting adds."""


def request_id() -> str:
    """A new id of the vendor's form."""
    return uuid4_text()


def error(code: str, message: str) -> dict[str, Any]:
    """The body of a refused call."""
    return {"code": code, "message": message, "request_id": request_id()}


def accepted(task: DashScopeTask) -> dict[str, Any]:
    """The answer to a submission that became a task."""
    return {"output": {"task_status": "PENDING", "task_id": task.id}, "request_id": request_id()}


def unknown(task_id: str) -> dict[str, Any]:
    """The answer for a task that is unknown or older than a day: with HTTP 200 too."""
    return {"request_id": request_id(), "output": {"task_id": task_id, "task_status": "UNKNOWN"}}


def task(task: DashScopeTask, origin: str) -> dict[str, Any]:
    """The record of a task as a poll shows it."""
    output = _state(task)
    answer: dict[str, Any] = {"request_id": request_id(), "output": output}
    if task.status == "SUCCEEDED" and task.outcome is not None:
        output |= _output(task, task.outcome, origin)
        answer["usage"] = usage(task, task.outcome)
    elif task.refusal is not None:
        output["code"], output["message"] = task.refusal.code, task.refusal.message
    if task.job.rules.makes != "clip":
        output["task_metrics"] = _metrics(task)
    return answer


def _state(task: DashScopeTask) -> dict[str, Any]:
    state: dict[str, Any] = {"task_id": task.id, "task_status": task.word, "submit_time": _local(task.submitted_at)}
    if task.started_at is not None:
        state["scheduled_time"] = _local(task.started_at)
    if task.ended_at is not None:
        state["end_time"] = _local(task.ended_at)
    return state


def direct(task: DashScopeTask, outcome: DashScopeOutcome, origin: str) -> dict[str, Any]:
    """The answer of a synchronous call."""
    return {
        "request_id": request_id(),
        "output": _output(task, outcome, origin),
        "usage": usage(task, outcome),
    }


def _metrics(task: DashScopeTask) -> dict[str, int]:
    made = len(task.outcome.files) if task.outcome else 0
    lost = task.job.count - made if task.ended_at is not None else 0
    return {"TOTAL": task.job.count, "SUCCEEDED": made, "FAILED": lost}


def _output(task: DashScopeTask, outcome: DashScopeOutcome, origin: str) -> dict[str, Any]:
    urls = [origin + path for path in outcome.files]
    companions = [path and origin + path for path in outcome.companions]
    match task.job.route.gives:
        case "results":
            return {**_succeeded(task), "results": _results(task, [{"url": url} for url in urls])}
        case "wordart":
            pairs = zip(urls, companions, strict=True)
            return {"results": _results(task, [{"png_url": png, "svg_url": svg} for png, svg in pairs])}
        case "choices":
            return {"finished": True, "choices": _choices(task, urls)}
        case "parts":
            texts = [{"text": task.job.prompt}] if "input_tokens" in task.job.route.usage else []
            return {"choices": [_choice([*texts, *({"image": url} for url in urls)])]}
        case "video":
            return {**_prompts(task), "video_url": urls[0]}
        case "results-video":
            return {"results": {"video_url": urls[0]}}
        case "image":
            return {"image_url": urls[0], **({"message": outcome.message} if outcome.message else {})}
        case "output-image":
            return {"output_image_url": urls[0]}
        case "parsing":
            return {"parsing_img_url": urls, "crop_img_url": companions, "bbox": outcome.boxes}


def _results(task: DashScopeTask, made: list[dict[str, Any]]) -> list[dict[str, Any]]:
    lost = {"code": "InternalError.Algo", "message": "The image could not be generated."}
    return [{**_prompts(task), **one} for one in made] + [lost] * (task.job.count - len(made))


def _succeeded(task: DashScopeTask) -> dict[str, Any]:
    """What style repaint returns beside its results, although there is no error."""
    if task.job.rules.work != "repaint":
        return {}
    return {"style_index": task.job.parameters["style_index"], "error_code": 0, "error_message": "Success"}


def _choices(task: DashScopeTask, urls: list[str]) -> list[dict[str, Any]]:
    if not task.job.parameters.get("enable_interleave"):
        return [_choice([{"image": url, "type": "image"}]) for url in urls]
    parts: list[dict[str, str]] = []
    for number, url in enumerate(urls, 1):
        parts += [{"type": "text", "text": f"Picture {number}: {task.job.prompt}"}, {"type": "image", "image": url}]
    return [_choice(parts)]


def _choice(content: list[dict[str, str]]) -> dict[str, Any]:
    return {"finish_reason": "stop", "message": {"role": "assistant", "content": content}}


def _prompts(task: DashScopeTask) -> dict[str, str]:
    if not task.job.prompt:
        return {}
    prompts = {"orig_prompt": task.job.prompt}
    if task.job.parameters.get("prompt_extend"):
        prompts["actual_prompt"] = task.job.prompt + EXTENDED
    return prompts


_USAGE: dict[str, Callable[[DashScopeOutcome], object]] = {
    "image_count": lambda outcome: outcome.billed_images,
    "width": lambda outcome: outcome.size[0],
    "height": lambda outcome: outcome.size[1],
    "size": lambda outcome: f"{outcome.size[0]}*{outcome.size[1]}",
    "input_tokens": lambda _: 0,
    "output_tokens": lambda _: 0,
    "total_tokens": lambda _: 0,
    "duration": lambda outcome: _seconds(outcome.billed_seconds),
    "video_duration": lambda outcome: _seconds(outcome.billed_seconds),
    "output_video_duration": lambda outcome: _seconds(outcome.made_s),
    "input_video_duration": lambda outcome: _seconds(outcome.input_s),
    "video_count": lambda _: 1,
    "SR": lambda outcome: outcome.resolution,
}


def usage(task: DashScopeTask, outcome: DashScopeOutcome) -> dict[str, object]:
    """The fields this route reports."""
    report = {name: _USAGE[name](outcome) for name in task.job.route.usage if name in _USAGE}
    for name in set(task.job.route.usage) - report.keys():
        report[name] = _ratio(task, outcome)
    return report


def _ratio(task: DashScopeTask, outcome: DashScopeOutcome) -> str:
    """What `ratio` and `video_ratio` say: as asked, the clip's size, or the word for the usual quality."""
    asked = task.job.parameters
    if asked.get("mode") == "wan-pro":
        return "pro"
    if "size" in asked:
        return f"{outcome.size[0]}*{outcome.size[1]}"
    return str(asked.get("ratio", "standard"))


def _seconds(value: float) -> float | int:
    """Whole seconds as an integer, as the vendor writes them."""
    return int(value) if value == int(value) else round(value, 2)


def page(tasks: list[DashScopeTask], number: int, size: int) -> dict[str, Any]:
    """One page of a task list: `data` as the API pages describe it, `tasks` as the 2.x client reads it."""
    shown = tasks[(number - 1) * size : number * size]
    return {
        "request_id": request_id(),
        "data": [_listed(task) for task in shown],
        "tasks": [_state(task) for task in shown],
        "total": len(tasks),
        "total_page": -(-len(tasks) // size),
        "page_no": number,
        "page_size": size,
    }


def _listed(task: DashScopeTask) -> dict[str, Any]:
    return {
        "task_id": task.id,
        "status": task.word,
        "model_name": task.job.model,
        "region": "cn-beijing",
        "request_id": task.request_id,
        "gmt_create": int(task.submitted_at * 1000),
        "start_time": None if task.started_at is None else int(task.started_at * 1000),
        "end_time": None if task.ended_at is None else int(task.ended_at * 1000),
        "api_key_id": "1",
        "caller_uid": "1",
        "caller_parent_id": "1",
        "user_api_unique_key": f"apikey:v1:aigc:{task.job.model}",
    }


def _local(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, REGION).isoformat(" ", "milliseconds")[:23]
