"""From an accepted submission to its outcome: the task's states, the making, the charge."""

import asyncio
import time
from dataclasses import dataclass, field
from typing import Literal

from modellix_server.base import log
from modellix_server.base.ids import uuid4_text
from modellix_server.sandbox import media
from modellix_server.sandbox.bill import Bill, BillLine
from modellix_server.sandbox.protocols.dashscope.fields import DashScopeRefusal
from modellix_server.sandbox.protocols.dashscope.make import DashScopeOutcome, Maker, picture_size
from modellix_server.sandbox.protocols.dashscope.rules import DashScopeJob
from modellix_server.sandbox.rendering.studio import Studio
from modellix_server.sandbox.store import MemoryStore

TIMEOUT_S = 3 * 3600.0
"""The vendor ends a task that runs this long."""
FAILS_AFTER_S = 1.0
UNKNOWN_WORD = "DREAMING"
_log = log.get("sandbox")
_FAULTS = ("InternalError", "SystemError", "Model", "RequestTimeOut")
"""Prefixes of error codes that are the vendor's own fault: answered with HTTP 500."""
_ONLY_TIME = frozenset({"queue", "slow"})
"""Directives that change only the time at which a task ends."""
Status = Literal["PENDING", "RUNNING", "SUCCEEDED", "FAILED", "CANCELED"]


@dataclass(slots=True)
class DashScopeTask:
    """One accepted submission. Times are seconds since 1970."""

    job: DashScopeJob
    line: BillLine
    id: str = field(default_factory=uuid4_text)
    request_id: str = field(default_factory=uuid4_text)
    submitted_at: float = field(default_factory=time.time)
    started_at: float | None = None
    ended_at: float | None = None
    status: Status = "PENDING"
    outcome: DashScopeOutcome | None = None
    refusal: DashScopeRefusal | None = None
    runner: asyncio.Task[None] | None = None

    @property
    def word(self) -> str:
        """The status as the client sees it."""
        odd_s = self.job.asked.badword_s
        if odd_s and self.status == "RUNNING" and time.time() - (self.started_at or 0) < odd_s:
            return UNKNOWN_WORD
        return self.status


class DashScopeWorkshop:
    """Carries tasks out. `instant` makes pictures by handing out one that is ready."""

    def __init__(
        self, studio: Studio, store: MemoryStore[DashScopeTask], fetch: media.Fetch, bill: Bill, ready: str | None
    ) -> None:
        self._maker = Maker(studio, fetch)
        self._store = store
        self._bill = bill
        self._ready = ready
        self._runners: set[asyncio.Task[None]] = set()

    def start(self, task: DashScopeTask) -> None:
        """Start a task in the background."""
        self._bill.accept(task.line, task.id, task.status)
        if task.job.route.mode == "async":
            self._store.put(task.id, task)
        if self._at_once(task):
            self._begin(task)
            self._succeed(task, self._instant(task))
            return
        task.runner = asyncio.create_task(self.carry_out(task))
        self._runners.add(task.runner)
        task.runner.add_done_callback(self._runners.discard)

    def cancel(self, task: DashScopeTask) -> bool:
        """Cancel a task that is still queued; False when it is not."""
        if task.status != "PENDING" or task.runner is None:
            return False
        task.runner.cancel()
        self._end(task, "CANCELED")
        return True

    def _at_once(self, task: DashScopeTask) -> bool:
        return self._ready is not None and task.job.rules.makes == "picture" and not task.job.asked.names

    async def carry_out(self, task: DashScopeTask) -> None:
        """Run the task to its end, whatever the outcome."""
        asked = task.job.asked
        try:
            await asyncio.sleep(asked.queue_s)
            pause_s = max(asked.slow_s, asked.badword_s, FAILS_AFTER_S if asked.fail else 0.0)
            if pause_s or "never" in asked:
                self._begin(task)
            await asyncio.sleep(TIMEOUT_S if "never" in asked else pause_s)
            if "never" in asked:
                raise DashScopeRefusal(500, "InternalError.Timeout", "The task timed out.")
            outcome = await self._make(task)
        except DashScopeRefusal as refusal:
            task.refusal = refusal
            task.line.code = refusal.code
            self._end(task, "FAILED")
        except Exception:  # noqa: BLE001 - a client must not wait for ever for our own mistakes
            _log.exception("a task of the emulator failed", task=task.id, model=task.job.model)
            task.refusal = DashScopeRefusal(500, "InternalError", "The emulator has a fault; see its log.")
            task.line.code = task.refusal.code
            self._end(task, "FAILED")
        else:
            self._succeed(task, outcome)

    def _begin(self, task: DashScopeTask) -> None:
        if task.started_at is None:
            task.started_at = time.time()
            task.status = "RUNNING"
            task.line.state = "RUNNING"

    def _succeed(self, task: DashScopeTask, outcome: DashScopeOutcome) -> None:
        self._bill.charge(task.line, images=outcome.billed_images, seconds=outcome.billed_seconds)
        task.outcome = outcome
        self._end(task, "SUCCEEDED")

    def _end(self, task: DashScopeTask, status: Status) -> None:
        task.ended_at = time.time()
        task.line.finished_at = task.ended_at
        task.status = status
        task.line.state = status
        task.runner = None

    def _instant(self, task: DashScopeTask) -> DashScopeOutcome:
        assert self._ready is not None
        count = task.job.count
        return DashScopeOutcome((self._ready,) * count, picture_size(task.job) or (64, 64), billed_images=count)

    async def _make(self, task: DashScopeTask) -> DashScopeOutcome:
        asked = task.job.asked
        if asked.fail:
            status = 500 if asked.fail.startswith(_FAULTS) else 400
            raise DashScopeRefusal(status, asked.fail, "The task failed, as its prompt asked for.")
        if task.job.count == 1 and "partial" in asked:
            raise DashScopeRefusal(500, "InternalError.Algo", "The image could not be generated.")
        if self._ready is not None and task.job.rules.makes == "picture" and asked.names <= _ONLY_TIME:
            return self._instant(task)
        return await self._maker.make(task.job, lambda: self._begin(task))
