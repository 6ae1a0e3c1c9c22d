"""Watching a task that the vendor works on, until its verdict or the deadline."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from typing import assert_never

from modellix_server.base import faults, log, tracing
from modellix_server.base.database import DATABASE_ERRORS
from modellix_server.base.redaction import redact_text
from modellix_server.tasks import rules, store
from modellix_server.tasks.accounts import Pace
from modellix_server.tasks.delivery import DeliveryStep
from modellix_server.tasks.vendor_http import VendorHttp
from modellix_server.upstreams.contract import (
    AnswerLost,
    Cancels,
    Done,
    Failed,
    NotSent,
    Pending,
    Polled,
    UnmappedAnswer,
    Upstream,
)

_POLL_TIMEOUT_S = 20.0
_NUDGED_GAP_S = 1.0
_SERVER_FAULT = 500
_LOG = log.get("tasks")


class Watching(DeliveryStep):
    """The step between the vendor's ticket and its verdict."""

    _alerted = False
    _looked = 0.0
    _progress: float | None = None

    async def _watch(self) -> None:
        upstream, _ = await self._upstream()
        traits = upstream.traits if self._job.live else rules.hurried(upstream.traits)
        wait = rules.poll_in_s(self._age(), traits)
        if self._state == self._job.state:  # found running: thousands may be, so spread their first look
            wait *= random.random()  # noqa: S311 - not a secret
        while True:
            await self._until_due(max(0.0, min(wait, self._dies - time.monotonic())))
            if self._unwanted:
                await self._cancel(upstream)
            last_look = time.monotonic() >= self._dies
            answer = await self._look(upstream)
            await faults.point("poll_understood")
            match answer:
                case Pending() | None:
                    await self._tell_progress(answer)
                    if last_look:
                        await self._look_later(self._ticket)
                        await self._fail("deadline", "the vendor did not finish in time")
                case Done():
                    await self._delivered(answer)
                    return
                case Failed(code=code, message=message):
                    await self._fail(code, message)
                case _:
                    assert_never(answer)
            wait = rules.poll_in_s(self._age(), traits)

    async def _tell_progress(self, answer: Pending | None) -> None:
        """News for who follows the task; not worth a second try."""
        progress = answer.progress if answer else None
        if progress is not None and progress != self._progress:
            self._progress = progress
            with contextlib.suppress(*DATABASE_ERRORS):
                await self._tools.journal.progress((self._job.id, progress))

    async def _until_due(self, seconds: float) -> None:
        """Wait until it is time to look, or until there is news: at most once a second because of that."""
        due = time.monotonic() + seconds
        await self._wait(seconds)
        if self._nudged:
            await asyncio.sleep(min(due, self._looked + _NUDGED_GAP_S) - time.monotonic())
            self._nudged = False
        self._looked = time.monotonic()

    async def _cancel(self, upstream: Upstream) -> None:
        """End the task if the vendor stops it; otherwise it goes on, and who asked is told so."""
        if await self._stopped(upstream):
            await self._fail("canceled", "the vendor stopped the task and charges nothing for it")
        await self._asked(store.refuse_cancel, self._tools.db, self._job.id, self._job.epoch)
        self._unwanted = False

    async def _stopped(self, upstream: Upstream) -> bool:
        """Ask once. Without the vendor's clear word the task may run on and cost money."""
        account = await self._account(upstream)
        if account is None or self._ticket is None or not isinstance(upstream, Cancels):
            return False
        http = VendorHttp(account, self._tools.outbound, _POLL_TIMEOUT_S)
        try:
            return await upstream.cancel(self._ticket, self._order(account, self._params(), self._attempt), http)
        except (NotSent, AnswerLost, UnmappedAnswer) as error:
            _LOG.warning("cancel failed", task=str(self._job.id), error=redact_text(str(error)), words=http.words)
            return False

    async def _look(self, upstream: Upstream) -> Polled | None:
        """One poll, when it is our turn."""
        if pace := await self._pace(upstream):
            await pace.turn(self._tools.workers)
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
            with tracing.timed("vendor poll", self._job.id, upstream=upstream.name):
                answer = await upstream.poll(self._ticket, order, http)
        except (NotSent, AnswerLost) as error:
            why = str(error) or type(error).__name__
            _LOG.info("poll failed", task=str(self._job.id), error=why)
            await self._unanswered("poll", upstream, why, even_in_test=isinstance(error, NotSent))
        except UnmappedAnswer as error:
            if (http.status or 0) >= _SERVER_FAULT:
                await self._unanswered("poll", upstream, str(error))
            if not self._alerted:
                self._alerted = True
                what = redact_text(str(error))
                _LOG.error("unmapped answer", task=str(self._job.id), model=self._job.model, error=what)
                await self._review("unmapped answer", f"{what} / {http.words}")
        else:
            await self._tools.breakers.answered("poll", upstream.name, live=self._job.live)
            return answer
        return None

    async def _pace(self, upstream: Upstream) -> Pace | None:
        account = await self._account(upstream)
        if account is None or account.sandbox:
            return None
        slot = (upstream.name, self._job.live)
        if slot not in self._tools.paces:
            self._tools.paces[slot] = Pace(account.polls_per_s or upstream.traits.polls_per_s)
        return self._tools.paces[slot]
