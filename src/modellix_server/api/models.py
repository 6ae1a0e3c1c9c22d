"""Routes about the catalogue: the list, one model, a price before running."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from starlette.responses import Response

from modellix_server.api.dispatch import Request
from modellix_server.api.parsing import members, read_json
from modellix_server.base.errors import InvalidFormat, MissingParameter, OutOfRange
from modellix_server.catalogue import show
from modellix_server.inspection import take_inputs
from modellix_server.operations import models, public_forms, submissions
from modellix_server.operations.models import ModelFilter

_CATEGORIES = ("image", "video", "audio")
"""Of sounds there is no model; clients that know of some ask for them."""


async def list_models(request: Request) -> Response:
    """`GET /models`: every model, or those that `type`, `provider`, `category` (image, video) or `featured` leave.

    All at once, or with `page` (from 1) or `page_size` (100) so many of them. The list stands beside the
    envelope's `data` as well as in it: real clients read it there.
    """
    query, catalogue = request.query_params, request.ctx.catalogue
    wanted = ModelFilter(
        _one_of(query, "type", sorted({model.type for model in catalogue})),
        _one_of(query, "provider", sorted({model.provider for model in catalogue})),
        _one_of(query, "category", _CATEGORIES),
        _yes_or_no(query, "featured"),
    )
    entries = models.list_all(request.ctx, request.who, wanted)
    size, page = _number(query, "page_size", "100"), _number(query, "page", "1")
    if "page_size" in query or "page" in query:
        entries = entries[(page - 1) * size : page * size]
    listed = msgspec.Raw(msgspec.json.encode(entries))
    return request.success({"models": listed}, models=listed)


def _one_of(query: Mapping[str, str], name: str, known: Sequence[str]) -> str:
    """A word of a filter, empty where there is none. Raises OutOfRange for one that can match nothing."""
    text = query.get(name, "")
    if text and text not in known:
        raise OutOfRange(f"parameter '{name}' must be one of {', '.join(known)}, got {show(text)}")
    return text


def _number(query: Mapping[str, str], name: str, usual: str) -> int:
    text = query.get(name, usual)
    if not (text.isascii() and text.isdigit() and 1 <= len(text) <= 6 and int(text) >= 1):
        raise InvalidFormat(f"parameter '{name}' must be a whole number from 1 on")
    return int(text)


def _yes_or_no(query: Mapping[str, str], name: str) -> bool | None:
    text = query.get(name)
    if text not in (None, "true", "false"):
        raise InvalidFormat(f"parameter '{name}' must be true or false")
    return None if text is None else text == "true"


async def describe_model(request: Request) -> Response:
    """`GET /models/{provider}/{model}`: JSON Schema of the body, price table, deadline, example."""
    found = models.describe(request.ctx, request.who, "{provider}/{model}".format(**request.path_params))
    return request.success(public_forms.model_details(request.ctx, found))


async def quote(request: Request) -> Response:
    """`POST /quote` with `{"model": …, "input": {…}}`: what the task would hold, and can cost at most."""
    body = await read_json(request, "a quote needs no bytes of media: send a URL in their place, it is not fetched")
    given: dict[str, Any] = members(body, {"model": str, "input": dict})
    for name in ("model", "input"):
        if name not in given:
            raise MissingParameter(f"parameter '{name}' is required")
    model = request.ctx.catalogue.named(given["model"])
    request.context.model = model.slug
    params, files = take_inputs(given["input"], tuple(medium.name for medium in model.media))
    found = await submissions.examined_quote(request.ctx, request.who, model, params, files)
    return request.success(public_forms.quote(model.slug, found))
