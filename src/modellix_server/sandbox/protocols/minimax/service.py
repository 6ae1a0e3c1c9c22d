"""The protocol: submissions, queries and file look-ups, with the vendor's status codes in HTTP 200."""

import asyncio
import base64
import secrets
from functools import partial
from typing import Any, Literal

import msgspec

from modellix_server.sandbox import media, wire
from modellix_server.sandbox.bill import Bill, BillLine
from modellix_server.sandbox.callbacks import CallbackSender, Post
from modellix_server.sandbox.directives import FirstTimes
from modellix_server.sandbox.front import Front
from modellix_server.sandbox.protocols.minimax import rules, table
from modellix_server.sandbox.protocols.minimax.rules import MiniMaxJob, MiniMaxRefusal
from modellix_server.sandbox.protocols.minimax.work import MiniMaxOutcome, MiniMaxTask, MiniMaxWorkshop
from modellix_server.sandbox.rendering import paint
from modellix_server.sandbox.rendering.paint import Picture
from modellix_server.sandbox.rendering.studio import Studio
from modellix_server.sandbox.store import MemoryStore

BODY_LIMIT_BYTES = 64 * 1024 * 1024
QUEUE_LIMIT = 2000
SUBMISSIONS: dict[str, Literal["picture", "clip"]] = {
    "/v1/image_generation": "picture",
    "/v1/video_generation": "clip",
}
GOOD = {"status_code": 0, "status_msg": "success"}
CALLBACK_LIMIT_S = 3.0
CALLBACK_WORDS = {"Processing": "processing", "Success": "success", "Fail": "failed"}
"""The states that are sent in callbacks, and their spelling there."""
_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode


def app(studio: Studio, fetch: media.Fetch, post: Post, *, instant: bool = False) -> wire.App:
    """The emulator. With `instant` every picture is one small ready-made PNG and is answered at once."""
    bill = Bill()
    store: MemoryStore[MiniMaxTask] = MemoryStore()
    ready = None
    if instant:
        path = studio.spool.new_path(".png")
        paint.paint(Picture("instant", 0, "minimax", (64, 64)), path)
        ready = studio.spool.add_bytes("instant.png", path.read_bytes())
    service = MiniMaxService(
        MiniMaxWorkshop(studio, fetch, bill, ready), studio, store, bill, CallbackSender(post, CALLBACK_LIMIT_S)
    )
    return Front(service, studio.spool, bill, "MiniMax emulator")


class MiniMaxService:
    """The vendor's API below `/v1`."""

    def __init__(
        self,
        workshop: MiniMaxWorkshop,
        studio: Studio,
        store: MemoryStore[MiniMaxTask],
        bill: Bill,
        caller: CallbackSender,
    ) -> None:
        self._workshop = workshop
        self._studio = studio
        self._store = store
        self._files: MemoryStore[MiniMaxTask] = MemoryStore()
        self._bill = bill
        self._caller = caller
        self._models = table.load()
        self._first_times = FirstTimes()

    async def __call__(self, scope: wire.Scope, receive: wire.Receive, send: wire.Send) -> None:
        """Answer one request."""
        path = wire.path_in_app(scope)
        makes = SUBMISSIONS.get(path)
        if makes is not None and scope["method"] == "POST":
            await self._post(makes, scope, receive, send)
            return
        try:
            key = _authenticate(scope)
            match (scope["method"], path):
                case ("GET", "/v1/query/video_generation"):
                    said = _state(self._find(self._store, scope, "task_id", key))
                case ("GET", "/v1/files/retrieve"):
                    said = _file(self._find(self._files, scope, "file_id", key), wire.origin(scope))
                case _:
                    raise MiniMaxRefusal(1000, "not found", http_status=404)
        except MiniMaxRefusal as refusal:
            await _refuse(send, refusal)
        else:
            await _answer(send, said)

    def _find(self, store: MemoryStore[MiniMaxTask], scope: wire.Scope, name: str, key: str) -> MiniMaxTask:
        task = store.get(wire.query(scope).get(name, ""))
        if task is None or task.owner != key:
            raise rules.invalid(f"unknown {name}")
        return task

    async def _post(
        self, makes: Literal["picture", "clip"], scope: wire.Scope, receive: wire.Receive, send: wire.Send
    ) -> None:
        line = self._bill.post(wire.header(scope, b"x-request-id"))
        try:
            key = _authenticate(scope)
            body = _parse(scope, await wire.read_body(receive, BODY_LIMIT_BYTES))
            job = self._admit(body, makes, line)
        except MiniMaxRefusal as refusal:
            line.code = str(refusal.code)
            await _refuse(send, refusal)
        except wire.BodyOverCap:
            line.code = "2013"
            await _refuse(send, rules.invalid("the body is too large"))
        except wire.Gone:
            line.code = "ClientGone"
        else:
            await self._accept(MiniMaxTask(job, line, key), scope, receive, send)

    def _admit(self, body: object, makes: Literal["picture", "clip"], line: BillLine) -> MiniMaxJob:
        if isinstance(body, dict):
            line.describe(str(body.get("model", "")), str(body.get("prompt", "")))
        job = rules.read(body, self._models, makes)
        asked = job.asked
        if "refuse" in asked:
            raise rules.invalid("the request was refused, as its prompt asked for")
        if "moderate" in asked:
            raise MiniMaxRefusal(1026, "input new_sensitive")
        if "arrears" in asked:
            raise MiniMaxRefusal(1008, "insufficient balance")
        fault = self._first_times.fault(asked, line.model + line.prompt_sha256)
        if fault == "throttle":
            raise MiniMaxRefusal(1002, "rate limit exceeded(RPM)")
        if fault == "error":
            raise _internal_error()
        if self._studio.waiting > QUEUE_LIMIT:
            raise MiniMaxRefusal(1002, "rate limit exceeded(RPM)")
        return job

    async def _accept(self, task: MiniMaxTask, scope: wire.Scope, receive: wire.Receive, send: wire.Send) -> None:
        asked = task.job.asked
        if task.job.makes == "clip":
            self._store.put(task.id, task)
            self._files.put(task.file_id, task)
            if task.job.callback:
                heard = self._caller.challenge(task.job.callback, {"challenge": secrets.token_hex(16)})
                task.on_move = partial(self._call_back, heard)
        self._workshop.start(task)
        if "lost" in asked:
            await wire.cut(scope, receive)
        elif "garbage" in asked:
            await wire.answer(send, 200, b"<html><body>It works!</body></html>", b"text/html")
        elif "error-accepted" in asked:
            await _refuse(send, _internal_error())
        elif task.job.makes == "clip":
            await _answer(send, {"task_id": task.id, "base_resp": GOOD})
        else:
            await self._answer_directly(task, scope, receive, send)

    def _call_back(self, heard: asyncio.Task[bool], task: MiniMaxTask) -> None:
        """Send the query's answer without sizes, with the state's callback spelling; not if the challenge failed."""
        if word := CALLBACK_WORDS.get(task.status):
            told = _state(task)
            said = {name: told[name] for name in ("task_id", "file_id", "base_resp")} | {"status": word}
            self._caller.tell(task.job.callback, said, once=heard)

    async def _answer_directly(
        self, task: MiniMaxTask, scope: wire.Scope, receive: wire.Receive, send: wire.Send
    ) -> None:
        try:
            if task.runner is not None:
                await asyncio.shield(task.runner)
        except asyncio.CancelledError:  # the emulator is stopped, which no vendor would have an answer for
            await wire.cut(scope, receive)
            return
        if task.outcome is None:
            assert task.refusal is not None
            refusal = task.refusal
            await _refuse(send, refusal if refusal.code else _internal_error())
        else:
            await _answer(
                send, await asyncio.to_thread(_pictures, task, task.outcome, wire.origin(scope), self._studio)
            )


