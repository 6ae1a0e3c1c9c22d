"""Vendors that do not answer: after some failures in a row nothing is submitted but one try now and then.

What waits stays in the queue; nothing fails because of this, and no submission is sent that would only end as an
unknown outcome. The state is a row for each vendor account and mode, written when it changes, so that all workers
and API processes know. Status queries go on in any case: they cost nothing and are how recovery is often seen first.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from modellix_server.base import log
from modellix_server.base.database import DATABASE_ERRORS, Connection, Pool
from modellix_server.base.metrics import Gauge, Labels, gauge
from modellix_server.base.redaction import redact_text

Kind = Literal["submit", "poll"]
Slot = tuple[str, bool]
"""Upstream, and whether its live account is meant."""

_FAILURES = 5
_FIRST_PAUSE_S = 2.0
_LONGEST_PAUSE_S = 60.0
_REFRESH_S = 1.0
_MOST_SPREAD_S = 10.0
_MOST_REASON = 500
_LOG = log.get("tasks")


@dataclass(frozen=True, slots=True)
class Breaker:
    """One vendor account that does not answer."""

    upstream: str
    live: bool
    kind: Kind
    """What failed. Where submissions did, an answered status query proves nothing."""
    opened_at: datetime
    reason: str
    probe_in_s: float


@dataclass(slots=True)
class _Run:
    """Failures in a row, as this worker saw them."""

    failures: int = 0
    of_one_model: set[str] = field(default_factory=set)
    general: bool = False
    """Whether one of them cannot be blamed on a single model."""

    def proves(self) -> bool:
        """A model that the account may not use is no reason to stop the others."""
        return self.failures >= _FAILURES and (self.general or len(self.of_one_model) > 1)


class Breakers:
    """The breakers of all vendors as one process knows them, at most a second late."""

    def __init__(self, db: Pool) -> None:
        self._db = db
        self._open: dict[Slot, tuple[Breaker, float]] = {}
        self._runs: defaultdict[tuple[Slot, Kind], _Run] = defaultdict(_Run)

    async def keep_fresh(self) -> None:
        """Read what other processes found, until cancelled."""
        while True:
            try:
                await self.refresh()
            except DATABASE_ERRORS as error:
                _LOG.warning("breakers cannot be read", error=type(error).__name__)
            await asyncio.sleep(_REFRESH_S)

    async def refresh(self) -> None:
        """Read what other processes found."""
        now = time.monotonic()
        self._open = {(one.upstream, one.live): (one, now + one.probe_in_s) for one in await list_open(self._db)}

    def is_open(self, upstream: str, *, live: bool) -> bool:
        """Whether submissions wait."""
        return (upstream, live) in self._open

    def pause_left_s(self, upstream: str, *, live: bool) -> float | None:
        """Seconds until the next try is due; None when submissions need not wait for one.

        That is so too when the try is due: what is submitted now may be the one, where nothing else waits to be it.
        """
        known = self._open.get((upstream, live))
        left_s = 0.0 if known is None else known[1] - time.monotonic()
        return left_s if left_s > 0 else None

    async def wait_s(self, upstream: str, *, live: bool) -> float | None:
        """How long a submission has to wait; None when it may leave now. One in a pause may: it is the probe."""
        known = self._open.get((upstream, live))
        if known is None:
            return None
        breaker, probe_at = known
        if (left_s := probe_at - time.monotonic()) <= 0:
            pause_s = await _take_probe(self._db, upstream, live=live)
            if pause_s is None:  # another worker's, or closed meanwhile
                await self.refresh()
                if not self.is_open(upstream, live=live):
                    return None
                left_s = _FIRST_PAUSE_S
            else:
                self._open[upstream, live] = (breaker, time.monotonic() + pause_s)
                return None
        return left_s + random.random() * min(left_s, _MOST_SPREAD_S)  # noqa: S311 - not a secret

    async def answered(self, kind: Kind, upstream: str, *, live: bool) -> None:
        """The vendor gave a proper answer."""
        slot = (upstream, live)
        if (slot, kind) in self._runs:
            del self._runs[slot, kind]
        known = self._open.get(slot)
        if known is not None and (kind == "submit" or known[0].kind == "poll"):
            del self._open[slot]
            with contextlib.suppress(*DATABASE_ERRORS):  # then it is found open again, and the next answer closes it
                if await _close(self._db, upstream, live=live):
                    _LOG.info("a vendor answers again", upstream=upstream, live=live)

    async def failed(
        self,
        kind: Kind,
        upstream: str,
        *,
        live: bool,
        reason: str,
        only_model: str | None = None,
        connection: bool = False,
    ) -> None:
        """It did not. `only_model` names the model where the failure may be about that alone.

        `connection` says that there was none. In test mode only that counts: other failures were asked for in a prompt.
        """
        slot = (upstream, live)
        if slot in self._open or not (live or connection):
            return
        run = self._runs[slot, kind]
        run.failures += 1
        if only_model is None:
            run.general = True
        else:
            run.of_one_model.add(only_model)
        if not run.proves():
            return
        del self._runs[slot, kind]
        reason = redact_text(reason)[:_MOST_REASON]
        with contextlib.suppress(*DATABASE_ERRORS):
            if await _trip(self._db, upstream, live=live, kind=kind, reason=reason):
                _LOG.error("a vendor does not answer: submissions wait", upstream=upstream, live=live, reason=reason)
            await self.refresh()

    async def gauges(self) -> list[Gauge]:
        """For the metrics: 1 for each open breaker."""
        found: dict[Labels, float] = {(upstream, "live" if live else "test"): 1 for upstream, live in self._open}
        return gauge("modellix_breaker_open", "Vendors to which submissions wait.", found, ("upstream", "mode"))


async def list_open(db: Pool | Connection) -> list[Breaker]:
    """All open breakers."""
    rows = await db.fetch(
        """select upstream, live, kind, opened_at, reason, extract(epoch from probe_at - now())::float8
           from tasks.breaker where opened_at is not null"""
    )
    return [Breaker(*row) for row in rows]


async def _trip(db: Pool, upstream: str, *, live: bool, kind: Kind, reason: str) -> bool:
    """Open it; False when it was open already. One that had just been closed begins with a longer pause."""
    tripped: bool | None = await db.fetchval(
        """insert into tasks.breaker as b (upstream, live, kind, opened_at, probe_at, pause_s, reason)
           values ($1, $2, $3, now(), now() + make_interval(secs => $4), $4, $5)
           on conflict (upstream, live) do update set
               kind = excluded.kind, reason = excluded.reason, opened_at = now(), changed_at = now(),
               pause_s = case when b.changed_at > now() - interval '1 minute' then least(2 * b.pause_s, $6) else $4 end,
               probe_at = now() + make_interval(secs =>
                   case when b.changed_at > now() - interval '1 minute' then least(2 * b.pause_s, $6) else $4 end)
           where b.opened_at is null returning true""",
        upstream,
        live,
        kind,
        _FIRST_PAUSE_S,
        reason,
        _LONGEST_PAUSE_S,
    )
    return bool(tripped)


async def _take_probe(db: Pool, upstream: str, *, live: bool) -> float | None:
    """Be the one who tries; the pause until the next may, should this one fail. None when it is not our turn."""
    pause_s: float | None = await db.fetchval(
        """update tasks.breaker set pause_s = least(2 * pause_s, $3), changed_at = now(),
               probe_at = now() + make_interval(secs => least(2 * pause_s, $3))
           where upstream = $1 and live = $2 and opened_at is not null and probe_at <= now() returning pause_s""",
        upstream,
        live,
        _LONGEST_PAUSE_S,
    )
    return pause_s


async def _close(db: Pool, upstream: str, *, live: bool) -> bool:
    """False when it was closed already."""
    closed: bool | None = await db.fetchval(
        """update tasks.breaker set opened_at = null, probe_at = null, changed_at = now()
           where upstream = $1 and live = $2 and opened_at is not null returning true""",
        upstream,
        live,
    )
    return bool(closed)
