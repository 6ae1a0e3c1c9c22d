"""Redaction of requests and answers for the log: no file contents, no keys, no signed links, limited length.

File contents become their digest, URLs lose query, fragment and user, API keys all but their prefix.
"""

from typing import Any

import msgspec

from modellix_server.base.redaction import redact_keys, redact_text

KEPT = 4096
"""Characters of a body that are kept."""

_READ, _LOOKED_AT = 65_536, 16_384  # bytes of a body that are parsed, and of a longer one that are read: both take time


def redact_body(body: bytes) -> str:
    """A JSON body without its secrets, cut to `KEPT` characters; other bodies as text, likewise."""
    if len(body) <= _READ:
        try:
            kept = msgspec.json.encode(_walk(msgspec.json.decode(body))).decode()
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            kept = redact_text(body.decode("utf-8", "replace"))
    else:
        kept = redact_text(body[:_LOOKED_AT].decode("utf-8", "replace"))
    return cut(kept)


def redact_path(path: str) -> str:
    """The path of a URL without its query, and without an API key in it."""
    path = path.partition("?")[0]
    if "mdlx-" in path:
        path = redact_keys(path)
    return cut(path, 512)


def cut(text: str, most: int = KEPT) -> str:
    """The text without characters that PostgreSQL cannot store, cut to `most`."""
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
