"""The text of an API key: how it is made, checked without a database, and stored.

`mdlx-` (live) or `mdlx-test-`, 30 random base62 characters (178 bits), then 6 base62 characters of the
CRC32 over everything before them. The scheme is that of GitHub's tokens (github.blog, "Behind GitHub's
new authentication token formats"): secret scanners find it, and a typing error costs no query.
"""

import hashlib
import hmac
import re
import secrets
import zlib

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_HEADER = re.compile(r"(?i:bearer) +(mdlx-(?:test-)?[0-9A-Za-z]{36})", re.ASCII)
_FORM = re.compile(r"mdlx-(?:test-)?[0-9A-Za-z]{36}", re.ASCII)
_LIVE, _TEST = "mdlx-", "mdlx-test-"
_RANDOM, _CHECKSUM = 30, 6


def mint(*, live: bool) -> str:
    """A new key."""
    body = (_LIVE if live else _TEST) + "".join(secrets.choice(_ALPHABET) for _ in range(_RANDOM))
    return body + _checksum(body)


def presented(header: str | None) -> str | None:
    """The key in an `Authorization` header, or None: missing, another scheme, malformed, wrong checksum."""
    found = _HEADER.fullmatch(header) if header is not None else None
    if found is None:
        return None
    return found[1] if genuine(found[1]) else None


def genuine(text: str) -> bool:
    """Whether a text has the form and the checksum of a key. The key need not exist."""
    return _FORM.fullmatch(text) is not None and text[-_CHECKSUM:] == _checksum(text[:-_CHECKSUM])


def stored_form(text: str, pepper: bytes) -> bytes:
    """What the database keeps: HMAC-SHA-256, useless without the pepper."""
    return hmac.digest(pepper, text.encode(), hashlib.sha256)


def shown_form(text: str) -> tuple[str, str]:
    """The parts that identify the key to people: its prefix with the first four random characters, its last four."""
    prefix = _TEST if text.startswith(_TEST) else _LIVE
    return text[: len(prefix) + 4], text[-4:]


def _checksum(body: str) -> str:
    rest, digits = zlib.crc32(body.encode()), ""
    for _ in range(_CHECKSUM):
        rest, digit = divmod(rest, len(_ALPHABET))
        digits = _ALPHABET[digit] + digits
    return digits
