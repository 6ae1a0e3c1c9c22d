"""A whole list as one download, sent while it is read."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any

import msgspec

from modellix_server.api.reply import Streamed
from modellix_server.limits import RateDecision

FORMATS = ("csv", "jsonl")
ROWS_A_PIECE = 500

# What a spreadsheet would take for a formula (OWASP, "CSV Injection").
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def download(
    name: str, form: str, columns: Sequence[str], pages: AsyncIterator[list[dict[str, Any]]], verdict: RateDecision
) -> Streamed:
    """The answer that sends all `pages` as `<name>.<form>`; every row has exactly these columns."""
    mime = b"text/csv; charset=utf-8" if form == "csv" else b"application/jsonl"
    headers = [
        (b"content-type", mime),
        (b"content-disposition", f'attachment; filename="{name}.{form}"'.encode()),
        *verdict.headers(),
    ]
    return Streamed(headers, _csv(columns, pages) if form == "csv" else _jsonl(pages))


async def _jsonl(pages: AsyncIterator[list[dict[str, Any]]]) -> AsyncIterator[bytes]:
    async for rows in pages:
        yield msgspec.json.Encoder().encode_lines(rows)


async def _csv(columns: Sequence[str], pages: AsyncIterator[list[dict[str, Any]]]) -> AsyncIterator[bytes]:
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
