"""`POST /v1/videos/generations`: videos in the words of xAI's API, which the AI SDK has no others for (@ai-sdk/xai).

Its answer is a `request_id`; `GET /v1/videos/{request_id}` tells how it goes. OpenAI's API has the same address with
other words for its answer, so the ids begin differently.
"""

from __future__ import annotations

import re
from typing import Any

from modellix_server.api.dispatch import Reply
from modellix_server.api.hot.exchange import HotRequest
from modellix_server.api.openai_api.answers import answer
from modellix_server.api.openai_api.attempts import accept_once
from modellix_server.api.openai_api.bodies import links, read_given
from modellix_server.api.openai_api.names import ModelNames
from modellix_server.base.ids import task_name
from modellix_server.operations import tasks
from modellix_server.operations.context import ServingContext
from modellix_server.results import drop_inputs
from modellix_server.tasks import Accepted, TaskView

XAI_REQUEST = "xai-"
"""How a `request_id` begins; the task's name follows."""
_MEDIA = ("image.url", "reference_images.url")
_RATIO = re.compile(r"([1-9][0-9]?):([1-9][0-9]?)", re.ASCII)
_LINES = re.compile(r"([1-9][0-9]{2,3})p", re.ASCII | re.IGNORECASE)
_STATUS = {"success": "done", "failed": "failed"}


class XaiVideos:
    """The route that begins a video."""

    def __init__(self, names: ModelNames) -> None:
        self._names = names

    async def generate_xai_video(self, request: HotRequest) -> Reply:
        """`POST /v1/videos/generations`: accept one, and answer at once."""
        given = await read_given(request, (*self._names.media, *_MEDIA))
        try:
            pictures = given.pictures()
            references = list(links("reference_images", given.fields.pop("reference_images", None)))
            fields = _in_words(given.fields)
            named = fields.get("model")
            words = self._names.to_make(named, "video", pictures=bool(pictures or references))
            if references and words.has("reference_images"):
                fields["reference_images"] = references
            else:
                pictures += references
            params = words.parameters(fields, pictures, None, pictures_wanted=None)
        except BaseException:
            await drop_inputs(given.files)
            raise

        async def answering(accepted: Accepted) -> Reply:
            return answer({"request_id": XAI_REQUEST + task_name(accepted.task_id)}, request.rate)

        return await accept_once(request, words.model, params, given.files, answering)


def xai_status(ctx: ServingContext, view: TaskView) -> dict[str, Any]:
    """How a video goes, and where it is."""
    shown: dict[str, Any] = {"status": _STATUS.get(view.status, "pending"), "model": view.model}
    if view.error_code is not None:
        shown["error"] = {"code": view.error_code, "message": view.error_message or ""}
    clip = next((one for one in tasks.result_files(ctx, view) if one.file.type == "video"), None)
    if clip is not None:
        length_ms = clip.file.duration_ms
        duration = None if length_ms is None else length_ms / 1000
        shown["video"] = {"url": clip.url, "duration": duration, "respect_moderation": True}
    return shown


def _in_words(fields: dict[str, Any]) -> dict[str, Any]:
    """The same fields, those in whose place OpenAI's API has others under its names."""
    if "duration" in fields:
        fields["seconds"] = fields.pop("duration")
    ratio = _RATIO.fullmatch(str(fields.get("aspect_ratio", "16:9")))
    lines = _LINES.fullmatch(str(fields.get("resolution", "720p")))
    if ratio and lines and ("aspect_ratio" in fields or "resolution" in fields):
        one, other, short = int(ratio[1]), int(ratio[2]), int(lines[1])
        width, height = (round(short * side / min(one, other)) for side in (one, other))
        fields = {name: value for name, value in fields.items() if name not in ("aspect_ratio", "resolution")}
        fields["size"] = f"{width}x{height}"
    return fields
