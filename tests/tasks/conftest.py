"""A team with money and a key, and submissions in its name."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest

from modellix_server import identity, ledger
from modellix_server.base.database import Pool
from modellix_server.base.ids import uuid7
from modellix_server.base.settings import Settings
from modellix_server.tasks.submit import Submission


@dataclass(frozen=True)
class Customer:
    """A team, its test key and a way to word its submissions."""

    team_id: int
    key_id: int

    def wants(self, quote: int = 100, *, slots: int = 1000, key: str | None = None, body: str = "{}") -> Submission:
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
