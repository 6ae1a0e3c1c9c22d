"""Lists: in pages as JSON, or as one download that is streamed while it is read."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import TypeVar

from starlette.responses import Response, StreamingResponse

from modellix_server.api.dispatch import Request
from modellix_server.api.parsing import Filters
from modellix_server.base.errors import InvalidFormat
from modellix_server.base.exports import FORMATS, ROWS_A_PIECE, Exported, exported, headers
from modellix_server.base.pages import Page, all_pages

Row = TypeVar("Row")
Place = TypeVar("Place")


async def answer_list(
    request: Request,
    filters: Filters,
    *,
    name: str,
    columns: Sequence[str],
    read: Callable[[Place | None, int], Awaitable[Page[Row, Place]]],
    show: Callable[[Row], Exported],
    place: tuple[Callable[[str], Place | None], Callable[[Place], str]],
) -> Response:
    """One page of a list, or with `format` all of it; `place` parses and formats a cursor."""
    form, size = filters.choice("format", FORMATS), filters.page_size()
    after = filters.cursor(place[0])
    filters.done()
    if form is not None:
        if after is not None:
            raise InvalidFormat("parameter 'cursor' does not go with parameter 'format': a download is the whole list")

        async def pages() -> AsyncIterator[list[Exported]]:
            async for rows in all_pages(lambda after: read(after, ROWS_A_PIECE)):
                yield [show(row) for row in rows]

        return download(request, name, form, columns, pages())
    found = await read(after, size)
    following = None if found.next is None else place[1](found.next)
    return request.success({name: [show(row) for row in found.rows], "next_cursor": following})


def download(
    request: Request, name: str, form: str, columns: Sequence[str], pages: AsyncIterator[list[Exported]]
) -> StreamingResponse:
    """The answer that sends all `pages` as `<name>.<form>`; every row has exactly these columns.

    When a page cannot be read the answer breaks off without its end, which every client detects.
    """
    response = StreamingResponse(exported(form, columns, pages), 200, headers(name, form))
    if rate := request.context.rate:
        response.raw_headers += rate.headers()
    return response


async def one_page(rows: list[Exported]) -> AsyncIterator[list[Exported]]:
    """An in-memory list, for `download`."""
    yield rows
