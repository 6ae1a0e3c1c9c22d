"""Models, with the prices in force."""

from dataclasses import dataclass
from typing import Any

from modellix_server.catalogue import Model
from modellix_server.operations.context import ServingContext
from modellix_server.operations.principal import Permission, Principal


@dataclass(frozen=True, slots=True)
class ModelFilter:
    """Which models; an empty text matches all."""

    type: str = ""
    provider: str = ""
    category: str = ""
    """What they make: `image` or `video`."""


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
    return [
        _entry(ctx, model)
        for model in ctx.catalogue
        if (wanted.type or model.type) == model.type
        and (wanted.provider or model.provider) == model.provider
        and model.type.endswith(wanted.category)
    ]


def describe(ctx: ServingContext, who: Principal, name: str) -> ModelDetails:
    """The model `provider/id`, or its alias. Raises NotFound."""
    who.require(Permission.READ_MODELS)
    model, prices = ctx.catalogue.named(name), ctx.prices()
    tiers = [TierPrice(one.label, prices.of(model.slug, one.label).apply(one.micros)) for one in model.price.tiers]
    return ModelDetails(model, _entry(ctx, model), tiers)


def _entry(ctx: ServingContext, model: Model) -> dict[str, Any]:
    entry = model.listing(ctx.prices())
    entry["docs_url"] = f"{ctx.settings.public_origin}/docs/{entry.pop('docs_path')}"
    return entry
