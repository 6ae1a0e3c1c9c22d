"""What a team's tasks came to: by day, model, key, member and tag."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta

from starlette.responses import Response, StreamingResponse

from modellix_server.base.errors import InvalidFormat
from modellix_server.base.exports import FORMATS, Exported, exported, headers
from modellix_server.base.money import usd_number
from modellix_server.console import charts
from modellix_server.console.charts import Chart
from modellix_server.console.dispatch import PageRequest
from modellix_server.console.filters import PageFilters
from modellix_server.console.i18n import gettext as _
from modellix_server.console.render import money
from modellix_server.operations import usage
from modellix_server.operations.usage import UsageGroup
from modellix_server.tasks import SUM_GROUPS, UsageFilter, UsageSum

_SPANS = {"7": 7, "30": 30, "90": 90}
_MOST_DAYS = 400
_COLUMNS = ("id", "name", "tasks", "succeeded", "failed", "success", "p50_ms", "p95_ms", "cost_usd")


async def show(request: PageRequest) -> Response:
    """Figures, charts by day, and one table by what is asked for."""
    ctx, who = request.ctx, request.who
    filters = PageFilters(request)
    wanted, by = _wanted(filters), filters.choice("by", SUM_GROUPS) or "model"
    by_day, *others = await usage.reports(ctx, who, who.team, wanted, ("day",) if by == "day" else ("day", by))
    groups = others[0].groups if others else by_day.groups
    return request.render(
        "usage/usage.html",
        at=by_day.at,
        behind=by_day.behind,
        total=by_day.total,
        charts=_charts(wanted, by_day.groups),
        days=list(reversed(by_day.groups)),
        by=by,
        groups=list(reversed(groups)) if by == "day" else groups,
        filters=filters,
        days_shown="" if filters.text("from") or filters.text("to") else (filters.text("days") or "30"),
        first=wanted.first,
        last=wanted.last,
        models=sorted(ctx.catalogue.models),
        keys=await usage.key_names(ctx, who, who.team),
        tags=await usage.tags(ctx, who, who.team),
        formats=FORMATS,
    )


async def download(request: PageRequest) -> Response:
    """The table as CSV or JSON Lines."""
    ctx, who = request.ctx, request.who
    filters = PageFilters(request)
    form, by = filters.choice("format", FORMATS) or "csv", filters.choice("by", SUM_GROUPS) or "model"
    (report,) = await usage.reports(ctx, who, who.team, _wanted(filters), (by,))

    async def pages() -> AsyncIterator[list[Exported]]:
        yield [_row(one) for one in report.groups]

    return StreamingResponse(exported(form, _COLUMNS, pages()), headers=headers(f"usage-by-{by}", form))


def _row(group: UsageGroup) -> Exported:
    sums = group.sums
    rounded = {
        "success": None if sums.success is None else round(sums.success, 4),
        "p50_ms": None if sums.p50_ms is None else round(sums.p50_ms),
        "p95_ms": None if sums.p95_ms is None else round(sums.p95_ms),
    }
    counts = {"tasks": sums.tasks, "succeeded": sums.succeeded, "failed": sums.failed}
    return {"id": group.id, "name": group.name, **counts, **rounded, "cost_usd": usd_number(sums.charged)}


def _wanted(filters: PageFilters) -> UsageFilter:
    today = datetime.now(UTC).date()
    if filters.text("from") or filters.text("to"):
        last = _day(filters, "to") or today
        first = _day(filters, "from") or last - timedelta(days=29)
    else:
        last = today
        first = today - timedelta(days=_SPANS[filters.choice("days", _SPANS) or "30"] - 1)
    if not 0 <= (last - first).days < _MOST_DAYS:
        raise InvalidFormat(_("a span is at most 400 days, and ends after it begins"))
    return UsageFilter(first, last, filters.text("model"), filters.number("key"), filters.text("tag"))


def _day(filters: PageFilters, name: str) -> date | None:
    text = filters.text(name)
    try:
        day = None if text is None else date.fromisoformat(text)
    except ValueError:
        raise InvalidFormat(_("a day is written as 2026-01-31")) from None
    if day is not None and not 2000 <= day.year < 2200:
        raise InvalidFormat(_("a day is written as 2026-01-31"))
    return day


def _charts(wanted: UsageFilter, groups: list[UsageGroup]) -> list[Chart]:
    assert wanted.first is not None
    assert wanted.last is not None
    days = [wanted.first + timedelta(days=at) for at in range((wanted.last - wanted.first).days + 1)]
    known = {one.id: one.sums for one in groups}
    sums = [known.get(day.isoformat(), UsageSum()) for day in days]
    return [
        charts.stacked(_("Spend a day"), days, [("one", _("spent"), [one.charged for one in sums])], _money),
        charts.stacked(
            _("Tasks a day"),
            days,
            [
                ("good", _("succeeded"), [one.succeeded for one in sums]),
                ("bad", _("failed"), [one.failed for one in sums]),
            ],
            lambda value: f"{value:,.0f}",
            whole=True,
        ),
        charts.lines(
            _("Time from accept to result"),
            days,
            [
                ("one", "p50", [one.p50_ms for one in sums]),
                ("two", "p95", [one.p95_ms for one in sums]),
            ],
            _time,
        ),
    ]


def _money(micros: float) -> str:
    """As an axis shows it: `$600`, `$0.50`, `$0.005`."""
    whole, _dot, cents = money(round(micros)).partition(".")
    cents = cents.rstrip("0")
    return f"{whole}.{cents:0<2}" if cents else whole


def _time(ms: float) -> str:
    """As an axis shows it: `500 ms`, `5 s`, `2.5 min`."""
    if ms < 1_000:
        return f"{ms:g} ms"
    return f"{ms / 1_000:g} s" if ms < 120_000 else f"{ms / 60_000:.3g} min"
