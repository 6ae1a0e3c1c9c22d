"""DashScope, Alibaba Cloud's Model Studio: pictures and clips.

Facts: help.aliyun.com and www.alibabacloud.com/help (Model Studio, 2026) and the vendor's Python client.
Errors are told apart by code, never by HTTP status alone: an overdue bill is a 429, arrears are a 400,
and a failed task is a 200. A submission knows no idempotency key, so a 5xx proves nothing.
"""

import json
import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Literal
from urllib.parse import quote

import msgspec

from modellix_server.base.base64_text import is_data_uri
from modellix_server.catalogue import Measurement, Route
from modellix_server.upstreams.adapters import _oss
from modellix_server.upstreams.adapters._paths import put, steps
from modellix_server.upstreams.adapters._reading import (
    ACCEPTED,
    authorization,
    failed,
    is_link,
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
    Busy,
    Capabilities,
    Done,
    Failed,
    Http,
    NothingDelivered,
    Order,
    Pending,
    Polled,
    Submitted,
    Ticket,
    UnmappedAnswer,
)

NAME = "dashscope"
MOST_BELIEVABLE = 10**9
MOST_DATA_CHARACTERS = 10_000

_CODES = {
    "content": "DataInspectionFailed data_inspection_failed IPInfringementSuspect CustomRoleBlocked FaqRuleBlocked",
    "input": "InvalidParameter invalid_parameter_error BadRequest InvalidURL InvalidFile InvalidImage"
    " InvalidImageResolution InvalidImageFormat InvalidPerson InvalidGarment InvalidInputLength",
    "gone": "ModelNotFound model_not_found NotFound",
    "account": "InvalidApiKey invalid_api_key Arrearage AccessDenied Model.AccessDenied Workspace.AccessDenied"
    " App.AccessDenied WorkSpaceNotFound AllocationQuota Throttling.AllocationQuota insufficient_quota"
    " CommodityNotPurchased PrepaidBillOverdue PostpaidBillOverdue",
    "throttled": "Throttling LimitRequests limit_requests",
}
_KINDS = {code: kind for kind, codes in _CODES.items() for code in codes.split()} | {"NOT AUTHORIZED": "account"}

_UNFINISHED = ("PENDING", "RUNNING", "PRE-PROCESSING", "POST-PROCESSING", "SUSPENDED")
_CLIP_USAGE = ("duration", "video_duration", "output_video_duration")
"""Where billable seconds are told: newer models, older models, and as a last resort the output alone."""

_TICKET = re.compile(r"[A-Za-z0-9_-]{1,100}", re.ASCII)
_ENDPOINT = re.compile(r"[a-z0-9]+(?:[/-][a-z0-9]+)*/?", re.ASCII)
_PRIVATE = re.compile(r"sk-[\w*-]+|ws-\w+|\b\d{12,}\b|https?://\S+", re.ASCII)


