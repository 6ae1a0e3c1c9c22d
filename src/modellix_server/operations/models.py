"""Models, with the prices in force."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from modellix_server.catalogue import Model
from modellix_server.operations.context import ServingContext
from modellix_server.operations.principal import Permission, Principal
from modellix_server.tasks import ModelHealth


@dataclass(frozen=True, slots=True)
class ModelFilter:
    """Which models; an empty text matches all."""

    type: str = ""
    provider: str = ""
    category: str = ""
    """What they make: `image` or `video`."""
    featured: bool | None = None
    """Whether they are among the few to begin with; None matches both."""

    def fits(self, model: Model) -> bool:
        """Whether a model is wanted."""
        return (
            (self.type or model.type) == model.type
            and (self.provider or model.provider) == model.provider
            and model.type.endswith(self.category)
            and self.featured in (None, model.featured)
        )


@dataclass(frozen=True, slots=True)
class TierPrice:
    """What one unit of a tier costs, in micro-dollars; None where there is no price yet."""

    tier: str
    micros: int | None


@dataclass(frozen=True, slots=True)
class ModelDetails:
    """One model with its public entry and its prices."""

    model: Model
    entry: dict[str, Any]
    prices: list[TierPrice]


def list_all(ctx: ServingContext, who: Principal, wanted: ModelFilter) -> list[dict[str, Any]]:
    """The public entries of models, in the order of their names."""
    who.require(Permission.READ_MODELS)
    return [_entry(ctx, model) for model in ctx.catalogue if wanted.fits(model)]


def list_details(ctx: ServingContext, who: Principal, wanted: ModelFilter) -> list[ModelDetails]:
    """Models with their prices, in the order of their names."""
    who.require(Permission.READ_MODELS)
    return [_details(ctx, model) for model in ctx.catalogue if wanted.fits(model)]


def describe(ctx: ServingContext, who: Principal, name: str) -> ModelDetails:
    """The model `provider/id`, or its alias. Raises NotFound."""
    who.require(Permission.READ_MODELS)
    return _details(ctx, ctx.catalogue.named(name))


async def health(ctx: ServingContext, who: Principal) -> Mapping[tuple[str, bool], ModelHealth]:
    """How models did in the last 24 hours, by model and mode; of all teams, as of the last minute."""
    who.require(Permission.READ_MODELS)
    return await ctx.model_health.read()


async def obstacle(ctx: ServingContext, who: Principal, model: Model) -> str | None:
    """Why no task of a model can be run now in the principal's mode; None when one can."""
    who.require(Permission.READ_MODELS)
    found = await ctx.obstacle(model, who.team.live)
    return None if found is None else found.detail


def _details(ctx: ServingContext, model: Model) -> ModelDetails:
    prices = ctx.prices()
    tiers = [TierPrice(one.label, prices.of(model.slug, one.label).apply(one.micros)) for one in model.price.tiers]
    return ModelDetails(model, _entry(ctx, model), tiers)


def _entry(ctx: ServingContext, model: Model) -> dict[str, Any]:
    entry = model.listing(ctx.prices())
    entry["docs_url"] = f"{ctx.settings.docs_origin}/{entry.pop('docs_path')}"
    return entry
