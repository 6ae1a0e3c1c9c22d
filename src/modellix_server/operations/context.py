"""What operations work with: opened once a process, given to each of them first."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cached_property
from uuid import UUID

from modellix_server.base.aside import Aside
from modellix_server.base.body_read_limiter import BodyReadLimiter
from modellix_server.base.database import UNREACHABLE, Connection, Pool, browsing, connect
from modellix_server.base.errors import Unavailable
from modellix_server.base.settings import Settings
from modellix_server.base.turn_queue import TurnQueue
from modellix_server.billing import Gateways
from modellix_server.catalogue import Catalogue, Model, Prices
from modellix_server.identity import Provider, providers_of
from modellix_server.requestlog import Writer
from modellix_server.results import TROUBLE, Helper, KeptInputs, Spool, Storage, Uploads
from modellix_server.tasks import Intake, ModelHealthReader, Reader, Submissions, SubscriptionHub
from modellix_server.tasks.models import load_models
from modellix_server.upstreams.contract import Upstream

_LONG_STATEMENT_MS = 600_000

OUT_OF_REACH: tuple[type[Exception], ...] = (*UNREACHABLE, *TROUBLE)
"""What any operation raises when the database or the storage cannot act for now."""


@dataclass(eq=False)
class Context:
    """Settings, database and catalogue: enough for every operation of an operator."""

    settings: Settings
    db: Pool
    _readers: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(2), init=False, repr=False)

    @cached_property
    def _models(self) -> tuple[Catalogue, Mapping[str, Upstream]]:
        return load_models(self.settings)

    @cached_property
    def catalogue(self) -> Catalogue:
        """Every model; read when it is first asked for. Raises BadSettings."""
        return self._models[0]

    @cached_property
    def gateways(self) -> Gateways:
        """The payment providers."""
        return Gateways(self.settings)

    @property
    def upstreams(self) -> Mapping[str, Upstream]:
        """Every upstream by name."""
        return self._models[1]

    @cached_property
    def identity_providers(self) -> Mapping[str, Provider]:
        """The providers that people may sign in with, by their names in paths."""
        return providers_of(self.settings)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """One transaction, committed at the end of the block."""
        async with self.db.acquire() as db, db.transaction():
            yield db

    @asynccontextmanager
    async def connection(self, name: str) -> AsyncIterator[Connection]:
        """A connection of its own: for what reads whole tables, as the pool's never scan one, or holds a lock."""
        db = await connect(self.settings.database_url, name=name, statement_timeout_ms=_LONG_STATEMENT_MS)
        try:
            yield db
        finally:
            await db.close()

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Connection]:
        """A connection for reading lists, in one snapshot.

        Two at a time in a process: the other connections are there for submissions and status reads.
        """
        async with self._readers, browsing(self.db) as db:
            yield db


@dataclass(eq=False, kw_only=True)
class ServingContext(Context):
    """What a process that answers requests has open besides, for operations on tasks, models and files."""

    submissions: Submissions
    reader: Reader
    intake: Intake
    subscriptions: SubscriptionHub
    storage: Storage
    helper: Helper
    spool: Spool
    uploads: Uploads
    request_log: Writer
    kept_inputs: KeptInputs
    prices: Callable[[], Prices]
    """The operator's price table, as fresh as a few seconds."""
    obstacle: Callable[[Model, bool], Awaitable[Unavailable | None]]
    """(model, live) -> why no task of it can be sent to a vendor; None when one can."""
    frozen: Callable[[int, bool], bool]
    """(team, live) -> whether its account takes no new tasks, because its ledger was found wrong."""
    model_health: ModelHealthReader
    finished: dict[UUID, bytes] = field(default_factory=dict)
    """Public forms of finished tasks, rendered once: nothing in them ever changes. Bounded by its user."""
    uploading: Counter[int] = field(default_factory=Counter)
    """Team -> uploads being received now."""
    body_reads: BodyReadLimiter = field(default_factory=BodyReadLimiter)
    """Paces the reading of large bodies, and bounds those that are being received."""
    turns: TurnQueue = field(default_factory=TurnQueue)
    """Of requests that compute for milliseconds: pages by address, larger bodies by team."""
    aside: Aside = field(default_factory=Aside)
    """For forms, which take milliseconds to parse: teams take turns."""

    async def check_database(self, within_s: float) -> None:
        """Raise Unavailable unless the database answers in time."""
        try:
            async with asyncio.timeout(within_s):
                await self.db.fetchval("select 1")
        except UNREACHABLE:
            raise Unavailable("the database cannot be reached", retry_after_s=1) from None
