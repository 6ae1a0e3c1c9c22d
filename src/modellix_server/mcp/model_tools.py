"""Tools that list, describe and price models."""

from __future__ import annotations

from typing import Any

from msgspec import UNSET, UnsetType

from modellix_server.mcp.answers import ToolAnswer
from modellix_server.mcp.tool_arguments import AskQuote, GetSchema, ListModels
from modellix_server.mcp.tool_context import ToolContext
from modellix_server.mcp.tool_media import media_taken_out
from modellix_server.operations import models, public_forms, submissions
from modellix_server.operations.models import ModelFilter


async def list_models(tool: ToolContext, given: ListModels) -> ToolAnswer:
    """Models with their prices, one line each for who reads."""
    wanted = ModelFilter(_text(given.type), _text(given.provider), _text(given.category))
    words = _text(given.query).lower().split()
    found = [one for one in models.list_all(tool.ctx, tool.who, wanted) if _has(one, words)]
    shown = found[(given.page - 1) * given.limit : given.page * given.limit]
    more = len(found) > given.page * given.limit
    lines = [f"{one['slug']} ({one['type']}, {_price(one)}): {one['description']}" for one in shown]
    if more:
        lines.append(f"{len(found)} models fit; the next ones: page {given.page + 1}")
    data = {"models": shown, "total": len(found), "next_page": given.page + 1 if more else None}
    return ToolAnswer(data, "\n".join(lines) or "No model fits.")


def _text(value: str | UnsetType) -> str:
    return "" if value is UNSET else value


def _has(entry: dict[str, Any], words: list[str]) -> bool:
    said = f"{entry['slug']} {entry['type']} {entry['description']}".lower()
    return all(word in said for word in words)


def _price(entry: dict[str, Any]) -> str:
    match entry.get("price"):
        case {"fixed": fixed, "unit": unit}:
            return f"{fixed} {unit}"
        case {"min": low, "max": high, "unit": unit}:
            return f"{low}-{high} {unit}"
        case _:
            return "no price yet"


async def get_schema(tool: ToolContext, given: GetSchema) -> ToolAnswer:
    """A model's inputs, prices and an example."""
    found = models.describe(tool.ctx, tool.who, given.model)
    tool.call.model = found.model.slug
    return ToolAnswer(public_forms.model_details(tool.ctx, found))


async def quote(tool: ToolContext, given: AskQuote) -> ToolAnswer:
    """The most that a task can cost."""
    model = tool.ctx.catalogue.named(given.model)
    tool.call.model = model.slug
    params, files = await media_taken_out(model, given.input, tool.call.bytes_in)
    found = await submissions.examined_quote(tool.ctx, tool.who, model, params, files)
    return ToolAnswer(public_forms.quote(model.slug, found))
