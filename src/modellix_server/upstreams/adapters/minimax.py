"""MiniMax: Hailuo clips and image-01 pictures.

Facts: the vendor's API reference on platform.minimax.io and platform.minimaxi.com (2026) and the source of its
own client. Almost every answer is HTTP 200, good or bad; `base_resp.status_code` decides, and 0 alone is good. A
clip takes three calls: submit, query, and a look at the file for a link, which is fresh at every look. A
submission knows no idempotency key and tasks cannot be listed, so an answer that proves nothing leaves the
outcome unknown.
"""

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Literal

import msgspec

from modellix_server.catalogue import Measurement, Route
from modellix_server.upstreams.adapters._reading import (
    ACCEPTED,
    authorization,
    failed,
    inline_picture,
    json_object,
    linked_file,
    plain_words,
    refused,
    refused_in_words,
    retry_in_s,
    submission_object,
    unmapped,
    wire_of,
)
from modellix_server.upstreams.contract import (
    NO_SUCH_THING,
    Answer,
    Busy,
    Capabilities,
    Done,
    Failed,
    Http,
    InlineFile,
    NothingDelivered,
    Order,
    Pending,
    Polled,
    RemoteFile,
    Submitted,
    Ticket,
    UnmappedAnswer,
)

NAME = "minimax"
MOST_BELIEVABLE = 10**9

_KINDS = {
    **dict.fromkeys((1026, 1027), "content"),
    **dict.fromkeys((1042, 2013), "input"),
    **dict.fromkeys((1004, 1008, 1028, 1030, 2038, 2049, 2056, 2061), "account"),
    **dict.fromkeys((1002, 1039, 1041, 2045), "throttled"),
    **dict.fromkeys((1000, 1001, 1013, 1024, 1033), "trouble"),
}
_BAD_KEY = (1004, 2049)
_UNFINISHED = ("preparing", "queueing", "queuing", "queued", "processing", "running")
_GOOD = ("success", "succeeded")
_BAD = ("fail", "failed")
"""States in lower case: answers, callbacks and the vendor's clients differ in spelling."""

_PATHS = {"image": "/image_generation", "video": "/video_generation"}
_SUBJECTS = ("subject_reference[].image_file", "subject_reference[].image")
"""Where pictures of a subject go: one subject each (pictures), or all of them to one subject (clips)."""

_ID = re.compile(r"[A-Za-z0-9_-]{1,100}", re.ASCII)
_FIELD = re.compile(r"[a-z][a-z0-9_]*", re.ASCII)
_PRIVATE = re.compile(r"sk-[\w*-]+|eyJ[\w.-]+|\b\d{12,}\b|https?://\S+", re.ASCII)


