"""One attempt of a client to have something made: accepted once, however often it is sent (docs/adr/0031)."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

import msgspec

from modellix_server.api.dispatch import EventStream, Reply
from modellix_server.api.hot.exchange import HotRequest
from modellix_server.api.hot.submit import options_of
from modellix_server.base.errors import PlatformError
from modellix_server.catalogue import Model
from modellix_server.inspection import InputFile
from modellix_server.operations import sendings, submissions
from modellix_server.results import drop_inputs
from modellix_server.tasks import Accepted, SendingOutcome

_FOR_NOW = (408, 429, 500, 503)
_encode = msgspec.json.Encoder(order="sorted").encode

Answer = TypeVar("Answer", bound=Reply | EventStream)


async def accept_once(
    request: HotRequest,
    model: Model,
    params: Mapping[str, Any],
    files: list[InputFile],
    answering: Callable[[Accepted], Awaitable[Answer]],
) -> Answer:
    """Accept the task that the request stands for, or find the one that an earlier attempt made, and answer with it.

    Raises what `submissions.submit` and `answering` raise.
    """
    request.model = model.slug
    try:
        options = options_of(request)
        own = options.idempotency_key is None
        sending = (
            await sendings.begin(request.ctx, request.who, _digest(request, model, params), _tried(request))
            if own
            else None
        )
    except BaseException:
        await drop_inputs(files)
        raise
    if sending is not None:
        options = msgspec.structs.replace(options, idempotency_key=sending.key)
    outcome: SendingOutcome | None = "lost"
    accepted: Accepted | None = None
    try:
        accepted = await submissions.submit(request.ctx, request.who, model, params, files, options)
        request.task_id, request.made_task = accepted.task_id, not accepted.replayed
        reply = await answering(accepted)
        outcome = "lost" if isinstance(reply, Reply) and reply.status == 504 else "answered"
    except PlatformError as error:
        if accepted is None:
            outcome = "refused" if error.status in _FOR_NOW else None
        raise
    finally:
        if sending is not None:
            await sendings.end(request.ctx, request.who, sending, outcome)
    return reply


def _digest(request: HotRequest, model: Model, params: Mapping[str, Any]) -> bytes:
    """Of all that makes two requests of a client equal; a form has another boundary each time."""
    return hashlib.sha256(_encode([request.who.id, request.path, model.slug, params])).digest()


def _tried(request: HotRequest) -> int | None:
    """How often an SDK says that it sent the request before; None from clients that do not say."""
    text = request.header(b"x-stainless-retry-count") or ""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 4 else None
