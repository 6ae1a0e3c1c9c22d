"""The vendor's answers as JSON values: pictures, stream events, task objects, task lists, errors."""

import base64
import time
from collections.abc import Iterator
from typing import Any

from modellix_server.sandbox.protocols.ark.content import FRAMES_PER_S, ClipJob
from modellix_server.sandbox.protocols.ark.rules import ArkRefusal, PictureJob
from modellix_server.sandbox.protocols.ark.work import ArkFile, ArkOutcome, ArkTask, lost

TOKEN_PX = 256
"""Pixels of a picture that count as one token."""
CLIP_TOKEN_PX = 1024


def error(refusal: ArkRefusal, request_id: str) -> dict[str, Any]:
    """The body of a refused call."""
    message = f"{refusal.message} Request id: {request_id}"
    return {"error": {"code": refusal.code, "message": message, "param": refusal.param, "type": refusal.type}}


def pictures(job: PictureJob, outcome: ArkOutcome, origin: str) -> dict[str, Any]:
    """The answer of the images endpoint."""
    data = [_picture(job, file, origin) for file in outcome.files] + [_lost()] * outcome.lost
    return {"model": job.model, "created": int(time.time()), "data": data, "usage": _usage(outcome)}


def events(job: PictureJob, outcome: ArkOutcome, origin: str) -> Iterator[dict[str, Any]]:
    """The same answer as a stream: one event for each picture, then one with the bill."""
    about = {"model": job.model, "created": int(time.time())}
    good = [("partial_succeeded", _picture(job, file, origin)) for file in outcome.files]
    bad = [("partial_failed", _lost()) for _ in range(outcome.lost)]
    for index, (word, item) in enumerate(good + bad):
        yield {"type": f"image_generation.{word}", **about, "image_index": index, **item}
    yield {"type": "image_generation.completed", **about, "usage": _usage(outcome)}


def _picture(job: PictureJob, file: ArkFile, origin: str) -> dict[str, Any]:
    told: dict[str, Any] = {"size": f"{file.size[0]}x{file.size[1]}"} if job.rules.sets else {}
    if job.inline:
        return {"b64_json": base64.b64encode(file.path.read_bytes()).decode(), **told}
    return {"url": origin + file.link, **told}


def _lost() -> dict[str, Any]:
    why = lost()
    return {"error": {"code": why.code, "message": why.message}}


def _usage(outcome: ArkOutcome) -> dict[str, int]:
    tokens = round(sum(file.size[0] * file.size[1] for file in outcome.files) / TOKEN_PX)
    return {"generated_images": outcome.images, "output_tokens": tokens, "total_tokens": tokens}


def task(task: ArkTask, job: ClipJob, origin: str) -> dict[str, Any]:
    """A clip task as a poll shows it."""
    shown: dict[str, Any] = {
        "id": task.id,
        "model": job.model,
        "status": task.word,
        "error": None,
        "created_at": int(task.created_at),
        "updated_at": int(task.updated_at),
        "service_tier": job.tier,
        "execution_expires_after": job.wait_s,
    }
    if task.refusal is not None:
        shown["error"] = {"code": task.refusal.code, "message": task.refusal.message}
    if task.outcome is not None:
        shown |= _made(job, task.outcome, origin)
    return shown


def _made(job: ClipJob, outcome: ArkOutcome, origin: str) -> dict[str, Any]:
    file = outcome.files[0]
    tokens = round(file.size[0] * file.size[1] * outcome.frames / CLIP_TOKEN_PX)
    made: dict[str, Any] = {
        "content": {"video_url": origin + file.link},
        "usage": {"completion_tokens": tokens, "total_tokens": tokens},
        "resolution": job.resolution,
        "ratio": job.ratio,
        "framespersecond": FRAMES_PER_S,
    }
    made |= {"frames": outcome.frames} if job.by_frames else {"duration": outcome.frames // FRAMES_PER_S}
    if outcome.last is not None:
        made["content"]["last_frame_url"] = origin + outcome.last.link
    if job.rules.seed:
        made["seed"] = job.seed
    if job.rules.sound:
        made["generate_audio"] = job.sound
    if job.rules.draft:
        made["draft"] = job.draft
    if job.draft_task:
        made["draft_task_id"] = job.draft_task
    return made
