"""Parameters that carry a picture, a clip or a sound."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

MediaKind = Literal["image", "video", "audio"]
Form = Literal["url", "data", "base64", "stored"]

MOST_URL_CHARACTERS = 2048

_STORED = re.compile(r"sha256:[0-9a-f]{64}", re.ASCII)
_DATA = re.compile(r"data:[a-z]+/[a-z0-9.+-]+(?:;[a-z0-9-]+=[a-z0-9._-]+)*;base64,([A-Za-z0-9+/]+={0,2})", re.ASCII)
_BASE64 = re.compile(r"[A-Za-z0-9+/]{32,}={0,2}", re.ASCII)
_URL = re.compile(r"https?://[!-~]+", re.ASCII)
is_plain_link = re.compile(
    rf"(?=[!-~]{{1,{MOST_URL_CHARACTERS}}}\Z)https?://[a-z0-9.-]*[a-z0-9](?::[1-9][0-9]{{0,3}})?[/?#][!-~]*", re.ASCII
).fullmatch
"""A quick yes to what nearly all links are. A no says nothing: `form` takes it apart."""


@dataclass(frozen=True, slots=True)
class MediaInput:
    """A media parameter of a model; limits that are None are not known."""

    name: str
    kind: MediaKind
    many: bool
    """The parameter is a list; order matters."""
    accepts: tuple[Literal["url", "data"], ...]
    """`data` covers a data URI, raw base64 and the stored form; `url` is http or https."""
    max_bytes: int | None = None
    formats: tuple[str, ...] = ()
    min_side_px: int | None = None
    max_side_px: int | None = None
    min_ms: int | None = None
    max_ms: int | None = None

    def allows(self, text: str) -> bool:
        """Whether the text has a shape this parameter takes; nothing is fetched or decoded."""
        match form(text):
            case None:
                return False
            case "url":
                return "url" in self.accepts
            case _:
                return "data" in self.accepts


def form(text: str) -> Form | None:
    """The shape of a media value: link, data URI, raw base64, our own `sha256:<64 hex>`, or none of them.

    Raw base64 needs 32 characters at least: fewer cannot be a picture, and short words would pass.
    """
    if text.startswith(("http://", "https://")):
        return "url" if _is_link(text) else None
    if _STORED.fullmatch(text):
        return "stored"
    if text.startswith("data:"):
        found = _DATA.fullmatch(text)
        return "data" if found and len(found[1]) % 4 == 0 else None
    return "base64" if len(text) % 4 == 0 and _BASE64.fullmatch(text) else None


def _is_link(text: str) -> bool:
    # Vendors refuse links with raw non-ASCII characters, so they must be percent-encoded before they get here.
    if is_plain_link(text):
        return True
    if len(text) > MOST_URL_CHARACTERS or not _URL.fullmatch(text):
        return False
    try:
        parts = urlsplit(text)
        return bool(parts.hostname) and parts.port != 0
    except ValueError:  # broken IPv6 brackets, a port that is no number
        return False
