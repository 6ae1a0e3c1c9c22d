"""OpenAI: pictures of the GPT Image models, and their edits.

Facts: the vendor's API reference and the source of its own client (3.57). Both calls are synchronous, and the
answer carries the pictures themselves in base64, never links. An edit is a multipart form whose files repeat the
field `image[]`. Errors are `{"error": {code, type, message, param}}`; `code` decides, or `type` where there is no
code. A submission knows no idempotency key and leaves no task behind that could be asked for, so an answer that
proves nothing leaves the outcome unknown. The vendor counts tokens; we count the pictures it delivered.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Literal

import msgspec

from modellix_server.catalogue import Measurement, Route
from modellix_server.upstreams.adapters._reading import (
    ACCEPTED,
    authorization,
    failed,
    inline_picture,
    json_object,
    plain_words,
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
    Part,
    Polled,
    Submitted,
    UnmappedAnswer,
)

NAME = "openai"

_PATHS = {"generation": "/images/generations", "edit": "/images/edits"}
_FILES = ("image[]", "mask")
"""Fields of an edit that are files; everything else is text, numbers included."""

_CONTENT = ("moderation_blocked", "content_policy_violation")
_THROTTLED = ("rate_limit_exceeded", "rate_limit_error", "requests", "tokens", "input_images")
_ACCOUNT = frozenset(
    (
        *("invalid_api_key", "invalid_organization", "insufficient_quota", "billing_hard_limit_reached"),
        *("billing_not_active", "account_deactivated", "access_terminated", "organization_restricted"),
        *("model_not_found", "unsupported_country_region_territory", "ip_not_authorized", "mismatched_organization"),
        *("insufficient_permissions", "authentication_error", "permission_error"),
    )
)
_INPUT = ("invalid_request_error", "image_generation_user_error")
"""Types of errors that blame the request, whatever their code."""
_INPUT_STATUSES = (400, 413, 415, 422)

_FIELD = re.compile(r"[a-z][a-z0-9_]*", re.ASCII)
_DATA_URI = re.compile(r"data:(image/(png|jpeg|webp));base64,", re.ASCII)
_REQUEST_ID = re.compile(r"[A-Za-z0-9_-]{1,100}", re.ASCII)
_SECONDS = re.compile(r"(?:try again|retry) (?:in|after) ([0-9]{1,5}(?:\.[0-9]{1,20})?) ?s", re.ASCII)
_PRIVATE = re.compile(r"\b(?:sk|org|proj|user|req)[-_][\w*-]+|\S+@\S+|https?://\S+", re.ASCII)


class OpenAIWire(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The `[route.wire]` of a model file for this vendor."""

    kind: Literal["generation", "edit"]
    """Decides the endpoint: an edit has pictures in its request."""


class OpenAI:
    """Implements `contract.Upstream`."""

    name = NAME
    capabilities = Capabilities(
        idempotency="none",
        polls_per_s=1,  # there is nothing to poll
        first_poll_s=60.0,
        slowest_poll_s=60.0,
        origins={"intl": "https://api.openai.com/v1"},
        most_answer_bytes=128_000_000,  # two pictures of 3840x2160 that hardly compress, or ten of the usual kind
        fetches_links=False,
    )

    def check(self, route: Route) -> None:
        """Raise ValueError when the route of a model file is not one this adapter can follow."""
        wire = wire_of(route, OpenAIWire)
        for field in (*route.to.values(), *route.constants):
            if not _FIELD.fullmatch(field) and field not in _FILES:
                raise ValueError(f"the vendor's body is flat but for {' and '.join(_FILES)}: {field!r}")
        if (wire.kind == "edit") != ("image[]" in route.to.values()):
            raise ValueError("an edit, and nothing else, has pictures in image[]")

    async def submit(self, order: Order, http: Http) -> Submitted:
        """Ask for the pictures, with exactly one POST."""
        model = order.route.models.get(order.region)
        if model is None:
            return Failed("upstream_refused", f"this model is not offered in the vendor's region '{order.region}'")
        fields = {"model": model, **order.route.constants, **dict(order.placed())}
        # The vendor keeps this id of ours in its logs, for questions to its support.
        headers = {**authorization(order), "X-Client-Request-Id": order.attempt}
        if msgspec.convert(order.route.wire, OpenAIWire).kind == "edit":
            answer = await http.call("POST", _PATHS["edit"], form=list(_form(fields)), headers=headers)
        else:
            answer = await http.call("POST", _PATHS["generation"], json=fields, headers=headers)
        said = submission_object(NAME, answer)
        if not isinstance(said, dict):
            return said
        error = said.get("error")
        if error is not None and said.get("data") and answer.status != 429:
            raise UnmappedAnswer(NAME, "submission", "pictures and an error at once")
        if isinstance(error, dict):
            return _refused(answer, error)
        if error is not None or answer.status not in ACCEPTED:
            if said.get("data") and answer.status != 429:
                raise UnmappedAnswer(NAME, "submission", f"HTTP {answer.status} with pictures")
            return unmapped(NAME, answer, "without an error that says why", plain_words(error, _PRIVATE))
        return _pictures(answer, said)

    async def poll(self, ticket: str, order: Order, http: Http) -> Polled:  # noqa: ARG002 - there are no tickets
        """Nothing of this vendor can be polled. Raises UnmappedAnswer."""
        raise UnmappedAnswer(NAME, "poll", "nothing of this vendor can be polled")

    async def takes_key(self, order: Order, http: Http) -> bool | None:
        """Ask about a model that does not exist: 404 `model_not_found` for a good key."""
        answer = await http.call("GET", f"/models/{NO_SUCH_THING}", headers=authorization(order))
        error = json_object(NAME, answer).get("error")
        if not isinstance(error, dict):
            return None
        if answer.status in (401, 403):
            return False
        return True if (answer.status, error.get("code")) == (404, "model_not_found") else None


