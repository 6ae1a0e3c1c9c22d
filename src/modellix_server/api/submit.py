"""`POST …/async` and its like: the hot path of the platform."""

from __future__ import annotations

import hashlib
import time
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from modellix_server import webhooks
from modellix_server.api.exchange import RequestContext, admit
from modellix_server.api.platform import Platform
from modellix_server.api.reply import Headers, Reply, success
from modellix_server.api.request import Request, read_body
from modellix_server.api.submit_options import SubmitOptions, read_terms, too_dear
from modellix_server.base import tracing
from modellix_server.base.errors import InvalidFormat, NotFound, PlatformError, Unavailable
from modellix_server.base.ids import task_name, uuid7
from modellix_server.base.team_mode import TeamMode
from modellix_server.catalogue import Model, show
from modellix_server.inspection import InputFile, take_inputs
from modellix_server.results import Scratch, drop_inputs, save_inputs
from modellix_server.tasks import Accepted, Submission

# First segments that are routes of their own and can never be a model's type or provider.
_RESERVED = frozenset(
    {"tasks", "models", "apikey", "team", "media", "quote", "logs", "keys", "webhooks", "openapi.json"}
)
_WAYS = frozenset({"async", "stream"})
_FROZEN = "this account takes no new tasks until its books have been checked; the operator has been told"
_encode = msgspec.json.Encoder(order="sorted").encode


def may_name_model(path: str) -> bool:
    """Whether a path below `/api/v1/` can only be a submission's."""
    return path.removeprefix("/api/v1/").partition("/")[0] not in _RESERVED


def find_model(platform: Platform, path: str) -> Model:
    """The model that a submit path names: `[type/]provider/model/async` (or `stream`), or `provider/model`.

    Raises NotFound for an unknown model, and for a type that is not the model's.
    """
    segments = path.removeprefix("/api/v1/").split("/")
    names = segments[:-1] if segments[-1] in _WAYS else segments
    if not 2 <= len(names) <= 3 or (len(names) == 3 and segments[-1] not in _WAYS):
        raise NotFound("no such route")
    model = platform.catalogue.find(names[-2], names[-1])
    if model is None or (len(names) == 3 and names[0] != model.type):
        raise NotFound(f"model {show('/'.join(names))} not found")
    return model


async def submit_task(platform: Platform, request: Request, trail: RequestContext) -> Reply:
    """Accept one task.

    Raises the refusals in the contract's order: 401, rate 429, 404, 400, 503, 402, concurrency 429.
    """
    _, verdict = await admit(platform, request, trail)
    receipt = await accept_task(platform, request, trail)
    return success(receipt.body, verdict, receipt.headers)


class Receipt(NamedTuple):
    """What the client of an accepted task gets: the `data` of the answer, and headers of its own."""

    task_id: UUID
    body: bytes
    headers: Headers


async def accept_task(platform: Platform, request: Request, trail: RequestContext) -> Receipt:
    """Accept one task of an admitted caller; raises the refusals from 404 on."""
    model = find_model(platform, request.path)
    trail.model = model.slug
    terms = read_terms(request, platform.settings.allow_networks)
    given, files = await _parse_input(platform, request, trail, model)
    try:
        receipt = await _accept(platform, trail, model, terms, given, files)
        if tracing.on():
            spent_s, parent = time.perf_counter() - trail.started, request.header(b"traceparent") or None
            tracing.record(
                "submit", receipt.task_id, spent_s, traceparent=parent, model=model.slug, request_id=request.id
            )
        return receipt
    finally:
        if files:
            await drop_inputs(files)


