"""From the vendor's success to ours: the verdict on record, the files in our storage, the charge."""

from __future__ import annotations

import time
from typing import Any, NoReturn

import msgspec

from modellix_server.base import faults, tracing
from modellix_server.tasks import rules
from modellix_server.tasks.claimed import Claimed, Over
from modellix_server.tasks.delivered import Verdict
from modellix_server.tasks.inputs import BadMedia
from modellix_server.upstreams.contract import Done

STORE_AT_LEAST_S = 300.0
"""For a result that came just before the deadline."""


class DeliveryStep(Claimed):
    """The last steps of a task that went well."""

    async def _delivered(self, done: Done, **said: Any) -> None:
        await faults.point("before_verdict")
        try:
            verdict = await self._tools.media.put_down(self._job.id, done, time.monotonic() + STORE_AT_LEAST_S)
        except BadMedia as error:
            await self._unavailable(error, **said)
        await faults.point("answer_kept")
        self._verdict = msgspec.json.encode(verdict).decode()
        if not await self._moved("storing", verdict=self._verdict, **said):
            await self._too_late(f"the vendor delivered {done.measured}, request {done.request_id}")
        await faults.point("verdict_committed")

    async def _store(self) -> None:
        assert self._verdict is not None
        verdict = msgspec.json.decode(self._verdict, type=Verdict)
        _, account = await self._upstream()
        try:
            until = max(self._dies, time.monotonic() + STORE_AT_LEAST_S)
            with tracing.timed("store", self._job.id):
                stored, lost = await self._tools.media.keep(self._job.id, verdict, account, until)
        except BadMedia as error:
            await self._unavailable(error)
        else:
            await faults.point("result_stored")
            for what in lost:
                await self._review("file left out", what)
            charge = rules.charge(self._job.price, verdict.measured, stored.counted)
            await self._end(
                capture=charge.micros,
                resources=msgspec.json.encode(stored).decode(),
                bytes=stored.bytes,
                review=charge.review,
            )

    async def _unavailable(self, error: BadMedia, **said: Any) -> NoReturn:
        why = f"result unavailable: {error}"
        # The files go only once the task has ended here: another worker may have stored them for good.
        if await self._ended(error_code="result_unavailable", error_message=str(error), review=why, **said):
            await self._tools.media.forget(self._job.id)
        raise Over from None
