"""`/v1/images/generations` and `/v1/images/edits`: a task that is waited for, answered with its pictures."""

from __future__ import annotations

import asyncio
import base64
import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import msgspec

from modellix_server.api.dispatch import ClientGone, EventStream, Receive, Reply, Scope, Send
from modellix_server.api.events import EVENT_HEADERS, KEEP_ALIVE, KEEP_ALIVE_S, event, send_stream
from modellix_server.api.hot.exchange import HotRequest
from modellix_server.api.openai_api.answers import answer, failed_task, failure, still_running
from modellix_server.api.openai_api.attempts import accept_once
from modellix_server.api.openai_api.bodies import read_given
from modellix_server.api.openai_api.names import ModelNames
from modellix_server.base.errors import (
    InvalidFormat,
    MissingParameter,
    OutOfRange,
    PlatformError,
    Unavailable,
)
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
_WHOLE = re.compile(r"([0-9]{1,3})(?:\.0{1,6})?", re.ASCII)
_DATABASE_RETRY_S = 1.0


@dataclass(frozen=True, slots=True)
class PictureWish:
    """How the pictures are to come, and what the answer repeats of the request."""

    form: str
    streamed: bool
    edit: bool
    params: Mapping[str, Any]


class OpenAiImages:
    """The routes about images."""

    def __init__(self, names: ModelNames) -> None:
        self._names = names

    async def generate_images(self, request: HotRequest) -> Reply | EventStream:
        """`POST /v1/images/generations`."""
        return await self._make(request, edit=False)

    async def edit_images(self, request: HotRequest) -> Reply | EventStream:
        """`POST /v1/images/edits`."""
        return await self._make(request, edit=True)

    async def _make(self, request: HotRequest, *, edit: bool) -> Reply | EventStream:
        given = await read_given(request, self._names.media)
        try:
            form, streamed = _form(given.fields), _streamed(given.fields)
            pictures, mask = (given.pictures(), given.mask()) if edit else ([], None)
            if edit and not pictures:
                raise MissingParameter("parameter 'image' is required")
            words = self._names.to_make(given.fields.get("model"), "image", pictures=edit)
            wanted = _wanted(given.fields.pop("n", 1))
            params = words.parameters(given.fields, pictures, mask, pictures_wanted=wanted)
        except BaseException:
            await drop_inputs(given.files)
            raise

        wish = PictureWish(form, streamed, edit, params)

        async def answering(accepted: Accepted) -> Reply | EventStream:
            return PictureStream(request, accepted, wish) if streamed else await _pictures(request, accepted, wish)

        return await accept_once(request, words.model, params, given.files, answering)


def _form(fields: dict[str, Any]) -> str:
    """How pictures are to come. Raises OutOfRange."""
    form = fields.get("response_format", "b64_json")
    if form not in _FORMS:
        raise OutOfRange(f"parameter 'response_format' must be one of {', '.join(_FORMS)}, got {show(form)}")
    return str(form)


def _streamed(fields: dict[str, Any]) -> bool:
    """Whether they are to come as events. Raises InvalidFormat."""
    stream = fields.get("stream", False)
    if stream not in (True, False, "true", "false"):
        raise InvalidFormat(f"parameter 'stream' must be true or false, got {show(stream)}")
    return stream in (True, "true")


def _wanted(n: object) -> int:
    whole = None if isinstance(n, bool) else _WHOLE.fullmatch(str(n))
    if whole is None:
        raise InvalidFormat(f"parameter 'n' must be a whole number, got {show(n)}")
    return int(whole[1])