async def _accept(
    platform: Platform, trail: RequestContext, model: Model, terms: SubmitOptions, given: Any, files: list[InputFile]
) -> Receipt:
    """Check, price and record what was asked for."""
    caller, key = trail.caller, terms.idempotency_key
    assert caller is not None
    params = model.check(given)
    text = _encode(params)
    fingerprint = hashlib.sha256(model.slug.encode() + b"\0" + text).digest() if key else None
    if model.media:
        try:
            params, files = await platform.intake.check(model, params, files, caller.team_id, live=caller.live)
        except PlatformError as refusal:
            # A file may have expired since the first request with this key: its answer stays what it was.
            earlier = await platform.submissions.made(caller.team_id, caller.live, key, fingerprint)
            if earlier is None:
                raise refusal from None
            return _receipt(platform, trail, model, earlier)
        if files:  # otherwise nothing was renamed
            text = _encode(params)
    quote = model.quote(params, platform.prices(), live=caller.live)
    submission = Submission(
        task_id=uuid7(),
        team_id=caller.team_id,
        live=caller.live,
        key_id=caller.key_id,
        model=model.slug,
        params=text.decode(),
        price=_encode(quote).decode(),
        quote=quote.amount_micros,
        deadline_s=model.deadline_s,
        slots=caller.concurrency,
        idempotency_key=key,
        fingerprint=fingerprint,
        wait=terms.wait,
        request_id=trail.request_id,
    )
    if terms.max_cost is not None and quote.amount_micros > terms.max_cost:
        accepted = await _made_earlier(platform, submission, too_dear(quote.amount_micros, terms.max_cost))
    elif platform.frozen(caller.team_id, caller.live):
        accepted = await _made_earlier(platform, submission, Unavailable(_FROZEN, retry_after_s=60))
    elif obstacle := await platform.obstacle(model.routes[0], caller.live):
        accepted = await _made_earlier(platform, submission, obstacle)
    else:
        if files:
            await save_inputs(platform.db, platform.storage, files)
        accepted = await _offer(platform, submission, terms.webhook_url)
    return _receipt(platform, trail, model, accepted)


async def _offer(platform: Platform, submission: Submission, url: str | None) -> Accepted:
    """Accept it, and have its end told to a link, if there is one; a replay is told where the first one wished."""
    if url is None:
        return await platform.submissions.accept(submission)
    purse = TeamMode(submission.team_id, submission.live)
    await webhooks.subscribe(platform.db, platform.settings.keyring, purse, submission.task_id, url)
    try:
        accepted = await platform.submissions.accept(submission)
    except Unavailable:
        raise  # it may have been accepted all the same
    except PlatformError:
        await webhooks.unsubscribe(platform.db, submission.task_id)
        raise
    if accepted.replayed:
        await webhooks.unsubscribe(platform.db, submission.task_id)
    return accepted


async def _made_earlier(platform: Platform, submission: Submission, refusal: PlatformError) -> Accepted:
    """The task of an earlier request with the same key, which stays valid; raises the refusal if there is none."""
    if earlier := await platform.submissions.replayed(submission):
        return earlier
    raise refusal


def _receipt(platform: Platform, trail: RequestContext, model: Model, accepted: Accepted) -> Receipt:
    trail.logged_elsewhere = True
    name = task_name(accepted.task_id)
    spent_ms = int((time.perf_counter() - trail.started) * 1000)
    url = f"{platform.settings.public_origin}/api/v1/tasks/{name}"
    place = f'"queue_position":{accepted.queue_position},' if accepted.queue_position else ""
    body = (
        f'{{"status":"pending","task_id":"{name}","model_id":"{model.id}","duration":{spent_ms},'
        f'{place}"get_result":{{"method":"GET","url":"{url}"}}}}'
    ).encode()
    return Receipt(accepted.task_id, body, [(b"idempotency-replayed", b"true")] if accepted.replayed else [])


async def _parse_input(
    platform: Platform, request: Request, trail: RequestContext, model: Model
) -> tuple[Any, list[InputFile]]:
    """The body's JSON with media bytes taken out and replaced by their digests, and those bytes.

    Raises InvalidFormat, BodyTooLarge or ClientGone.
    """
    body = await read_body(request, platform.spool, platform.turns)
    media = tuple(medium.name for medium in model.media)
    if isinstance(body, Scratch):
        try:
            return await platform.helper.extract(body.path, media)
        finally:
            body.close()
    trail.input = body
    params = decode(body)
    if media and isinstance(params, dict):
        return take_inputs(params, media)
    return params, []


def decode(body: bytes) -> Any:
    """The JSON of a body; raises InvalidFormat in the contract's words."""
    try:
        return msgspec.json.decode(body)
    except UnicodeDecodeError:
        raise InvalidFormat("the body is not valid UTF-8") from None
    except RecursionError:
        raise InvalidFormat("the JSON is nested too deeply") from None
    except msgspec.DecodeError:
        raise InvalidFormat("invalid JSON format") from None
