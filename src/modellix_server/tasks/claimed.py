"""A claimed task as its worker holds it: what it knows, its state moves and its end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NoReturn, Protocol, TypeVar

import msgspec

from modellix_server.base import faults, log, tracing
from modellix_server.base.database import DATABASE_ERRORS, refused
from modellix_server.base.ids import task_name
from modellix_server.base.metrics import Counter
from modellix_server.base.redaction import redact_text
from modellix_server.catalogue import Model
from modellix_server.tasks import store
from modellix_server.tasks.accounts import VendorAccount
from modellix_server.tasks.breakers import Kind
from modellix_server.tasks.late_results import look_later
from modellix_server.tasks.signals import Signal
from modellix_server.tasks.store import Ending, Job, Move
from modellix_server.tasks.tools import Tools
from modellix_server.upstreams.contract import Order, Upstream

_DATABASE_RETRY_S = 0.5
_LOG = log.get("tasks")
_MOVES = Counter("modellix_task_moves_total", "Moves of tasks between unfinished states.", ("to",))
_ENDED = Counter(
    "modellix_tasks_ended_total", "Ended tasks; the code of a success is empty.", ("model", "upstream", "mode", "code")
)

Result = TypeVar("Result")


class Fresh(Protocol):
    """Tells whether this worker may still believe that its tasks are its own."""

    def fresh(self) -> bool:
        """False when another worker may have taken over."""
        ...


class Over(Exception):
    """This life is over: the task ended, went back to the queue, or belongs to somebody else."""


class Claimed:
    """One claimed task: what every step of its life is made of."""

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
        self._unwanted = job.cancel == "asked"
        self._nudged = False
        self._waiting: asyncio.Future[None] | None = None

    def nudge(self, nudge: Signal) -> None:
        """Somebody outside knows of news, or wants an end: cut the present wait short, or the next one."""
        if nudge.attempt is None:
            self._unwanted = True
        elif nudge.attempt == self._attempt:
            self._nudged = True
        else:
            return
        self._wake()

    def _wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    async def _wait(self, seconds: float) -> None:
        """Sleep, unless there is news."""
        loop = asyncio.get_running_loop()
        self._waiting = waiting = loop.create_future()
        timer = loop.call_later(seconds, self._wake)
        try:
            if not (self._nudged or self._unwanted):
                await waiting
        finally:
            timer.cancel()
            self._waiting = None

    def _age(self) -> float:
        return time.monotonic() - self._born

    def _params(self) -> dict[str, Any]:
        params: dict[str, Any] = msgspec.json.decode(self._job.params)
        return params

    def _model(self) -> Model:
        return self._tools.catalogue.models[self._job.model]

    async def _upstream(self) -> tuple[Upstream, VendorAccount | None]:
        upstream = self._tools.upstreams[self._model().routes[0].upstream]
        return upstream, await self._account(upstream)

    async def _account(self, upstream: Upstream) -> VendorAccount | None:
        return await self._asked(self._tools.find_account, upstream.name, self._job.live)

    def _order(self, account: VendorAccount, params: Mapping[str, Any], attempt: int) -> Order:
        name = f"{task_name(self._job.id)}-{attempt}"
        return Order(name, self._model().routes[0], params, key=account.key, region=account.region)

    async def _too_late(self, what: str, ticket: str | None = None) -> None:
        """The task was judged without this answer, which the operator's books with the vendor will show."""
        await self._review("late answer", what)
        await self._look_later(ticket)
        raise Over

    async def _look_later(self, ticket: str | None) -> None:
        """The vendor may still deliver, and charge, what ends here without it."""
        if ticket is not None:
            await self._asked(look_later, self._tools.db, self._job.id, self._attempt, ticket)

    async def _review(self, reason: str, detail: str) -> None:
        await self._asked(store.review, self._tools.db, self._job.id, reason, detail)

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
            _MOVES[becomes,] += 1
        return moved

    async def _fail(self, code: str, message: str, **about: Any) -> NoReturn:
        await self._end(error_code=code, error_message=redact_text(message), **about)

    async def _end(self, **about: Any) -> NoReturn:
        await self._ended(**about)
        raise Over

    async def _ended(self, **about: Any) -> bool:
        """Whether the task was still ours to end."""
        job = self._job
        ending = Ending(job.id, job.epoch, self._state, job.team_id, job.live, **about)
        await faults.point("before_settle")
        with tracing.timed("settle", job.id):
            ended = await self._asked(self._tools.journal.settle, ending)
        await faults.point("settled")
        if ended:
            model = self._tools.catalogue.models.get(job.model)
            upstream = model.routes[0].upstream if model else ""
            mode, code = "live" if job.live else "test", ending.error_code
            _ENDED[job.model, upstream, mode, code or ""] += 1
            if tracing.on():
                about = {"model": job.model, "upstream": upstream, "mode": mode, "error": code}
                request_id, failed = job.request_id, code is not None
                tracing.record_root(job.id, self._age(), failed=failed, request_id=request_id, **about)
        return ended

    async def _unanswered(
        self, kind: Kind, upstream: Upstream, why: str, *, only_model: str | None = None, even_in_test: bool = False
    ) -> None:
        """The vendor gave no proper answer. In test mode most such answers were asked for in the prompt."""
        live = self._job.live
        if live or even_in_test:
            await self._tools.breakers.failed(kind, upstream.name, live=live, reason=why, only_model=only_model)

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
