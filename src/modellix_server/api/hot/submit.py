"""`POST …/async` and its other forms: a submission, from path, headers and body to the receipt."""

from __future__ import annotations

import re
import time
from typing import Any, NamedTuple
from uuid import UUID

from modellix_server.api.dispatch import Headers, Reply, envelope
from modellix_server.api.hot.exchange import HotRequest, read_body
from modellix_server.api.no_such_route import OPENAI_WITHOUT_BASE, no_such_route
from modellix_server.base import json_body, tracing
from modellix_server.base.errors import InvalidFormat, NotFound
from modellix_server.base.ids import task_name
from modellix_server.base.money import micros_from_usd
from modellix_server.catalogue import Model
from modellix_server.inspection import InputFile, take_inputs
from modellix_server.operations import submissions
from modellix_server.operations.submissions import SubmitOptions
from modellix_server.results import Scratch
from modellix_server.webhooks import check_url

# First segments of other routes: no model's type or provider has such a name.
_RESERVED = frozenset(
    {"tasks", "models", "apikey", "team", "media", "quote", "logs", "key", "keys", "webhooks", "openapi.json"}
)
_WAYS = frozenset({"async", "stream"})
_USD = re.compile(r"[0-9]{1,9}(\.[0-9]{1,6})?", re.ASCII)


class Receipt(NamedTuple):
    """What the client of an accepted task gets: the answer's `data`, and additional headers."""

    task_id: UUID
    body: bytes
    headers: Headers


async def submit_task(request: HotRequest) -> Reply:
    """Accept one task.

    Raises the refusals in the contract's order: 404, 400, 503, 402, concurrency 429; the dispatcher has raised 401,
    rate 429 and 403 before.
    """
    receipt = await accept_task(request)
    return envelope(receipt.body, request.rate, receipt.headers)


async def accept_task(request: HotRequest) -> Receipt:
    """Accept one task, and its receipt."""
    ctx = request.ctx
    model = named_model(request)
    request.model = model.slug
    options = options_of(request)
    given, files = await _parse_input(request, model)
    accepted = await submissions.submit(ctx, request.who, model, given, files, options)
    request.task_id, request.made_task = accepted.task_id, not accepted.replayed
    spent_s = time.perf_counter() - request.started
    if tracing.on():
        about = {"traceparent": request.header(b"traceparent"), "model": model.slug, "request_id": request.id}
        tracing.record("submit", accepted.task_id, spent_s, **about)
    name = task_name(accepted.task_id)
    url = f"{ctx.settings.public_origin}/api/v1/tasks/{name}"
    position = f'"queue_position":{accepted.queue_position},' if accepted.queue_position else ""
    body = (
        f'{{"status":"pending","task_id":"{name}","model_id":"{model.id}","duration":{int(spent_s * 1000)},'
        f'{position}"get_result":{{"method":"GET","url":"{url}"}}}}'
    ).encode()
    return Receipt(accepted.task_id, body, [(b"idempotency-replayed", b"true")] if accepted.replayed else [])


def may_name_model(path: str) -> bool:
    """Whether a path below `/api/v1/` is a submission's."""
    return path.removeprefix("/api/v1/").partition("/")[0] not in _RESERVED


def named_model(request: HotRequest) -> Model:
    """The model that a submit path names: `[type/]provider/model/async` (or `stream`), or `provider/model`.

    Raises NotFound for an unknown model, and for a type that is not the model's.
    """
    names = request.path.removeprefix("/api/v1/").split("/")
    if "" in names or request.path in OPENAI_WITHOUT_BASE:
        raise NotFound(no_such_route(request.path))
    short = names[-1] not in _WAYS
    if not short:
        names.pop()
    match names:
        case [provider, name]:
            return request.ctx.catalogue.named(f"{provider}/{name}")
        case [type_, provider, name] if not short:
            return request.ctx.catalogue.named(f"{provider}/{name}", type_)
        case [name]:
            whole = next((model.slug for model in request.ctx.catalogue if model.id == name), "provider/model")
            raise NotFound(f"no such route: a model is named with its provider, as in '{whole}'")
    raise NotFound(no_such_route(request.path))


def options_of(request: HotRequest) -> SubmitOptions:
    """The options of a submission, which are headers. Raises InvalidFormat or InvalidParameters."""
    key, max_cost, queue, url = request.idempotency_key, request.max_cost, request.queue, request.webhook_url
    if key is not None and not (1 <= len(key) <= 255 and key.isascii() and key.isprintable()):
        raise InvalidFormat("header 'Idempotency-Key' must be 1 to 255 printable ASCII characters")
    if url is not None:
        url = check_url(url, request.ctx.settings.allow_networks, "header 'X-Webhook-URL'")
    if max_cost is not None and not _USD.fullmatch(max_cost):
        raise InvalidFormat("header 'X-Max-Cost' must be an amount in USD such as 0.25, with six decimals at most")
    if queue not in (None, "wait"):
        raise InvalidFormat("header 'X-Queue' can only be 'wait'")
    most_micros = None if max_cost is None else micros_from_usd(max_cost)
    return SubmitOptions(key, most_micros, "header 'X-Max-Cost'", queue is not None, url, request.id)


async def _parse_input(request: HotRequest, model: Model) -> tuple[Any, list[InputFile]]:
    """The body's JSON with media bytes taken out and replaced by their digests, and those bytes.

    Raises InvalidFormat, BodyTooLarge, BodyTooSlow or ClientGone.
    """
    body = await read_body(request)
    media = tuple(medium.name for medium in model.media)
    if isinstance(body, Scratch):
        try:
            return await request.ctx.helper.extract(body.path, media, request.who.team.team_id)
        finally:
            body.close()
    request.input = body
    params = json_body.read(body)
    if media and isinstance(params, dict):
        return take_inputs(params, media)
    return params, []
