"""Routes about the catalogue: the list, one model, a price before running."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from modellix_server.api.exchange import RequestContext, admit
from modellix_server.api.platform import Platform
from modellix_server.api.reply import Reply, success_of
from modellix_server.api.request import Request, read_small_body
from modellix_server.api.submit import decode
from modellix_server.base.errors import InvalidFormat, InvalidParameters, MissingParameter, NotFound
from modellix_server.base.money import usd_number
from modellix_server.catalogue import Model, show


def _listing(platform: Platform, model: Model) -> dict[str, Any]:
    entry = model.listing(platform.prices())
    entry["docs_url"] = f"{platform.settings.public_origin}/docs/{entry.pop('docs_path')}"
    return entry


async def list_models(platform: Platform, request: Request, trail: RequestContext) -> Reply:
    """`GET /models`: every model, or those that `type`, `provider` or `category` (image, video) leave.

    All at once, or with `page_size` that many of them, `page` counting from 1. The list stands beside the
    envelope's `data` as well as in it: real clients read it there.
    """
    _, verdict = await admit(platform, request, trail)
    wanted = request.query
    entries = [
        _listing(platform, model)
        for model in platform.catalogue.models.values()
        if (wanted.get("type") or model.type) == model.type
        and (wanted.get("provider") or model.provider) == model.provider
        and model.type.endswith(wanted.get("category", ""))
    ]
    size, page = _number(wanted, "page_size"), _number(wanted, "page")
    if "page_size" in wanted:
        entries = entries[(page - 1) * size : page * size]
    reply = success_of({"models": entries}, verdict)
    return reply._replace(body=reply.body[:-1] + b',"models":' + reply.body[reply.body.index(b"[") : -2] + b"}")


def _number(query: Mapping[str, str], name: str) -> int:
    text = query.get(name, "1")
    if not (text.isascii() and text.isdigit() and 1 <= len(text) <= 6 and int(text) >= 1):
        raise InvalidFormat(f"parameter '{name}' must be a whole number from 1 on")
    return int(text)


async def describe_model(platform: Platform, request: Request, trail: RequestContext) -> Reply:
    """`GET /models/{provider}/{model}`: JSON Schema of the body, price table, deadline, example."""
    _, verdict = await admit(platform, request, trail)
    provider, name = request.params["provider"], request.params["model"]
    model = _find(platform, f"{provider}/{name}", provider, name)
    data = {
        **_listing(platform, model),
        "name": model.name,
        "schema": model.schema,
        "prices": _price_list(platform, model),
        "deadline_s": model.deadline_s,
        "retires": model.retires.date.isoformat() if model.retires else None,
        "example": model.example,
        "submit": {
            "method": "POST",
            "url": f"{platform.settings.public_origin}/api/v1/{model.type}/{model.slug}/async",
        },
    }
    return success_of(data, verdict)


def _price_list(platform: Platform, model: Model) -> list[dict[str, Any]]:
    """One entry a tier; `usd` is null where the operator has set no price yet."""
    prices = platform.prices()
    found = [(tier.label, prices.of(model.slug, tier.label).apply(tier.micros)) for tier in model.price.tiers]
    return [
        {"tier": label, "unit": model.price.unit, "usd": None if micros is None else usd_number(micros)}
        for label, micros in found
    ]


async def quote(platform: Platform, request: Request, trail: RequestContext) -> Reply:
    """`POST /quote` with `{"model": …, "input": {…}}`: what the task would hold, and can cost at most."""
    caller, verdict = await admit(platform, request, trail)
    body = await read_small_body(
        request, "a quote needs no bytes of media: send a URL in their place, it is not fetched"
    )
    slug, given = _question(decode(body))
    provider, _, name = slug.partition("/")
    model = _find(platform, slug, provider, name)
    trail.model = model.slug
    found = model.quote(model.check(given), platform.prices(), live=caller.live)
    data = {
        "model": model.slug,
        "cost": usd_number(found.amount_micros),
        "cost_micros": found.amount_micros,
        "unit": found.unit,
        "unit_cost": usd_number(found.unit_micros),
        "units": found.units if found.unit == "image" else found.units / 1000,
        "tier": found.tier,
    }
    return success_of(data, verdict)


def _question(body: Any) -> tuple[str, dict[str, Any]]:
    """Model and input of a quote; raises what a submission raises for the same faults."""
    if not isinstance(body, dict):
        raise InvalidFormat("the request body must be a JSON object")
    for name, kind, words in (("model", str, "a string"), ("input", dict, "an object")):
        if name not in body:
            raise MissingParameter(f"parameter '{name}' is required")
        if not isinstance(body[name], kind):
            raise InvalidParameters(f"parameter '{name}' must be {words}, got {show(body[name])}")
    if unknown := sorted(body.keys() - {"model", "input"}):
        raise InvalidParameters(f"unknown parameter {show(unknown[0])}; allowed: model, input")
    return body["model"], body["input"]


def _find(platform: Platform, asked: str, provider: str, name: str) -> Model:
    model = platform.catalogue.find(provider, name)
    if model is None:
        raise NotFound(f"model {show(asked)} not found")
    return model
