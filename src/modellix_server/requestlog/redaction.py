"""What of a request or an answer may be kept: no bytes, no keys, no signed links, not too much.

Sent bytes become their digest, URLs lose query, fragment and user, API keys lose their body.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any

import msgspec

KEPT = 4096
"""Characters of a body that are kept."""

_READ = 65_536  # bytes of a body that are looked at; a longer one is not worth the time
_DATA = re.compile(r"data:([\w.+/-]*(?:;[\w.=-]+)*);base64,([A-Za-z0-9+/=_%\\\s-]*)", re.ASCII | re.IGNORECASE)
# Both look only where a run begins: trying again inside it would take a hostile body quadratic time.
_BASE64 = re.compile(r"(?<![A-Za-z0-9+/_\\-])[A-Za-z0-9+/_\\-]{200,}={0,2}", re.ASCII)
_URL = re.compile(r"(?<!\w)(\w+:(?:\\?/){2})([^\s\"'<>]*)", re.ASCII)
_KEY = re.compile(r"mdlx-(?:test-)?[0-9A-Za-z]+", re.ASCII)


def redact_body(body: bytes) -> str:
    """A JSON body without its secrets, cut to `KEPT` characters; other bodies as text, likewise."""
    if len(body) <= _READ:
        try:
            kept = msgspec.json.encode(_walk(msgspec.json.decode(body))).decode()
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            kept = redact_text(body.decode("utf-8", "replace"))
    else:
        kept = redact_text(body[:_READ].decode("utf-8", "replace"))
    return cut(kept)


def redact_text(text: str) -> str:
    """One string without its secrets."""
    text = _DATA.sub(lambda found: f"data:{found[1]};base64,<{_digest(found[2])}>", text)
    text = _BASE64.sub(lambda found: f"<{_digest(found[0])}>", text)
    text = _URL.sub(lambda found: found[1] + _without_secrets(found[2]), text)
    return _KEY.sub("mdlx-<key>", text)


def redact_path(path: str) -> str:
    """The path of a URL without its query, and without a key that went astray."""
    path = path.partition("?")[0]
    if "mdlx-" in path:
        path = _KEY.sub("mdlx-<key>", path)
    return cut(path, 512)


def cut(text: str, most: int = KEPT) -> str:
    """At most `most` characters, and none that PostgreSQL cannot store."""
    if "\x00" in text:
        text = text.replace("\x00", "\N{REPLACEMENT CHARACTER}")
    return text if len(text) <= most else text[: most - 1] + "…"


def _walk(value: Any) -> Any:
    match value:
        case str():
            return redact_text(value)
        case list():
            return [_walk(one) for one in value]
        case dict():
            return {redact_text(name): _walk(one) for name, one in value.items()}
        case _:
            return value


def _without_secrets(rest: str) -> str:
    location = re.split(r"[?#]|\\u003[fF]", rest, maxsplit=1)[0]
    host, slash, path = location.partition("/")
    return host.rpartition("@")[2] + slash + path


def _digest(text: str) -> str:
    return f"sha256:{hashlib.sha256(text.encode('utf-8', 'replace')).hexdigest()}, {len(text)} characters"
