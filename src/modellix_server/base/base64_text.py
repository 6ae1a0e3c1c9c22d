"""Files as base64 in texts, in all the forms in which programs write them (RFC 4648, RFC 2045, RFC 2397)."""

from __future__ import annotations

import re
from urllib.parse import unquote, unquote_to_bytes

import msgspec

_BLANKS = re.compile(r"[\s\u200b\u2060\ufeff]+")
"""Of Unicode too, and the marks that editors put at a beginning and pages at an end."""
_URL_SAFE = str.maketrans("-_", "+/")
_HEAD = re.compile(r'data:((?:[^,"]|"[^"]*")*),', re.ASCII | re.IGNORECASE)
_BASE64 = re.compile(r"(?:.*;)?\s*base64\s*", re.ASCII | re.IGNORECASE | re.DOTALL)
_MOST_HEAD_CHARACTERS = 1024


def without_blanks(text: str) -> str:
    """The text without the blanks around it that copying and files add."""
    return text.strip(" \t\r\n\f\v\u00a0\u200b\u2060\ufeff")


def is_data_uri(text: str) -> bool:
    """Whether the text claims to be a data URI."""
    return without_blanks(text[:_MOST_HEAD_CHARACTERS])[:5].lower() == "data:"


def bytes_of(text: str) -> bytes:
    """The bytes of a data URI, in base64 or percent-encoded, or of base64 alone. Raises ValueError for other texts."""
    if not is_data_uri(text):
        return decode(text)
    text = without_blanks(text)
    head = _HEAD.match(text[:_MOST_HEAD_CHARACTERS])
    if head is None:
        raise ValueError("not a data URI")
    body = text[head.end() :]
    return decode(body) if _BASE64.fullmatch(head[1]) else unquote_to_bytes(body)


def decode(text: str) -> bytes:
    """The bytes of base64: with line breaks and blanks or without, padded or not, in either alphabet, percent-encoded.

    Raises ValueError for anything else.
    """
    try:
        return msgspec.convert(text, bytes)  # in half the time of binascii's strict mode
    except (msgspec.MsgspecError, ValueError):  # ValueError: half of a surrogate pair
        pass
    plain = _BLANKS.sub("", unquote(text) if "%" in text else text).translate(_URL_SAFE)
    body = plain.rstrip("=")
    if len(plain) - len(body) > 2:
        raise ValueError("not base64")
    try:
        return msgspec.convert(body + "=" * (-len(body) % 4), bytes)
    except (msgspec.MsgspecError, ValueError):
        raise ValueError("not base64") from None
