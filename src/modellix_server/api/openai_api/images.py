"""`/v1/images/generations` and `/v1/images/edits`: a task that is waited for, answered with its pictures."""

from __future__ import annotations

import asyncio
import base64
from typing import Any
from urllib.parse import urlsplit

import msgspec

from modellix_server.api.dispatch import ClientGone, Reply
from modellix_server.api.hot.exchange import HotRequest
from modellix_server.api.openai_api.answers import answer, failed_task, still_running
from modellix_server.api.openai_api.attempts import accept_once
from modellix_server.api.openai_api.bodies import read_given
from modellix_server.api.openai_api.names import ModelNames
from modellix_server.base.errors import InvalidFormat, InvalidParameters, MissingParameter, OutOfRange, Unavailable
from modellix_server.base.ids import task_name
from modellix_server.base.money import usd_number
from modellix_server.catalogue import show
from modellix_server.operations import files, tasks
from modellix_server.operations.context import ServingContext
from modellix_server.operations.tasks import ResultFile
from modellix_server.results import drop_inputs
from modellix_server.tasks import Accepted, TaskView

LONGEST_WAIT_S = 280.0
"""Of a request for its pictures. Node's `fetch` gives up after 300 s without an answer."""
_FORMS = ("b64_json", "url")


class OpenAiImages:
    """The routes about images."""

    def __init__(self, names: ModelNames) -> None:
        self._names = names

    async def generate_images(self, request: HotRequest) -> Reply:
        """`POST /v1/images/generations`."""
        return await self._make(request, edit=False)

    async def edit_images(self, request: HotRequest) -> Reply:
        """`POST /v1/images/edits`."""
        return await self._make(request, edit=True)

    async def _make(self, request: HotRequest, *, edit: bool) -> Reply:
        given = await read_given(request, self._names.media)
        try:
            form = _form(given.fields)
            pictures, mask = (given.pictures(), given.mask()) if edit else ([], None)
            if edit and not pictures:
                raise MissingParameter("parameter 'image' is required")
            words = self._names.to_make(given.fields.get("model"), "image", pictures=edit)
            wanted = _wanted(given.fields.pop("n", 1))
            params = words.parameters(given.fields, pictures, mask, pictures_wanted=wanted)
        except BaseException:
            await drop_inputs(given.files)
            raise

        async def answering(accepted: Accepted) -> Reply:
            return await _pictures(request, accepted, params, form)

        return await accept_once(request, words.model, params, given.files, answering)


def _form(fields: dict[str, Any]) -> str:
    """How pictures are to come. Raises InvalidParameters, OutOfRange."""
    if fields.get("stream") not in (None, False, "false"):
        raise InvalidParameters("pictures are not streamed here: leave parameter 'stream' out")
    form = fields.get("response_format", "b64_json")
    if form not in _FORMS:
        raise OutOfRange(f"parameter 'response_format' must be one of {', '.join(_FORMS)}, got {show(form)}")
    return str(form)


def _wanted(n: object) -> int:
    text = str(n)
    if isinstance(n, bool) or not (text.isascii() and text.isdigit() and len(text) <= 3):
        raise InvalidFormat(f"parameter 'n' must be a whole number, got {show(n)}")
    return int(text)


async def _pictures(request: HotRequest, accepted: Accepted, params: dict[str, Any], form: str) -> Reply:
    """Wait for the task, and answer with what it delivered."""
    ctx, who = request.ctx, request.who
    view = await tasks.wait(ctx, who, who.team, accepted.task_id, LONGEST_WAIT_S, request.when_lost)
    if view is None:
        raise ClientGone
    if view.finished_at is None:
        if ctx.subscriptions.closed:
            raise Unavailable("this process is being restarted: send the same request again", retry_after_s=1)
        return still_running(task_name(view.id), request.rate)
    if view.error_code is not None:
        words = view.error_code.replace("_", " ").capitalize()
        return failed_task(view.error_code, f"{words}: {view.error_message}", request.rate)
    return answer(await _delivered(ctx, view, params, form), request.rate)


async def _delivered(ctx: ServingContext, view: TaskView, params: dict[str, Any], form: str) -> bytes:
    assert view.finished_at is not None
    found = [one for one in tasks.result_files(ctx, view) if one.file.type == "image" and one.file.role == "primary"]
    contents = [await _content(ctx, one) for one in found] if form == "b64_json" else []
    data: dict[str, Any] = {
        "created": int(view.finished_at.timestamp()),
        "data": [{"url": one.url} for one in found],
        "model": view.model,
        "task_id": task_name(view.id),
        "billing": {"amount": usd_number(view.captured or 0)},
    }
    if found:
        first = found[0].file
        data |= {"size": f"{first.width}x{first.height}", "output_format": first.format}
    data |= {name: params[name] for name in ("quality", "background") if name in params}

    def encoded() -> bytes:
        if contents:
            data["data"] = [{"b64_json": base64.b64encode(content).decode()} for content in contents]
        return msgspec.json.encode(data)

    return await asyncio.to_thread(encoded) if contents else encoded()


async def _content(ctx: ServingContext, one: ResultFile) -> bytes:
    """The bytes of a result, by its own link."""
    link = urlsplit(one.url)
    opened, _ = await files.open_result(ctx, link.path, link.query, None, None)
    return b"".join([bytes(chunk) async for chunk in opened.chunks])
