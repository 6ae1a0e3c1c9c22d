"""Runs one claimed task: asks the step of its state what happens next, and writes that down, until the task leaves.

Here alone a claimed task changes: what a step returns is applied by compare-and-set through the journal, so that a
worker which has lost a task changes nothing.
"""

from __future__ import annotations

import contextlib
import random
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import assert_never

from msgspec import structs

from modellix_server.base import faults, log, tracing
from modellix_server.base.database import DATABASE_ERRORS
from modellix_server.base.metrics import Counter
from modellix_server.base.redaction import redact_text
from modellix_server.tasks import rules
from modellix_server.tasks.journal import Finish, Job, Move, until_answered
from modellix_server.tasks.late_results import look_later
from modellix_server.tasks.routing import NO_ACCOUNT_RETRY_S, Destination
from modellix_server.tasks.signals import SignalInbox
from modellix_server.tasks.steps import Leave, Outcome, Ready, Release, Store, TaskClock, Tools, Wait
from modellix_server.tasks.steps.poll import cancel, next_look, poll
from modellix_server.tasks.steps.prepare import prepare
from modellix_server.tasks.steps.store import STORE_AT_LEAST_S, forget, put_down, store
from modellix_server.tasks.steps.submit import Fresh, outcome_unknown, submit
from modellix_server.tasks.store import refuse_cancel, review

_BROKEN_RETRY_S = 30.0
_LOG = log.get("tasks")
_MOVES = Counter("modellix_task_moves_total", "Moves of tasks between unfinished states.", ("to",))
_ENDED = Counter(
    "modellix_tasks_ended_total", "Ended tasks; the code of a success is empty.", ("model", "upstream", "mode", "code")
)


