"""From the queue to an order that may leave: an account, the inputs as the vendor takes them, and a turn to post.

All of it may be done again: nothing is paid for yet.
"""

from __future__ import annotations

from contextlib import AsyncExitStack

from modellix_server.base import faults, log
from modellix_server.base.ids import task_name
from modellix_server.base.redaction import redact_text
from modellix_server.catalogue import Model
from modellix_server.tasks import inputs
from modellix_server.tasks.concurrency_limiter import SubmissionSlot
from modellix_server.tasks.inputs import BadMedia
from modellix_server.tasks.journal import Finish, Job, Move, until_answered
from modellix_server.tasks.routing import NO_ACCOUNT_RETRY_S, Destination, VendorAccount
from modellix_server.tasks.signals import SignalInbox
from modellix_server.tasks.steps import Ready, Release, TaskClock, Tools
from modellix_server.tasks.vendor_http import VendorHttp
from modellix_server.upstreams.contract import (
    AnswerLost,
    Busy,
    Failed,
    NotSent,
    Order,
    TakesFiles,
    UnmappedAnswer,
    Upstream,
)

_UPLOAD_TIMEOUT_S = 30.0
_UPLOAD_RETRY_S = 15.0
_LOG = log.get("tasks")


async def prepare(
    job: Job, model: Model, tools: Tools, clock: TaskClock, inbox: SignalInbox, held: AsyncExitStack
) -> Move | Ready | Release | Finish:
    """Make an order of a task, and wait for its turn.

    `held` keeps the task's turns until what came of the submission is on record.
    """
    if stopped := _stopped(clock, inbox):
        return stopped
    if job.state == "queued" and _has_inputs(job, model, tools):
        return Move("preparing")  # before anything is picked: a pick may take the one try that an open breaker allows
    to = await _picked(job, model, tools)
    if not isinstance(to, Destination):
        return to
    upstream = tools.upstreams[to.route.upstream]
    account = await until_answered(job.id, lambda: tools.routing.account(to, live=job.live))
    if account is None:  # it could be opened a moment ago
        return Release(NO_ACCOUNT_RETRY_S, "the vendor account cannot be used")

    await held.enter_async_context(tools.posting[job.model])  # inputs too: nobody waits with megabytes in hand
    probing = tools.breakers.is_open(to.address, live=job.live)
    order = await _order(job, model, tools, upstream, to, account)
    if not isinstance(order, Order):
        return order
    await faults.point("prepared")

    slot = await held.enter_async_context(SubmissionSlot(tools.limiters[job.model, job.live]))
    tools.submitting.add(job.id)
    held.callback(tools.submitting.discard, job.id)
    if stopped := _stopped(clock, inbox):  # the turn may have been long in coming
        return stopped
    if not probing and tools.breakers.is_open(to.address, live=job.live):  # since it was picked
        again = await _picked(job, model, tools)
        if again != to:
            return again if isinstance(again, Release) else Release(0.0, "another account takes it")
    http = VendorHttp(
        account,
        tools.outbound,
        model.submit_deadline_s,
        most_bytes=upstream.capabilities.most_answer_bytes,
        room=tools.long_answers,
    )
    held.callback(http.close)
    await faults.point("before_intent")
    return Ready(model, upstream, to, account, order, http, slot, model.submit_deadline_s)


def _stopped(clock: TaskClock, inbox: SignalInbox) -> Finish | None:
    if inbox.cancel_wanted:
        return Finish(error_code="canceled", error_message="canceled before it was sent to the vendor")
    if clock.left_s() <= 0:
        return Finish(error_code="deadline", error_message="the task could not be started in time")
    return None


def _has_inputs(job: Job, model: Model, tools: Tools) -> bool:
    """Whether there are media to prepare, by whichever route it goes."""
    if not model.media:
        return False
    upstreams = {route.upstream: tools.upstreams[route.upstream] for route in model.routes}
    params = job.decoded_params()
    return any(inputs.needed(tools.settings, model, upstream, params) for upstream in upstreams.values())


async def _picked(job: Job, model: Model, tools: Tools) -> Destination | Release:
    """Where it goes; or back to the queue while no account takes it, unless this task is the one to try."""
    picked = await until_answered(job.id, lambda: tools.routing.pick(model, job.tried, live=job.live))
    if isinstance(picked, Destination):
        return picked
    if picked == NO_ACCOUNT_RETRY_S:
        return Release(picked, "the operator has no account for this vendor")
    return Release(picked, "the vendor does not answer: waiting")


async def _order(
    job: Job, model: Model, tools: Tools, upstream: Upstream, to: Destination, account: VendorAccount
) -> Order | Release | Finish:
    """The order with its media as the vendor takes them, uploaded to it where it needs that."""
    attempt = job.attempt + 1
    try:
        media = await inputs.resolve(
            tools, model, upstream, job.decoded_params(), team_id=job.team_id, sandbox=account.sandbox
        )
    except BadMedia as error:
        return Finish(error_code="invalid_input", error_message=str(error))
    order = Order(
        f"{task_name(job.id)}-{attempt}",
        to.route,
        media.params,
        key=account.key,
        region=to.region,
        callback_url=tools.callbacks.url(account, job.id, attempt) if tools.callbacks else None,
        files=media.files,
    )
    if not (media.files and isinstance(upstream, TakesFiles)):
        return order
    try:
        answer = await upstream.prepare(order, VendorHttp(account, tools.outbound, _UPLOAD_TIMEOUT_S))
    except (NotSent, AnswerLost) as error:
        return await _elsewhere(job, model, tools, to, f"upload: {redact_text(str(error)) or type(error).__name__}")
    except UnmappedAnswer as error:
        answer = Busy(f"upload: {redact_text(str(error))}")
    match answer:
        case Order():
            return answer
        case Failed(code=code, message=message):
            return Finish(error_code=code, error_message=message)
        case Busy(reason=reason, operator=True):
            _LOG.error("the vendor refuses our account", model=job.model, account=to.address, reason=reason)
            return await _elsewhere(job, model, tools, to, reason)
        case Busy(reason=reason, retry_in_s=retry_in_s):
            return Release(_UPLOAD_RETRY_S if retry_in_s is None else retry_in_s, reason)


async def _elsewhere(job: Job, model: Model, tools: Tools, to: Destination, reason: str) -> Release:
    """The files cannot be put there, and no attempt says so: another account is next at once, or this one later."""
    tools.routing.refused(model, to, live=job.live)
    other = await tools.routing.has_other(model, (*job.tried, to.address), live=job.live)
    return Release(0.0 if other else _UPLOAD_RETRY_S, reason)
