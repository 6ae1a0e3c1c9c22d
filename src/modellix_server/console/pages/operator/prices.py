"""Prices and margins over the catalogue's list prices, with a look at what a change would do."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Any

from starlette.responses import RedirectResponse, Response

from modellix_server.base.errors import InvalidParameters, NotFound, OutOfRange, PlatformError
from modellix_server.console.dispatch import PageRequest
from modellix_server.console.filters import PageFilters
from modellix_server.console.i18n import gettext as _
from modellix_server.console.pages.operator import fields
from modellix_server.operations import prices
from modellix_server.operations.prices import EVERY_MODEL, PricesChanged, PriceWish

_PATH = "/operator/prices"
_KINDS = ("margin", "amount", "none")
_ENTRIES = 50


async def show(request: PageRequest) -> Response:
    """Every tier with its list price and ours."""
    text = (PageFilters(request).text("q") or "").strip().lower()
    tiers = await prices.tiers(request.ctx, request.who)
    chosen = [one for one in tiers if text in one.model.slug.lower() or text in one.model.name.lower()]
    said = {(row.model or EVERY_MODEL, row.tier): row for row in await prices.list_all(request.ctx, request.who)}
    said = {cell: row for cell, row in said.items() if (row.unit_micros, row.margin_bp) != (None, None)}
    return request.render(
        "operator/prices.html", tiers=chosen, text=text, said=said, every=said.get((EVERY_MODEL, None))
    )


async def preview(request: PageRequest) -> Response:
    """The form for the price of a model or tier; with a value, what it would change."""
    return await _form(request, dict(request.query_params))


async def save(request: PageRequest) -> Response:
    """Change a price as it was shown."""
    typed = request.fields
    try:
        wish, seen = _wish(typed), fields.whole(typed.get("seen", ""))
        if seen is None:
            raise InvalidParameters(_("look at what it changes first"))
        if (wish.unit_micros, wish.margin_bp) == (None, None):
            await prices.clear(request.ctx, request.who, wish.model, wish.tier, seen=seen)
        else:
            price = {"unit_micros": wish.unit_micros, "margin_bp": wish.margin_bp}
            await prices.set_price(request.ctx, request.who, wish.model, wish.tier, **price, seen=seen)
    except (InvalidParameters, OutOfRange, NotFound, PricesChanged) as error:
        return await _form(request, typed, error)
    return RedirectResponse(f"{_PATH}/history", 303)


async def history(request: PageRequest) -> Response:
    """What was said about prices, the newest first."""
    query = PageFilters(request)
    model, before = query.text("model"), fields.before(request)
    found, names = await prices.history(request.ctx, request.who, limit=_ENTRIES + 1, before=before, model=model)
    return request.render(
        "operator/price_history.html",
        rows=found[:_ENTRIES],
        names=names,
        model=model or "",
        newest=query.url(before=None) if before else None,
        older=query.url(before=str(found[_ENTRIES - 1].version)) if len(found) > _ENTRIES else None,
    )


async def _form(request: PageRequest, typed: dict[str, str], problem: PlatformError | None = None) -> Response:
    model = typed.get("model") or EVERY_MODEL
    name = None if model == EVERY_MODEL else model
    tiers = [] if name is None else await prices.tiers(request.ctx, request.who, name)
    seen: Any = None
    if "value" in typed or typed.get("kind") == "none":
        try:
            seen = await prices.preview(request.ctx, request.who, _wish(typed))
        except (InvalidParameters, OutOfRange, NotFound) as error:
            problem = problem or error
    rows, names = await prices.history(request.ctx, request.who, limit=1, model=model)
    shown = {
        "model": tiers[0].model if tiers else None,
        "tiers": tiers,
        "typed": {"kind": "margin", "value": "", "tier": "", **typed},
        "kinds": _KINDS if name else ("margin", "none"),
        "seen": seen,
        "latest": rows[0] if rows else None,
        "names": names,
        "problem": problem.detail if problem else "",
    }
    return request.render("operator/price.html", problem.status if problem else 200, **shown)


def _wish(typed: dict[str, str]) -> PriceWish:
    """What a form asks for. Raises InvalidParameters, OutOfRange."""
    model, tier, kind = typed.get("model") or EVERY_MODEL, typed.get("tier") or None, typed.get("kind", "")
    if kind not in _KINDS:
        raise InvalidParameters(_("choose a margin, a price, or none"))
    name = None if model == EVERY_MODEL else model
    value = typed.get("value", "").strip()
    if kind == "none":
        return PriceWish(name, tier)
    if kind == "amount":
        return PriceWish(name, tier, unit_micros=fields.micros(value))
    return PriceWish(name, tier, margin_bp=_margin_bp(value))


def _margin_bp(text: str) -> int:
    try:
        found = Decimal(text.removesuffix("%").strip()) * 100
    except InvalidOperation:
        raise InvalidParameters(_("a margin is in percent, such as 20 or -12.5")) from None
    if not found.is_finite() or found != found.to_integral_value() or abs(found) > 10**9:
        raise InvalidParameters(_("a margin is in percent, with two decimals at most"))
    return int(found)
