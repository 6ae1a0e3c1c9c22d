"""Papers about money: a month's statement, the list of recharges, a receipt. They are made to be printed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

from starlette.responses import Response, StreamingResponse

from modellix_server.base.errors import NotFound
from modellix_server.base.exports import Exported, exported, headers, iso
from modellix_server.base.money import usd_number
from modellix_server.console.dispatch import PageRequest
from modellix_server.console.filters import PageFilters
from modellix_server.console.i18n import gettext as _
from modellix_server.operations import recharges, statements
from modellix_server.operations.statements import MonthlyStatement

_A_PAGE = 50
_COLUMNS = ("section", "at", "name", "tasks", "amount_usd")


async def monthly(request: PageRequest) -> Response:
    """The statement of a month, this one when none is named."""
    found = await _statement(request)
    following = found.last + timedelta(days=1)
    return request.render(
        "statements/statement.html",
        statement=found,
        month=found.first.strftime("%Y-%m"),
        earlier=(found.first - timedelta(days=1)).strftime("%Y-%m"),
        later=following.strftime("%Y-%m") if following.day == 1 and following <= datetime.now(UTC).date() else None,
    )


async def download(request: PageRequest) -> Response:
    """The same as CSV."""
    found = await _statement(request)

    async def pages() -> AsyncIterator[list[Exported]]:
        yield list(_rows(found))

    return StreamingResponse(
        exported("csv", _COLUMNS, pages()), headers=headers(f"statement-{found.first:%Y-%m}", "csv")
    )


async def listed(request: PageRequest) -> Response:
    """Every recharge, newest first."""
    ctx, who, filters = request.ctx, request.who, PageFilters(request)
    text = filters.text("after")
    page = await recharges.list_all(ctx, who, who.team, after=_uuid(text) if text else None, most=_A_PAGE)
    following = filters.url(after=str(page.next)) if page.next else None
    return request.render("statements/recharges.html", recharges=page.rows, next=following, filters=filters)


async def receipt(request: PageRequest) -> Response:
    """The receipt of a recharge that was paid."""
    ctx, who = request.ctx, request.who
    found = await recharges.find(ctx, who, who.team, _uuid(request.path_params["recharge_id"]))
    if found.paid_at is None:
        raise NotFound(_("there is no receipt: this recharge was not paid"))
    return request.render("statements/receipt.html", recharge=found, origin=ctx.settings.public_origin)


async def _statement(request: PageRequest) -> MonthlyStatement:
    text = PageFilters(request).text("month")
    try:
        month = date.fromisoformat(f"{text}-01") if text else datetime.now(UTC).date()
    except ValueError:
        raise NotFound(_("there is no statement of this month")) from None
    return await statements.monthly(request.ctx, request.who, request.who.team, month)


def _rows(found: MonthlyStatement) -> list[Exported]:
    def row(section: str, name: str, micros: int, tasks: int | None = None, at: str | None = None) -> Exported:
        return {"section": section, "at": at, "name": name, "tasks": tasks, "amount_usd": usd_number(micros)}

    rows = [row("opening balance", "", found.opening, at=found.first.isoformat())]
    rows += [row(one.kind, one.note or "", one.change, at=iso(one.at)) for one in found.funding]
    for section, groups in (
        ("charges by key", found.by_key),
        ("charges by member", found.by_member),
        ("charges by model", found.by_model),
        ("charges by tag", found.by_tag if any(one.id for one in found.by_tag) else []),
    ):
        nameless = "no tag" if section == "charges by tag" else "console"
        rows += [row(section, one.name or nameless, -one.sums.charged, one.sums.tasks) for one in groups]
    return [
        *rows,
        row("charges", "", -found.charged, found.tasks),
        row("closing balance", "", found.closing, at=found.last.isoformat()),
    ]


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise NotFound(_("there is no such recharge")) from None
