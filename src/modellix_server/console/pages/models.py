"""The models of this installation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from starlette.responses import Response

from modellix_server.catalogue import Model
from modellix_server.console import schema_form, words
from modellix_server.console.dispatch import PageRequest
from modellix_server.console.i18n import model_text
from modellix_server.operations import models
from modellix_server.operations.models import ModelDetails, ModelFilter, TierPrice
from modellix_server.tasks import ModelHealth
from modellix_server.web import code_samples


@dataclass(frozen=True, slots=True)
class Wanted:
    """Filters and order of the list, as the query string has them."""

    words: str
    type: str
    provider: str
    available: bool
    sort: str
    input: str
    """Link to a file that is to be used: only models that take files are listed, and are handed it."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A model as the list shows it."""

    model: Model
    prices: list[TierPrice]
    health: ModelHealth | None
    obstacle: str | None

    @property
    def lowest(self) -> int:
        """Micro-dollars of its cheapest unit, for the order; unpriced ones come last."""
        return min((tier.micros for tier in self.prices if tier.micros is not None), default=1 << 62)

    @property
    def usual_ms(self) -> int:
        """For the order; unknown ones come last."""
        usual = self.health.usual_ms if self.health else None
        return 1 << 62 if usual is None else usual


async def show(request: PageRequest) -> Response:
    """All models, with filters."""
    return request.render("models/models.html", frame="console.html", base="/console/models", **await _listed(request))


async def show_public(request: PageRequest) -> Response:
    """The same for who is not signed in."""
    return request.render("models/models.html", frame="public.html", base="/models", **await _listed(request))


async def describe_public(request: PageRequest) -> Response:
    """One model for who is not signed in: what it does, inputs, prices, and how it is called."""
    ctx, who, parts = request.ctx, request.who, request.path_params
    details = models.describe(ctx, who, f"{parts['provider']}/{parts['model_id']}")
    model = details.model
    return request.render(
        "models/model.html",
        model=model,
        tiers=details.prices,
        health=(await models.health(ctx, who)).get((model.slug, True)),
        inputs=schema_form.fields_of(model, {}),
        samples=code_samples.samples(ctx.settings.public_origin, model, model.example),
    )


async def _listed(request: PageRequest) -> dict[str, Any]:
    ctx, who, query = request.ctx, request.who, request.query_params
    wanted = Wanted(
        query.get("q", "").strip(),
        query.get("type", ""),
        query.get("provider", ""),
        query.get("health") == "available",
        query.get("sort", ""),
        query.get("input", ""),
    )
    health = await models.health(ctx, who)
    live = who.scope is None or who.scope.live
    found = []
    for details in models.list_details(ctx, who, ModelFilter(type=wanted.type, provider=wanted.provider)):
        model = details.model
        if _fits(details, wanted.words) and (model.media or not wanted.input):
            obstacle = await models.obstacle(ctx, who, model) if who.scope else None
            if not (wanted.available and obstacle):
                found.append(Entry(model, details.prices, health.get((model.slug, live)), obstacle))
    if wanted.sort == "price":
        found.sort(key=lambda one: one.lowest)
    elif wanted.sort == "time":
        found.sort(key=lambda one: one.usual_ms)
    every = ctx.catalogue.models.values()
    return {
        "wanted": wanted,
        "found": found,
        "all": len(every),
        "types": sorted({model.type for model in every}),
        "providers": sorted({model.provider for model in every}),
    }


def _fits(details: ModelDetails, wanted: str) -> bool:
    model = details.model
    english = f"{model.slug} {model.name} {model.summary} {model.type}"
    text = f"{english} {model_text(model.summary)} {words.model_type(model.type)}".casefold()
    return all(word in text for word in wanted.casefold().split())