class Executor:
    """One claimed task in the hands of its worker."""

    def __init__(self, job: Job, tools: Tools, lease: Fresh) -> None:
        self._job = job
        self._tools = tools
        self._lease = lease
        self._clock = TaskClock(job.age_s, job.left_s)
        self.inbox = SignalInbox(job.attempt, cancel_wanted=job.cancel == "asked")
        """For what is heard of the task from outside."""
        self._ready: Ready | None = None
        """The order whose intent is on record."""
        self._held = AsyncExitStack()
        """Its turns, until what came of it is on record."""
        self._watched = False
        self._moved = False
        self._alerted = False
        self._progress: float | None = None

    async def run(self) -> None:
        """Carry the task on until it has ended, has gone back to the queue, or is somebody else's."""
        try:
            outcome = self._quarantined() or await self._step()
            while await self._apply(outcome):
                if self._tools.draining and self._ready is None:
                    return
                outcome = await self._step()
        except Exception as error:  # noqa: BLE001 - whatever it is, the task must come to an end
            _LOG.error("a task broke off", task=str(self._job.id), state=self._job.state, exc_info=error)
            await self._apply(self._broken_off(error))
        finally:
            await self._held.aclose()

    async def _step(self) -> Outcome:
        """Ask the step of the task's state."""
        job, tools, clock = self._job, self._tools, self._clock
        if self._ready is not None:
            ready, self._ready = self._ready, None
            return await submit(job, ready, tools, self._lease)
        if job.state == "submitting" and not rules.may_be_sent_again(job.state):
            return outcome_unknown(job, "the worker was lost before it recorded the vendor's answer")
        if job.state in ("queued", "preparing", "submitting"):
            return await prepare(job, tools.catalogue.models[job.model], tools, clock, self.inbox, self._held)
        to = await self._destination()
        if job.state == "storing":
            account = await until_answered(job.id, lambda: tools.routing.account(to, live=job.live)) if to else None
            return await store(job, account, tools, clock)
        if to is None:  # a version made the attempt that did not record this, and the account is gone
            return self._out_of_reach()
        upstream = tools.upstreams[to.route.upstream]
        if not self._watched:
            self._watched = True
            wait = next_look(job, upstream, clock)
            if not self._moved:  # found running: thousands may be, so spread their first look
                return replace(wait, seconds=wait.seconds * random.random())  # noqa: S311 - not a secret
            return wait
        if self.inbox.cancel_wanted:
            return await cancel(job, to, upstream, tools)
        return await poll(job, to, upstream, tools, clock)

    async def _destination(self) -> Destination | None:
        """Where its attempt went."""
        job, routing = self._job, self._tools.routing
        if job.destination is None:
            model = self._tools.catalogue.models[job.model]
            self._job = structs.replace(
                job, destination=await until_answered(job.id, lambda: routing.former(model, live=job.live))
            )
        return self._job.destination

    def _out_of_reach(self) -> Move | Finish:
        """Its vendor cannot be asked now: the task keeps its state and ticket, and is never sent again."""
        if (left_s := self._clock.left_s()) > 0:
            note = "the vendor account of this task cannot be used"
            return Move(self._job.state, due_in_s=min(NO_ACCOUNT_RETRY_S, left_s), note=note)
        return Finish(error_code="deadline", error_message="the vendor did not finish in time", look_later=True)

    async def _apply(self, outcome: Outcome) -> bool:
        """Write down what a step said, if the task is still ours; whether it stays in this worker's hands."""
        match outcome:
            case Wait():
                await self._wait(outcome)
                return True
            case Ready():
                intent = await until_answered(self._job.id, self._tools.journal.intent, outcome.destination)
                if not await self._move(intent):
                    return False
                self._job = structs.replace(self._job, destination=outcome.destination)
                self._ready = outcome
                await faults.point("intent_committed")
                return True
            case Store():
                return await self._apply(await put_down(self._job, outcome, self._tools))
            case Move():
                return await self._move(outcome) and outcome.due_in_s is None
            case Release(after_s=after_s, note=note, record=record):
                due_in_s = max(0.0, min(after_s, self._clock.left_s()))
                await self._move(Move("queued", due_in_s=due_in_s, note=note, record=record))
                return False
            case Finish():
                await self._finish(outcome)
                return False
            case Leave():
                return False
            case _:
                assert_never(outcome)

    async def _move(self, move: Move) -> bool:
        """Whether the task was still ours to move."""
        job = self._job
        if not await until_answered(job.id, self._tools.journal.advance, (job, move)):
            if move.too_late is not None:  # the operator's books with the vendor will show it
                await self._review("late answer", move.too_late)
                await self._look_later(move.ticket)
            return False
        _MOVES[move.becomes,] += 1
        self._moved = True
        self._job = structs.replace(
            job,
            state=move.becomes,
            attempt=job.attempt + (move.becomes == "submitting"),
            ticket=move.ticket or job.ticket,
            verdict=move.verdict or job.verdict,
        )
        self.inbox.attempt = self._job.attempt
        if move.becomes == "running":
            self._clock.submitted()
            await faults.point("ticket_committed")
        elif move.becomes == "storing":
            await faults.point("verdict_committed")
        if move.becomes not in ("preparing", "submitting"):
            await self._held.aclose()
        return True

    async def _finish(self, ending: Finish) -> None:
        """End the task, unless it is not ours any more."""
        job = self._job
        for what in ending.left_out:
            await self._review("file left out", what)
        if ending.look_later:  # noted first, so that a crash in between forgets nothing
            await self._look_later(job.ticket)
        if ending.error_message is not None:
            ending = structs.replace(ending, error_message=redact_text(ending.error_message))
        await faults.point("before_settle")
        with tracing.timed("settle", job.id):
            ended = await until_answered(job.id, self._tools.journal.settle, (job, ending))
        await faults.point("settled")
        if not ended:
            return
        if ending.discard_files:  # only now: another worker may have stored them for good
            await forget(job.id, self._tools)
        upstream = job.destination.route.upstream if job.destination else ""
        mode, code = "live" if job.live else "test", ending.error_code
        _ENDED[job.model, upstream, mode, code or ""] += 1
        if tracing.on():
            about = {"model": job.model, "upstream": upstream, "mode": mode, "error": code}
            failed = code is not None
            tracing.record_root(job.id, self._clock.age_s(), failed=failed, request_id=job.request_id, **about)

    async def _wait(self, wait: Wait) -> None:
        job, tools = self._job, self._tools
        if wait.cancel_refused:
            await until_answered(job.id, refuse_cancel, tools.db, job.id, job.epoch)
            self.inbox.cancel_wanted = False
        if wait.alert is not None and not self._alerted:
            self._alerted = True
            _LOG.error("unmapped answer", task=str(job.id), model=job.model, error=wait.alert)
            await self._review("unmapped answer", wait.alert)
        if wait.progress is not None and wait.progress != self._progress:
            self._progress = wait.progress
            with contextlib.suppress(*DATABASE_ERRORS):  # news for who follows the task: not worth a second try
                await tools.journal.progress((job.id, wait.progress))
        await self.inbox.wait(max(0.0, min(wait.seconds, self._clock.left_s())))

    def _quarantined(self) -> Finish | None:
        """Each worker that handles this task dies: let it be the last, whatever became of it at the vendor."""
        job = self._job
        if not rules.deadly(job.deaths) or job.state == "submitting":
            return None
        _LOG.error("a task is set aside", task=str(job.id), state=job.state, deaths=job.deaths)
        return Finish(
            error_code="quarantined",
            error_message="handling this task failed again and again; it was set aside and not charged",
            review=f"quarantined: {job.deaths} workers died of this task while {job.state}",
            look_later=True,
        )

    def _broken_off(self, error: Exception) -> Move | Finish:
        """Nobody foresaw this: look again later, until there is no time left. After an intent nothing is certain."""
        job = self._job
        why = f"{type(error).__name__} while {job.state}"
        if job.state == "submitting":
            return outcome_unknown(job, why)
        more_s = STORE_AT_LEAST_S if job.state == "storing" else 0.0
        if self._clock.left_s() + more_s > 0:
            return Move(job.state, due_in_s=_BROKEN_RETRY_S, note=f"broke off: {why}")
        return Finish(
            error_code="deadline",
            error_message="the task could not be finished in time",
            review=f"broke off: {why}",
            look_later=True,
        )

    async def _look_later(self, ticket: str | None) -> None:
        job = self._job
        if ticket is not None:
            await until_answered(job.id, look_later, self._tools.db, job.id, job.attempt, ticket)

    async def _review(self, reason: str, detail: str) -> None:
        await until_answered(self._job.id, review, self._tools.db, self._job.id, reason, detail)
