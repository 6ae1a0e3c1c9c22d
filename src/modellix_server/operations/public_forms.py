"""Public JSON of models, quotes and files: the same for every way in."""

from typing import Any

from modellix_server.base.ids import file_name
from modellix_server.base.money import usd_number
from modellix_server.catalogue import Quote
from modellix_server.operations.context import Context
from modellix_server.operations.models import ModelDetails
from modellix_server.results import Upload


def model_details(ctx: Context, found: ModelDetails) -> dict[str, Any]:
    """One model: JSON Schema of its inputs, price table, deadline, example."""
    model, unit = found.model, found.model.price.unit
    return {
        **found.entry,
        "schema": model.schema,
        "prices": [
            {"tier": one.tier, "unit": unit, "usd": None if one.micros is None else usd_number(one.micros)}
            for one in found.prices
        ],
        "deadline_s": model.deadline_s,
        "example": model.example,
        "submit": {
            "method": "POST",
            "url": f"{ctx.settings.public_origin}/api/v1/{model.type}/{model.slug}/async",
        },
    }


def quote(slug: str, found: Quote) -> dict[str, Any]:
    """What a task of this model would hold, and can cost at most."""
    return {
        "model": slug,
        "cost": usd_number(found.amount_micros),
        "cost_micros": found.amount_micros,
        "unit": found.unit,
        "unit_cost": usd_number(found.unit_micros),
        "units": found.units if found.unit == "image" else found.units / 1000,
        "tier": found.tier,
    }


def upload(ctx: Context, found: Upload) -> dict[str, Any]:
    """One uploaded file with its link."""
    return {
        "file_id": file_name(found.id),
        "type": found.kind,
        "url": found.link(ctx.settings),
        "filename": found.filename,
        "size": found.size,
        "created_at": int(found.created_at.timestamp() * 1000),
        "expires_at": int(found.expires_at.timestamp() * 1000),
    }
