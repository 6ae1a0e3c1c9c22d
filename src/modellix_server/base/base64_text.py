"""Files as base64 in texts, in all the forms in which programs write them (RFC 4648, RFC 2045, RFC 2397)."""

from __future__ import annotations

import re
from urllib.parse import unquote

import msgspec

_BLANKS = re.compile(r"[ \t\r\n\f\v]+")
_URL_SAFE = str.maketrans("-_", "+/")
_HEAD = re.compile(r"\s*data:([^,]*?);\s*base64\s*,", re.ASCII | re.IGNORECASE)
_MOST_HEAD_CHARACTERS = 1024


def is_data_uri(text: str) -> bool:
    """Whether the text claims to be a data URI."""
    return text.lstrip()[:5].lower() == "data:"


def body_of(data_uri: str) -> str | None:
    """The base64 of a data URI; None when it is not one in base64."""
    head = _HEAD.match(data_uri[:_MOST_HEAD_CHARACTERS])
    if head is None:
        return None
    body = data_uri[head.end() :]
    return unquote(body) if "%" in body else body


def decode(text: str) -> bytes:
    """The bytes of base64: with line breaks and blanks or without, padded or not, in either alphabet.

    Raises ValueError for anything else.
    """
    try:
        return msgspec.convert(text, bytes)  # in half the time of binascii's strict mode
    except (msgspec.MsgspecError, ValueError):  # ValueError: half of a surrogate pair
        pass
    plain = _BLANKS.sub("", text).translate(_URL_SAFE)
    body = plain.rstrip("=")
    if len(plain) - len(body) > 2:
        raise ValueError("not base64")
    try:
        return msgspec.convert(body + "=" * (-len(body) % 4), bytes)
    except (msgspec.MsgspecError, ValueError):
        raise ValueError("not base64") from None
