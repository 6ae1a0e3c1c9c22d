"""Parameters that carry a picture, a clip or a sound: where they are in a body, and what they may hold."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlsplit

MediaKind = Literal["image", "video", "audio"]
Form = Literal["url", "data", "base64", "stored", "file"]

MOST_URL_CHARACTERS = 2048

_STORED = re.compile(r"sha256:[0-9a-f]{64}", re.ASCII)
_FILE = re.compile(r"file-[0-9a-f]{32}", re.ASCII)
_DATA = re.compile(r"data:[a-z]+/[a-z0-9.+-]+(?:;[a-z0-9-]+=[a-z0-9._-]+)*;base64,([A-Za-z0-9+/]+={0,2})", re.ASCII)
_BASE64 = re.compile(r"[A-Za-z0-9+/]{32,}={0,2}", re.ASCII)
_URL = re.compile(r"https?://[!-~]+", re.ASCII)
PLAIN_LINK = r"https?://[a-z0-9.-]*[a-z0-9](?::[1-9][0-9]{0,3})?[/?#][!-~]*"
"""What nearly all links are: a quick yes, where short enough. A no says nothing: `form` takes the text apart."""
_PLAIN_LINK = re.compile(PLAIN_LINK, re.ASCII)


@dataclass(frozen=True, slots=True)
class Limits:
    """What a vendor says about one kind of file; None is not known."""

    min_bytes: int | None = None
    max_bytes: int | None = None
    formats: tuple[str, ...] = ()
    min_side_px: int | None = None
    max_side_px: int | None = None
    max_pixels: int | None = None
    max_ratio: float | None = None
    """Longer side over shorter side; 4 allows 1:4 to 4:1."""
    min_ms: int | None = None
    max_ms: int | None = None


@dataclass(frozen=True, slots=True)
class MediaInput:
    """A place in a model's body that carries media."""

    name: str
    """The parameter, or the way to it through objects, as `base.places` takes it: `reference_edge.foreground_edge`."""
    limits: Mapping[MediaKind, Limits] = field(default_factory=dict)
    """The kinds it takes, nearly always one, and the limits of each."""
    accepts: tuple[Literal["url", "data"], ...] = ("url",)
    """What the vendor takes: a link, bytes in a data URI. What the caller sends is not bound by it."""
    max_total_ms: int | None = None
    """Of all clips or sounds of this parameter together."""

    @property
    def kinds(self) -> str:
        """For messages: `image`, or `image or video`."""
        return " or ".join(self.limits)


def form(text: str) -> Form | None:
    """The shape of a media value: link, data URI, raw base64, an uploaded file, our own `sha256:…`, or none of them.

    Raw base64 needs 32 characters at least: fewer cannot be a picture, and short words would pass.
    """
    if text.startswith(("http://", "https://")):
        return "url" if _is_link(text) else None
    if _STORED.fullmatch(text):
        return "stored"
    if _FILE.fullmatch(text):
        return "file"
    if text.startswith("data:"):
        found = _DATA.fullmatch(text)
        return "data" if found and len(found[1]) % 4 == 0 else None
    return "base64" if len(text) % 4 == 0 and _BASE64.fullmatch(text) else None


def _is_link(text: str) -> bool:
    # Vendors refuse links with raw non-ASCII characters, so they must be percent-encoded before they get here.
    if len(text) > MOST_URL_CHARACTERS:
        return False
    if _PLAIN_LINK.fullmatch(text):
        return True
    if not _URL.fullmatch(text):
        return False
    try:
        parts = urlsplit(text)
        return bool(parts.hostname) and parts.port != 0
    except ValueError:  # broken IPv6 brackets, a port that is no number
        return False
