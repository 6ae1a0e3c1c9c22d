"""The protocol: submissions, polls, lists and cancellations, with the vendor's headers and error codes."""

import asyncio
import time
from datetime import datetime, timedelta
from typing import Any

import msgspec

from modellix_server.sandbox import media, wire
from modellix_server.sandbox.bill import Bill, BillLine
from modellix_server.sandbox.callbacks import Post
from modellix_server.sandbox.directives import FirstTimes
from modellix_server.sandbox.front import Front
from modellix_server.sandbox.protocols.dashscope import answers, rules, table, uploads
from modellix_server.sandbox.protocols.dashscope.fields import DashScopeRefusal, invalid
from modellix_server.sandbox.protocols.dashscope.rules import DashScopeJob
from modellix_server.sandbox.protocols.dashscope.uploads import DashScopeUploads
from modellix_server.sandbox.protocols.dashscope.work import DashScopeTask, DashScopeWorkshop
from modellix_server.sandbox.rendering import paint
from modellix_server.sandbox.rendering.paint import Picture
from modellix_server.sandbox.rendering.studio import Studio
from modellix_server.sandbox.store import MemoryStore

BODY_LIMIT_BYTES = 64 * 1024 * 1024
QUEUE_LIMIT = 2000
BASE = "/api/v1/"
_decode = msgspec.json.Decoder().decode


def app(studio: Studio, fetch: media.Fetch, _post: Post, *, instant: bool = False) -> wire.App:
    """The emulator. With `instant` every picture is one small ready-made PNG and tasks end when submitted.

    The vendor reports events over its cloud's event bus only, so there are no callbacks.
    """
    bill = Bill()
    store: MemoryStore[DashScopeTask] = MemoryStore()
    ready = None
    if instant:
        path = studio.spool.new_path(".png")
        paint.paint(Picture("instant", 0, "dashscope", (64, 64)), path)
        ready = studio.spool.add_bytes("instant.png", path.read_bytes())
    files = DashScopeUploads(studio.spool)
    workshop = DashScopeWorkshop(studio, store, _with_uploads(fetch, files), bill, ready)
    return Front(DashScopeService(workshop, studio, store, bill, files), studio.spool, bill, "DashScope emulator")


def _with_uploads(fetch: media.Fetch, files: DashScopeUploads) -> media.Fetch:
    async def load(link: str) -> bytes:
        if not link.startswith(uploads.SCHEME):
            return await fetch(link)
        try:
            return files.read(link)
        except FileNotFoundError:
            raise media.Unreachable(link) from None

    return load


