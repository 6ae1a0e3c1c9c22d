"""How the platform does now, for operators."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import unquote, urlsplit

from modellix_server import requestlog, tasks
from modellix_server.base.settings import Settings
from modellix_server.ledger import monitor
from modellix_server.operations import vendor_accounts
from modellix_server.operations.context import Context
from modellix_server.operations.principal import Permission, Principal
from modellix_server.operations.vendor_accounts import AccountOverview
from modellix_server.requestlog import ServerFaults
from modellix_server.tasks import ListedWorker, QueueNow, TaskFailures

_SPAN = timedelta(hours=1)
_LATE = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class DiskSpace:
    """Room at one place, in bytes."""

    place: str
    free: int
    total: int


@dataclass(frozen=True, slots=True)
class PlatformOverview:
    """Everything at one moment; failures and faults of the hour before it."""

    at: datetime
    queue: QueueNow
    unfinished: Mapping[tuple[str, bool], int]
    """Tasks by inner state and mode."""
    workers: list[ListedWorker]
    vendors: list[AccountOverview]
    failures: list[TaskFailures]
    faults: list[ServerFaults]
    disks: list[DiskSpace]
    database_bytes: int
    frozen: int
    """Accounts that take no new tasks."""
    to_review: int
    ledger_checked_at: datetime | None
    """The latest run of the ledger monitor."""

    @property
    def ledger_is_late(self) -> bool:
        """Whether nobody watches the ledger."""
        return self.ledger_checked_at is None or self.at - self.ledger_checked_at > _LATE

    def of_mode(self, *, live: bool) -> dict[str, int]:
        """Unfinished tasks of a mode by state, and in total."""
        found = {state: count for (state, mode), count in self.unfinished.items() if mode is live}
        return {**found, "total": sum(found.values())}


async def read(ctx: Context, who: Principal) -> PlatformOverview:
    """Look at it."""
    who.require(Permission.OPERATE)
    now = datetime.now(UTC)
    vendors = await vendor_accounts.list_all(ctx, who)
    disks = await asyncio.to_thread(_disks, ctx.settings)
    async with ctx.reading() as db:
        return PlatformOverview(
            at=now,
            queue=await tasks.queue_now(db),
            unfinished=await tasks.count_unfinished(db),
            workers=await tasks.list_workers(db),
            vendors=vendors,
            failures=await tasks.failures_since(db, now - _SPAN),
            faults=await requestlog.server_faults(db, now - _SPAN),
            disks=disks,
            database_bytes=await db.fetchval("select pg_database_size(current_database())"),
            frozen=len(await monitor.list_frozen(db)),
            to_review=await tasks.count_reviews(db),
            ledger_checked_at=await monitor.completed_at(db),
        )


def _disks(settings: Settings) -> list[DiskSpace]:
    """Where this process keeps files: places on the same disk are one."""
    storage = urlsplit(settings.storage_url)
    places = [settings.spool_dir or tempfile.gettempdir()]
    if storage.scheme == "file":
        places.insert(0, unquote(storage.path))
    found: dict[tuple[int, int], DiskSpace] = {}
    for place in places:
        try:
            usage = shutil.disk_usage(place)
        except OSError:
            continue
        found.setdefault((usage.free, usage.total), DiskSpace(place, usage.free, usage.total))
    return list(found.values())