class PictureStream(EventStream):
    """Pictures as events: signs of life until the task has ended, then each picture, complete.

    Vendors tell no intermediate states of a picture, so there are none, whatever `partial_images` says. Nor is there
    a longest wait: a connection that is not silent is not given up.
    """

    def __init__(self, request: HotRequest, accepted: Accepted, wish: PictureWish) -> None:
        self.status_code = 200
        self.raw_headers = [*EVENT_HEADERS, *(request.rate.headers() if request.rate else ())]
        self._request = request
        self._accepted = accepted
        self._wish = wish

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - as ASGI has it
        """Send events until the task has ended or the client has gone."""
        await send_stream(self._request, self.raw_headers, self._chunks(), send)

    async def _chunks(self) -> AsyncIterator[bytes]:
        yield KEEP_ALIVE  # the client knows at once that it was heard
        ctx, who = self._request.ctx, self._request.who
        while True:
            try:
                task_id, tell = self._accepted.task_id, self._request.when_lost
                view = await tasks.wait(ctx, who, who.team, task_id, KEEP_ALIVE_S, tell)
                if view is None:
                    return
                if view.finished_at is not None or ctx.subscriptions.closed:
                    for said in await self._events(view):
                        yield said
                    return
            except Unavailable as error:
                if ctx.subscriptions.closed:
                    yield _told(failure(error))
                    return
                await asyncio.sleep(_DATABASE_RETRY_S)
            except PlatformError as error:  # the key was revoked, or the result has gone
                yield _told(failure(error))
                return
            yield KEEP_ALIVE

    async def _events(self, view: TaskView) -> list[bytes]:
        ended = _ended(self._request, view)
        if ended is not None:
            return [_told(ended)]
        about = _about(self._request.ctx, view, self._wish)
        name = "image_edit.completed" if self._wish.edit else "image_generation.completed"
        about |= {"created_at": about.pop("created"), "usage": None}  # no tokens are counted here
        about = {"background": "auto", "quality": "auto", **about}  # which the clients' types insist on
        pictures = await _made(self._request.ctx, view, self._wish.form)
        encoded = (msgspec.json.encode({"type": name, **picture, **about}) for picture in pictures)
        return await asyncio.to_thread(lambda: [event(name, one) for one in encoded])


def _told(reply: Reply) -> bytes:
    """An error as an event: clients of OpenAI's raise it."""
    return event("error", reply.body)


async def _pictures(request: HotRequest, accepted: Accepted, wish: PictureWish) -> Reply:
    """Wait for the task, and answer with what it delivered."""
    ctx, who = request.ctx, request.who
    view = await tasks.wait(ctx, who, who.team, accepted.task_id, LONGEST_WAIT_S, request.when_lost)
    if view is None:
        raise ClientGone
    ended = _ended(request, view)
    if ended is not None:
        return ended
    data = {**_about(ctx, view, wish), "data": await _made(ctx, view, wish.form)}
    return answer(await asyncio.to_thread(msgspec.json.encode, data), request.rate)


def _ended(request: HotRequest, view: TaskView) -> Reply | None:
    """The answer in place of pictures; None if there are some. Raises Unavailable."""
    if view.finished_at is None:
        if request.ctx.subscriptions.closed:
            raise Unavailable("this process is being restarted: send the same request again", retry_after_s=1)
        return still_running(task_name(view.id), request.rate)
    if view.error_code is not None:
        words = view.error_code.replace("_", " ").capitalize()
        return failed_task(view.error_code, f"{words}: {view.error_message}", request.rate)
    return None


def _files(ctx: ServingContext, view: TaskView) -> list[ResultFile]:
    return [one for one in tasks.result_files(ctx, view) if one.file.type == "image" and one.file.role == "primary"]


def _about(ctx: ServingContext, view: TaskView, wish: PictureWish) -> dict[str, Any]:
    """What an answer tells beside the pictures."""
    assert view.finished_at is not None
    data: dict[str, Any] = {
        "created": int(view.finished_at.timestamp()),
        "model": view.model,
        "task_id": task_name(view.id),
        "billing": {"amount": usd_number(view.captured or 0)},
    }
    if found := _files(ctx, view):
        first = found[0].file
        data |= {"size": f"{first.width}x{first.height}", "output_format": first.format}
    return data | {name: wish.params[name] for name in ("quality", "background") if name in wish.params}


async def _made(ctx: ServingContext, view: TaskView, form: str) -> list[dict[str, str]]:
    """The pictures, as bytes or links."""
    found = _files(ctx, view)
    if form == "url":
        return [{"url": one.url} for one in found]
    contents = [await _content(ctx, one) for one in found]
    return await asyncio.to_thread(lambda: [{"b64_json": base64.b64encode(one).decode()} for one in contents])


async def _content(ctx: ServingContext, one: ResultFile) -> bytes:
    """The bytes of a result, by its own link."""
    link = urlsplit(one.url)
    opened, _ = await files.open_result(ctx, link.path, link.query, None, None)
    return b"".join([bytes(chunk) async for chunk in opened.chunks])
