"""One look at a task that the vendor works on: until its verdict, or the deadline."""

from __future__ import annotations

import asyncio

from modellix_server.base import faults, log, tracing
from modellix_server.base.ids import task_name
from modellix_server.base.redaction import redact_text
from modellix_server.tasks import rules
from modellix_server.tasks.concurrency_limiter import Pace
from modellix_server.tasks.journal import Finish, Job, until_answered
from modellix_server.tasks.routing import Destination, VendorAccount
from modellix_server.tasks.steps import Store, TaskClock, Tools, Wait
from modellix_server.tasks.steps.store import nothing_delivered
from modellix_server.tasks.vendor_http import VendorHttp
from modellix_server.upstreams.contract import (
    AnswerLost,
    Cancels,
    Done,
    Failed,
    NothingDelivered,
    NotSent,
    Order,
    Pending,
    UnmappedAnswer,
    Upstream,
)

_POLL_TIMEOUT_S = 20.0
_SERVER_FAULT = 500
_LOG = log.get("tasks")


def next_look(job: Job, upstream: Upstream, clock: TaskClock) -> Wait:
    """When to look at a task of this age."""
    return Wait(rules.poll_in_s(clock.at_vendor_s(), upstream.capabilities, live=job.live))


async def poll(job: Job, to: Destination, upstream: Upstream, tools: Tools, clock: TaskClock) -> Wait | Store | Finish:
    """Ask the vendor once, when it is our turn."""
    last = clock.left_s() <= 0
    account = await until_answered(job.id, lambda: tools.routing.account(to, live=job.live))
    if account is None or job.ticket is None:
        answer: Pending | Done | Failed = Pending()
        alert = None
    else:
        if not account.sandbox:
            await _pace(upstream, account, tools).turn(tools.workers)
        try:
            answer, alert = await _ask_on(job, job.ticket, to, upstream, account, tools)
        except NothingDelivered as error:
            return nothing_delivered(error)
    await faults.point("poll_understood")
    match answer:
        case Done():
            return Store(answer)
        case Failed(code=code, message=message):
            return Finish(error_code=code, error_message=message)
        case Pending() if last:
            return Finish(error_code="deadline", error_message="the vendor did not finish in time", look_later=True)
        case Pending(progress=progress):
            return Wait(next_look(job, upstream, clock).seconds, progress, alert)


async def cancel(job: Job, to: Destination, upstream: Upstream, tools: Tools) -> Finish | Wait:
    """Ask the vendor once to stop. Without its clear word the task may run on and cost money."""
    account = await until_answered(job.id, lambda: tools.routing.account(to, live=job.live))
    stopped = False
    if account is not None and job.ticket is not None and isinstance(upstream, Cancels):
        http = VendorHttp(account, tools.outbound, _POLL_TIMEOUT_S)
        try:
            stopped = await upstream.cancel(job.ticket, _order(job, to, account), http)
        except (NotSent, AnswerLost, UnmappedAnswer) as error:
            _LOG.warning("cancel failed", task=str(job.id), error=redact_text(str(error)), words=http.words)
    if stopped:
        return Finish(error_code="canceled", error_message="the vendor stopped the task and charges nothing for it")
    return Wait(0, cancel_refused=True)


async def _ask_on(
    job: Job, ticket: str, to: Destination, upstream: Upstream, account: VendorAccount, tools: Tools
) -> tuple[Pending | Done | Failed, str | None]:
    """As `_ask`. Raises NothingDelivered when the vendor has finished and still names no file a little later."""
    tries = 0
    while True:
        try:
            async with tools.polling:
                return await _ask(job, ticket, to, upstream, account, tools)
        except NothingDelivered:
            tries += 1
            delay = rules.gone_retry_in_s(tries)
            if delay is None:
                raise
        await asyncio.sleep(delay)


async def _ask(
    job: Job, ticket: str, to: Destination, upstream: Upstream, account: VendorAccount, tools: Tools
) -> tuple[Pending | Done | Failed, str | None]:
    """What the vendor says; without a clear word, for whatever reason, the task is pending. And what to alert to."""
    http = VendorHttp(account, tools.outbound, _POLL_TIMEOUT_S)
    try:
        with tracing.timed("vendor poll", job.id, upstream=upstream.name):
            answer = await upstream.poll(ticket, _order(job, to, account), http)
    except (NotSent, AnswerLost) as error:
        why, connection = str(error) or type(error).__name__, isinstance(error, NotSent)
        _LOG.info("poll failed", task=str(job.id), error=why)
        await tools.breakers.failed("poll", to.address, live=job.live, reason=why, connection=connection)
    except NothingDelivered:
        await tools.breakers.answered("poll", to.address, live=job.live)
        raise
    except UnmappedAnswer as error:
        if (http.status or 0) >= _SERVER_FAULT:
            await tools.breakers.failed("poll", to.address, live=job.live, reason=str(error))
        return Pending(), f"{redact_text(str(error))} / {http.words}"
    else:
        await tools.breakers.answered("poll", to.address, live=job.live)
        return answer, None
    return Pending(), None


def _order(job: Job, to: Destination, account: VendorAccount) -> Order:
    name = f"{task_name(job.id)}-{job.attempt}"
    return Order(name, to.route, job.decoded_params(), key=account.key, region=to.region)


def _pace(upstream: Upstream, account: VendorAccount, tools: Tools) -> Pace:
    """Of a live account: vendors limit the queries of each."""
    if account.address not in tools.paces:
        tools.paces[account.address] = Pace(account.polls_per_s or upstream.capabilities.polls_per_s)
    return tools.paces[account.address]
