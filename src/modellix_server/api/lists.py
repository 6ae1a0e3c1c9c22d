"""What a team can look up about itself: its tasks, its money, its usage."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any, TypeVar

import msgspec

from modellix_server import identity, ledger, tasks
from modellix_server.api.exchange import RequestContext, admit
from modellix_server.api.export import FORMATS, ROWS_A_PIECE, download
from modellix_server.api.filters import Filters
from modellix_server.api.platform import Platform
from modellix_server.api.reply import Reply, Streamed, success_of
from modellix_server.api.request import Request
from modellix_server.base.database import browsing
from modellix_server.base.errors import InvalidFormat
from modellix_server.base.ids import parse_task_name, task_name
from modellix_server.base.money import usd_number
from modellix_server.base.pages import Page, all_pages
from modellix_server.base.team_mode import TeamMode
from modellix_server.limits import RateDecision

Row = TypeVar("Row")
Place = TypeVar("Place")
Shown = dict[str, Any]

_TASK = ("task_id", "model", "status", "key_id", "key_name", "submit_time", "end_time", "duration", "quote", "cost")
_TASK_COLUMNS = (*_TASK, "error_code", "error_message", "input")
_TRANSFER_COLUMNS = ("id", "at", "kind", "debit", "credit", "amount", "amount_micros", "task_id", "key_id", "note")


async def list_of_tasks(platform: Platform, request: Request, trail: RequestContext) -> Reply | Streamed:
    """`GET /tasks`: newest first; `status`, `model`, `key_id`, `from` and `to` (of submission) narrow it."""
    caller, verdict = await admit(platform, request, trail)
    filters = Filters(request.query)
    wanted = tasks.TaskFilter(
        status=filters.choice("status", ("pending", "success", "failed")),
        model=filters.text("model"),
        key_id=filters.number("key_id"),
        submitted=filters.span(),
    )
    names = await key_names(platform, caller.team_id)
    return await answer_list(
        platform,
        filters,
        verdict,
        name="tasks",
        columns=_TASK_COLUMNS,
        read=partial(tasks.list_tasks, owner=TeamMode(caller.team_id, caller.live), wanted=wanted),
        show=lambda task: _task(task, names),
        place=(parse_task_name, task_name),
    )


async def statement(platform: Platform, request: Request, trail: RequestContext) -> Reply | Streamed:
    """`GET /team/ledger`: every transfer, newest first; `kind`, `task_id`, `key_id`, `from` and `to` narrow it."""
    caller, verdict = await admit(platform, request, trail)
    filters = Filters(request.query)
    wanted = ledger.TransferFilter(
        kind=filters.choice("kind", ledger.KINDS),
        task_id=filters.task("task_id"),
        key_id=filters.number("key_id"),
        at=filters.span(),
    )
    if wanted.key_id is not None and wanted.kind != "capture":
        wanted = replace(wanted, kind="capture")  # a key's statement is what it was charged
    return await answer_list(
        platform,
        filters,
        verdict,
        name="ledger",
        columns=_TRANSFER_COLUMNS,
        read=partial(ledger.list_transfers, owner=TeamMode(caller.team_id, caller.live), wanted=wanted),
        show=_transfer,
        place=(_whole, str),
    )


async def usage(platform: Platform, request: Request, trail: RequestContext) -> Reply | Streamed:
    """`GET /team/usage`: tasks that ended between `from` and `to`, summed `by` day, model or key."""
    caller, verdict = await admit(platform, request, trail)
    filters = Filters(request.query)
    by = filters.choice("by", tasks.USAGE_GROUPS) or "day"
    span, form = filters.span(), filters.choice("format", FORMATS)
    filters.done()
    async with platform.browsing, browsing(platform.db) as db:
        found = await tasks.usage(db, TeamMode(caller.team_id, caller.live), span, by)
    names = await key_names(platform, caller.team_id) if by == "key" else {}
    rows = [{**_group(by, one.group, names), **_sums(one)} for one in found]
    if form is not None:
        columns = ["key_id", "key_name"] if by == "key" else [by]
        return download("usage", form, [*columns, "succeeded", "failed", "cost"], _one_page(rows), verdict)
    total = usd_number(sum(one.charged for one in found))
    return success_of({"by": by, "usage": rows, "total": total}, verdict)


async def answer_list(
    platform: Platform,
    filters: Filters,
    verdict: RateDecision,
    *,
    name: str,
    columns: Sequence[str],
    read: Callable[..., Awaitable[Page[Row, Place]]],
    show: Callable[[Row], Shown],
    place: tuple[Callable[[str], Place | None], Callable[[Place], str]],
) -> Reply | Streamed:
    """One page of a list, or with `format` all of it; `place` reads and writes a cursor."""
    form, size = filters.choice("format", FORMATS), filters.page_size()
    after = filters.cursor(place[0])
    filters.done()

    async def page(after: Place | None, most: int) -> Page[Row, Place]:
        async with platform.browsing, browsing(platform.db) as db:
            return await read(db, after=after, most=most)

    if form is not None:
        if after is not None:
            raise InvalidFormat("parameter 'cursor' does not go with parameter 'format': a download is the whole list")

        async def pages() -> AsyncIterator[list[Shown]]:
            async for rows in all_pages(lambda after: page(after, ROWS_A_PIECE)):
                yield [show(row) for row in rows]

        return download(name, form, columns, pages(), verdict)
    found = await page(after, size)
    following = None if found.next is None else place[1](found.next)
    return success_of({name: [show(row) for row in found.rows], "next_cursor": following}, verdict)


def _group(by: str, group: str, names: dict[int, str]) -> Shown:
    return {"key_id": int(group), "key_name": names.get(int(group))} if by == "key" else {by: group}


def _sums(one: tasks.Usage) -> Shown:
    return {"succeeded": one.succeeded, "failed": one.failed, "cost": usd_number(one.charged)}


async def _one_page(rows: list[Shown]) -> AsyncIterator[list[Shown]]:
    yield rows


async def key_names(platform: Platform, team_id: int) -> dict[int, str]:
    """The names of a team's keys, revoked ones too."""
    return {key.id: key.name for key in await identity.list_keys(platform.db, team_id)}


def _task(task: tasks.ListedTask, names: dict[int, str]) -> Shown:
    ended = task.finished_at
    return {
        "task_id": task_name(task.id),
        "model": task.model,
        "status": task.status,
        "key_id": task.key_id,
        "key_name": names.get(task.key_id),
        "submit_time": iso(task.created_at),
        "end_time": iso(ended) if ended else None,
        "duration": int((ended - task.created_at).total_seconds() * 1000) if ended else None,
        "quote": usd_number(task.quote),
        "cost": usd_number(task.captured or 0),
        "error_code": task.error_code,
        "error_message": task.error_message,
        "input": msgspec.Raw(task.params.encode()),
    }


def _transfer(transfer: ledger.Transfer) -> Shown:
    return {
        "id": transfer.id,
        "at": iso(transfer.at),
        "kind": transfer.kind,
        "debit": transfer.debit,
        "credit": transfer.credit,
        "amount": usd_number(transfer.amount),
        "amount_micros": transfer.amount,
        "task_id": task_name(transfer.task_id) if transfer.task_id else None,
        "key_id": transfer.key_id,
        "note": transfer.note,
    }


def _whole(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else None


def iso(moment: datetime) -> str:
    """ISO 8601 of a moment in UTC, to the millisecond."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
