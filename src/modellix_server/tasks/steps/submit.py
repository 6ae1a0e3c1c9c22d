"""Handing a task to its vendor: one paid POST, and what its answer, or the lack of one, means."""

from __future__ import annotations

import asyncio
from typing import Protocol, assert_never

from modellix_server.base import faults, log, tracing
from modellix_server.base.redaction import redact_text
from modellix_server.tasks import rules
from modellix_server.tasks.journal import AttemptRecord, Finish, Job, Move
from modellix_server.tasks.steps import Leave, Ready, Release, Store, Tools
from modellix_server.tasks.steps.store import nothing_delivered
from modellix_server.tasks.vendor_http import VendorHttp
from modellix_server.upstreams.contract import (
    AnswerLost,
    Busy,
    Done,
    Failed,
    NothingDelivered,
    NotSent,
    Submitted,
    Ticket,
    UnmappedAnswer,
)

_SERVER_FAULT = 500
_LOST = "the connection to the vendor was lost"
_UNCLEAR = "the vendor's answer does not say whether it took the task on"
_LOG = log.get("tasks")


class Fresh(Protocol):
    """Tells whether this worker may still believe that its tasks are its own."""

    def fresh(self) -> bool:
        """False when another worker may have taken over."""
        ...


async def submit(job: Job, ready: Ready, tools: Tools, lease: Fresh) -> Move | Store | Finish | Release | Leave:
    """Send the order once. What that leaves unclear ends the task as an unknown outcome: it is never sent again."""
    if not lease.fresh():
        return Leave()  # whoever took over has judged this submission already
    http, account = ready.http, ready.destination.address
    try:
        async with asyncio.timeout(ready.deadline_s):
            about = {"upstream": ready.upstream.name, "account": account, "attempt": str(job.attempt)}
            with tracing.timed("vendor submit", job.id, **about), ready.slot.at_the_vendor():
                answer = await ready.upstream.submit(ready.order, http)
    except NotSent as error:
        why = f"not sent: {error}"
        await tools.breakers.failed("submit", account, live=job.live, reason=why, connection=True)
        answer = Busy(why)
    except NothingDelivered as error:
        return nothing_delivered(error, AttemptRecord("done", http.status, http.words))
    except (AnswerLost, UnmappedAnswer, TimeoutError) as error:
        why = redact_text(str(error)) or type(error).__name__
        if http.status is None or http.status >= _SERVER_FAULT:
            await tools.breakers.failed("submit", account, live=job.live, reason=why)
        return outcome_unknown(job, why, http, unclear=isinstance(error, UnmappedAnswer))
    except Exception as error:  # noqa: BLE001 - a bug of ours after the POST proves nothing either
        _LOG.exception("adapter failed", upstream=ready.upstream.name)
        why = f"{type(error).__name__} in the adapter"
        return outcome_unknown(job, why, http)
    else:
        await _tell_breakers(answer, job, ready, tools)
    await faults.point("answer_understood")

    match answer:
        case Ticket(id=ticket):
            await faults.point("before_ticket")
            record = AttemptRecord("accepted", http.status, http.words)
            return Move("running", ticket=ticket, record=record, too_late=f"the vendor's id is {ticket}")
        case Done():
            return Store(answer, AttemptRecord("done", http.status, http.words))
        case Failed(code=code, message=message, unmapped=strange):
            record = AttemptRecord("refused", http.status, http.words)
            review = f"a refusal that the adapter does not know: {redact_text(strange)}" if strange else None
            return Finish(error_code=code, error_message=message, record=record, review=review)
        case Busy():
            return await _again(answer, job, ready, tools)
        case _:
            assert_never(answer)


async def _again(answer: Busy, job: Job, ready: Ready, tools: Tools) -> Release:
    """Nothing was accepted: the next attempt is another account's at once, or the same one's later."""
    http, account = ready.http, ready.destination.address
    if answer.operator:
        tools.routing.refused(ready.model, ready.destination, live=job.live)
        _LOG.error("the vendor refuses our account", model=job.model, account=account, reason=answer.reason)
    record = AttemptRecord("not_sent" if http.status is None else "busy", http.status, http.words)
    if await tools.routing.has_other(ready.model, (*job.tried, account), live=job.live):
        return Release(0.0, answer.reason, record)
    after_s = rules.retry_in_s(job.attempt) if answer.retry_in_s is None else answer.retry_in_s
    return Release(after_s, answer.reason, record)


async def _tell_breakers(answer: Submitted, job: Job, ready: Ready, tools: Tools) -> None:
    """What an answer says about the vendor, or about our account there."""
    account = ready.destination.address
    if isinstance(answer, Busy) and answer.operator:
        about = answer.reason
        await tools.breakers.failed("submit", account, live=job.live, reason=about, only_model=job.model)
    elif isinstance(answer, Busy) and (ready.http.status or 0) >= _SERVER_FAULT:
        await tools.breakers.failed("submit", account, live=job.live, reason=answer.reason)
    else:
        await tools.breakers.answered("submit", account, live=job.live)


def outcome_unknown(job: Job, why: str, http: VendorHttp | None = None, *, unclear: bool = False) -> Finish:
    """The POST may have left, or may have been accepted, and nobody knows. `unclear`: there is an answer."""
    _LOG.error("submission outcome unknown", task=str(job.id), model=job.model, why=why)
    return Finish(
        error_code="submission_outcome_unknown",
        error_message=f"{_UNCLEAR if unclear else _LOST}; the task was not charged and was not sent again",
        record=AttemptRecord("unknown", http.status, http.words) if http else AttemptRecord("unknown"),
        review=f"submission outcome unknown: {why}",
    )
