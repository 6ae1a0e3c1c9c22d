"""The steps of a claimed task: what they are given, and what they may say happens next.

A step is a function of what is known. It changes neither task nor money itself: it returns one of the values below, or
a `Move` or `Finish` of the journal, and the executor writes that down.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import UUID

from modellix_server.base.database import Pool
from modellix_server.base.outbound import Outbound
from modellix_server.base.settings import Settings
from modellix_server.catalogue import Catalogue, Model
from modellix_server.results import Fetcher, Helper, Storage
from modellix_server.tasks.breakers import Breakers
from modellix_server.tasks.concurrency_limiter import AdaptiveConcurrencyLimiter, Pace, SubmissionSlot
from modellix_server.tasks.crash_marker import CrashMarker
from modellix_server.tasks.journal import NO_RECORD, AttemptRecord, Finish, Journal, Move
from modellix_server.tasks.routing import Destination, Routing, VendorAccount
from modellix_server.tasks.signals import Callbacks
from modellix_server.tasks.vendor_http import VendorHttp
from modellix_server.upstreams.contract import Done, Order, Upstream

_MOST_POSTS_OF_A_MODEL = 128
_MOST_POLLS = 128
_MOST_COPIES = 64
_MOST_LONG_ANSWERS = 4  # in memory, each up to four times: as text, as JSON, as files


@dataclass(frozen=True, slots=True)
class Ready:
    """The order may leave as soon as the intent to send it is on record."""

    model: Model
    upstream: Upstream
    destination: Destination
    account: VendorAccount
    order: Order
    http: VendorHttp
    slot: SubmissionSlot
    deadline_s: float
    """How long the vendor has to answer."""


@dataclass(frozen=True, slots=True)
class Store:
    """The vendor has delivered: its verdict goes on record, then its files into our storage."""

    done: Done
    record: AttemptRecord = NO_RECORD


@dataclass(frozen=True, slots=True)
class Release:
    """Back to the queue for a while, at most until the deadline."""

    after_s: float
    note: str
    record: AttemptRecord = NO_RECORD


@dataclass(frozen=True, slots=True)
class Wait:
    """The same step again later, or at once when there is news."""

    seconds: float
    progress: float | None = None
    """How far the vendor says it is, from 0 to 1."""
    alert: str | None = None
    """What a person must be told, once a task."""
    cancel_refused: bool = False
    """The vendor does not stop the task: who asked is to be told so."""


@dataclass(frozen=True, slots=True)
class Leave:
    """Somebody else has judged the task already: nothing may be written."""


Outcome = Ready | Move | Store | Finish | Release | Wait | Leave


class TaskClock:
    """How old a claimed task is and how long it may still take, by this process's monotonic clock."""

    __slots__ = ("_born", "_submitted", "ends_at")

    def __init__(self, age_s: float, left_s: float) -> None:
        now = time.monotonic()
        self._born = self._submitted = now - age_s
        self.ends_at = now + left_s
        """The task's deadline."""

    def age_s(self) -> float:
        """Since it was accepted."""
        return time.monotonic() - self._born

    def submitted(self) -> None:
        """The vendor has just taken it on. Of a task that was found with its vendor that counts from its acceptance."""
        self._submitted = time.monotonic()

    def at_vendor_s(self) -> float:
        """Since the vendor took it on, however long it was in the queue before."""
        return time.monotonic() - self._submitted

    def left_s(self) -> float:
        """Until its deadline; negative afterwards."""
        return self.ends_at - time.monotonic()


@dataclass
class Tools:
    """What all tasks of a worker share: the rooms they use, and how much may happen at once."""

    db: Pool
    settings: Settings
    catalogue: Catalogue
    upstreams: Mapping[str, Upstream]
    outbound: Outbound
    storage: Storage
    helper: Helper
    fetcher: Fetcher
    callbacks: Callbacks | None = None
    """Addresses for vendors that call back; None when nobody would answer there."""
    crash_marker: CrashMarker | None = None
    """Keeps word of which task a process dies of; None when nobody would read it."""
    breakers: Breakers = field(init=False)
    routing: Routing = field(init=False)
    journal: Journal = field(init=False)
    paces: dict[str, Pace] = field(default_factory=dict)
    posting: dict[str, asyncio.Semaphore] = field(
        default_factory=lambda: defaultdict(lambda: asyncio.Semaphore(_MOST_POSTS_OF_A_MODEL))
    )
    """By model: one whose answers take minutes must not hold up the others."""
    limiters: dict[tuple[str, bool], AdaptiveConcurrencyLimiter] = field(
        default_factory=lambda: defaultdict(AdaptiveConcurrencyLimiter)
    )
    """By model and mode: for those of them that would be lost with this worker."""
    polling: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_MOST_POLLS))
    copying: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_MOST_COPIES))
    long_answers: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_MOST_LONG_ANSWERS))
    submitting: set[UUID] = field(default_factory=set)
    """Tasks whose submission is on its way or about to leave."""
    draining: bool = False
    workers: int = 1
    """How many live workers share the vendors' limits, as of the last renewal of the lease."""

    def __post_init__(self) -> None:
        self.breakers = Breakers(self.db)
        self.routing = Routing(self.db, self.settings, self.breakers)

    def open_journal(self, worker: int) -> None:
        """Bind the journal to the worker's number, once that is known."""
        self.journal = Journal(self.db, worker, self.settings.result_ttl_s)
