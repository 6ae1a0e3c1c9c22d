"""Admin commands about the operator's prices."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from modellix_server import pricing
from modellix_server.base.money import micros_from_usd, usd
from modellix_server.catalogue import BadModel, Catalogue
from modellix_server.cli.context import CommandContext, RefusedError

EVERY_MODEL = "*"


async def set_price(
    desk: CommandContext, model: str, tier: str | None, amount_usd: str | None, factor: str | None
) -> None:
    """Price a model, or one tier of it, by amount or by a factor on the list price."""
    if (amount_usd is None) == (factor is None):
        raise RefusedError("say the price with either --usd or --factor")
    slug = _checked(desk, model, tier)
    unit_micros = None if amount_usd is None else _micros(amount_usd)
    margin_bp = None if factor is None else _margin_bp(factor)
    async with desk.db.transaction():
        version = await pricing.set_price(
            desk.db, slug, tier, actor=desk.actor, unit_micros=unit_micros, margin_bp=margin_bp
        )
        about: dict[str, Any] = {"tier": tier, "unit_micros": unit_micros, "margin_bp": margin_bp, "version": version}
        await desk.record("price.set", f"model:{model}", **about)
    desk.show({"version": version, "model": model, "tier": tier, "price": _price(unit_micros, margin_bp)})


async def clear(desk: CommandContext, model: str, tier: str | None) -> None:
    """Take back what was said about a model or a tier."""
    slug = None if model == EVERY_MODEL else model  # unchecked: the model may have left the catalogue
    if not any(row.model == slug and row.tier == tier for row in await pricing.list_prices(desk.db)):
        raise RefusedError(f"no price was set for {model}" + (f" {tier}" if tier else ""))
    async with desk.db.transaction():
        version = await pricing.set_price(desk.db, slug, tier, actor=desk.actor)
        await desk.record("price.clear", f"model:{model}", tier=tier, version=version)
    desk.show({"version": version, "model": model, "tier": tier, "price": _price(None, None)})


async def list_all(desk: CommandContext) -> None:
    """Show the newest word on every cell."""
    desk.show_all(
        [
            {
                "version": row.version,
                "model": row.model or EVERY_MODEL,
                "tier": row.tier,
                "price": _price(row.unit_micros, row.margin_bp),
                "unit_micros": row.unit_micros,
                "margin_bp": row.margin_bp,
                "created_at": row.created_at,
                "created_by": row.created_by,
            }
            for row in await pricing.list_prices(desk.db)
        ],
        none="List prices everywhere.",
    )


def _checked(desk: CommandContext, model: str, tier: str | None) -> str | None:
    """The model's slug, None for every model; RefusedError for what the catalogue does not have."""
    if model == EVERY_MODEL:
        return None
    folder = desk.settings.catalogue_dir
    try:
        catalogue = Catalogue.load(Path(folder) if folder else None)
    except BadModel as error:
        raise RefusedError(str(error)) from None
    provider, _, name = model.partition("/")
    found = catalogue.find(provider, name)
    if found is None:
        raise RefusedError(f"model '{model}' not found; a model is provider/id, and '*' is every model")
    labels = [one.label for one in found.price.tiers]
    if tier is not None and tier not in labels:
        raise RefusedError(f"{found.slug} has no tier '{tier}', but {', '.join(labels)}")
    return found.slug


def _micros(text: str) -> int:
    try:
        return micros_from_usd(text)
    except ValueError as error:
        raise RefusedError(str(error)) from None


def _margin_bp(text: str) -> int:
    try:
        basis_points = (Decimal(text) - 1) * 10_000
    except InvalidOperation:
        raise RefusedError(f"not a factor: {text!r}") from None
    if not basis_points.is_finite() or basis_points != basis_points.to_integral_value():
        raise RefusedError(f"a factor has at most four decimals: {text!r}")
    return int(basis_points)


def _price(unit_micros: int | None, margin_bp: int | None) -> str:
    if unit_micros is not None:
        return f"{usd(unit_micros)} USD"
    if margin_bp is not None:
        return f"list price x {1 + Decimal(margin_bp) / 10_000}"
    return "as without this line"