def _pictures(task: MiniMaxTask, outcome: MiniMaxOutcome, origin: str, studio: Studio) -> dict[str, Any]:
    """The answer to a picture request; its counters are texts, as in the vendor's examples."""
    if task.job.base64:
        names = [path.rpartition("/")[2] for path in outcome.files]
        data = {"image_base64": [base64.b64encode((studio.spool.directory / n).read_bytes()).decode() for n in names]}
    else:
        data = {"image_urls": [origin + path for path in outcome.files]}
    lost = task.job.count - len(outcome.files)
    return {
        "id": secrets.token_hex(16),
        "data": data,
        "metadata": {"success_count": str(outcome.told_images), "failed_count": str(lost)},
        "base_resp": GOOD,
    }


def _state(task: MiniMaxTask) -> dict[str, Any]:
    """The record of a task as a query shows it: no file and no size before its success."""
    outcome = task.outcome
    width, height = outcome.size if outcome else (0, 0)
    refusal = task.refusal
    told = {"status_code": refusal.code, "status_msg": refusal.message} if refusal and refusal.code else GOOD
    return {
        "task_id": task.id,
        "status": task.word,
        "file_id": task.file_id if outcome else "",
        "video_width": width,
        "video_height": height,
        "base_resp": told,
    }


def _file(task: MiniMaxTask, origin: str) -> dict[str, Any]:
    """The record of a finished file; its id is a number here and a text in the query."""
    if task.outcome is None:
        raise rules.invalid("unknown file_id")
    return {
        "file": {
            "file_id": int(task.file_id),
            "bytes": task.outcome.bytes,
            "created_at": int(task.submitted_at),
            "filename": "output.mp4",
            "purpose": "video_generation",
            "download_url": f"{origin}{task.outcome.files[0]}?fresh={secrets.token_hex(4)}",
        },
        "base_resp": GOOD,
    }


def _authenticate(scope: wire.Scope) -> str:
    key = wire.bearer(scope)
    if key is None:
        raise MiniMaxRefusal(1004, "login fail: Please carry the API secret key in the 'Authorization' field")
    return key


def _parse(scope: wire.Scope, body: bytes) -> object:
    kind = (wire.header(scope, b"content-type") or "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise rules.invalid("the Content-Type must be application/json")
    try:
        return _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise rules.invalid("the body is not JSON") from error


def _internal_error() -> MiniMaxRefusal:
    return MiniMaxRefusal(1000, "unknown error", http_status=500)


async def _refuse(send: wire.Send, refusal: MiniMaxRefusal) -> None:
    said = {"base_resp": {"status_code": refusal.code, "status_msg": refusal.message}}
    await _answer(send, said, status=refusal.http_status)


async def _answer(send: wire.Send, said: dict[str, Any], *, status: int = 200) -> None:
    """Send JSON with the header that the vendor's support and its client use."""
    body = _encode(said)
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        (b"trace-id", secrets.token_hex(16).encode()),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