class DashScopeWire(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The `[route.wire]` of a model file for this vendor."""

    path: str
    """Below the base URL."""
    mode: Literal["task", "sync"]
    """`task` needs the async header; models that only answer synchronously refuse it."""
    results: str
    """Path of the result links in an answer; `[]` goes through a list."""
    kind: Literal["image", "video"]
    otherwise: str | None = None
    """Where the links are if they are not there: two of the vendor's pages differ."""
    extras: dict[str, Literal["image", "video", "vector"]] = {}
    """Path of further links -> their kind: other forms of the same result, not charged."""
    data: tuple[str, ...] = ()
    """Paths of what belongs to the result and is no link; told under the last name of the path."""
    bills: Literal["output", "input"] = "output"
    """`input`: one picture is charged, however many come back."""

    def found_at(self) -> tuple[str, ...]:
        """Every path into an answer."""
        return (self.results, *filter(None, [self.otherwise]), *self.extras, *self.data)


class DashScope:
    """Implements `contract.Upstream`."""

    name = NAME
    capabilities = Capabilities(
        idempotency="list_only",
        polls_per_s=20,
        first_poll_s=1.0,
        slowest_poll_s=12.0,
        origins={
            "cn": "https://dashscope.aliyuncs.com/api/v1",
            "intl": "https://dashscope-intl.aliyuncs.com/api/v1",
            "us": "https://dashscope-us.aliyuncs.com/api/v1",
        },
    )

    def check(self, route: Route) -> None:
        """Raise ValueError when the route of a model file is not one this adapter can follow."""
        wire = wire_of(route, DashScopeWire)
        if not _ENDPOINT.fullmatch(wire.path):
            raise ValueError(f"route.wire.path: not an endpoint below the base URL: {wire.path!r}")
        for path in (*route.to.values(), *route.constants):
            if steps(path)[0][0] not in ("input", "parameters") or steps(path)[-1][1]:
                raise ValueError(f"the vendor's body has only input and parameters: {path!r}")
        for path in wire.found_at():
            if steps(path)[0] != ("output", "") or len(steps(path)) < 2:
                raise ValueError(f"route.wire: results are in output: {path!r}")

    async def prepare(self, order: Order, http: Http) -> Order | Busy | Failed:
        """Put the order's files into the vendor's temporary storage, which keeps them for 48 hours.

        One policy serves them all; what it names is only good for the same model and account.
        """
        model = order.route.models.get(order.region)
        if model is None:  # `submit` says so
            return order
        where = f"/uploads?action=getPolicy&model={quote(model)}"
        answer = await http.call("GET", where, headers=authorization(order))
        said = json_object(NAME, answer)
        if said.get("code"):
            return _refused(answer, said)
        # The vendor's pages show the policy in `data`, its client reads it from `output`.
        try:
            policy = msgspec.convert(said.get("data") or said.get("output"), _oss.Policy)
        except msgspec.ValidationError as error:
            raise UnmappedAnswer(NAME, "upload policy", error) from error
        return await _oss.put_files(policy, order, http)

    async def submit(self, order: Order, http: Http) -> Submitted:
        """Ask for the generation, with exactly one POST."""
        model = order.route.models.get(order.region)
        if model is None:
            others = ", ".join(sorted(order.route.models))
            return Failed(
                "upstream_refused", f"the vendor offers this model not in its region '{order.region}' but in: {others}"
            )
        wire = msgspec.convert(order.route.wire, DashScopeWire)
        # The vendor keeps no id of ours; this one only lets its support, and our emulator, find the request.
        headers = {**authorization(order), "X-Request-Id": order.attempt}
        if wire.mode == "task":
            headers["X-DashScope-Async"] = "enable"
        if order.files:
            headers["X-DashScope-OssResourceResolve"] = "enable"
        answer = await http.call("POST", f"/{wire.path}", json=body(model, order), headers=headers)
        said = submission_object(NAME, answer)
        if not isinstance(said, dict):
            return said
        output = said.get("output")
        if answer.status == 429:  # whatever else it says
            return _refused(answer, said)
        if said.get("code"):
            if output or said.get("task_id"):
                raise UnmappedAnswer(NAME, "submission", "a result and an error at once")
            return _refused(answer, said)
        if answer.status not in ACCEPTED or not isinstance(output, dict):
            if not output and not said.get("task_id"):
                return unmapped(NAME, answer, "without a result or an error code", _words(said))
            raise UnmappedAnswer(NAME, "submission", f"HTTP {answer.status} without a result or an error code")
        if wire.mode == "sync":
            return _done(said, output, wire)
        return Ticket(_ticket(said, output))

    async def poll(self, ticket: str, order: Order, http: Http) -> Polled:
        """Ask once how the task is doing."""
        answer = await http.call("GET", f"/tasks/{ticket}", headers=authorization(order))
        if answer.status in (429, 500, 502, 503, 504):  # says nothing about the task; the vendor's client asks on too
            return Pending()
        said = json_object(NAME, answer)
        output = said.get("output")
        if answer.status != 200 or said.get("code") or not isinstance(output, dict):
            raise UnmappedAnswer(NAME, "poll", f"HTTP {answer.status}, code {said.get('code')}")
        if output.get("task_id") != ticket:
            raise UnmappedAnswer(NAME, "poll", f"asked for task {ticket}, got {output.get('task_id')}")
        match output.get("task_status"):
            case word if word in _UNFINISHED:
                return Pending(_progress(output.get("task_metrics")))
            case "SUCCEEDED":
                return _done(said, output, msgspec.convert(order.route.wire, DashScopeWire))
            case "FAILED":
                return _failed(output.get("code"), output.get("message"))
            case "CANCELED":
                return Failed("upstream_refused", "the vendor canceled the task")
            case word:  # UNKNOWN too: a task the vendor cannot find is no verdict on it
                raise UnmappedAnswer(NAME, "task status", word)

    async def takes_key(self, order: Order, http: Http) -> bool | None:
        """Ask about a task that does not exist: its status is `UNKNOWN` for a good key."""
        answer = await http.call("GET", f"/tasks/{NO_SUCH_THING}", headers=authorization(order))
        said = json_object(NAME, answer)
        code, output = said.get("code"), said.get("output")
        if answer.status in (401, 403) and code:
            return False
        if code in ("InvalidApiKey", "invalid_api_key"):  # the second is of its OpenAI-compatible side
            return False
        known = isinstance(output, dict) and output.get("task_status") == "UNKNOWN"
        return True if answer.status == 200 and known else None

    async def cancel(self, ticket: str, order: Order, http: Http) -> bool:
        """Stop a task that is still PENDING: the vendor stops no other."""
        answer = await http.call("POST", f"/tasks/{ticket}/cancel", headers=authorization(order))
        return answer.status == 200 and not json_object(NAME, answer).get("code")


def body(model: str, order: Order) -> dict[str, Any]:
    """Build the vendor's JSON for an order: constants, then every parameter at its path, text parts last."""
    built: dict[str, Any] = {"model": model}
    for path, value in order.route.constants.items():
        put(built, path, value)
    # In a message the pictures come first and the one text part ends it.
    for path, value in sorted(order.placed(), key=lambda item: item[0].endswith("[].text")):
        each = isinstance(value, list) and ("[]" in path or "[type=" in path)
        for one in value if each else (value,):
            put(built, path, one)
    return built


def _ticket(said: Mapping[str, Any], output: Mapping[str, Any]) -> str:
    ids = [place["task_id"] for place in (output, said) if place.get("task_id")]
    if not ids or any(one != ids[0] for one in ids) or not isinstance(ids[0], str) or not _TICKET.fullmatch(ids[0]):
        raise UnmappedAnswer(NAME, "task id", ids)
    return ids[0]


def _refused(answer: Answer, said: Mapping[str, Any]) -> Busy | Failed:
    """Judge the error a submission was answered with."""
    code, message = said.get("code"), _words(said)
    kind = _kind(code, message)
    if answer.status == 429 and kind != "account":
        kind = "throttled"
    if answer.status in ACCEPTED and kind is None:
        return refused_in_words(f"{code}: {message}", message or str(code))
    if answer.status >= 500 or kind is None:
        return unmapped(NAME, answer, code, message)
    return refused(kind, f"{code}: {message}", message, retry_in_s(answer))


def _words(said: Mapping[str, Any]) -> str:
    return plain_words(said.get("message"), _PRIVATE)


def _failed(code: object, message: object) -> Failed:
    words = plain_words(message, _PRIVATE)
    return failed(_kind(code, words), words)


def _kind(code: object, words: str) -> str | None:
    """A model name that the vendor does not know is a fault of ours under the code of a bad input."""
    kind = kind_of(code, _KINDS)
    return "gone" if kind == "input" and words.startswith("Model not exist") else kind


def _done(said: Mapping[str, Any], output: dict[str, Any], wire: DashScopeWire) -> Done | Failed:
    """Collect the delivered files; items that failed carry code and message in place of a link.

    A finished task with nothing delivered is a failure if every item says why, and unmapped otherwise.
    """
    links, failures, absent = _links(output, wire.results)
    if not links and wire.otherwise:
        links, failures, absent = _links(output, wire.otherwise)
    if not links:
        if failures:
            return _failed(failures[0].get("code"), failures[0].get("message"))
        if absent:  # a list of the parts asked for, and null for each that the picture does not show
            return Failed("invalid_input", "the vendor found nothing of what was asked for in the input")
        raise NothingDelivered(NAME, "result", "finished, with no link and no failure")
    charged = 1 if wire.bills == "input" else len(links)
    files = [linked_file(NAME, link, wire.kind) for link in links[:charged]]
    files += [linked_file(NAME, link, wire.kind, "alternative") for link in links[charged:]]
    for path, kind in wire.extras.items():
        files += [linked_file(NAME, link, kind, "alternative") for link in _links(output, path)[0]]
    request_id = said.get("request_id")
    return Done(
        files=tuple(files),
        measured=_measured(said.get("usage"), wire.kind, charged),
        request_id=request_id if isinstance(request_id, str) else None,
        data=_data(output, wire),
    )


def _links(output: dict[str, Any], path: str) -> tuple[list[str], list[dict[str, Any]], int]:
    """Find the links at a path, the items that say why they have none, and how many are null in a list of links."""
    *way, (key, index) = steps(path)[1:]
    found: list[Any] = [output]
    for name, each in way:
        found = [item[name] for item in found if isinstance(item, dict) and name in item]
        if each:
            found = [one for item in found for one in (item if isinstance(item, list) else [item])]
    links, failures, absent = [], [], 0
    for item in found:
        if not isinstance(item, dict):
            raise UnmappedAnswer(NAME, "result", item)
        link = item.get(key)
        for one in link if index and isinstance(link, list) else (link,):
            if isinstance(one, str) and (is_link(one) or is_data_uri(one)):
                links.append(one)
            elif one is not None:
                raise UnmappedAnswer(NAME, "result link", one)
            elif item.get("code"):
                failures.append(item)
            else:
                absent += bool(index) and link is not None
    return links, failures, absent


def _data(output: dict[str, Any], wire: DashScopeWire) -> dict[str, Any]:
    """Take what the model file asks for, and nothing that is absurdly long."""
    found = {}
    for path in wire.data:
        value: Any = output
        for key, _ in steps(path)[1:]:
            value = value.get(key) if isinstance(value, dict) else None
        if value is not None and len(json.dumps(value)) <= MOST_DATA_CHARACTERS:
            found[key] = value
    return found


def _measured(usage: object, kind: Literal["image", "video"], delivered: int) -> Measurement:
    """Read the vendor's bill. No bill at all: pictures are counted, a clip's length is left to be probed.

    What is there but makes no sense stays unmeasured, so that it is reviewed and the result still kept.
    """
    if usage is not None and not isinstance(usage, dict):
        return Measurement()
    told = usage or {}
    if kind == "image":
        if told.get("image_count") is None:
            return Measurement(images=delivered)
        count = _number(told["image_count"])
        return Measurement(images=int(count) if count is not None and count == int(count) else None)
    put_in = _number(told.get("input_video_duration") or 0)
    total = next((_number(told[key]) for key in _CLIP_USAGE if told.get(key) is not None), None)
    if total is None or put_in is None:
        return Measurement()
    # Newer models charge for the clips put in too: `duration` is both together.
    delivered_s = total - put_in if told.get("duration") is not None else total
    if put_in and min(delivered_s, put_in) < 0:
        return Measurement()
    return Measurement(milliseconds=round(delivered_s * 1000), input_milliseconds=round(put_in * 1000) or None)


def _progress(told: object) -> float | None:
    """Read the share of several pictures that are ready; of a single one the vendor tells none."""
    counts = told if isinstance(told, dict) else {}
    total, ready = _number(counts.get("TOTAL")), _number(counts.get("SUCCEEDED"))
    return float(ready / total) if total and ready is not None and total > 1 and 0 <= ready <= total else None


def _number(value: object) -> Decimal | None:
    """Read an int, a float or a text; None when it is no number or beyond belief."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = Decimal(str(value))
    except (InvalidOperation, ValueError):
        return None
    return number if number.is_finite() and -MOST_BELIEVABLE < number < MOST_BELIEVABLE else None


upstream = DashScope()
