"""Handing a task to its vendor: one paid POST, and what its answer, or the lack of one, means."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import assert_never

from modellix_server.base import faults, log, tracing
from modellix_server.base.redaction import redact_text
from modellix_server.tasks import rules
from modellix_server.tasks.accounts import VendorAccount
from modellix_server.tasks.claimed import Over
from modellix_server.tasks.concurrency_limiter import SubmissionSlot
from modellix_server.tasks.delivery import DeliveryStep
from modellix_server.tasks.inputs import BadMedia
from modellix_server.tasks.vendor_http import VendorHttp
from modellix_server.upstreams.contract import (
    AnswerLost,
    Busy,
    Done,
    Failed,
    NotSent,
    Order,
    Submitted,
    TakesFiles,
    Ticket,
    UnmappedAnswer,
    Upstream,
)

_ACCOUNT_RETRY_S = 30.0
_UPLOAD_TIMEOUT_S = 30.0
_UPLOAD_RETRY_S = 15.0
_SERVER_FAULT = 500
_LOG = log.get("tasks")


class Submitting(DeliveryStep):
    """The first steps of a life: from the queue to the vendor's answer."""

    _probes = False

    async def _begin(self) -> None:
        await self._require_start()
        if self._tools.media.inputs.needed(self._model(), self._params()):
            await self._move("preparing")
        else:
            await self._submit()

    async def _submit(self) -> None:
        upstream, account = await self._upstream()
        if account is None:
            await self._requeue(_ACCOUNT_RETRY_S, note="the operator has no account for this vendor")
            raise Over
        async with self._tools.posting[self._job.model]:  # inputs too: nobody waits with megabytes in hand
            await self._require_vendor(upstream)
            await self._post(upstream, account, await self._prepared(upstream, account))
        if self._tools.draining:
            raise Over

    async def _prepared(self, upstream: Upstream, account: VendorAccount) -> Order:
        """The order with its media as the vendor takes them. All of it may be done again: nothing is paid for yet."""
        try:
            inputs = self._tools.media.inputs
            media = await inputs.resolve(self._model(), self._params(), sandbox=account.sandbox)
        except BadMedia as error:
            await self._fail("invalid_input", str(error))
        order = replace(
            self._order(account, media.params, self._attempt + 1),
            files=media.files,
            callback_url=self._callback_url(account),
        )
        if media.files and isinstance(upstream, TakesFiles):
            order = await self._uploaded(upstream, order, VendorHttp(account, self._tools.outbound, _UPLOAD_TIMEOUT_S))
        await faults.point("prepared")
        return order

    async def _uploaded(self, upstream: TakesFiles, order: Order, http: VendorHttp) -> Order:
        """The order with its files at the vendor; trouble on the way there is waited out in the queue."""
        try:
            answer: Order | Busy | Failed = await upstream.prepare(order, http)
        except (NotSent, AnswerLost, UnmappedAnswer) as error:
            answer = Busy(f"upload: {redact_text(str(error)) or type(error).__name__}")
        if isinstance(answer, Order):
            return answer
        if isinstance(answer, Failed):
            await self._fail(answer.code, answer.message)
        if answer.operator:
            _LOG.error("the vendor refuses our account", model=self._job.model, reason=answer.reason)
        await self._requeue(_UPLOAD_RETRY_S if answer.retry_in_s is None else answer.retry_in_s, note=answer.reason)
        raise Over

    async def _post(self, upstream: Upstream, account: VendorAccount, order: Order) -> None:
        async with SubmissionSlot(self._tools.window[self._job.model, self._job.live]) as post:
            http = VendorHttp(
                account,
                self._tools.outbound,
                self._model().submit_deadline_s,
                most_bytes=upstream.traits.most_answer_bytes,
                room=self._tools.long_answers,
            )
            self._tools.submitting.add(self._job.id)
            try:
                await self._require_start()  # the turn to post may have been long in coming
                await self._require_vendor(upstream)
                await faults.point("before_intent")
                await self._move("submitting", upstream=upstream.name)
                self._attempt += 1
                await faults.point("intent_committed")
                if not self._lease.fresh():
                    raise Over  # whoever took over has judged this submission already
                answer = await self._send(upstream, order, http, post)
                await faults.point("answer_understood")
                await self._take(answer, http)
            finally:
                http.close()
                self._tools.submitting.discard(self._job.id)

    def _callback_url(self, account: VendorAccount) -> str | None:
        callbacks = self._tools.callbacks
        return callbacks.url(account, self._job.id, self._attempt + 1) if callbacks else None

    async def _send(self, upstream: Upstream, order: Order, http: VendorHttp, post: SubmissionSlot) -> Submitted:
        """One POST. What it leaves unclear ends the task here, as an unknown outcome."""
        try:
            async with asyncio.timeout(self._model().submit_deadline_s):
                attempt = str(self._attempt)
                with (
                    tracing.timed("vendor submit", self._job.id, upstream=upstream.name, attempt=attempt),
                    post.at_the_vendor(),
                ):
                    answer = await upstream.submit(order, http)
        except NotSent as error:
            await self._unanswered("submit", upstream, f"not sent: {error}", even_in_test=True)
            return Busy(f"not sent: {error}")
        except (AnswerLost, UnmappedAnswer, TimeoutError) as error:
            why = redact_text(str(error)) or type(error).__name__
            if http.status is None or http.status >= _SERVER_FAULT:
                await self._unanswered("submit", upstream, why)
        except Exception as error:  # noqa: BLE001 - a bug of ours after the POST proves nothing either
            _LOG.exception("adapter failed", upstream=upstream.name)
            why = f"{type(error).__name__} in the adapter"
        else:
            await self._judge(upstream, answer, http.status)
            return answer
        await self._unknown_outcome(why, http)
        raise Over

    async def _judge(self, upstream: Upstream, answer: Submitted, status: int | None) -> None:
        """What an answer says about the vendor, or about our account there."""
        if isinstance(answer, Busy) and answer.operator:
            await self._unanswered("submit", upstream, answer.reason, only_model=self._job.model)
        elif isinstance(answer, Busy) and (status or 0) >= _SERVER_FAULT:
            await self._unanswered("submit", upstream, answer.reason)
        else:
            await self._tools.breakers.answered("submit", upstream.name, live=self._job.live)

    async def _require_vendor(self, upstream: Upstream) -> None:
        """Wait in the queue while the vendor does not answer, unless this is the one to try."""
        if self._probes:
            return
        breakers, live = self._tools.breakers, self._job.live
        was_open = breakers.is_open(upstream.name, live=live)
        wait_s = await self._asked(lambda: breakers.wait_s(upstream.name, live=live))
        if wait_s is not None:
            await self._requeue(wait_s, note="the vendor does not answer: waiting")
            raise Over
        self._probes = was_open

    async def _take(self, answer: Submitted, http: VendorHttp) -> None:
        """Write down what the vendor said to a submission."""
        said = {"status": http.status, "answer": http.words}
        match answer:
            case Ticket(id=ticket):
                await faults.point("before_ticket")
                if not await self._moved("running", ticket=ticket, outcome="accepted", **said):
                    await self._too_late(f"the vendor's id is {ticket}", ticket)
                self._ticket = ticket
                await faults.point("ticket_committed")
            case Done():
                await self._delivered(answer, outcome="done", **said)
            case Failed(code=code, message=message):
                await self._fail(code, message, outcome="refused", **said)
            case Busy(reason=reason, retry_in_s=retry_in_s, operator=operator):
                if operator:
                    _LOG.error("the vendor refuses our account", model=self._job.model, reason=reason)
                outcome = "not_sent" if http.status is None else "busy"
                delay = retry_in_s if retry_in_s is not None else rules.retry_in_s(self._attempt)
                await self._requeue(delay, note=reason, outcome=outcome, **said)
                raise Over
            case _:
                assert_never(answer)

    async def _found_submitting(self) -> None:
        """Left behind by a worker that died after its intent: the POST may have left."""
        if rules.may_be_sent_again(self._state):
            await self._submit()
        else:
            await self._unknown_outcome("the worker was lost before it recorded the vendor's answer", None)

    async def _unknown_outcome(self, why: str, http: VendorHttp | None) -> None:
        _LOG.error("submission outcome unknown", task=str(self._job.id), model=self._job.model, why=why)
        await self._fail(
            "submission_outcome_unknown",
            "the connection to the vendor was lost; the task was not charged and was not sent again",
            outcome="unknown",
            status=http.status if http else None,
            answer=http.words if http else None,
            review=f"submission outcome unknown: {why}",
        )

    async def _require_start(self) -> None:
        if self._unwanted:
            await self._fail("canceled", "canceled before it was sent to the vendor")
        if time.monotonic() >= self._dies:
            await self._fail("deadline", "the task could not be started in time")
