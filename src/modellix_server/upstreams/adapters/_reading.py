"""What reading a vendor's answer is the same for every vendor: strictly, and nothing of our account shown on."""

import json
import re
from typing import Any

from modellix_server.upstreams.contract import Answer, UnmappedAnswer

MOST_MESSAGE_CHARACTERS = 300
_MOST_WAIT_S = 300.0
_WHOLE = re.compile("[0-9]{1,6}", re.ASCII)


def json_object(vendor: str, answer: Answer) -> dict[str, Any]:
    """The answer's JSON object. UnmappedAnswer for whatever is not one, or says one thing twice."""
    try:
        said = _STRICT.decode(answer.body.decode(json.detect_encoding(answer.body), "surrogatepass"))
    except (ValueError, RecursionError):
        said = None
    if not isinstance(said, dict):
        raise UnmappedAnswer(vendor, "answer", f"HTTP {answer.status} without a JSON object")
    return said


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key is there twice")
    return found


_STRICT = json.JSONDecoder(object_pairs_hook=_once)


def plain_words(message: object, private: re.Pattern[str]) -> str:
    """The vendor's words, fit to show: printable, short, what is private blotted out; empty if they are no text."""
    if not isinstance(message, str):
        return ""
    # Cut before the search as well: its cost is bounded then, whatever was sent.
    plain = "".join(char if char.isprintable() else " " for char in message[: 2 * MOST_MESSAGE_CHARACTERS])
    return private.sub("…", plain)[:MOST_MESSAGE_CHARACTERS].strip()


def retry_in_s(answer: Answer, header: str = "retry-after", unit_s: float = 1.0) -> float | None:
    """How long the vendor asks to wait, at most 5 minutes; None when the header is no whole number."""
    text = answer.headers.get(header, "")
    return min(float(text) * unit_s, _MOST_WAIT_S) if _WHOLE.fullmatch(text) else None


def link(vendor: str, told: object) -> str:
    """A link to a result. UnmappedAnswer for what is none."""
    if not isinstance(told, str) or not told.startswith(("https://", "http://")):
        raise UnmappedAnswer(vendor, "result link", told)
    return told