class MiniMaxWire(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The `[route.wire]` of a model file for this vendor."""

    kind: Literal["image", "video"]
    """Decides the endpoint: pictures are answered at once, clips are tasks."""
    seconds: int | None = None
    """Length of every clip, for a model whose request has no duration."""


class MiniMax:
    """Implements `contract.Upstream`."""

    name = NAME
    capabilities = Capabilities(
        idempotency="none",
        polls_per_s=10,  # no limit on queries is documented
        first_poll_s=5.0,
        slowest_poll_s=20.0,
        origins={"cn": "https://api.minimaxi.com/v1", "intl": "https://api.minimax.io/v1"},
        most_answer_bytes=64_000_000,  # nine pictures of 2048*2048 in base64
    )

    def check(self, route: Route) -> None:
        """Raise ValueError when the route of a model file is not one this adapter can follow."""
        wire = wire_of(route, MiniMaxWire)
        for path in (*route.to.values(), *route.constants):
            if not _FIELD.fullmatch(path) and path not in _SUBJECTS:
                raise ValueError(f"the vendor's body is flat but for {' and '.join(_SUBJECTS)}: {path!r}")
        if route.constants.get("response_format", "url") not in _FORMS:
            raise ValueError(f"response_format is one of {', '.join(_FORMS)}")
        if (wire.kind == "video") != ("duration" in route.to or wire.seconds is not None):
            raise ValueError("a clip, and nothing else, has a duration in route.to or seconds in route.wire")

    async def submit(self, order: Order, http: Http) -> Submitted:
        """Ask for the generation, with exactly one POST."""
        model = order.route.models.get(order.region)
        if model is None:
            return Failed("upstream_refused", f"this model is not offered in the vendor's region '{order.region}'")
        wire = msgspec.convert(order.route.wire, MiniMaxWire)
        # The vendor keeps no id of ours; this one only lets its support, and our emulator, find the request.
        headers = {**authorization(order), "X-Request-Id": order.attempt}
        asked = body(model, order)
        if wire.kind == "video" and order.callback_url is not None:
            asked["callback_url"] = order.callback_url
        answer = await http.call("POST", _PATHS[wire.kind], json=asked, headers=headers)
        said = submission_object(NAME, answer)
        if not isinstance(said, dict):
            return said
        if "base_resp" not in said and answer.status in (401, 403, 429):  # as the vendor's own clients read them
            return Busy(f"HTTP {answer.status}", retry_in_s=retry_in_s(answer), operator=answer.status != 429)
        if "base_resp" not in said and answer.status >= 400:
            return unmapped(NAME, answer, "without a code", "")
        code = _code(said)
        if answer.status not in ACCEPTED or code != 0:
            if (said.get("task_id") or said.get("data")) and answer.status != 429:
                raise UnmappedAnswer(NAME, "submission", "a result and an error at once")
            return _refused(answer, said, code)
        return _pictures(said, order) if wire.kind == "image" else Ticket(_id(said.get("task_id"), "task id"))

    async def poll(self, ticket: str, order: Order, http: Http) -> Polled:
        """Ask once how the task is doing; once it has succeeded, ask for a fresh link to its file as well."""
        answer = await http.call("GET", f"/query/video_generation?task_id={ticket}", headers=authorization(order))
        if _says_nothing(answer):
            return Pending()
        said = json_object(NAME, answer)
        code = _code(said)
        word = said.get("status")
        state = word.lower() if isinstance(word, str) else ""
        if state in _BAD or (_KINDS.get(code) == "content" and not state):
            _same("task", ticket, said.get("task_id"), may_be_absent=code != 0)
            return failed(_KINDS.get(code), _words(said))
        if _KINDS.get(code) in ("throttled", "trouble"):
            return Pending()
        if answer.status != 200 or code != 0:
            raise UnmappedAnswer(NAME, "poll", f"HTTP {answer.status}, code {code}: {_words(said)}")
        _same("task", ticket, said.get("task_id"))
        if state in _UNFINISHED:
            return Pending()
        if state not in _GOOD:
            raise UnmappedAnswer(NAME, "task status", word)
        if not said.get("file_id"):
            raise NothingDelivered(NAME, "result", "finished, with no file")
        return await self._clip(_id(said.get("file_id"), "file id"), order, http)

    async def takes_key(self, order: Order, http: Http) -> bool | None:
        """Ask about a task that does not exist: code 2013 (invalid parameters) for a good key."""
        path = f"/query/video_generation?task_id={NO_SUCH_THING}"
        answer = await http.call("GET", path, headers=authorization(order))
        if answer.status in (401, 403):
            return False
        code = _code(json_object(NAME, answer))
        if answer.status != 200 or code not in (*_BAD_KEY, 0, 2013):
            return None
        return code not in _BAD_KEY

    async def _clip(self, file_id: str, order: Order, http: Http) -> Polled:
        answer = await http.call("GET", f"/files/retrieve?file_id={file_id}", headers=authorization(order))
        if _says_nothing(answer):
            return Pending()
        said = json_object(NAME, answer)
        code = _code(said)
        if _KINDS.get(code) in ("throttled", "trouble"):
            return Pending()
        file = said.get("file")
        if answer.status != 200 or code != 0 or not isinstance(file, dict):
            raise UnmappedAnswer(NAME, "file", f"HTTP {answer.status}, code {code}: {_words(said)}")
        _same("file", file_id, file.get("file_id"))
        if not file.get("download_url"):
            raise NothingDelivered(NAME, "file", "there, with no link")
        # The vendor charges for the length that was ordered and tells none; the probe of the file is the check.
        seconds = msgspec.convert(order.route.wire, MiniMaxWire).seconds or order.params["duration"]
        return Done(
            files=(linked_file(NAME, file["download_url"], "video"),),
            measured=Measurement(milliseconds=seconds * 1000),
            request_id=_trace(answer),
        )


def body(model: str, order: Order) -> dict[str, Any]:
    """Build the vendor's JSON for an order: constants, then every parameter in its field."""
    built: dict[str, Any] = {"model": model, **order.route.constants}
    for field, value in order.placed():
        if field in _SUBJECTS:
            built["subject_reference"] = _subjects(field, value)
        else:
            built[field] = value
    return built


def _subjects(field: str, pictures: list[str]) -> list[dict[str, Any]]:
    if field.endswith(".image_file"):
        return [{"type": "character", "image_file": picture} for picture in pictures]
    return [{"type": "character", "image": pictures}]


def _says_nothing(answer: Answer) -> bool:
    """Whether a query met a limit or a gateway: no word about the task, the vendor's client asks on too."""
    return answer.status in (408, 429, 500, 502, 503, 504)


def _code(said: Mapping[str, Any]) -> int:
    """Read the code that decides. An answer without one is unmapped."""
    told = said.get("base_resp")
    code = told.get("status_code") if isinstance(told, dict) else None
    if isinstance(code, str) and re.fullmatch("[0-9]{1,9}", code, re.ASCII):
        code = int(code)
    if not isinstance(code, int) or isinstance(code, bool):
        raise UnmappedAnswer(NAME, "status code", code)
    return code


def _id(told: object, what: str) -> str:
    """Read an id, a text in one answer and a number in another."""
    text = str(told) if isinstance(told, int) and not isinstance(told, bool) else told
    if not isinstance(text, str) or not _ID.fullmatch(text) or text == "0":
        raise UnmappedAnswer(NAME, what, told)
    return text


def _same(what: str, asked: str, told: object, *, may_be_absent: bool = False) -> None:
    if may_be_absent and told in (None, ""):
        return
    if _id(told, f"{what} id") != asked:
        raise UnmappedAnswer(NAME, "answer", f"asked for {what} {asked}, got {told}")


def _refused(answer: Answer, said: Mapping[str, Any], code: int) -> Submitted:
    """Judge the error a submission was answered with."""
    kind = _KINDS.get(code)
    reason = f"{code}: {_words(said)}"
    if answer.status == 429 and kind != "account":
        kind = "throttled"
    if answer.status in ACCEPTED and kind is None and code != 0:  # the vendor's way to refuse
        return refused_in_words(reason, _words(said) or f"status code {code}")
    if answer.status >= 500 or kind in (None, "trouble"):
        return unmapped(NAME, answer, code, _words(said))
    return refused(kind, reason, _words(said), retry_in_s(answer))


def _words(said: Mapping[str, Any]) -> str:
    """Make the vendor's words fit to show: printable, short, no keys, account numbers or links."""
    told = said.get("base_resp")
    message = told.get("status_msg") if isinstance(told, dict) else None
    return plain_words(message, _PRIVATE)


def _trace(answer: Answer) -> str | None:
    text = answer.headers.get("trace-id", "")
    return text if _ID.fullmatch(text) else None


def _pictures(said: Mapping[str, Any], order: Order) -> Done | Failed:
    """Collect the delivered pictures. Those that the content check took away are only counted by the vendor."""
    data = said.get("data")
    field, of = _FORMS[order.route.constants.get("response_format", "url")]
    links = data.get(field) if isinstance(data, dict) else None
    counts = said.get("metadata")
    told = counts if isinstance(counts, dict) else {}
    if not links:
        if not isinstance(data, dict) or not any(data.get(name) for name, _ in _FORMS.values()):
            lost = _number(told.get("failed_count"))
            if lost and lost >= order.params.get("n", 1) and not _number(told.get("success_count")):
                return Failed("content_rejected", "the vendor's content check refused every picture")
        raise NothingDelivered(NAME, "result", "finished, with no picture and no failure")
    if not isinstance(links, list):
        raise UnmappedAnswer(NAME, "result", links)
    count = told.get("success_count")
    request_id = said.get("id")
    return Done(
        files=tuple(of(link) for link in links),
        measured=Measurement(images=len(links) if count is None else _number(count)),
        request_id=request_id if isinstance(request_id, str) else None,
    )


def _linked(told: object) -> RemoteFile | InlineFile:
    return linked_file(NAME, told, "image")


_FORMS: dict[str, tuple[str, Callable[[object], RemoteFile | InlineFile]]] = {
    "url": ("image_urls", _linked),
    "base64": ("image_base64", partial(inline_picture, NAME)),
}
"""`response_format` of a picture request -> where its pictures are, and how to read one."""


def _number(value: object) -> int | None:
    """Read a count, which the vendor writes as a number or as a text; None when it is none or beyond belief."""
    if isinstance(value, str) and re.fullmatch("[0-9]{1,9}", value, re.ASCII):
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if -MOST_BELIEVABLE < value < MOST_BELIEVABLE else None


upstream = MiniMax()
