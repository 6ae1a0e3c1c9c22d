"""`/v1/videos`: tasks that make videos, in the words of OpenAI's former API for them."""

from __future__ import annotations

import re
from collections import OrderedDict
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import msgspec
from starlette.responses import Response

from modellix_server.api.dispatch import Reply, Request
from modellix_server.api.files import send_file
from modellix_server.api.hot.exchange import HotRequest
from modellix_server.api.hot.status import named_task
from modellix_server.api.openai_api.answers import answer
from modellix_server.api.openai_api.attempts import accept_once
from modellix_server.api.openai_api.bodies import read_given
from modellix_server.api.openai_api.names import ModelNames
from modellix_server.api.openai_api.words import size_of
from modellix_server.api.openai_api.xai_videos import XAI_REQUEST, xai_status
from modellix_server.api.parsing import Filters, within
from modellix_server.base.errors import InvalidFormat, MissingParameter, NotFound, OutOfRange
from modellix_server.base.ids import parse_task_name, task_name
from modellix_server.catalogue import show
from modellix_server.operations import files, tasks
from modellix_server.operations.context import ServingContext
from modellix_server.operations.principal import Principal
from modellix_server.results import RangeNotSatisfiable, drop_inputs
from modellix_server.tasks import Accepted, ListedTask, TaskFilter, TaskView

_POLL_AFTER_MS = 1_000
_MOST_LISTED = 100
_MOST_KNOWN = 10_000
_STATUS = {"success": "completed", "failed": "failed"}
_VARIANTS = ("video", "thumbnail", "spritesheet")
_VIDEO = "video"
_SOURCE = re.compile(r"/results/(task-[0-9a-f]{32})/")


class VideoFacts(msgspec.Struct, frozen=True):
    """What a video was ordered with: it never changes."""

    prompt: str | None
    seconds: str
    size: str
    remixed_from: str | None


class OpenAiVideos:
    """The routes about videos."""

    def __init__(self, names: ModelNames) -> None:
        self._names = names
        self._facts: OrderedDict[UUID, VideoFacts] = OrderedDict()

    async def create_video(self, request: HotRequest) -> Reply:
        """`POST /v1/videos`: accept one, and answer at once."""
        given = await read_given(request, self._names.media)
        try:
            pictures = given.pictures()
            words = self._names.to_make(given.fields.get("model"), "video", pictures=bool(pictures))
            params = words.parameters(given.fields, pictures, given.mask(), pictures_wanted=None)
        except BaseException:
            await drop_inputs(given.files)
            raise
        return await accept_once(request, words.model, params, given.files, self._answering(request))

    async def remix_video(self, request: HotRequest) -> Reply:
        """`POST /v1/videos/{video_id}/remix`: another video, made of this one by the family's model for that."""
        return await self._change(request, request.path.split("/")[3])

    async def edit_video(self, request: HotRequest) -> Reply:
        """`POST /v1/videos/edits`: another video, made of one that `video` names or is."""
        return await self._change(request, None)

    async def _change(self, request: HotRequest, name: str | None) -> Reply:
        """Another video of the task of this name, or of the body's."""
        given = await read_given(request, (*self._names.media, _VIDEO))
        try:
            video = {"id": name} if name is not None else given.fields.pop(_VIDEO, None)
            source = await self._source(request, video)
            made_by = source.model if isinstance(source, TaskView) else None
            words = self._names.to_remix(given.fields.get("model"), made_by)
            params = words.parameters(given.fields, given.pictures(), None, pictures_wanted=None)
            url = _clip(request.ctx, source).url if isinstance(source, TaskView) else source
            params = words.with_video(params, url)
        except BaseException:
            await drop_inputs(given.files)
            raise
        return await accept_once(request, words.model, params, given.files, self._answering(request))

    async def _source(self, request: HotRequest, video: object) -> TaskView | str:
        """The task of a video to change, or its file. Raises MissingParameter, InvalidFormat or NotFound."""
        if video is None:
            raise MissingParameter(f"parameter '{_VIDEO}' is required")
        if isinstance(video, str):
            return video
        if not isinstance(video, dict) or not isinstance(name := video.get("id"), str):
            raise InvalidFormat(f"parameter '{_VIDEO}' must be a file, a URL, or an object with 'id'")
        ctx, who = request.ctx, request.who
        return await tasks.read(ctx, who, who.team, named_task(name))

    def _answering(self, request: HotRequest) -> Any:
        async def answering(accepted: Accepted) -> Reply:
            ctx, who = request.ctx, request.who
            view = await tasks.read(ctx, who, who.team, accepted.task_id)
            return answer(await self._video(ctx, who, view), request.rate, _poll_after(view))

        return answering

    async def retrieve_video(self, request: Request) -> Response:
        """`GET /v1/videos/{video_id}`, or of a video that was begun in xAI's words."""
        view = await self._named(request)
        if request.path_params["video_id"].startswith(XAI_REQUEST):
            return answer(xai_status(request.ctx, view), request.context.rate).response()
        video = await self._video(request.ctx, request.who, view)
        return answer(video, request.context.rate, _poll_after(view)).response()

    async def video_content(self, request: Request) -> Response:
        """`GET /v1/videos/{video_id}/content`: the bytes, or a range of them."""
        view, variant = await self._named(request), request.query_params.get("variant", "video")
        if variant not in _VARIANTS:
            raise OutOfRange(f"parameter 'variant' must be one of {', '.join(_VARIANTS)}, got {show(variant)}")
        found = _clip(request.ctx, view)
        if variant != "video":
            pictures = [one for one in tasks.result_files(request.ctx, view) if one.file.type == "image"]
            if not pictures or variant != "thumbnail":
                raise NotFound(f"this video has no {variant}: its model made none, take frames of the clip itself")
            found = pictures[0]
        link, asked, ctx = urlsplit(found.url), request.headers, request.ctx
        try:
            opened, format_name = await files.open_result(
                ctx, link.path, link.query, asked.get("range"), asked.get("if-range")
            )
        except FileNotFoundError:
            raise NotFound("the video is not kept any more") from None
        except RangeNotSatisfiable as error:
            return Response(None, 416, {"Content-Range": f"bytes */{error.size}"})
        return send_file(opened, format_name, link.path, request)

    async def list_videos(self, request: Request) -> Response:
        """`GET /v1/videos`: `limit` of them after the one named `after`, the latest first, or with `order=asc` last."""
        ctx, who, filters = request.ctx, request.who, Filters(request.query_params)
        after, order = filters.task("after"), filters.choice("order", ("asc", "desc"))
        most = within(request.query_params, "limit", 20, _MOST_LISTED)
        filters.text("limit")
        filters.done()
        wanted = TaskFilter(
            models=[model.slug for model in ctx.catalogue if model.type.endswith("video")], oldest_first=order == "asc"
        )
        page = await tasks.list_all(ctx, who, who.team, wanted, after=after, most=most)
        shown = [_shown(ctx, task, _facts(task)) for task in page.rows if _kept(task)]
        data = {
            "object": "list",
            "data": shown,
            "first_id": shown[0]["id"] if shown else None,
            "last_id": shown[-1]["id"] if shown else None,
            "has_more": page.next is not None,
        }
        return answer(data, request.context.rate).response()

    async def delete_video(self, request: Request) -> Response:
        """`DELETE /v1/videos/{video_id}`: the files now; the task and what it cost stay on record."""
        view, who = await self._named(request), request.who
        await tasks.delete_result(request.ctx, who, who.team, view.id)
        deleted = {"id": task_name(view.id), "object": "video.deleted", "deleted": True}
        return answer(deleted, request.context.rate).response()

    async def _named(self, request: Request) -> TaskView:
        """The task of a path; NotFound for one that makes no video."""
        who = request.who
        request.context.task_id = task_id = named_task(request.path_params["video_id"].removeprefix(XAI_REQUEST))
        view = await tasks.read(request.ctx, who, who.team, task_id)
        request.context.model = view.model
        model = request.ctx.catalogue.models.get(view.model)
        if model is not None and not model.type.endswith("video"):
            raise NotFound(f"task '{task_name(task_id)}' makes no video")
        return view

    async def _video(self, ctx: ServingContext, who: Principal, view: TaskView) -> dict[str, Any]:
        """A video as its client sees it; what never changes is read once."""
        facts = self._facts.get(view.id)
        if facts is None:
            facts = _facts(await tasks.find(ctx, who, who.team, view.id))
            self._facts[view.id] = facts
            if len(self._facts) > _MOST_KNOWN:
                self._facts.popitem(last=False)
        return _shown(ctx, view, facts)


