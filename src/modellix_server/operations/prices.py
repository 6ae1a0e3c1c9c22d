"""The operator's prices over the catalogue's list prices."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, ClassVar

from modellix_server import audit, identity, pricing
from modellix_server.base.database import Connection, Pool
from modellix_server.base.errors import InvalidParameters, NotFound, PlatformError
from modellix_server.base.money import MICROS_PER_USD, usd
from modellix_server.catalogue import Model
from modellix_server.operations.context import Context
from modellix_server.operations.principal import Permission, Principal
from modellix_server.pricing import Price

EVERY_MODEL = "*"
_MOST_BP = 1_000_000
_MOST_UNIT_MICROS = 10_000 * MICROS_PER_USD  # times the most units of any model, far from what 64 bits hold


class PricesChanged(PlatformError):
    """Somebody else has changed the same prices meanwhile; the message says how."""

    status: ClassVar[int] = 409
    category: ClassVar[str] = "Conflict"
    code: ClassVar[str] = "prices_changed"


@dataclass(frozen=True, slots=True)
class PriceWish:
    """What is to be said about a model (None: every one), or about one tier of it; no number: nothing any more."""

    model: str | None
    tier: str | None
    unit_micros: int | None = None
    margin_bp: int | None = None

    def touches(self, row: Price) -> bool:
        """Whether both speak about some cell."""
        models = self.model is None or row.model is None or self.model == row.model
        return models and (self.tier is None or row.tier is None or self.tier == row.tier)


@dataclass(frozen=True, slots=True)
class PricedTier:
    """What one unit of a tier costs, in micro-dollars: by the catalogue, now, and as it would be."""

    model: Model
    tier: str
    listed: int | None
    now: int | None
    then: int | None


@dataclass(frozen=True, slots=True)
class PricePreview:
    """What a wish would change."""

    seen: int
    """The version of the prices that this was computed from."""
    changed: list[PricedTier]
    models: int
    """How many models these tiers are of."""
    unchanged: int
    """Tiers that it speaks about, and that cost the same: a more exact price goes before, or there is none."""


async def set_price(
    ctx: Context,
    who: Principal,
    model: str | None,
    tier: str | None,
    *,
    unit_micros: int | None = None,
    margin_bp: int | None = None,
    seen: int | None = None,
) -> int:
    """Price a model (None: every one), or one tier of it, by amount or by margin; the new version of the prices.

    With `seen`, a version, raises PricesChanged if somebody has changed prices that this is about since then. Raises
    NotFound for a model, InvalidParameters for a tier, that the catalogue does not have, or for what cannot be a price.
    """
    who.require(Permission.OPERATE)
    who.require_fresh()
    if model is not None:
        _require_tier(ctx, model, tier)
    wish = PriceWish(model, tier, unit_micros, margin_bp)
    _require_fit(wish)
    async with ctx.transaction() as tx:
        await pricing.lock(tx)
        await _require_unchanged(tx, wish, seen)
        version = await pricing.set_price(tx, model, tier, actor=who.id, unit_micros=unit_micros, margin_bp=margin_bp)
        about: dict[str, Any] = {"tier": tier, "unit_micros": unit_micros, "margin_bp": margin_bp, "version": version}
        await audit.record(tx, who.actor, "price.set", f"model:{model or EVERY_MODEL}", **about)
    return version


async def clear(ctx: Context, who: Principal, model: str | None, tier: str | None, *, seen: int | None = None) -> int:
    """Take back what was said about a model or a tier, which may have left the catalogue; the new version.

    Raises NotFound when nothing was said, PricesChanged as `set_price`.
    """
    who.require(Permission.OPERATE)
    who.require_fresh()
    name = model or EVERY_MODEL
    async with ctx.transaction() as tx:
        await pricing.lock(tx)
        await _require_unchanged(tx, PriceWish(model, tier), seen)
        if not any((row.model, row.tier) == (model, tier) for row in await pricing.list_prices(tx)):
            raise NotFound(f"no price was set for {name}" + (f" {tier}" if tier else ""))
        version = await pricing.set_price(tx, model, tier, actor=who.id)
        await audit.record(tx, who.actor, "price.clear", f"model:{name}", tier=tier, version=version)
    return version


async def list_all(ctx: Context, who: Principal) -> list[Price]:
    """The price in force for every model and tier that has one."""
    who.require(Permission.OPERATE)
    return await pricing.list_prices(ctx.db)


async def history(
    ctx: Context, who: Principal, *, limit: int, before: int | None = None, model: str | None = None
) -> tuple[list[Price], dict[str, str]]:
    """What was said about prices, the newest first, of one model if it is named; and the names of the users in it."""
    who.require(Permission.OPERATE)
    found = await pricing.history(ctx.db, limit=limit, before=before, model=model)
    return found, await _names(ctx.db, found)


async def tiers(ctx: Context, who: Principal, model: str | None = None) -> list[PricedTier]:
    """Every tier of every model, or of one, with its prices. Raises NotFound for an unknown model."""
    who.require(Permission.OPERATE)
    prices = await pricing.book(ctx.db)
    chosen = ctx.catalogue if model is None else [_model(ctx, model)]
    return [
        PricedTier(one, tier.label, tier.micros, now := prices.of(one.slug, tier.label).apply(tier.micros), now)
        for one in chosen
        for tier in one.price.tiers
    ]


async def preview(ctx: Context, who: Principal, wish: PriceWish) -> PricePreview:
    """What a wish would change, for new requests. Raises NotFound, InvalidParameters as `set_price`."""
    who.require(Permission.OPERATE)
    if wish.model is not None:
        _require_tier(ctx, wish.model, wish.tier)
    _require_fit(wish)
    rows = await pricing.list_prices(ctx.db)
    said = Price(0, wish.model, wish.tier, wish.unit_micros, wish.margin_bp, datetime.now(UTC), who.id)
    others = [row for row in rows if (row.model, row.tier) != (wish.model, wish.tier)]
    before, after = pricing.prices_of(rows), pricing.prices_of([*others, said])
    found = [
        PricedTier(
            one,
            tier.label,
            tier.micros,
            before.of(one.slug, tier.label).apply(tier.micros),
            after.of(one.slug, tier.label).apply(tier.micros),
        )
        for one in ctx.catalogue
        for tier in one.price.tiers
        if wish.model in (None, one.slug) and wish.tier in (None, tier.label)
    ]
    changed = [one for one in found if one.now != one.then]
    models = len({one.model.slug for one in changed})
    return PricePreview(before.version, changed, models, len(found) - len(changed))


async def _require_unchanged(tx: Connection, wish: PriceWish, seen: int | None) -> None:
    if seen is None:
        return
    newer = [row for row in await pricing.list_prices(tx) if row.version > seen and wish.touches(row)]
    if newer:
        row = max(newer, key=lambda one: one.version)
        about = f"{row.model or EVERY_MODEL}{f' {row.tier}' if row.tier else ''}"
        by = (await _names(tx, [row])).get(row.created_by, row.created_by)
        when = f"{row.created_at:%H:%M:%S} UTC"
        raise PricesChanged(f"{by} has meanwhile ({when}) changed {about} to {in_words(row)}")


async def _names(db: Pool | Connection, rows: list[Price]) -> dict[str, str]:
    users = {int(row.created_by[5:]) for row in rows if row.created_by.startswith("user:")}
    return {f"user:{number}": name for number, name in (await identity.user_names(db, users)).items()}


def in_words(row: Price) -> str:
    """`0.05 USD`, `list price +20 %`, `as without this line`."""
    if row.unit_micros is not None:
        return f"{usd(row.unit_micros)} USD"
    if row.margin_bp is not None:
        return f"list price {row.margin_bp / 100:+g} %"
    return "what applies without it"


def _require_fit(wish: PriceWish) -> None:
    """Raise InvalidParameters for what the table of prices would refuse."""
    if wish.unit_micros is not None and (wish.model is None or not 0 <= wish.unit_micros <= _MOST_UNIT_MICROS):
        raise InvalidParameters("a price is from 0 to 10000 USD, of one model; for all models it is a margin")
    if wish.margin_bp is not None and not -10_000 <= wish.margin_bp <= _MOST_BP:
        raise InvalidParameters("a margin is from -100 % to +10000 %")


def _model(ctx: Context, name: str) -> Model:
    found = ctx.catalogue.find(*name.partition("/")[::2])
    if found is None:
        raise NotFound(f"model '{name}' not found; a model is provider/id, and '{EVERY_MODEL}' is every model")
    return found


def _require_tier(ctx: Context, model: str, tier: str | None) -> None:
    found = _model(ctx, model)
    labels = [one.label for one in found.price.tiers]
    if tier is not None and tier not in labels:
        raise InvalidParameters(f"{found.slug} has no tier '{tier}', but {', '.join(labels)}")
