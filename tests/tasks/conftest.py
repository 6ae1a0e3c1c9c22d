"""A team with money and a key, submissions in its name, and a stage for one claimed task."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from types import SimpleNamespace

import msgspec
import pytest
from tests.support.destinations import MAIN
from tests.support.waiting import LONG_S

from modellix_server import identity, ledger
from modellix_server.base.database import Pool
from modellix_server.base.ids import uuid7
from modellix_server.base.settings import Settings
from modellix_server.catalogue import Catalogue
from modellix_server.tasks import Submissions, Tools, store
from modellix_server.tasks.executor import Executor
from modellix_server.tasks.journal import Job, Move
from modellix_server.tasks.submit import Submission
from modellix_server.tasks.verify import verify
from modellix_server.upstreams.contract import Capabilities, Order, Pending, Ticket


@dataclass(frozen=True)
class Customer:
    """A team, its test key and a way to word its submissions."""

    team_id: int
    key_id: int

    def wants(
        self, quote: int = 100, *, slots: int = 1000, key: str | None = None, body: str = "{}", wait: bool = False
    ) -> Submission:
        return Submission(
            task_id=uuid7(),
            team_id=self.team_id,
            live=False,
            key_id=self.key_id,
            model="alibaba/qwen-image-plus",
            params=body,
            price='{"amount_micros":100,"unit":"image","unit_micros":100,"units":1,"tier":"","price_version":0}',
            quote=quote,
            deadline_s=600,
            slots=slots,
            idempotency_key=key,
            fingerprint=hashlib.sha256(body.encode()).digest() if key else None,
            wait=wait,
        )

    def with_key(self, key_id: int) -> Customer:
        return replace(self, key_id=key_id)


@pytest.fixture
async def new_customer(pool: Pool, settings: Settings) -> Callable[..., Customer]:
    async def make(name: str = "acme", micros: int = 1000) -> Customer:
        async with pool.acquire() as db, db.transaction():
            team = await identity.create_team(db, name)
            await db.execute("select ledger.open_team($1), tasks.open_team($1)", team.id)
            _, key = await identity.create_key(
                db, settings.secret, team.id, live=False, name="test", created_by="tests"
            )
            if micros:
                await ledger.credit(db, team.id, micros, live=False, actor="tests", note=None)
        return Customer(team.id, key.id)

    return make


CATALOGUE = Catalogue.load()
FRESH = SimpleNamespace(fresh=lambda: True)


class Vendor:
    """An adapter that does what the test says."""

    name = "dashscope"
    capabilities = Capabilities("none", 20, 0.01, 0.01, {"cn": "https://vendor.test"})

    def __init__(self) -> None:
        self.posts = 0
        self.orders: list[Order] = []
        self.submitted: Callable[[], object] = lambda: Ticket("t-1")
        self.polled: Callable[[], object] = Pending

    async def submit(self, *_: object) -> object:
        self.posts += 1
        return self.submitted()

    async def poll(self, _ticket: str, order: Order, _http: object) -> object:
        self.orders.append(order)
        return self.polled()

    async def takes_key(self, *_: object) -> bool | None:
        return None


class Stage:
    """A worker's number, its tools and one claimed task."""

    def __init__(self, pool: Pool, vendor: Vendor, tools: Tools, worker: int, job: Job) -> None:
        self.pool, self.vendor, self.tools, self.worker, self.job = pool, vendor, tools, worker, job

    async def bring_to(self, *states: str, **about: str) -> None:
        was = "queued"
        for state in states:
            move = await self.tools.journal.intent(MAIN) if state == "submitting" else Move(state)
            if state == states[-1]:
                move = msgspec.structs.replace(move, **about)
            assert await self.tools.journal.advance((msgspec.structs.replace(self.job, state=was), move))
            was = state
        self.job = msgspec.structs.replace(
            self.job, state=was, ticket=about.get("ticket"), verdict=about.get("verdict"), destination=MAIN
        )

    def executor(self, **about: object) -> Executor:
        return Executor(msgspec.structs.replace(self.job, **about), self.tools, FRESH)

    async def run(self, **about: object) -> dict:
        await asyncio.wait_for(self.executor(**about).run(), LONG_S)
        return await self.row()

    async def row(self) -> dict:
        return dict(await self.pool.fetchrow("select * from tasks.task where id = $1", self.job.id))

    async def clean(self) -> None:
        async with self.pool.acquire() as db:
            assert await verify(db) == []


@pytest.fixture
async def stage(pool: Pool, settings, new_customer: Callable) -> Stage:
    vendor = Vendor()
    helper = SimpleNamespace(get_ready=lambda: None)  # no file comes here, unless a test brings a real one
    tools = Tools(pool, settings, CATALOGUE, {"dashscope": vendor}, None, None, helper, None)
    worker = await store.register(pool, "test", 30)
    tools.open_journal(worker)
    customer = await new_customer()
    await Submissions(pool, asyncio.Event()).accept(customer.wants())
    (job,) = await store.claim(pool, worker, 1)
    return Stage(pool, vendor, tools, worker, job)
