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
from modellix_server.tasks.routing import VendorAccount
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

_ACCOUNT_RETRY_S = 30.0
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
    upstream = tools.upstreams[model.routes[0].upstream]
    if job.state == "queued" and inputs.needed(tools.settings, model, upstream, job.decoded_params()):
        return Move("preparing")
    account = await until_answered(job.id, tools.find_account, upstream.name, job.live)
    if account is None:
        return Release(_ACCOUNT_RETRY_S, "the operator has no account for this vendor")

    await held.enter_async_context(tools.posting[job.model])  # inputs too: nobody waits with megabytes in hand
    probing = tools.breakers.is_open(upstream.name, live=job.live)
    if away := await _vendor_away(job, tools, upstream):
        return away
    order = await _order(job, model, tools, upstream, account)
    if not isinstance(order, Order):
        return order
    await faults.point("prepared")

    slot = await held.enter_async_context(SubmissionSlot(tools.limiters[job.model, job.live]))
    tools.submitting.add(job.id)
    held.callback(tools.submitting.discard, job.id)
    if stopped := _stopped(clock, inbox):  # the turn may have been long in coming
        return stopped
    if not probing and (away := await _vendor_away(job, tools, upstream)):
        return away
    http = VendorHttp(
        account,
        tools.outbound,
        model.submit_deadline_s,
        most_bytes=upstream.capabilities.most_answer_bytes,
        room=tools.long_answers,
    )
    held.callback(http.close)
    await faults.point("before_intent")
    return Ready(upstream, account, order, http, slot, model.submit_deadline_s)


def _stopped(clock: TaskClock, inbox: SignalInbox) -> Finish | None:
    if inbox.cancel_wanted:
        return Finish(error_code="canceled", error_message="canceled before it was sent to the vendor")
    if clock.left_s() <= 0:
        return Finish(error_code="deadline", error_message="the task could not be started in time")
    return None


async def _vendor_away(job: Job, tools: Tools, upstream: Upstream) -> Release | None:
    """A wait in the queue while the vendor does not answer, unless this task is the one to try."""
    wait_s = await until_answered(job.id, lambda: tools.breakers.wait_s(upstream.name, live=job.live))
    return None if wait_s is None else Release(wait_s, "the vendor does not answer: waiting")


async def _order(
    job: Job, model: Model, tools: Tools, upstream: Upstream, account: VendorAccount
) -> Order | Release | Finish:
    """The order with its media as the vendor takes them, uploaded to it where it needs that."""
    attempt = job.attempt + 1
    try:
        media = await inputs.resolve(tools, model, upstream, job.decoded_params(), sandbox=account.sandbox)
    except BadMedia as error:
        return Finish(error_code="invalid_input", error_message=str(error))
    order = Order(
        f"{task_name(job.id)}-{attempt}",
        model.routes[0],
        media.params,
        key=account.key,
        region=account.region,
        callback_url=tools.callbacks.url(account, job.id, attempt) if tools.callbacks else None,
        files=media.files,
    )
    if not (media.files and isinstance(upstream, TakesFiles)):
        return order
    try:
        answer = await upstream.prepare(order, VendorHttp(account, tools.outbound, _UPLOAD_TIMEOUT_S))
    except (NotSent, AnswerLost, UnmappedAnswer) as error:
        answer = Busy(f"upload: {redact_text(str(error)) or type(error).__name__}")
    match answer:
        case Order():
            return answer
        case Failed(code=code, message=message):
            return Finish(error_code=code, error_message=message)
        case Busy(reason=reason, retry_in_s=retry_in_s, operator=operator):
            if operator:
                _LOG.error("the vendor refuses our account", model=job.model, reason=reason)
            return Release(_UPLOAD_RETRY_S if retry_in_s is None else retry_in_s, reason)