class DashScopeService:
    """The vendor's API below `/api/v1`."""

    def __init__(
        self,
        workshop: DashScopeWorkshop,
        studio: Studio,
        store: MemoryStore[DashScopeTask],
        bill: Bill,
        uploads: DashScopeUploads,
    ) -> None:
        self._workshop = workshop
        self._studio = studio
        self._store = store
        self._bill = bill
        self._models = table.load()
        self._first_times = FirstTimes()
        self._uploads = uploads

    async def __call__(self, scope: wire.Scope, receive: wire.Receive, send: wire.Send) -> None:
        """Answer one request."""
        path = wire.path_in_app(scope)
        if path == uploads.PATH:
            await self._uploads.receive(scope, receive, send)
            return
        if not path.startswith(BASE):
            await wire.answer_json(send, 404, answers.error("NotFound", "Not found."))
            return
        path = path[len(BASE) :].rstrip("/")
        method = scope["method"]
        if path.startswith("services/") and method == "POST":
            await self._post(path.removeprefix("services/"), scope, receive, send)
            return
        try:
            account = _authenticate(scope)
            if (method, path) == ("GET", "uploads"):
                answer = self._uploads.policy(account, wire.query(scope), self._models, wire.origin(scope))
            else:
                answer = self._task_call(path.split("/"), method, scope)
        except DashScopeRefusal as refusal:
            await _refuse(send, refusal)
        else:
            await wire.answer_json(send, 200, answer)

    def _task_call(self, parts: list[str], method: str, scope: wire.Scope) -> dict[str, Any]:
        match (method, parts):
            case ("GET", ["tasks", task_id]):
                task = self._store.get(task_id)
                if task is None:
                    return answers.unknown(task_id)
                if task.line.finished_at is not None and task.line.told_at is None:
                    task.line.told_at = time.time()
                return answers.task(task, wire.origin(scope))
            case ("GET", ["tasks"]):
                return self._list(wire.query(scope))
            case ("POST", ["tasks", task_id, "cancel"]):
                task = self._store.get(task_id)
                if task is None or not self._workshop.cancel(task):
                    raise DashScopeRefusal(400, "UnsupportedOperation", "Only a task that is PENDING can be cancelled.")
                return {"request_id": answers.request_id()}
        raise DashScopeRefusal(404, "NotFound", "Not found.")

    def _list(self, asked: dict[str, str]) -> dict[str, Any]:
        now = datetime.now(answers.REGION)
        end = _time(asked, "end_time") or now
        start = _time(asked, "start_time") or end - timedelta(days=1)
        if end - start > timedelta(days=1):
            raise invalid("The time span must not exceed 24 hours.")
        tasks = [
            task
            for task in self._store.newest()
            if start.timestamp() <= task.submitted_at <= end.timestamp() + 1
            and asked.get("model_name", task.job.model) == task.job.model
            and asked.get("status", task.word) == task.word
        ]
        return answers.page(tasks, _number(asked, "page_no", 1, 1_000_000), _number(asked, "page_size", 10, 100))

    async def _post(self, path: str, scope: wire.Scope, receive: wire.Receive, send: wire.Send) -> None:
        line = self._bill.post(wire.header(scope, b"x-request-id"))
        try:
            account = _authenticate(scope)
            body = _parse(scope, await wire.read_body(receive, BODY_LIMIT_BYTES))
            job = self._admit(body, path, scope, line, account)
        except DashScopeRefusal as refusal:
            line.code = refusal.code
            await _refuse(send, refusal)
        except wire.BodyOverCap:
            line.code = "BadRequest.TooLarge"
            await _refuse(send, DashScopeRefusal(413, line.code, "Payload Too Large"))
        except wire.Gone:
            line.code = "ClientGone"
        else:
            await self._accept(DashScopeTask(job, line), scope, receive, send)

    def _admit(self, body: object, path: str, scope: wire.Scope, line: BillLine, account: str) -> DashScopeJob:
        name, model, route = rules.read(body, self._models, path)
        line.describe(name, "")
        _check_mode(scope, route.mode)
        assert isinstance(body, dict)
        job = rules.check(body, name, model, route)
        line.describe(name, job.prompt or job.negative_prompt)
        links = [link for files in job.media.values() for link in files if link.startswith(uploads.SCHEME)]
        resolve = wire.header(scope, b"x-dashscope-ossresourceresolve") == "enable"
        self._uploads.require(links, account, name, resolve=resolve)
        self._refuse_on_request(job, line)
        if self._studio.waiting > QUEUE_LIMIT:
            raise _throttled()
        return job

    def _refuse_on_request(self, job: DashScopeJob, line: BillLine) -> None:
        asked = job.asked
        if "refuse" in asked:
            raise invalid("The request was refused, as its prompt asked for.")
        if "moderate" in asked:
            raise DashScopeRefusal(400, "DataInspectionFailed", "Input data may contain inappropriate content.")
        if "arrears" in asked:
            raise DashScopeRefusal(
                400, "Arrearage", "Access denied, please make sure your account is in good standing."
            )
        fault = self._first_times.fault(asked, line.model + line.prompt_sha256)
        if fault == "throttle":
            raise _throttled()
        if fault == "error":
            raise _internal_error()

    async def _accept(self, task: DashScopeTask, scope: wire.Scope, receive: wire.Receive, send: wire.Send) -> None:
        asked = task.job.asked
        self._workshop.start(task)
        if "lost" in asked:
            await wire.cut(scope, receive)
        elif "garbage" in asked:
            await wire.answer(send, 200, b"<html><body>It works!</body></html>", b"text/html")
        elif "error-accepted" in asked:
            await _refuse(send, _internal_error())
        elif task.job.route.mode == "async":
            await wire.answer_json(send, 200, answers.accepted(task))
        else:
            await self._answer_directly(task, scope, receive, send)

    async def _answer_directly(
        self, task: DashScopeTask, scope: wire.Scope, receive: wire.Receive, send: wire.Send
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
        else:
            await wire.answer_json(send, 200, answers.direct(task, task.outcome, wire.origin(scope)))


def _authenticate(scope: wire.Scope) -> str:
    """The account's key. Raises Refusal."""
    given = wire.header(scope, b"authorization")
    if not given:
        raise DashScopeRefusal(401, "InvalidApiKey", "No API-key provided.")
    key = wire.bearer(scope)
    if key is None:
        raise DashScopeRefusal(401, "InvalidApiKey", "Invalid API-key provided.")
    return key


def _parse(scope: wire.Scope, body: bytes) -> object:
    kind = (wire.header(scope, b"content-type") or "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise invalid("Content-Type must be application/json.")
    try:
        return _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        message = "Required body invalid, please check the request body format."
        raise DashScopeRefusal(400, "InvalidParameter.JsonPhrase", message) from error


def _check_mode(scope: wire.Scope, mode: str) -> None:
    wants_task = wire.header(scope, b"x-dashscope-async") == "enable"
    if mode == "async" and not wants_task:
        raise DashScopeRefusal(403, "AccessDenied", "current user api does not support synchronous calls.")
    if mode == "sync" and wants_task:
        raise DashScopeRefusal(403, "AccessDenied", "current user api does not support asynchronous calls.")
    if wire.header(scope, b"x-dashscope-sse") == "enable":
        raise invalid("This model does not support streaming output.")


def _throttled() -> DashScopeRefusal:
    return DashScopeRefusal(429, "Throttling.RateQuota", "Requests rate limit exceeded, please try again later.")


def _internal_error() -> DashScopeRefusal:
    return DashScopeRefusal(500, "InternalError", "An internal error has occurred, please try again later.")


def _time(asked: dict[str, str], name: str) -> datetime | None:
    text = asked.get(name)
    if not text:
        return None
    try:
        return datetime.strptime(text, "%Y%m%d%H%M%S").replace(tzinfo=answers.REGION)
    except ValueError as error:
        raise invalid(f"{name} must be YYYYMMDDhhmmss.") from error


def _number(asked: dict[str, str], name: str, otherwise: int, most: int) -> int:
    text = asked.get(name, str(otherwise))
    if not (text.isascii() and text.isdigit() and len(text) < 8 and 1 <= int(text) <= most):
        raise invalid(f"{name} must be between 1 and {most}.")
    return int(text)


async def _refuse(send: wire.Send, refusal: DashScopeRefusal) -> None:
    await wire.answer_json(send, refusal.status, answers.error(refusal.code, refusal.message))
