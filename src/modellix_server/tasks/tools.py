"""What the lives of a worker's tasks share: the rooms they use, and how much may happen at once."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import UUID

from modellix_server.base.database import Pool
from modellix_server.base.outbound import Outbound
from modellix_server.catalogue import Catalogue
from modellix_server.tasks.accounts import FindAccount, Pace
from modellix_server.tasks.breakers import Breakers
from modellix_server.tasks.callbacks import Callbacks
from modellix_server.tasks.concurrency_limiter import AdaptiveConcurrencyLimiter
from modellix_server.tasks.crash_marker import CrashMarker
from modellix_server.tasks.media import MediaTools
from modellix_server.tasks.store import Journal
from modellix_server.upstreams.contract import Upstream

_MOST_POSTS_OF_A_MODEL = 128
_MOST_POLLS = 128
_MOST_LONG_ANSWERS = 4  # in memory, each up to four times: as text, as JSON, as files


@dataclass
class Tools:
    """What every life needs."""

    db: Pool
    catalogue: Catalogue
    upstreams: Mapping[str, Upstream]
    find_account: FindAccount
    outbound: Outbound
    media: MediaTools
    result_ttl_s: int
    breakers: Breakers = field(init=False)
    callbacks: Callbacks | None = None
    """Addresses for vendors that call back; None when nobody would answer there."""
    witness: CrashMarker | None = None
    """Keeps word of which task a process dies of; None when nobody would read it."""
    paces: dict[tuple[str, bool], Pace] = field(default_factory=dict)
    posting: dict[str, asyncio.Semaphore] = field(
        default_factory=lambda: defaultdict(lambda: asyncio.Semaphore(_MOST_POSTS_OF_A_MODEL))
    )
    """By model: one whose answers take minutes must not hold up the others."""
    window: dict[tuple[str, bool], AdaptiveConcurrencyLimiter] = field(
        default_factory=lambda: defaultdict(AdaptiveConcurrencyLimiter)
    )
    """By model and mode: for those of them that would be lost with this worker."""
    polling: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_MOST_POLLS))
    long_answers: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_MOST_LONG_ANSWERS))
    submitting: set[UUID] = field(default_factory=set)
    """Tasks whose submission is on its way or about to leave."""
    draining: bool = False
    workers: int = 1
    """How many live workers share the vendors' limits, as of the last renewal of the lease."""
    journal: Journal = field(init=False)

    def __post_init__(self) -> None:
        self.breakers = Breakers(self.db)

    def open_journal(self, worker: int) -> None:
        """Bind the journal to the worker's number, once that is known."""
        self.journal = Journal(self.db, worker, self.result_ttl_s)
