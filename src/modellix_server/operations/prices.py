"""The operator's prices over the catalogue's list prices."""

from typing import Any

from modellix_server import audit, pricing
from modellix_server.base.errors import InvalidParameters, NotFound
from modellix_server.operations.context import Context
from modellix_server.operations.principal import Permission, Principal
from modellix_server.pricing import Price

EVERY_MODEL = "*"


async def set_price(
    ctx: Context,
    who: Principal,
    model: str | None,
    tier: str | None,
    *,
    unit_micros: int | None = None,
    margin_bp: int | None = None,
) -> int:
    """Price a model (None: every one), or one tier of it, by amount or by margin; the new version of the prices.

    Raises NotFound for a model, InvalidParameters for a tier, that the catalogue does not have, or for what cannot be
    a price.
    """
    who.require(Permission.OPERATE)
    if model is not None:
        _require_tier(ctx, model, tier)
    async with ctx.transaction() as tx:
        version = await pricing.set_price(tx, model, tier, actor=who.id, unit_micros=unit_micros, margin_bp=margin_bp)
        about: dict[str, Any] = {"tier": tier, "unit_micros": unit_micros, "margin_bp": margin_bp, "version": version}
        await audit.record(tx, who.actor, "price.set", f"model:{model or EVERY_MODEL}", **about)
    return version


async def clear(ctx: Context, who: Principal, model: str | None, tier: str | None) -> int:
    """Take back what was said about a model or a tier, which may have left the catalogue; the new version.

    Raises NotFound when nothing was said.
    """
    who.require(Permission.OPERATE)
    name = model or EVERY_MODEL
    async with ctx.transaction() as tx:
        if not any((row.model, row.tier) == (model, tier) for row in await pricing.list_prices(tx)):
            raise NotFound(f"no price was set for {name}" + (f" {tier}" if tier else ""))
        version = await pricing.set_price(tx, model, tier, actor=who.id)
        await audit.record(tx, who.actor, "price.clear", f"model:{name}", tier=tier, version=version)
    return version


async def list_all(ctx: Context, who: Principal) -> list[Price]:
    """The price in force for every model and tier that has one."""
    who.require(Permission.OPERATE)
    return await pricing.list_prices(ctx.db)


def _require_tier(ctx: Context, model: str, tier: str | None) -> None:
    found = ctx.catalogue.find(*model.partition("/")[::2])
    if found is None:
        raise NotFound(f"model '{model}' not found; a model is provider/id, and '{EVERY_MODEL}' is every model")
    labels = [one.label for one in found.price.tiers]
    if tier is not None and tier not in labels:
        raise InvalidParameters(f"{found.slug} has no tier '{tier}', but {', '.join(labels)}")
