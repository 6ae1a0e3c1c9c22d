"""The protocol: pictures, clip tasks, lists and deletions, with the vendor's headers and error codes."""

import asyncio
import secrets
import time
from functools import partial
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from modellix_server.sandbox import media, wire
from modellix_server.sandbox.bill import Bill, BillLine
from modellix_server.sandbox.callbacks import CallbackSender, Post
from modellix_server.sandbox.directives import FirstTimes
from modellix_server.sandbox.front import Front
from modellix_server.sandbox.protocols.ark import answers, content, rules, table
from modellix_server.sandbox.protocols.ark.content import ClipJob
from modellix_server.sandbox.protocols.ark.rules import ArkRefusal, PictureJob
from modellix_server.sandbox.protocols.ark.work import KEEP_S, ArkFile, ArkTask, ArkWorkshop
from modellix_server.sandbox.rendering import paint
from modellix_server.sandbox.rendering.paint import Picture
from modellix_server.sandbox.rendering.studio import Studio
from modellix_server.sandbox.store import MemoryStore

BODY_LIMIT_BYTES = 64 * 1024 * 1024
QUEUE_LIMIT = 2000
CALLBACK_LIMIT_S = 5.0
CALLBACK_TRIES = 4
"""Callbacks of a success or failure: one, and three more while it is not acknowledged."""
PICTURES = "/api/v3/images/generations"
TASKS = "/api/v3/contents/generations/tasks"
_STATUSES = ("queued", "running", "cancelled", "succeeded", "failed")
_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode


def app(studio: Studio, fetch: media.Fetch, post: Post, *, instant: bool = False) -> wire.App:
    """The emulator. With `instant` every picture is one small ready-made file, answered at once."""
    bill = Bill()
    store: MemoryStore[ArkTask] = MemoryStore(keep_s=KEEP_S)
    ready = None
    if instant:
        path = studio.spool.new_path(".jpg")
        size = paint.paint(Picture("instant", 0, "ark", (64, 64)), path)
        ready = ArkFile(studio.spool.add_bytes("instant.jpg", path.read_bytes()), path, size)
    workshop = ArkWorkshop(studio, store, fetch, bill, ready)
    service = ArkService(workshop, studio, store, bill, CallbackSender(post, CALLBACK_LIMIT_S))
    return Front(service, studio.spool, bill, "Ark emulator")


