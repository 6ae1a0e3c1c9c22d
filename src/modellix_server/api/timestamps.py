"""Times in requests, brought between two that all times here lie between: reckoning with them is safe then."""

from __future__ import annotations

from datetime import UTC, datetime

_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST = datetime(9000, 1, 1, tzinfo=UTC)


def from_iso(text: str) -> datetime:
    """A moment in ISO 8601, in UTC where it names no zone. Raises ValueError."""
    moment = datetime.fromisoformat(text)
    try:
        return _kept(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
    except OverflowError:
        raise ValueError("not a year that can be reckoned with in UTC") from None


def from_unix(seconds: int) -> datetime:
    """A moment in Unix seconds. Raises ValueError."""
    try:
        return _kept(datetime.fromtimestamp(seconds, UTC))
    except (OverflowError, OSError):
        raise ValueError("not a year that has four digits") from None


def _kept(moment: datetime) -> datetime:
    """Nothing here is older than the first or younger than the last, so that no answer is another for it."""
    return min(max(moment.astimezone(UTC), _EARLIEST), _LATEST)
