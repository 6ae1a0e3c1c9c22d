"""The life of one claimed task: from the state it was found in to its end, or back to the queue."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Awaitable, Callable

from modellix_server.base import log
from modellix_server.tasks import rules
from modellix_server.tasks.claimed import Over
from modellix_server.tasks.delivery import STORE_AT_LEAST_S
from modellix_server.tasks.submitting import Submitting
from modellix_server.tasks.watching import Watching

_BROKEN_RETRY_S = 30.0
_LOG = log.get("tasks")


class Life(Submitting, Watching):
    """One claimed task. Every step ends in a written state move, or in `Over`."""

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
                if rules.deadly(self._job.deaths) and self._state != "submitting":
                    await self._quarantine()
                while True:
                    await steps[self._state]()
            except Over:
                raise
            except Exception as error:  # noqa: BLE001 - whatever it is, the task must come to an end
                await self._break_off(error)

    async def _quarantine(self) -> None:
        """Each worker that handles this task dies: let it be the last, whatever became of it at the vendor."""
        deaths = self._job.deaths
        await self._look_later(self._ticket)
        _LOG.error("a task is set aside", task=str(self._job.id), state=self._state, deaths=deaths)
        await self._fail(
            "quarantined",
            "handling this task failed again and again; it was set aside and not charged",
            review=f"quarantined: {deaths} workers died of this task while {self._state}",
        )

    async def _break_off(self, error: Exception) -> None:
        """Nobody foresaw this: look again later, until there is no time left. After an intent nothing is certain."""
        _LOG.error("a task's life broke off", task=str(self._job.id), state=self._state, exc_info=error)
        why = f"{type(error).__name__} while {self._state}"
        more_s = STORE_AT_LEAST_S if self._state == "storing" else 0.0
        if self._state == "submitting":
            await self._unknown_outcome(why, None)
        elif time.monotonic() < self._dies + more_s:
            await self._move(self._state, due_in_s=_BROKEN_RETRY_S, note=f"broke off: {why}")
        else:
            await self._look_later(self._ticket)
            await self._fail("deadline", "the task could not be finished in time", review=f"broke off: {why}")