class ArkService:
    """The vendor's API below `/api/v3`."""

    def __init__(
        self, workshop: ArkWorkshop, studio: Studio, store: MemoryStore[ArkTask], bill: Bill, caller: CallbackSender
    ) -> None:
        self._workshop = workshop
        self._studio = studio
        self._store = store
        self._bill = bill
        self._caller = caller
        self._table = table.load()
        self._first_times = FirstTimes()

    async def __call__(self, scope: wire.Scope, receive: wire.Receive, send: wire.Send) -> None:
        """Answer one request."""
        path = wire.path_in_app(scope).rstrip("/")
        if scope["method"] == "POST" and path in (PICTURES, TASKS):
            await self._post(scope, receive, send, pictures=path == PICTURES)
            return
        try:
            _authenticate(scope)
            answer = self._task_call(scope["method"], path, scope)
        except ArkRefusal as refusal:
            await _refuse(send, refusal)
        else:
            await _answer(send, 200, answer)

    def _task_call(self, method: str, path: str, scope: wire.Scope) -> dict[str, Any]:
        if path == TASKS and method == "GET":
            return self._list(scope)
        if not path.startswith(f"{TASKS}/") or method not in ("GET", "DELETE"):
            raise ArkRefusal(404, "NotFound", "The requested path was not found.")
        task = self._find(path.removeprefix(f"{TASKS}/"))
        if method == "GET":
            return _shown(task, scope)
        if task.status == "queued":
            if not self._workshop.cancel(task):
                raise _cannot_delete(task)
        elif task.status in ("succeeded", "failed", "expired"):
            task.deleted = True
        else:
            raise _cannot_delete(task)
        return {}

    def _find(self, task_id: str) -> ArkTask:
        task = self._store.get(task_id)
        if task is None or task.deleted:
            raise ArkRefusal(404, "NotFound.task_id", "The specified task was not found.", "task_id")
        return task

    def _draft(self, task_id: str) -> ClipJob:
        task = self._find(task_id)
        if not isinstance(task.job, ClipJob) or not task.job.draft or task.status != "succeeded":
            raise rules.invalid("content.draft_task", "not a finished draft")
        return task.job

    def _list(self, scope: wire.Scope) -> dict[str, Any]:
        pairs = parse_qsl(scope["query_string"].decode("latin-1"), max_num_fields=600)
        asked, ids = dict(pairs), {value for name, value in pairs if name == "filter.task_ids"}
        status = asked.get("filter.status")
        if status is not None and status not in _STATUSES:
            raise rules.invalid("filter.status", f"expected {' or '.join(_STATUSES)}")
        tasks = [
            task
            for task in self._store.newest()
            if isinstance(task.job, ClipJob)
            and not task.deleted
            and (not ids or task.id in ids)
            and status in (None, task.word)
            and asked.get("filter.model", task.job.model) == task.job.model
            and asked.get("filter.service_tier", task.job.tier) == task.job.tier
        ]
        number, size = _page(asked, "page_num", 1), _page(asked, "page_size", 10)
        page = tasks[(number - 1) * size : number * size]
        return {"items": [_shown(task, scope) for task in page], "total": len(tasks)}

    async def _post(self, scope: wire.Scope, receive: wire.Receive, send: wire.Send, *, pictures: bool) -> None:
        attempt = wire.header(scope, b"x-client-request-id") or wire.header(scope, b"x-request-id")
        line = self._bill.post(attempt)
        try:
            _authenticate(scope)
            body = _parse(scope, await wire.read_body(receive, BODY_LIMIT_BYTES))
            job = self._admit(body, line, pictures=pictures)
        except ArkRefusal as refusal:
            line.code = refusal.code
            await _refuse(send, refusal)
        except wire.BodyOverCap:
            line.code = "InvalidParameter"
            await _refuse(send, ArkRefusal(413, line.code, "The request body is too large."))
        except wire.Gone:
            line.code = "ClientGone"
        else:
            await self._accept(ArkTask(job, line), scope, receive, send)

    def _admit(self, body: object, line: BillLine, *, pictures: bool) -> PictureJob | ClipJob:
        name = rules.name_of(body, self._table, pictures=pictures)
        line.describe(name, "")
        assert isinstance(body, dict)
        job: PictureJob | ClipJob
        if pictures:
            job = rules.picture(body, name, self._table.picture[name])
        else:
            job = content.clip(body, name, self._table.clip[name], self._draft)
        line.describe(name, job.prompt)
        self._refuse_on_request(job, line)
        if self._studio.waiting > QUEUE_LIMIT:
            raise _throttled()
        return job

    def _refuse_on_request(self, job: PictureJob | ClipJob, line: BillLine) -> None:
        asked = job.asked
        if "refuse" in asked:
            raise rules.invalid("prompt", "the request was refused, as its prompt asked for")
        if "moderate" in asked:
            message = "The request failed because the input text may contain sensitive information."
            raise ArkRefusal(400, "InputTextSensitiveContentDetected", message)
        if "arrears" in asked:
            message = "The request failed because your account has an overdue balance."
            raise ArkRefusal(403, "AccountOverdueError", message)
        fault = self._first_times.fault(asked, line.model + line.prompt_sha256)
        if fault == "throttle":
            raise _throttled()
        if fault == "error":
            raise _internal_error()

    async def _accept(self, task: ArkTask, scope: wire.Scope, receive: wire.Receive, send: wire.Send) -> None:
        asked = task.job.asked
        if isinstance(task.job, ClipJob) and task.job.callback:
            task.on_move = partial(self._call_back, task.job, wire.origin(scope))
            task.on_move(task)
        self._workshop.start(task)
        if "lost" in asked:
            await wire.cut(scope, receive)
        elif "garbage" in asked:
            await wire.answer(send, 200, b"<html><body>It works!</body></html>", b"text/html")
        elif "error-accepted" in asked:
            await _refuse(send, _internal_error())
        elif isinstance(task.job, ClipJob):
            await _answer(send, 200, {"id": task.id})
        else:
            await _answer_directly(task, task.job, scope, receive, send)

    def _call_back(self, job: ClipJob, origin: str, task: ArkTask) -> None:
        """Send the answer of a poll. `cancelled` is not sent."""
        if task.status != "cancelled":
            tries = CALLBACK_TRIES if task.status in ("succeeded", "failed") else 1
            self._caller.tell(job.callback, answers.task(task, job, origin), tries=tries)


