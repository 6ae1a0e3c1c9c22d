"""Lists as downloads: CSV or JSON Lines, made while they are read."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import datetime
from typing import Any

import msgspec

MIMES = {"csv": "text/csv; charset=utf-8", "jsonl": "application/jsonl"}
FORMATS = tuple(MIMES)
ROWS_A_PIECE = 500
# What a spreadsheet would evaluate as a formula (OWASP, "CSV Injection").
_FORMULA = ("=", "+", "-", "@", "\t", "\r")

Exported = dict[str, Any]
"""One row: a value for each column."""


def exported(form: str, columns: Sequence[str], pages: AsyncIterator[list[Exported]]) -> AsyncIterator[bytes]:
    """The content of a download in one of FORMATS; every row has exactly these columns."""
    return _csv(columns, pages) if form == "csv" else _jsonl(pages)


def headers(name: str, form: str) -> dict[str, str]:
    """Of the answer that sends it as `<name>.<form>`."""
    return {"Content-Disposition": f'attachment; filename="{name}.{form}"', "Content-Type": MIMES[form]}


def iso(moment: datetime) -> str:
    """ISO 8601 in UTC, to the millisecond."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


async def _jsonl(pages: AsyncIterator[list[Exported]]) -> AsyncIterator[bytes]:
    async for rows in pages:
        yield msgspec.json.Encoder().encode_lines(rows)


async def _csv(columns: Sequence[str], pages: AsyncIterator[list[Exported]]) -> AsyncIterator[bytes]:
    yield _lines([columns])
    async for rows in pages:
        yield _lines([_cell(row[column]) for column in columns] for row in rows)


def _lines(rows: Iterable[Sequence[str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerows(rows)  # RFC 4180
    return text.getvalue().encode("utf-8", "replace")


def _cell(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case str():
            return f"'{value}" if value.startswith(_FORMULA) else value
        case int() | float():
            return f"{value:.6f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
        case _:
            return msgspec.json.encode(value).decode()
