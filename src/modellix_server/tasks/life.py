"""The life of one claimed task: from the state it was found in to its end, or back to the queue."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NoReturn, Protocol, TypeVar, assert_never

import msgspec

from modellix_server.base import faults, log
from modellix_server.base.database import DATABASE_ERRORS, refused
from modellix_server.base.ids import task_name
from modellix_server.catalogue import Model
from modellix_server.requestlog import redact_text
from modellix_server.tasks import rules, store
from modellix_server.tasks.accounts import Account, Pace
from modellix_server.tasks.media import BadMedia
from modellix_server.tasks.store import Ending, Job, Move
from modellix_server.tasks.tools import Tools
from modellix_server.tasks.vendor_http import VendorHttp
from modellix_server.upstreams.contract import (
    AnswerLost,
    Busy,
    Done,
    Failed,
    NotSent,
    Order,
    Pending,
    Polled,
    Submitted,
    Ticket,
    UnmappedAnswer,
    Upstream,
)

_POLL_TIMEOUT_S = 20.0
_ACCOUNT_RETRY_S = 30.0
_BROKEN_RETRY_S = 30.0
_DATABASE_RETRY_S = 0.5
_STORE_AT_LEAST_S = 300.0  # for a result that came just before the deadline
_LOG = log.get("tasks")

Result = TypeVar("Result")


class Fresh(Protocol):
    """Tells whether this worker may still believe that its tasks are its own."""

    def fresh(self) -> bool:
        """False when another worker may have taken over."""
        ...


class Over(Exception):
    """This life is over: the task ended, went back to the queue, or belongs to somebody else."""


class Life:
    """One claimed task. Every step ends in a written state move, or in `Over`."""

    def __init__(self, job: Job, tools: Tools, lease: Fresh) -> None:
        self._job = job
        self._tools = tools
        self._lease = lease
        self._state = job.state
        self._ticket = job.ticket
        self._verdict = job.verdict
        self._attempt = job.attempt
        self._born = time.monotonic() - job.age_s
        self._dies = time.monotonic() + job.left_s
        self._alerted = False

    async def run(self) -> None:
        """Live until the task ends or leaves this worker."""
        steps: dict[str, Callable[[], Awaitable[None]]] = {
            "queued": self._begin,
            "preparing": self._submit,
            "submitting": self._found_submitting,
            "running": self._watch,
            "storing": self._store,
        }
        with contextlib.suppress(Over):
            try:
                while True:
                    await steps[self._state]()
            except Over:
                raise
            except Exception as error:  # noqa: BLE001 - whatever it is, the task must come to an end
                await self._break_off(error)

    # Steps, in the order of a life.

    async def _begin(self) -> None:
        await self._require_time()
        if self._tools.media.needed(self._model(), self._params()):
            await self._move("preparing")
        else:
            await self._submit()

    async def _submit(self) -> None:
        upstream, account = await self._upstream()
        if account is None:
            await self._requeue(_ACCOUNT_RETRY_S, note="the operator has no account for this vendor")
            raise Over
        async with self._tools.posting[self._job.model]:  # inputs too: nobody waits with megabytes in hand
            await self._post(upstream, account, await self._inputs())
        if self._tools.draining:
            raise Over

    async def _inputs(self) -> Mapping[str, Any]:
        """The parameters as the vendor gets them."""
        try:
            params = await self._tools.media.resolve(self._model(), self._params())
        except BadMedia as error:
            await self._fail("invalid_input", str(error))
        faults.point("prepared")
        return params

    async def _post(self, upstream: Upstream, account: Account, params: Mapping[str, Any]) -> None:
        order = self._order(account, params, self._attempt + 1)
        http = VendorHttp(account, self._tools.outbound, self._model().submit_deadline_s)
        self._tools.submitting.add(self._job.id)
        try:
            await self._require_time()  # the turn to post may have been long in coming
            faults.point("before_intent")
            await self._move("submitting", upstream=upstream.name)
            self._attempt += 1
            faults.point("intent_committed")
            if not self._lease.fresh():
                raise Over  # whoever took over has judged this submission already
            answer = await self._send(upstream, order, http)
            faults.point("answer_understood")
            await self._take(answer, http)
        finally:
            self._tools.submitting.discard(self._job.id)

    async def _send(self, upstream: Upstream, order: Order, http: VendorHttp) -> Submitted:
        """One POST. What it leaves unclear ends the task here, as an unknown outcome."""
        try:
            async with asyncio.timeout(self._model().submit_deadline_s):
                return await upstream.submit(order, http)
        except NotSent as error:
            return Busy(f"not sent: {error}")
        except (AnswerLost, UnmappedAnswer, TimeoutError) as error:
            why = redact_text(str(error)) or type(error).__name__
        except Exception as error:  # noqa: BLE001 - a bug of ours after the POST proves nothing either
            _LOG.exception("adapter failed", upstream=upstream.name)
            why = f"{type(error).__name__} in the adapter"
        await self._unknown_outcome(why, http)
        raise Over

    async def _take(self, answer: Submitted, http: VendorHttp) -> None:
        """Write down what the vendor said to a submission."""
        said = {"status": http.status, "answer": http.words}
        match answer:
            case Ticket(id=ticket):
                faults.point("before_ticket")
                if not await self._moved("running", ticket=ticket, outcome="accepted", **said):
                    await self._too_late(f"the vendor's id is {ticket}")
                self._ticket = ticket
                faults.point("ticket_committed")
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

    async def _watch(self) -> None:
        upstream, _ = await self._upstream()
        traits = upstream.traits if self._job.live else rules.hurried(upstream.traits)
        wait = rules.poll_in_s(self._age(), traits)
        if self._state == self._job.state:  # found running: thousands may be, so spread their first look
            wait *= random.random()  # noqa: S311 - not a secret
        while True:
            await asyncio.sleep(max(0.0, min(wait, self._dies - time.monotonic())))
            last_look = time.monotonic() >= self._dies
            answer = await self._look(upstream)
            faults.point("poll_understood")
            match answer:
                case Pending() | None:
                    if last_look:
                        await self._fail("deadline", "the vendor did not finish in time")
                case Done():
                    await self._delivered(answer)
                    return
                case Failed(code=code, message=message):
                    await self._fail(code, message)
                case _:
                    assert_never(answer)
            wait = rules.poll_in_s(self._age(), traits)

    async def _look(self, upstream: Upstream) -> Polled | None:
        """One poll, when it is our turn."""
        if pace := await self._pace(upstream):
            await pace.turn()
        async with self._tools.polling:
            return await self._poll(upstream)

    async def _poll(self, upstream: Upstream) -> Polled | None:
        """One look; None when it gave no verdict, for whatever reason."""
        account = await self._account(upstream)
        if account is None or self._ticket is None:
            return None
        http = VendorHttp(account, self._tools.outbound, _POLL_TIMEOUT_S)
        order = self._order(account, self._params(), self._attempt)
        try:
            return await upstream.poll(self._ticket, order, http)
        except (NotSent, AnswerLost) as error:
            _LOG.info("poll failed", task=str(self._job.id), error=str(error) or type(error).__name__)
        except UnmappedAnswer as error:
            if not self._alerted:
                self._alerted = True
                what = redact_text(str(error))
                _LOG.error("unmapped answer", task=str(self._job.id), model=self._job.model, error=what)
                await self._review("unmapped answer", f"{what} / {http.words}")
        return None

    async def _delivered(self, done: Done, **said: Any) -> None:
        faults.point("before_verdict")
        self._verdict = msgspec.json.encode(done).decode()
        if not await self._moved("storing", verdict=self._verdict, **said):
            await self._too_late(f"the vendor delivered {done.measured}, request {done.request_id}")
        faults.point("verdict_committed")

    async def _store(self) -> None:
        assert self._verdict is not None
        done = msgspec.json.decode(self._verdict, type=Done)
        _, account = await self._upstream()
        try:
            until = max(self._dies, time.monotonic() + _STORE_AT_LEAST_S)
            stored = await self._tools.media.keep(self._job.id, done, account, until)
        except BadMedia as error:
            why = f"result unavailable: {error}"
            # The files go only once the task has ended here: another worker may have stored them for good.
            if await self._ended(error_code="result_unavailable", error_message=str(error), review=why):
                await self._tools.media.forget(self._job.id)
            raise Over from None
        else:
            faults.point("result_stored")
            charge = rules.charge(self._job.price, done.measured, stored.counted)
            await self._end(
                capture=charge.micros,
                resources=msgspec.json.encode(stored).decode(),
                bytes=stored.bytes,
                review=charge.review,
            )

    # What the steps are made of.

    def _age(self) -> float:
        return time.monotonic() - self._born

    def _params(self) -> dict[str, Any]:
        params: dict[str, Any] = msgspec.json.decode(self._job.params)
        return params

    def _model(self) -> Model:
        return self._tools.catalogue.models[self._job.model]

    async def _upstream(self) -> tuple[Upstream, Account | None]:
        upstream = self._tools.upstreams[self._model().routes[0].upstream]
        return upstream, await self._account(upstream)

    async def _account(self, upstream: Upstream) -> Account | None:
        return await self._asked(self._tools.find_account, upstream.name, self._job.live)

    def _order(self, account: Account, params: Mapping[str, Any], attempt: int) -> Order:
        name = f"{task_name(self._job.id)}-{attempt}"
        return Order(name, self._model().routes[0], params, key=account.key, region=account.region)

    async def _pace(self, upstream: Upstream) -> Pace | None:
        account = await self._account(upstream)
        if account is None or account.sandbox:
            return None
        slot = (upstream.name, self._job.live)
        if slot not in self._tools.paces:
            self._tools.paces[slot] = Pace(account.polls_per_s or upstream.traits.polls_per_s)
        return self._tools.paces[slot]

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

    async def _too_late(self, what: str) -> None:
        """The task was judged without this answer, which the operator's books with the vendor will show."""
        await self._review("late answer", what)
        raise Over

    async def _review(self, reason: str, detail: str) -> None:
        await self._asked(store.review, self._tools.db, self._job.id, reason, detail)

    async def _require_time(self) -> None:
        if time.monotonic() >= self._dies:
            await self._fail("deadline", "the task could not be started in time")

    async def _break_off(self, error: Exception) -> None:
        """Nobody foresaw this: look again later, until there is no time left. After an intent nothing is certain."""
        _LOG.error("a task's life broke off", task=str(self._job.id), state=self._state, exc_info=error)
        why = f"{type(error).__name__} while {self._state}"
        more_s = _STORE_AT_LEAST_S if self._state == "storing" else 0.0
        if self._state == "submitting":
            await self._unknown_outcome(why, None)
        elif time.monotonic() < self._dies + more_s:
            await self._move(self._state, due_in_s=_BROKEN_RETRY_S, note=f"broke off: {why}")
        else:
            await self._fail("deadline", "the task could not be finished in time", review=f"broke off: {why}")

    async def _requeue(self, delay_s: float, **about: Any) -> None:
        due_in_s = max(0.0, min(delay_s, self._dies - time.monotonic()))
        await self._move("queued", due_in_s=due_in_s, **about)

    async def _move(self, becomes: str, **about: Any) -> None:
        if not await self._moved(becomes, **about):
            raise Over

    async def _moved(self, becomes: str, **about: Any) -> bool:
        """Whether the task was still ours to move."""
        move = Move(self._job.id, self._job.epoch, self._state, becomes, **about)
        moved = await self._asked(self._tools.journal.advance, move)
        if moved:
            self._state = becomes
        return moved

    async def _fail(self, code: str, message: str, **about: Any) -> NoReturn:
        await self._end(error_code=code, error_message=message, **about)

    async def _end(self, **about: Any) -> NoReturn:
        await self._ended(**about)
        raise Over

    async def _ended(self, **about: Any) -> bool:
        """Whether the task was still ours to end."""
        job = self._job
        ending = Ending(job.id, job.epoch, self._state, job.team_id, job.live, **about)
        faults.point("before_settle")
        ended = await self._asked(self._tools.journal.settle, ending)
        faults.point("settled")
        return ended

    async def _asked(self, ask: Callable[..., Awaitable[Result]], *about: Any) -> Result:
        """Ask until the database has answered; a move that went through unseen is known again by its epoch."""
        while True:
            try:
                return await ask(*about)
            except DATABASE_ERRORS as error:
                if refused(error):
                    raise
                _LOG.warning("the database does not answer", task=str(self._job.id), error=type(error).__name__)
            await asyncio.sleep(_DATABASE_RETRY_S)
