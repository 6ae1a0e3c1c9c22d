"""`GET /logs`: every call of a team, newest first."""

from __future__ import annotations

import re

from starlette.responses import Response

from modellix_server.api.dispatch import Request
from modellix_server.api.lists import answer_list
from modellix_server.api.parsing import Filters
from modellix_server.base.errors import OutOfRange
from modellix_server.catalogue import show
from modellix_server.operations import logs, usage
from modellix_server.operations.log_rows import COLUMNS, read_place, row_of, write_place
from modellix_server.requestlog import EntryFilter


async def list_calls(request: Request) -> Response:
    """`GET /logs`: `status` (`400`, `4xx`, `refused`) and the parameters of other lists narrow it."""
    ctx, who, filters = request.ctx, request.who, Filters(request.query_params)
    names = await usage.key_names(ctx, who, who.team)
    least, most = _statuses(filters.text("status"))
    wanted = EntryFilter(
        least,
        most,
        filters.model("model", ctx.catalogue),
        filters.key("key_id", names),
        task_id=filters.task("task_id"),
        request_id=filters.text("request_id"),
        at=filters.span(),
    )
    return await answer_list(
        request,
        filters,
        name="logs",
        columns=COLUMNS,
        read=lambda after, most: logs.list_calls(ctx, who, who.team, wanted, after=after, most=most),
        show=lambda record: row_of(ctx, record, names),
        place=(read_place, write_place),
    )


def _statuses(text: str | None) -> tuple[int | None, int | None]:
    """The range of HTTP statuses that a filter means. Raises OutOfRange."""
    if text is None:
        return None, None
    if text == "refused":
        return 400, None
    if re.fullmatch(r"[2-5]xx", text):
        return int(text[0]) * 100, int(text[0]) * 100 + 99
    if re.fullmatch(r"[2-5][0-9]{2}", text, re.ASCII):
        return int(text), int(text)
    raise OutOfRange(f"parameter 'status' must be an HTTP status, 2xx to 5xx or refused, got {show(text)}")
