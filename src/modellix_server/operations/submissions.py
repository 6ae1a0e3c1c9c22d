"""Submissions: what a task would cost, and accepting one."""

import hashlib
from collections.abc import Iterable
from typing import Any

import msgspec

from modellix_server import webhooks
from modellix_server.base.errors import InvalidFormat, OutOfRange, PlatformError, Unavailable
from modellix_server.base.ids import uuid7
from modellix_server.base.money import usd
from modellix_server.base.redaction import holds_own_key
from modellix_server.catalogue import Model, Quote
from modellix_server.inspection import InputFile, as_sent
from modellix_server.operations.context import ServingContext
from modellix_server.operations.principal import Forbidden, Permission, Principal
from modellix_server.results import drop_inputs, save_inputs
from modellix_server.tasks import Accepted, Submission

_FROZEN = "this account takes no new tasks until its books have been checked; the operator has been told"
_encode = msgspec.json.Encoder(order="sorted").encode


class SubmitOptions(msgspec.Struct, frozen=True, gc=False):
    """What the client asks for besides the model's parameters."""

    idempotency_key: str | None = None
    max_cost: int | None = None
    """Micro-dollars."""
    max_cost_name: str = "'max_cost'"
    """What the client calls it, for the refusal."""
    wait: bool = False
    """Whether to wait for a free slot."""
    webhook_url: str | None = None
    """A checked link that is to hear of the task's end."""
    request_id: str | None = None
    """Of the call that submits (X-Request-Id)."""
    idempotency_key_name: str = "header 'Idempotency-Key'"
    """What the client calls it, for the refusal."""


def quote(ctx: ServingContext, who: Principal, model: Model, given: object) -> Quote:
    """What a task would hold, and can cost at most.

    Raises Forbidden for a model that the key may not use, InvalidFormat, MissingParameter, InvalidParameters,
    OutOfRange or Unpriced.
    """
    who.require(Permission.USE_MODELS)
    _require_allowed(who, model)
    return model.quote(model.check(given), ctx.prices(), live=who.team.live)


async def examined_quote(
    ctx: ServingContext, who: Principal, model: Model, given: object, files: list[InputFile]
) -> Quote:
    """What `quote` says, where the files of ours that are named, and `files`, pass the checks of a submission.

    `files`, taken out of the parameters by `inspection.take_inputs`, are dropped at the end; nothing is kept, and no
    link to elsewhere is fetched. Raises what `quote` raises.
    """
    who.require(Permission.USE_MODELS)
    _require_allowed(who, model)
    try:
        params = _checked(model, given, files)
        if model.media:
            params, _ = await ctx.intake.check(model, params, files, who.team.team_id, live=who.team.live)
    finally:
        await drop_inputs(files)
    return model.quote(params, ctx.prices(), live=who.team.live)


def total(quotes: Iterable[Quote]) -> int:
    """What tasks would hold together, micro-dollars."""
    return sum(quote.amount_micros for quote in quotes)


async def submit(
    ctx: ServingContext,
    who: Principal,
    model: Model,
    given: object,
    files: list[InputFile],
    options: SubmitOptions,
) -> Accepted:
    """Accept one task. `files`, taken out of its parameters by `inspection.take_inputs`, are dropped at the end.

    Raises what `quote` raises, Unavailable (frozen account, vendor out of reach, database), InsufficientBalance,
    ConcurrencyExceeded, IdempotencyMismatch, Unauthorized for a key that was revoked or has expired meanwhile.
    """
    who.require(Permission.USE_MODELS)
    if not files:
        return await _submit(ctx, who, model, given, files, options)
    try:
        return await _submit(ctx, who, model, given, files, options)
    finally:
        await drop_inputs(files)


def _require_allowed(who: Principal, model: Model) -> None:
    if who.allowed is not None and not who.allowed.cover(model.slug, model.type):
        raise Forbidden(f"this API key may use only {who.allowed}")


async def _submit(
    ctx: ServingContext,
    who: Principal,
    model: Model,
    given: object,
    files: list[InputFile],
    options: SubmitOptions,
) -> Accepted:
    """Check, price and record what was asked for."""
    team, key = who.team, options.idempotency_key
    if who.key_id is None and who.user_id is None:
        raise Forbidden("this needs an API key or a signed-in user")
    _require_allowed(who, model)
    if key is not None and holds_own_key(key):  # it is stored as it is
        raise InvalidFormat(f"{options.idempotency_key_name} must not hold an API key")
    params = _checked(model, given, files)
    text = _encode(params)
    fingerprint = hashlib.sha256(model.slug.encode() + b"\0" + text).digest() if key else None
    if model.media:
        try:
            params, files = await ctx.intake.check(model, params, files, team.team_id, live=team.live)
        except PlatformError as refusal:
            # A file may have expired since the first request with this key: its task is still the answer.
            if earlier := await ctx.submissions.made(team.team_id, team.live, key, fingerprint):
                return earlier
            raise refusal from None
        if files:  # otherwise nothing was renamed
            text = _encode(params)
    price = model.quote(params, ctx.prices(), live=team.live)
    submission = Submission(
        task_id=uuid7(),
        team_id=team.team_id,
        live=team.live,
        key_id=who.key_id,
        model=model.slug,
        params=text.decode(),
        price=_encode(price).decode(),
        quote=price.amount_micros,
        deadline_s=model.deadline_s,
        slots=None if who.key_id is None else who.concurrency,
        idempotency_key=key,
        fingerprint=fingerprint,
        wait=options.wait,
        request_id=options.request_id,
        actor=who.id if who.key_id is None else None,
        webhook=webhooks.task_link(options.webhook_url, team) if options.webhook_url else None,
    )
    obstacle = _beyond_cap(price, options) or _frozen(ctx, submission)
    if obstacle := obstacle or await ctx.obstacle(model, team.live):
        if earlier := await ctx.submissions.replayed(submission):  # of a request with the same key: still the answer
            return earlier
        raise obstacle
    if files:
        await save_inputs(ctx.db, ctx.storage, files)
    return await ctx.submissions.accept(submission)


def _checked(model: Model, given: object, files: Iterable[InputFile]) -> dict[str, Any]:
    """The parameters with defaults. Raises the contract's refusals, which show what was sent."""
    try:
        return model.check(given)
    except PlatformError as refusal:
        raise type(refusal)(as_sent(refusal.detail, files)) from None


def _beyond_cap(price: Quote, options: SubmitOptions) -> PlatformError | None:
    if options.max_cost is None or price.amount_micros <= options.max_cost:
        return None
    cost, most = usd(price.amount_micros), f"{usd(options.max_cost)} USD of {options.max_cost_name}"
    return OutOfRange(f"this task costs up to {cost} USD, which is more than the {most}")


def _frozen(ctx: ServingContext, submission: Submission) -> PlatformError | None:
    return Unavailable(_FROZEN, retry_after_s=60) if ctx.frozen(submission.team_id, submission.live) else None