def _form(fields: Mapping[str, Any]) -> Iterator[Part]:
    for field, value in fields.items():
        for number, one in enumerate(value if isinstance(value, list) else [value]):
            if field in _FILES:
                yield _file(field, number, one)
            else:
                yield Part(field, one if isinstance(one, str) else json.dumps(one))


def _file(field: str, number: int, uri: str) -> Part:
    """One picture as a file; the engine has checked what it is."""
    head = _DATA_URI.match(uri)
    if head is None:
        raise ValueError(f"{field} is no picture")
    file = InlineFile.of_base64(uri[head.end() :], "image")
    return Part(field, file.data, f"{field.removesuffix('[]')}-{number + 1}.{head[2]}", head[1])


def _refused(answer: Answer, error: Mapping[str, Any]) -> Submitted:
    """Judge the error a submission was answered with, by its code, then by its type."""
    code, kind = _word(error.get("code")), _word(error.get("type"))
    words = plain_words(error.get("message"), _PRIVATE)
    reason = f"HTTP {answer.status} {code or kind}: {words}"
    if answer.status in ACCEPTED:
        return refused_in_words(reason, words or code or kind or "without a word")
    if not 400 <= answer.status < 500:
        raise UnmappedAnswer(NAME, "error", reason)
    if answer.status == 429 and code not in _ACCOUNT and (code or kind not in _ACCOUNT):
        return Busy(reason, retry_in_s=_retry_in_s(answer, error))
    if code in _CONTENT:
        return failed("content", words)
    if code in _ACCOUNT or (not code and kind in _ACCOUNT):
        return Busy(reason, operator=True)
    if code in _THROTTLED or (not code and kind in _THROTTLED):
        return Busy(reason, retry_in_s=_retry_in_s(answer, error))
    if kind in _INPUT and answer.status in (401, 403):  # such as an organization that was not verified
        return Busy(reason, operator=True)
    if kind in _INPUT and answer.status in _INPUT_STATUSES:
        return failed("input", words)
    return unmapped(NAME, answer, code or kind, words)


def _word(told: object) -> str:
    return told if isinstance(told, str) else ""


def _retry_in_s(answer: Answer, error: Mapping[str, Any]) -> float | None:
    """Read how long to wait: from the header, or from the message, where image limits have it."""
    told = retry_in_s(answer)
    if told is not None:
        return told
    found = _SECONDS.search(_word(error.get("message"))[:1000])
    return min(float(found[1]), 300.0) if found else None


def _pictures(answer: Answer, said: Mapping[str, Any]) -> Done:
    """Collect the delivered pictures."""
    data = said.get("data")
    if not data and (data is None or isinstance(data, list)):
        raise NothingDelivered(NAME, "result", "finished, with no picture and no error")
    if not isinstance(data, list):
        raise UnmappedAnswer(NAME, "result", data)
    request_id = answer.headers.get("x-request-id", "")
    return Done(
        files=tuple(
            inline_picture(NAME, item.get("b64_json") or item.get("url") if isinstance(item, dict) else None)
            for item in data
        ),
        measured=Measurement(images=len(data)),
        request_id=request_id if _REQUEST_ID.fullmatch(request_id) else None,
    )


upstream = OpenAI()
