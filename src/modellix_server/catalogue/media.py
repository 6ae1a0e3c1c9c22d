"""Parameters that carry an image, video or audio: where they are in a body, and what they may contain."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from modellix_server.base import base64_text
from modellix_server.base.errors import InvalidFormat, OutOfRange, PlatformError
from modellix_server.base.external_link import ExternalLink

MediaKind = Literal["image", "video", "audio"]
Form = Literal["url", "data", "base64", "stored", "file"]

MOST_URL_CHARACTERS = 2048

_STORED = re.compile(r"sha256:[0-9a-f]{64}", re.ASCII)
_FILE = re.compile(r"file-[0-9a-f]{32}", re.ASCII)
_URL = re.compile(r"[!-~]+", re.ASCII)
_CREDENTIALS = re.compile(r"[^/?#]*//[^/?#]*@")
_PLACE = re.compile(r"[/?#]")
_LAST_PORT = 65_535
_LEAST_BASE64 = 32
_LEAST_LINE = 16
"""Characters between two blanks of base64, on average: words are shorter."""
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
    alpha: bool = False
    """Whether it must have transparency."""
    same_size_as: str | None = None
    """The parameter whose first picture it must be as large as."""

    @property
    def kinds(self) -> str:
        """For messages: `image`, or `image or video`."""
        return " or ".join(self.limits)


def form(text: str) -> Form | None:
    """The shape of a media value: link, data URI, raw base64, an uploaded file, our own `sha256:…`, or none of them.

    Raw base64 needs at least 32 characters: fewer cannot be an image, and short words would pass.
    """
    if looks_like_link(text):
        return "url" if link_fault(text) is None else None
    if _STORED.fullmatch(text):
        return "stored"
    if _FILE.fullmatch(text):
        return "file"
    if base64_text.is_data_uri(text):
        return "data" if _decodes(text) else None
    lines = len(text.split())
    long = len(text) >= _LEAST_BASE64 and lines <= 1 + len(text) // _LEAST_LINE
    return "base64" if long and _decodes(text) else None


def looks_like_link(text: str) -> bool:
    """Whether a text begins as a link does; a scheme has no case (RFC 3986, 3.1)."""
    return text[:8].lower().startswith(("http://", "https://"))


def link_fault(text: str) -> str | None:
    """Why a text that looks like a link is none, or empty where only its form is wrong; None when it is one."""
    if len(text) > MOST_URL_CHARACTERS:
        return f"must be a link of at most {MOST_URL_CHARACTERS} characters, got {len(text)}"
    if _PLAIN_LINK.fullmatch(text):
        return None
    if _CREDENTIALS.match(text):
        return "must be a link without a user and a password"
    # Vendors refuse links with raw non-ASCII characters, so they must be percent-encoded before they get here.
    if not _URL.fullmatch(text):
        return ""
    try:
        ExternalLink.parse(text)
    except ValueError:
        return _place_fault(text)
    return None


def _place_fault(link: str) -> str:
    """What is wrong with the host or the port of a link; empty for what is not as common, such as broken brackets."""
    place = _PLACE.split(link.partition("//")[2], maxsplit=1)[0]
    host, colon, port = place.rpartition(":") if not place.endswith("]") else (place, "", "")
    if not (host if colon else place):
        return "must be a link with a host"
    if colon and not (port.isdigit() and 0 < int(port[:6]) <= _LAST_PORT):
        return f"must be a link whose port is a number from 1 to {_LAST_PORT}"
    return ""


def _decodes(text: str) -> bool:
    try:
        return bool(base64_text.bytes_of(text))
    except ValueError:
        return False


_ONLY_WHERE_LISTED = ("avif",)
"""Formats that most vendors do not read, and whose documents do not say so."""
_MAY_BE_TURNED = ("jpeg", "webp")
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
    alpha: bool | None = None
    """Whether a picture has transparency; None where nobody has looked."""


def refusal(medium: MediaInput, where: str, facts: Facts) -> PlatformError | None:
    """Why a file is not allowed for this parameter; None when it is."""
    limits = medium.limits.get(facts.kind)
    if limits is None:
        kinds = f"an {medium.kinds}" if medium.kinds[0] in "ai" else f"a {medium.kinds}"
        return InvalidFormat(f"parameter '{where}' must be {kinds}, got {_named(facts)}")
    if limits.formats and facts.format not in limits.formats:
        return InvalidFormat(f"parameter '{where}' must be one of {', '.join(limits.formats)}, got {facts.format}")
    if facts.format in _ONLY_WHERE_LISTED and facts.format not in limits.formats:
        return InvalidFormat(f"parameter '{where}' cannot be {facts.format.upper()} for this model")
    if medium.alpha and facts.alpha is False:
        return InvalidFormat(f"parameter '{where}' must have transparency (an alpha channel)")
    broken = _bytes(limits, facts.size) or _pixels(limits, facts) or _length(limits, facts.duration_ms)
    return OutOfRange(f"parameter '{where}' must {broken}") if broken else None


def refusal_beside(medium: MediaInput, facts: Facts, other: Facts) -> PlatformError | None:
    """Why a file is not allowed beside the first one of `same_size_as`; None when it is.

    Of a picture that a camera may have written on its side either size may be meant: that shown, or that stored.
    """
    meant = {(other.width, other.height)}
    if other.format in _MAY_BE_TURNED:
        meant.add((other.height, other.width))
    if None in (facts.width, other.width) or (facts.width, facts.height) in meant:
        return None
    size, got = f"{other.width}*{other.height}", f"{facts.width}*{facts.height}"
    return InvalidFormat(f"parameter '{medium.name}' must have the size of '{medium.same_size_as}', {size}, got {got}")


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
