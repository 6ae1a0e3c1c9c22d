"""Parameters that carry an image, video or audio: where they are in a body, and what they may contain."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlsplit

from modellix_server.base.errors import InvalidFormat, OutOfRange, PlatformError

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


_SLACK_MS = 100
"""Containers round a duration to whole frames, and audio encoders pad it."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What a file is, as examined. Bytes, pixels, milliseconds; None where the format has or states none."""

    kind: MediaKind
    format: str
    size: int
    width: int | None = None
    height: int | None = None
    duration_ms: int | None = None


def refusal(medium: MediaInput, where: str, facts: Facts) -> PlatformError | None:
    """Why a file is not allowed for this parameter; None when it is."""
    limits = medium.limits.get(facts.kind)
    if limits is None:
        kinds = f"an {medium.kinds}" if medium.kinds[0] in "ai" else f"a {medium.kinds}"
        return InvalidFormat(f"parameter '{where}' must be {kinds}, got {_named(facts)}")
    if limits.formats and facts.format not in limits.formats:
        return InvalidFormat(f"parameter '{where}' must be one of {', '.join(limits.formats)}, got {facts.format}")
    broken = _bytes(limits, facts.size) or _pixels(limits, facts) or _length(limits, facts.duration_ms)
    return OutOfRange(f"parameter '{where}' must {broken}") if broken else None


def refusal_together(medium: MediaInput, facts: Iterable[Facts]) -> PlatformError | None:
    """Why files that are allowed one by one are not allowed together in this parameter; None when they are."""
    total = sum(one.duration_ms or 0 for one in facts)
    most = medium.max_total_ms
    if most is None or total <= most + _SLACK_MS:
        return None
    return OutOfRange(
        f"parameter '{medium.name}' must have at most {_seconds(most)} seconds together, got {_seconds(total)}"
    )


def _named(facts: Facts) -> str:
    return f"an {facts.kind} ({facts.format})" if facts.kind[0] in "ai" else f"a {facts.kind} ({facts.format})"


def _bytes(limits: Limits, size: int) -> str | None:
    if limits.min_bytes is not None and size < limits.min_bytes:
        return f"have at least {limits.min_bytes:,} bytes, got {size:,}"
    if limits.max_bytes is not None and size > limits.max_bytes:
        return f"have at most {limits.max_bytes:,} bytes, got {size:,}"
    return None


def _pixels(limits: Limits, facts: Facts) -> str | None:
    if facts.width is None or facts.height is None:
        return None
    short, long = sorted((facts.width, facts.height))
    got = f"got {facts.width}*{facts.height}"
    low, high = limits.min_side_px, limits.max_side_px
    if (low is not None and short < low) or (high is not None and long > high):
        return f"have sides {_between(low, high)} pixels, {got}"
    if limits.max_pixels is not None and short * long > limits.max_pixels:
        return f"have at most {limits.max_pixels:,} pixels, {got}"
    if limits.max_ratio is not None and long > limits.max_ratio * short:
        return f"have a ratio between 1:{limits.max_ratio:g} and {limits.max_ratio:g}:1, {got}"
    return None


def _length(limits: Limits, duration_ms: int | None) -> str | None:
    low, high = limits.min_ms, limits.max_ms
    if duration_ms is None:
        return None
    short = low is not None and duration_ms < low - _SLACK_MS
    long = high is not None and duration_ms > high + _SLACK_MS
    if not short and not long:
        return None
    most = None if high is None else _seconds(high)
    return f"be {_between(None if low is None else _seconds(low), most)} seconds long, got {_seconds(duration_ms)}"


def _between(low: object, high: object) -> str:
    if high is None:
        return f"of at least {low}"
    return f"of at most {high}" if low is None else f"between {low} and {high}"


def _seconds(milliseconds: int) -> str:
    return f"{milliseconds / 1000:g}"
