"""Every call of a team: the list, a download of it, and one call."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import msgspec
from starlette.responses import Response, StreamingResponse

from modellix_server.base import time_budget
from modellix_server.base.errors import InvalidFormat, NotFound
from modellix_server.base.exports import FORMATS, ROWS_A_PIECE, Exported, exported, headers
from modellix_server.base.ids import parse_task_name
from modellix_server.base.pages import all_pages
from modellix_server.console.dispatch import PageRequest
from modellix_server.console.filters import PageFilters
from modellix_server.console.i18n import gettext as _
from modellix_server.console.pages.tasks import submitter_names
from modellix_server.operations import logs, usage
from modellix_server.operations.log_rows import COLUMNS, read_place, row_of, write_place
from modellix_server.operations.logs import Record, happened_at, is_unfinished, place_of
from modellix_server.requestlog import EntryFilter, LoggedCall

_A_PAGE = 50
_STATUSES = {"2xx": (200, 299), "4xx": (400, 499), "5xx": (500, 599), "refused": (400, None)}
_KINDS = {"submissions": True, "others": False}


async def listed(request: PageRequest) -> Response:
    """The calls of the team in this mode, newest first; of the last 24 hours where no time is chosen."""
    ctx, who = request.ctx, request.who
    filters = PageFilters(request, window="24h")
    place = filters.text("after")
    after = None if place is None else read_place(place)
    if place is not None and after is None:
        raise InvalidFormat(_("this is no place in the list"))
    tail = filters.choice("tail", ("1",)) is not None and after is None
    page = await logs.list_calls(ctx, who, who.team, _wanted(filters), after=after, most=_A_PAGE)
    keys = await usage.key_names(ctx, who, who.team)
    return request.render(
        "logs/logs.html",
        calls=[_call(request, record, keys) for record in page.rows],
        names=await submitter_names(request),
        next=None if page.next is None else filters.url(after=write_place(page.next), tail=None),
        filters=filters,
        tail=tail,
        unfinished=any(is_unfinished(record, datetime.now(UTC)) for record in page.rows),
        models=sorted(ctx.catalogue.models),
        keys=keys,
        formats=FORMATS,
    )


async def download(request: PageRequest) -> Response:
    """All calls that the filters let pass, as CSV or JSON Lines."""
    ctx, who = request.ctx, request.who
    filters = PageFilters(request, window="24h")
    form, wanted = filters.choice("format", FORMATS) or "csv", _wanted(filters)
    keys = await usage.key_names(ctx, who, who.team)

    async def pages() -> AsyncIterator[list[Exported]]:
        time_budget.end()
        async for rows in all_pages(
            lambda after: logs.list_calls(ctx, who, who.team, wanted, after=after, most=ROWS_A_PIECE)
        ):
            yield [row_of(ctx, record, keys) for record in rows]

    return StreamingResponse(exported(form, COLUMNS, pages()), headers=headers("logs", form))


async def show(request: PageRequest) -> Response:
    """One call: what was asked, what was answered, when, how long, and what it cost."""
    ctx, who = request.ctx, request.who
    place = read_place(request.path_params["place"])
    if place is None:
        raise NotFound(_("there is no such call"))
    record = await logs.find_call(ctx, who, who.team, place)
    keys = await usage.key_names(ctx, who, who.team)
    call = _call(request, record, keys)
    return request.render(
        "logs/call.html",
        call=call,
        input=_pretty(call["input"]),
        output=_pretty(call["output"]),
        names=await submitter_names(request),
    )


def _wanted(filters: PageFilters) -> EntryFilter:
    least, most = _STATUSES.get(filters.choice("status", _STATUSES) or "", (None, None))
    task = filters.text("task")
    task_id = parse_task_name(task) if task else None
    if task and task_id is None:
        raise InvalidFormat(_("this is no id of a task"))
    return EntryFilter(
        least,
        most,
        filters.text("model"),
        filters.number("key"),
        task_id=task_id,
        request_id=filters.text("request"),
        at=filters.span(),
        text=filters.text("q"),
        submits=_KINDS.get(filters.choice("calls", _KINDS) or ""),
    )


def _call(request: PageRequest, record: Record, keys: dict[int, str]) -> Exported:
    """A call as programs get it, and what a page needs besides."""
    by = record.key_id if isinstance(record, LoggedCall) else record.task.key_id
    user = f"user:{record.user_id}" if isinstance(record, LoggedCall) else record.task.actor
    return row_of(request.ctx, record, keys) | {
        "place": write_place(place_of(record)),
        "moment": happened_at(record),
        "unfinished": is_unfinished(record, datetime.now(UTC)),
        "by": f"key:{by}" if by is not None else user,
        "micros": None if isinstance(record, LoggedCall) else record.task.captured,
    }


def _pretty(value: Any) -> str:
    """JSON on several lines; a text that is none, such as one that was cut, as it is."""
    if value is None:
        return ""
    raw = value.encode() if isinstance(value, str) else msgspec.json.encode(value)
    try:
        return msgspec.json.format(raw).decode()
    except msgspec.DecodeError:
        return value if isinstance(value, str) else raw.decode()
