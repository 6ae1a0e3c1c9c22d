"""A code is used up once, whatever its caller does with a refusal, and is kept as a hash only."""

from __future__ import annotations

import pytest

from modellix_server import billing
from modellix_server.base.database import Pool
from modellix_server.base.settings import Settings
from modellix_server.base.team_mode import TeamMode
from modellix_server.billing import CodeRefused

TEAM, OTHER = TeamMode(1, live=False), TeamMode(2, live=False)


async def batch(pool: Pool, settings: Settings, **given: object) -> str:
    text = billing.new_code()
    about = {"name": "n", "live": False, "amount": 5, "expires_at": None, "created_by": "tests"} | given
    async with pool.acquire() as db, db.transaction():
        await billing.create_batch(db, settings.secret, [text], **about)  # type: ignore[arg-type]
    return text


async def test_a_refusal_that_is_committed_changes_nothing(pool: Pool, settings: Settings) -> None:
    text = await batch(pool, settings)
    async with pool.acquire() as db, db.transaction():
        assert (await billing.redeem(db, settings.secret, TEAM, text, "user:1")).amount == 5
    before = await pool.fetch("select * from billing.code")
    for of in (OTHER, TEAM, TeamMode(1, live=True)):
        async with pool.acquire() as db, db.transaction():
            with pytest.raises(CodeRefused):
                await billing.redeem(db, settings.secret, of, text, "user:2")
    assert await pool.fetch("select * from billing.code") == before


async def test_nothing_that_is_kept_says_the_code(pool: Pool, settings: Settings) -> None:
    text = await batch(pool, settings)
    (row,) = await pool.fetch("select * from billing.code")
    assert text not in repr(dict(row))
    assert row["ending"] == text[-4:]
    alike = text.lower().replace("0", "o").replace("1", "l").replace("-", "")
    async with pool.acquire() as db, db.transaction():
        assert await billing.redeem(db, settings.secret, TEAM, f" {alike} ", "user:1")
