"""What is the same for every vendor: the key's header, and how answers are read.

They are read strictly, and nothing of our account is shown on.
"""

import json
import re
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

import msgspec

from modellix_server.base import base64_text
from modellix_server.base.external_link import ExternalLink
from modellix_server.catalogue import Route
from modellix_server.upstreams.contract import (
    Answer,
    Busy,
    Failed,
    FileKind,
    InlineFile,
    Order,
    RemoteFile,
    UnmappedAnswer,
)

_Wire = TypeVar("_Wire")

MOST_MESSAGE_CHARACTERS = 300
_MOST_WAIT_S = 300.0
_SECONDS = re.compile(r"[0-9]{1,6}(\.[0-9]{1,20})?", re.ASCII)
ACCEPTED = (200, 201, 202)
"""Statuses with which vendors accept a submission; which of them is documented differs from page to page."""
_REFUSED_NOTHING = (408, 499)
"""A gateway that gave the client up: the vendor may have the request."""


def wire_of(route: Route, form: type[_Wire]) -> _Wire:
    """The `[route.wire]` of a model file, as its vendor's adapter wants it. ValueError when it is not that."""
    try:
        return msgspec.convert(route.wire, form)
    except msgspec.ValidationError as error:
        raise ValueError(f"route.wire: {error}") from error


def authorization(order: Order) -> dict[str, str]:
    """The header with the vendor account's key."""
    return {"Authorization": f"Bearer {order.key}"}


def json_object(vendor: str, answer: Answer) -> dict[str, Any]:
    """The answer's JSON object. UnmappedAnswer for whatever is not one, or says one thing twice."""
    try:
        said = _STRICT.decode(answer.body.decode(json.detect_encoding(answer.body), "surrogatepass"))
    except (ValueError, RecursionError):
        said = None
    if not isinstance(said, dict):
        raise UnmappedAnswer(vendor, "answer", f"HTTP {answer.status} without a JSON object")
    return said


def submission_object(vendor: str, answer: Answer) -> dict[str, Any] | Busy | Failed:
    """The JSON object that a submission was answered with; without one, what its status alone says."""
    try:
        return json_object(vendor, answer)
    except UnmappedAnswer:
        return unmapped(vendor, answer, "without a JSON object", "")


def unmapped(vendor: str, answer: Answer, code: object, words: str) -> Busy | Failed:
    """Judge a submission's error whose code nobody knows by its status. UnmappedAnswer where that proves nothing."""
    reason = f"HTTP {answer.status} {code}: {words}"
    if answer.status == 429:
        return Busy(reason, retry_in_s=retry_in_s(answer))
    if answer.status == 401:
        return Busy(reason, operator=True)
    if not 400 <= answer.status < 500 or answer.status in _REFUSED_NOTHING:
        raise UnmappedAnswer(vendor, "error code", reason)
    return refused_in_words(reason, words or f"HTTP {answer.status}")


def refused_in_words(reason: str, words: str) -> Failed:
    """A refusal that says why, in words alone."""
    return Failed("upstream_refused", f"the vendor refused it: {words}", unmapped=reason[:200])


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key is there twice")
    return found


_STRICT = json.JSONDecoder(object_pairs_hook=_once)


def kind_of(code: object, kinds: Mapping[str, str]) -> str | None:
    """The kind of a code, or of the family before its dots: `InvalidFile.Size` is an `InvalidFile`."""
    name = code if isinstance(code, str) else ""
    while name and name not in kinds:
        name = name.rpartition(".")[0]
    return kinds.get(name)


def refused(kind: str | None, reason: str, words: str, wait_s: float | None) -> Busy | Failed:
    """Judge a submission's error by its kind. `reason` is for the operator, `words` are for the client."""
    if kind == "account":
        return Busy(reason, operator=True)
    if kind == "throttled":
        return Busy(reason, retry_in_s=wait_s)
    return failed(kind, words)


def failed(kind: str | None, words: str) -> Failed:
    """Give a definite failure the client's words; what concerns our account or the vendor's insides stays here."""
    match kind:
        case "content":
            return Failed("content_rejected", words or "the vendor's content check refused the input or the result")
        case "input":
            return Failed("invalid_input", words or "the vendor could not use the input")
        case "gone":
            return Failed("upstream_refused", "the vendor does not offer this model any more")
        case _:
            return Failed("upstream_refused", "the vendor could not finish the task")


def inline_picture(vendor: str, told: object) -> InlineFile | RemoteFile:
    """The picture of a base64 text, or a link that stands in its place. UnmappedAnswer for what is none."""
    if is_link(told):
        return RemoteFile(link(vendor, told), "image")
    try:
        return InlineFile.of_base64(told, "image")
    except ValueError:
        raise UnmappedAnswer(vendor, "picture", "not in base64") from None


def linked_file(vendor: str, told: object, kind: FileKind, role: str = "primary") -> RemoteFile | InlineFile:
    """The file of a link, or of a data URI that stands in its place. UnmappedAnswer for what is none."""
    if isinstance(told, str) and base64_text.is_data_uri(told):
        try:
            return InlineFile.of_base64(told, kind, role)
        except ValueError:
            raise UnmappedAnswer(vendor, "result", "a data URI that is broken") from None
    return RemoteFile(link(vendor, told), kind, role)


def plain_words(message: object, private: re.Pattern[str]) -> str:
    """The vendor's words, fit to show: printable, short, what is private blotted out; empty if they are no text."""
    if not isinstance(message, str):
        return ""
    # Cut before the search as well: its cost is bounded then, whatever was sent.
    plain = "".join(char if char.isprintable() else " " for char in message[: 2 * MOST_MESSAGE_CHARACTERS])
    return private.sub("…", plain)[:MOST_MESSAGE_CHARACTERS].strip()


def retry_in_s(answer: Answer, header: str = "retry-after", unit_s: float = 1.0) -> float | None:
    """How long the vendor asks to wait, at most 5 minutes; None where the header says nothing (RFC 9110, 10.2.3)."""
    text = answer.headers.get(header, "").strip()
    if _SECONDS.fullmatch(text):
        return min(float(text) * unit_s, _MOST_WAIT_S) or None
    try:
        until = parsedate_to_datetime(text).timestamp() - time.time()
    except (ValueError, TypeError, OverflowError):
        return None
    return min(until, _MOST_WAIT_S) if until > 0 else None


def is_link(told: object) -> bool:
    """Whether a value is an http or https link."""
    try:
        return isinstance(told, str) and bool(ExternalLink.parse(told))
    except ValueError:
        return False


def link(vendor: str, told: object) -> str:
    """A link to a result, as it was told. UnmappedAnswer for what is none."""
    if not isinstance(told, str) or not is_link(told):
        raise UnmappedAnswer(vendor, "result link", told)
    return told