def _poll_after(view: TaskView) -> list[tuple[bytes, bytes]]:
    return [] if view.finished_at is not None else [(b"openai-poll-after-ms", b"%d" % _POLL_AFTER_MS)]


def _clip(ctx: ServingContext, view: TaskView) -> tasks.ResultFile:
    """The video of a task. Raises NotFound."""
    found = next((one for one in tasks.result_files(ctx, view) if one.file.type == "video"), None)
    if found is None:
        raise NotFound(f"the video of task '{task_name(view.id)}' is not there: its status is '{_status(view)}'")
    return found


def _status(task: ListedTask | TaskView) -> str:
    waiting = "queued" if task.stage == "queued" else "in_progress"
    return _STATUS.get(task.status, waiting)


def _kept(task: ListedTask) -> bool:
    """Whether a task in a list is still to be found: not where its result has been deleted."""
    return task.status != "success" or task.resources is not None


def _facts(task: ListedTask) -> VideoFacts:
    params: dict[str, Any] = msgspec.json.decode(task.params)
    prompt, seconds = params.get("prompt"), params.get("duration")
    found = _SOURCE.search(task.params)
    source = found[1] if found and parse_task_name(found[1]) else None
    return VideoFacts(
        prompt if isinstance(prompt, str) else None,
        str(seconds) if seconds else "",  # 0: as long as what it is made of
        size_of(params) or "",
        source,
    )


def _shown(ctx: ServingContext, task: ListedTask | TaskView, facts: VideoFacts) -> dict[str, Any]:
    status, ended = _status(task), task.finished_at
    shown: dict[str, Any] = {
        "id": task_name(task.id),
        "object": "video",
        "model": task.model,
        "status": status,
        "progress": 100 if status == "completed" else 0,
        "created_at": int(task.created_at.timestamp()),
        "completed_at": int(ended.timestamp()) if ended and status == "completed" else None,
        "expires_at": int(ended.timestamp()) + ctx.settings.result_ttl_s if ended else None,
        "prompt": facts.prompt,
        "seconds": facts.seconds,
        "size": facts.size,
        "remixed_from_video_id": facts.remixed_from,
        "error": None,
    }
    if task.error_code is not None:
        shown["error"] = {"code": task.error_code, "message": task.error_message or ""}
    clip = next((one for one in tasks.result_files(ctx, task) if one.file.type == "video"), None)
    if clip is not None:
        file = clip.file
        shown |= {"url": clip.url, "size": f"{file.width}x{file.height}"}
        if file.duration_ms is not None and not facts.seconds:
            shown["seconds"] = str(round(file.duration_ms / 1000))
    return shown