async def _answer_directly(
    task: ArkTask, job: PictureJob, scope: wire.Scope, receive: wire.Receive, send: wire.Send
) -> None:
    try:
        if task.runner is not None:
            await asyncio.shield(task.runner)
    except asyncio.CancelledError:  # the emulator is stopped, which no vendor would have an answer for
        await wire.cut(scope, receive)
        return
    if task.outcome is None:
        assert task.refusal is not None
        await _refuse(send, task.refusal)
    elif job.stream:
        frames = [
            b"event: %b\ndata: %b\n\n" % (event["type"].encode(), _encode(event))
            for event in answers.events(job, task.outcome, wire.origin(scope))
        ]
        await wire.answer(send, 200, b"".join(frames) + b"data: [DONE]\n\n", b"text/event-stream; charset=utf-8")
    else:
        await _answer(send, 200, answers.pictures(job, task.outcome, wire.origin(scope)))


def _shown(task: ArkTask, scope: wire.Scope) -> dict[str, Any]:
    assert isinstance(task.job, ClipJob)
    return answers.task(task, task.job, wire.origin(scope))


def _cannot_delete(task: ArkTask) -> ArkRefusal:
    return ArkRefusal(400, "InvalidParameter", f"A task that is {task.word} can be neither cancelled nor deleted.")


def _authenticate(scope: wire.Scope) -> None:
    key = wire.bearer(scope)
    if key is None:
        raise ArkRefusal(401, "AuthenticationError", "The API key in the request is missing or invalid.")


def _parse(scope: wire.Scope, body: bytes) -> object:
    kind = (wire.header(scope, b"content-type") or "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise ArkRefusal(400, "InvalidParameter", "Content-Type must be application/json.")
    try:
        return _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ArkRefusal(400, "InvalidParameter", "The request body is not valid JSON.") from error


def _throttled() -> ArkRefusal:
    message = "The requests per minute (RPM) limit of the associated endpoint for your account has been exceeded."
    return ArkRefusal(429, "RateLimitExceeded.EndpointRPMExceeded", message)


def _internal_error() -> ArkRefusal:
    return ArkRefusal(500, "InternalServiceError", "The service encountered an unexpected internal error.")


def _page(asked: dict[str, str], name: str, otherwise: int) -> int:
    text = asked.get(name, str(otherwise))
    if not (text.isascii() and text.isdigit() and len(text) < 8 and 1 <= int(text) <= 500):
        raise rules.invalid(name, "expected an integer between 1 and 500")
    return int(text)


async def _refuse(send: wire.Send, refusal: ArkRefusal) -> None:
    request_id = _request_id()
    await _answer(send, refusal.status, answers.error(refusal, request_id), request_id)


async def _answer(send: wire.Send, status: int, value: object, request_id: str | None = None) -> None:
    body = _encode(value)
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        (b"x-request-id", (request_id or _request_id()).encode()),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _request_id() -> str:
    """Of the vendor's form: `0217`, the time in milliseconds, random hex."""
    return f"02{int(time.time() * 1000)}{secrets.token_hex(24)}"
