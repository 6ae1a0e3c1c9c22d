"""What the handlers work with: one frozen bundle per API process."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from uuid import UUID

from modellix_server.api.body_read_limiter import BodyReadLimiter
from modellix_server.base.database import Pool
from modellix_server.base.errors import Unavailable
from modellix_server.base.settings import Settings
from modellix_server.catalogue import Catalogue, Prices, Route
from modellix_server.identity import Callers
from modellix_server.limits import Reports, Windows
from modellix_server.requestlog import Writer
from modellix_server.results import Helper, Spool, Storage, Uploads
from modellix_server.tasks import Intake, Reader, Submissions, SubscriptionHub


@dataclass(frozen=True)
class Platform:
    """The rooms, opened and ready."""

    settings: Settings
    db: Pool
    catalogue: Catalogue
    callers: Callers
    windows: Windows
    intake: Intake
    submissions: Submissions
    reader: Reader
    hub: SubscriptionHub
    requests: Writer
    storage: Storage
    helper: Helper
    spool: Spool
    uploads: Uploads
    prices: Callable[[], Prices]
    """The operator's price table, as fresh as a few seconds."""
    obstacle: Callable[[Route, bool], Awaitable[Unavailable | None]]
    """(route, live) -> why the task cannot be sent to its vendor; None when it can."""
    frozen: Callable[[int, bool], bool]
    """(team, live) -> whether its account takes no new tasks, because its books were found wrong."""
    finished: dict[UUID, bytes] = field(default_factory=dict)
    """Answers about finished tasks as they were rendered once: nothing in them ever changes. Bounded by its user."""
    browsing: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(2))
    """Lists are read by few at a time: the connections are there for submissions and status reads."""
    reports: Reports = field(default_factory=Reports)
    """Reports of leaked keys, which need no key to send."""
    draining: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when this process has been asked to end, some time before it takes no more connections."""
    turns: BodyReadLimiter = field(default_factory=BodyReadLimiter)
    """Large bodies are read in turn."""
    uploading: Counter[int] = field(default_factory=Counter)
    """Team -> its uploads that are coming in just now."""
