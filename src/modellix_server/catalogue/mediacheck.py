"""Checks a file against a vendor's limits; the refusal names the limit and the value, as the contract asks."""

from collections.abc import Iterable
from dataclasses import dataclass

from modellix_server.base.errors import InvalidFormat, OutOfRange, PlatformError
from modellix_server.catalogue.media import Limits, MediaInput, MediaKind

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
        article = "an" if medium.kinds[0] in "ai" else "a"
        return InvalidFormat(f"parameter '{where}' must be {article} {medium.kinds}, got {_named(facts)}")
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
    return f"{'an' if facts.kind[0] in 'ai' else 'a'} {facts.kind} ({facts.format})"


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
