"""Lists: in pages as JSON, or as one download that is streamed while it is read."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from datetime import datetime
from typing import Any, TypeVar

import msgspec
from starlette.responses import Response, StreamingResponse

from modellix_server.api.dispatch import Request
from modellix_server.api.parsing import Filters
from modellix_server.base.errors import InvalidFormat
from modellix_server.base.pages import Page, all_pages

FORMATS = ("csv", "jsonl")
_ROWS_A_PIECE = 500
_MIMES = {"csv": "text/csv; charset=utf-8", "jsonl": "application/jsonl"}
# What a spreadsheet would evaluate as a formula (OWASP, "CSV Injection").
_FORMULA = ("=", "+", "-", "@", "\t", "\r")

Row = TypeVar("Row")
Place = TypeVar("Place")
Shown = dict[str, Any]


async def answer_list(
    request: Request,
    filters: Filters,
    *,
    name: str,
    columns: Sequence[str],
    read: Callable[[Place | None, int], Awaitable[Page[Row, Place]]],
    show: Callable[[Row], Shown],
    place: tuple[Callable[[str], Place | None], Callable[[Place], str]],
) -> Response:
    """One page of a list, or with `format` all of it; `place` parses and formats a cursor."""
    form, size = filters.choice("format", FORMATS), filters.page_size()
    after = filters.cursor(place[0])
    filters.done()
    if form is not None:
        if after is not None:
            raise InvalidFormat("parameter 'cursor' does not go with parameter 'format': a download is the whole list")

        async def pages() -> AsyncIterator[list[Shown]]:
            async for rows in all_pages(lambda after: read(after, _ROWS_A_PIECE)):
                yield [show(row) for row in rows]

        return download(request, name, form, columns, pages())
    found = await read(after, size)
    following = None if found.next is None else place[1](found.next)
    return request.success({name: [show(row) for row in found.rows], "next_cursor": following})


def download(
    request: Request, name: str, form: str, columns: Sequence[str], pages: AsyncIterator[list[Shown]]
) -> StreamingResponse:
    """The answer that sends all `pages` as `<name>.<form>`; every row has exactly these columns.

    When a page cannot be read the answer breaks off without its end, which every client detects.
    """
    content = _csv(columns, pages) if form == "csv" else _jsonl(pages)
    headers = {"Content-Disposition": f'attachment; filename="{name}.{form}"', "Content-Type": _MIMES[form]}
    response = StreamingResponse(content, 200, headers)
    if rate := request.context.rate:
        response.raw_headers += rate.headers()
    return response


async def one_page(rows: list[Shown]) -> AsyncIterator[list[Shown]]:
    """An in-memory list, for `download`."""
    yield rows


async def _jsonl(pages: AsyncIterator[list[Shown]]) -> AsyncIterator[bytes]:
    async for rows in pages:
        yield msgspec.json.Encoder().encode_lines(rows)


async def _csv(columns: Sequence[str], pages: AsyncIterator[list[Shown]]) -> AsyncIterator[bytes]:
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


def iso(moment: datetime) -> str:
    """ISO 8601 in UTC, to the millisecond."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
