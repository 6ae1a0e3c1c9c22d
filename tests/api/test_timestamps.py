"""Times in requests."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from modellix_server.api.parsing import from_iso, from_unix

FIRST, LAST = datetime(1970, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-01-31T08:00:00Z", datetime(2026, 1, 31, 8, tzinfo=UTC)),
        ("2026-01-31T08:00:00+05:30", datetime(2026, 1, 31, 2, 30, tzinfo=UTC)),
        ("2026-01-31T08:00:00", datetime(2026, 1, 31, 8, tzinfo=UTC)),
        ("2026-01-31", datetime(2026, 1, 31, tzinfo=UTC)),
        ("0001-01-01", FIRST),
        ("9999-12-31T23:59:59Z", LAST),
    ],
)
def test_a_moment_in_iso_8601(text, moment) -> None:
    assert from_iso(text) == moment


@pytest.mark.parametrize("text", ["", "soon", "2026-13-01", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00"])
def test_what_is_none(text) -> None:
    with pytest.raises(ValueError, match=r"."):
        from_iso(text)


def test_unix_seconds() -> None:
    assert from_unix(1_769_846_400) == datetime(2026, 1, 31, 8, tzinfo=UTC)
    assert from_unix(0) == FIRST
    assert from_unix(253_402_300_799) == LAST
    for seconds in (253_402_300_800, 10**18):
        with pytest.raises(ValueError, match=r"."):
            from_unix(seconds)
