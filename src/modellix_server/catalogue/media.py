"""Parameters that carry an image, video or audio: where they are in a body, and what they may contain."""

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
"""Matches nearly all valid links, quickly. No match proves nothing: `form` parses the text."""
_PLAIN_LINK = re.compile(PLAIN_LINK, re.ASCII)


@dataclass(frozen=True, slots=True)
class Limits:
    """A vendor's limits for one kind of file; None is unknown."""

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
    """A parameter of a model's body that carries media."""

    name: str
    """The parameter, or its path through objects, as in `base.json_paths`: `reference_edge.foreground_edge`."""
    limits: Mapping[MediaKind, Limits] = field(default_factory=dict)
    """The kinds it takes, usually one, and the limits of each."""
    accepts: tuple[Literal["url", "data"], ...] = ("url",)
    """Forms that the vendor takes: a link, bytes in a data URI. They do not restrict the caller."""
    max_total_ms: int | None = None
    """Total length of all video or audio of this parameter."""

    @property
    def kinds(self) -> str:
        """For messages: `image`, or `image or video`."""
        return " or ".join(self.limits)


def form(text: str) -> Form | None:
    """The shape of a media value: link, data URI, raw base64, an uploaded file, our own `sha256:…`, or none of them.

    Raw base64 needs at least 32 characters: fewer cannot be an image, and short words would pass.
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
