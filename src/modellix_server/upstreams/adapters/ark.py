"""Ark, ByteDance's model service (Volcengine Ark, BytePlus ModelArk): Seedream pictures and Seedance clips.

Facts: the vendor's API pages (Volcengine 82379, BytePlus ModelArk, 2026) and its own client, arkruntime 0.17.0.
Pictures are answered by the call itself, clips are tasks. Clip parameters go into JSON fields, which the vendor
checks, and never into suffixes of the prompt, where a wrong value silently becomes the default. Errors are told
apart by code, never by HTTP status alone: an overdue bill is a 403, a used-up quota a 429, and a failed task or
picture a 200. A submission knows no idempotency key, so a 5xx proves nothing.
"""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Literal

import msgspec

from modellix_server.catalogue import Measurement, Route
from modellix_server.upstreams.adapters._reading import (
    ACCEPTED,
    authorization,
    failed,
    inline_picture,
    json_object,
    kind_of,
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

NAME = "ark"
PICTURES = "/images/generations"
TASKS = "/contents/generations/tasks"
UNSENT = "-"
"""As a path in `[route.to]`: the public contract has this parameter, the vendor's model does not."""
MOST_BELIEVABLE = 10**6

_CODES = {
    "input": "MissingParameter InvalidParameter InvalidArgumentError InvalidImageURL OutofContextError",
    "content": "SensitiveContentDetected ContentSecurityDetectionError",
    "gone": "InvalidEndpointOrModel.NotFound InvalidEndpoint.ClosedEndpoint UnsupportedModel",
    "account": "AuthenticationError InvalidAccountStatus InvalidSubscription AccessDenied AccountOverdueError"
    " OperationDenied InvalidEndpointOrModel.ModelIDAccessDisabled ModelNotOpen SetLimitExceeded QuotaExceeded",
    "throttled": "RateLimitExceeded ModelAccountRpmRateLimitExceeded ModelAccountTpmRateLimitExceeded"
    " ModelAccountIpmRateLimitExceeded APIAccountRpmRateLimitExceeded AccountRateLimitExceeded"
    " InflightBatchsizeExceeded ServerOverloaded RequestBurstTooFast",
}
_KINDS = {code: kind for kind, codes in _CODES.items() for code in codes.split()}
_CONTENT = re.compile(
    r"(Input|Output)(Text|Image|Video|Audio)(SensitiveContentDetected|RiskDetection)(?![^.])", re.ASCII
)

_CONTENT_TYPES = {
    "text": "text",
    "first_frame": "image_url",
    "last_frame": "image_url",
    "reference_image": "image_url",
    "reference_video": "video_url",
    "reference_audio": "audio_url",
    "draft_task": "draft_task",
}
"""What follows `content.` in a path of `[route.to]` -> the type of the content item it becomes."""

_TICKET = re.compile(r"[A-Za-z0-9_-]{1,100}", re.ASCII)
_PATH = re.compile(r"[a-z][a-z_]*(?:\.[a-z][a-z_]*)?", re.ASCII)
_PRIVATE = re.compile(
    r"\bRequest id:\s*[\w-]+|\b(?:ep|ark)-[\w-]+|\b\d{10,}\b|https?://\S+|"
    r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b",
    re.ASCII | re.IGNORECASE,
)


class ArkWire(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The `[route.wire]` of a model file for this vendor."""

    kind: Literal["image", "video"]
    """Decides the endpoint: pictures are answered at once, clips are tasks."""


class Ark:
    """Implements `contract.Upstream`."""

    name = NAME
    capabilities = Capabilities(
        idempotency="list_only",  # clips; pictures cannot even be listed
        polls_per_s=10,  # no limit on queries is documented
        first_poll_s=3.0,
        slowest_poll_s=15.0,
        origins={
            "cn": "https://ark.cn-beijing.volces.com/api/v3",
            "intl": "https://ark.ap-southeast.bytepluses.com/api/v3",
            "eu": "https://ark.eu-west.bytepluses.com/api/v3",
        },
    )

    def check(self, route: Route) -> None:
        """Raise ValueError when the route of a model file is not one this adapter can follow."""
        wire = wire_of(route, ArkWire)
        for path in (*route.to.values(), *route.constants):
            if path == UNSENT:
                continue
            head, _, rest = path.partition(".")
            if not _PATH.fullmatch(path) or path == "model":
                raise ValueError(f"route: not a path in the vendor's body: {path!r}")
            if head == "content" and (wire.kind == "image" or rest not in _CONTENT_TYPES):
                raise ValueError(f"route: not a role in the vendor's content: {path!r}")

    async def submit(self, order: Order, http: Http) -> Submitted:
        """Ask for the generation, with exactly one POST."""
        model = order.route.models.get(order.region)
        if model is None:
            return Failed("upstream_refused", f"this model is not offered in the vendor's region '{order.region}'")
        wire = msgspec.convert(order.route.wire, ArkWire)
        # The vendor keeps no id of ours; this one only lets its support, and our emulator, find the request.
        headers = {**authorization(order), "X-Client-Request-Id": order.attempt}
        path = PICTURES if wire.kind == "image" else TASKS
        asked = body(model, order)
        if wire.kind == "video" and order.callback_url is not None:
            asked["callback_url"] = order.callback_url
        answer = await http.call("POST", path, json=asked, headers=headers)
        said = submission_object(NAME, answer)
        if not isinstance(said, dict):
            return said
        if answer.status not in ACCEPTED:
            return _refused(answer, said)
        if wire.kind == "image":
            return _pictures(answer, said)
        if said.get("id") is None and _error(said)[0]:
            return _refused(answer, said)
        if said.get("error") or not isinstance(said.get("id"), str) or not _TICKET.fullmatch(said["id"]):
            raise UnmappedAnswer(
                NAME, "submission", f"HTTP {answer.status} with id {said.get('id')!r} and {said.get('error')!r}"
            )
        return Ticket(said["id"])

    async def poll(self, ticket: str, order: Order, http: Http) -> Polled:
        """Ask once how the task is doing."""
        answer = await http.call("GET", f"{TASKS}/{ticket}", headers=authorization(order))
        if answer.status in (429, 500, 502, 503, 504):  # says nothing about the task; the vendor's client asks on too
            return Pending()
        said = json_object(NAME, answer)
        if answer.status != 200:
            code, _ = _error(said)
            raise UnmappedAnswer(NAME, "poll", f"HTTP {answer.status}, code {code}")
        if said.get("id") != ticket:
            raise UnmappedAnswer(NAME, "poll", f"asked for task {ticket}, got {said.get('id')}")
        match said.get("status"):
            case "queued" | "running":
                return Pending()
            case "succeeded":
                return _clip(answer, said)
            case "failed":
                return _failed(*_error(said))
            case "cancelled":
                return Failed("upstream_refused", "the vendor canceled the task")
            case "expired":
                return Failed("upstream_refused", "the vendor gave the task up: it was not finished in time")
            case word:
                raise UnmappedAnswer(NAME, "task status", word)

    async def takes_key(self, order: Order, http: Http) -> bool | None:
        """Ask about a task that does not exist: 404 `NotFound` of that task, or 400 about its id, for a good key."""
        answer = await http.call("GET", f"{TASKS}/{NO_SUCH_THING}", headers=authorization(order))
        code, _ = _error(json_object(NAME, answer))
        if not isinstance(code, str):
            return None
        if answer.status in (401, 403):
            return False
        about_the_id = {404: "NotFound.", 400: "InvalidParameter."}.get(answer.status)
        return True if about_the_id and f"{code}.".startswith(about_the_id) else None

    async def cancel(self, ticket: str, order: Order, http: Http) -> bool:
        """Stop a task that is still queued: the vendor stops no other.

        The same call removes the record of a task that has ended, its result with it, and the answers are alike.
        So it is made only right after the task was seen waiting, and believed only if the task says so afterwards.
        """
        return (
            await self._status(ticket, order, http) == "queued"
            and (await http.call("DELETE", f"{TASKS}/{ticket}", headers=authorization(order))).status == 200
            and await self._status(ticket, order, http) == "cancelled"
        )

    async def _status(self, ticket: str, order: Order, http: Http) -> object:
        said = json_object(NAME, await http.call("GET", f"{TASKS}/{ticket}", headers=authorization(order)))
        return said.get("status") if said.get("id") == ticket else None


def body(model: str, order: Order) -> dict[str, Any]:
    """Build the vendor's JSON for an order: constants, then every parameter at its path, the text item first."""
    built: dict[str, Any] = {"model": model}
    items: list[dict[str, Any]] = []
    for path, value in order.route.constants.items():
        _put(built, path, value)
    for path, value in order.placed():
        if path == UNSENT:
            continue
        head, _, role = path.partition(".")
        if head == "content":
            items.extend(_item(role, one) for one in (value if isinstance(value, list) else [value]))
        elif path == "image" and isinstance(value, list) and len(value) == 1:
            built["image"] = value[0]  # one picture is a text, several are a list
        else:
            _put(built, path, value)
    if items:
        built["content"] = sorted(items, key=lambda item: item["type"] != "text")
    if built.get("sequential_image_generation") != "auto":
        built.pop("sequential_image_generation_options", None)  # a limit of sets, meaningless for one picture
    return built


def _put(target: dict[str, Any], path: str, value: Any) -> None:
    head, _, last = path.partition(".")
    if last:
        target.setdefault(head, {})[last] = value
    else:
        target[head] = value


def _item(role: str, value: Any) -> dict[str, Any]:
    kind = _CONTENT_TYPES[role]
    if kind == "text":
        return {"type": "text", "text": value}
    if kind == "draft_task":
        return {"type": kind, kind: {"id": value}}
    return {"type": kind, kind: {"url": value}, "role": role}


def _error(said: Mapping[str, Any]) -> tuple[object, object]:
    """Code and message of an answer, a task or a picture; None where there is none."""
    error = said.get("error")
    return (error.get("code"), error.get("message")) if isinstance(error, dict) else (None, None)


def _kind(code: object) -> str | None:
    name = code if isinstance(code, str) else ""
    return "content" if _CONTENT.match(name) else kind_of(name, _KINDS)


def _refused(answer: Answer, said: Mapping[str, Any]) -> Submitted:
    """Judge the error a submission was answered with."""
    code, message = _error(said)
    kind = _kind(code)
    words = plain_words(message, _PRIVATE)
    if answer.status == 429 and kind != "account":
        kind = "throttled"
    if answer.status in ACCEPTED and kind is None:
        return refused_in_words(f"{code}: {words}", words or str(code))
    if kind is None or (answer.status not in ACCEPTED and not 400 <= answer.status < 500):
        return unmapped(NAME, answer, code, words)
    return refused(kind, f"{code}: {words}", words, _retry_in_s(answer))


def _failed(code: object, message: object) -> Failed:
    return failed(_kind(code), plain_words(message, _PRIVATE))


def _retry_in_s(answer: Answer) -> float | None:
    """The vendor's client reads milliseconds first, then seconds."""
    exact = retry_in_s(answer, "retry-after-ms", 0.001)
    return retry_in_s(answer) if exact is None else exact


def _pictures(answer: Answer, said: dict[str, Any]) -> Done | Failed:
    """Collect the pictures of an answer; one that failed carries an error in place of a link.

    Nothing delivered is a failure if the vendor says why, and unmapped otherwise.
    """
    items = said.get("data") or []
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise UnmappedAnswer(NAME, "result", items)
    files = [_picture(item) for item in items if item.get("url") is not None or item.get("b64_json")]
    if not files:
        failures = [item for item in (*items, said) if _error(item)[0]]
        if failures:
            return _failed(*_error(failures[0]))
        raise NothingDelivered(NAME, "result", "answered, with no picture and no failure")
    usage = said.get("usage")
    told = _number(usage.get("generated_images")) if isinstance(usage, dict) else None
    count = len(files) if usage is None else int(told) if told is not None and told == int(told) else None
    return Done(
        files=tuple(files),
        measured=Measurement(images=count),
        request_id=answer.headers.get("x-request-id"),
    )


def _picture(item: Mapping[str, Any]) -> RemoteFile | InlineFile:
    """By link, as asked for; the vendor's other form in its place is as good."""
    told = item.get("url")
    return linked_file(NAME, told, "image") if told is not None else inline_picture(NAME, item["b64_json"])


def _clip(answer: Answer, said: Mapping[str, Any]) -> Done:
    """Collect the clip, and its last frame where it was asked for."""
    content = said.get("content")
    if not isinstance(content, dict):
        if content is not None and content != []:
            raise UnmappedAnswer(NAME, "result", content)
        raise NothingDelivered(NAME, "result", "succeeded, with no content")
    if not content.get("video_url"):
        raise NothingDelivered(NAME, "result", "succeeded, with no clip")
    files = [linked_file(NAME, content["video_url"], "video")]
    if content.get("last_frame_url"):
        files.append(linked_file(NAME, content["last_frame_url"], "image", "last_frame"))
    return Done(tuple(files), Measurement(milliseconds=_milliseconds(said)), answer.headers.get("x-request-id"))


def _milliseconds(said: Mapping[str, Any]) -> int | None:
    """The clip's length, told as seconds or as frames, never both.

    The vendor bills tokens, which follow from size, rate and length; our price is per second of a resolution. What
    is missing or makes no sense stays unmeasured, so that it is reviewed and the result still kept.
    """
    if said.get("duration") is not None:
        seconds = _number(said["duration"])
        return None if seconds is None else round(seconds * 1000)
    frames, rate = _number(said.get("frames")), _number(said.get("framespersecond"))
    return round(frames * 1000 / rate) if frames is not None and rate else None


def _number(value: object) -> Decimal | None:
    """Read an int or a float; None when it is no number or beyond belief, as NaN and infinity are."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < MOST_BELIEVABLE:
        return None
    return Decimal(str(value))


upstream = Ark()
