"""What floods of calls without a key leave in the log."""

from __future__ import annotations

from datetime import UTC, datetime

from modellix_server.requestlog import LogEntry
from modellix_server.requestlog.sampling import UnknownCallers


def entry(status: int = 401, path: str = "/x", answer: str | None = None) -> LogEntry:
    return LogEntry(datetime.now(UTC), None, None, None, "GET", path, status, 1, 0, 0, code="c", answer=answer)


def test_a_flood_is_a_few_rows_and_its_number() -> None:
    now = [0.0]
    sample = UnknownCallers(lambda: now[0])
    assert sample.ended() == []
    kept = [row for number in range(10_000) if (row := sample.take(entry(401 if number % 4 else 404)))]
    assert len(kept) == 300
    assert {row.calls for row in kept} == {None}
    now[0] = 59.0
    assert sample.ended() == []
    now[0] = 61.0
    counted = {row.status: row.calls for row in sample.ended()}
    assert counted == {401: 7_275, 404: 2_425}
    assert sample.ended() == []
    assert sample.take(entry()) is not None


def test_long_ones_and_many_kinds_are_bounded_too() -> None:
    sample = UnknownCallers()
    kept = sum(sample.take(entry(path="/" + "x" * 500, answer="y" * 4_000)) is not None for _ in range(300))
    assert kept == 44
    for status in range(400, 500):
        sample.take(entry(status))
    rows = sample.ended(at_once=True)
    assert len(rows) == 20
    assert sum(row.calls or 0 for row in rows) == 356
    assert {row.answer for row in rows} == {None}
