"""One message for each crossing of a threshold, to members who may see the balance."""

from __future__ import annotations

import asyncio

import pytest
from tests.support.people import new_team, signed_in

from modellix_server import identity, ledger
from modellix_server.base.database import Pool
from modellix_server.base.errors import InvalidParameters, NotFound
from modellix_server.base.settings import Settings
from modellix_server.base.team_mode import TeamMode
from modellix_server.identity import Role
from modellix_server.operations import balance_alerts
from modellix_server.operations.context import Context
from modellix_server.operations.principal import system

WORKER = system("alerts", "tests")
DOLLAR = 1_000_000


async def test_a_crossing_is_told_once_and_again_after_a_recovery(pool: Pool, settings: Settings) -> None:
    ctx = Context(settings, pool)
    team = await new_team(ctx)
    of = TeamMode(team.id, live=True)
    who = await signed_in(ctx, "ada@example.com", team, Role.BILLING)

    async def move(micros: int) -> None:
        await ledger.credit(pool, team.id, micros, live=True, actor="tests", note=None)

    async def told() -> list[str]:
        await asyncio.gather(*(balance_alerts.tell_once(ctx, WORKER) for _ in range(3)))
        rows = await pool.fetch("select recipient, subject from mail.outbox order by created_at")
        return [f"{row['recipient']} {row['subject']}" for row in rows]

    await move(20 * DOLLAR)
    for threshold in (10 * DOLLAR, 5 * DOLLAR, 5 * DOLLAR):
        await balance_alerts.add(ctx, who, of, threshold)
    assert [one.threshold for one in await balance_alerts.list_own(ctx, who, of)] == [10 * DOLLAR, 5 * DOLLAR]
    assert await told() == []
    await move(-10 * DOLLAR)
    assert await told() == [], "10 is not below 10"
    await move(-1 * DOLLAR)
    first = await told()
    assert len(first) == 1
    assert first[0].startswith("ada@example.com")
    assert "9.0000 USD" in first[0]
    await move(-1 * DOLLAR)
    assert await told() == first
    await move(-7 * DOLLAR)
    assert len(await told()) == 2
    await move(30 * DOLLAR)
    assert len(await told()) == 2
    await move(-25 * DOLLAR)
    assert len(await told()) == 3
    (high, low) = await balance_alerts.list_own(ctx, who, of)
    assert (high.crossed_at is None, low.crossed_at is None) == (False, True)


async def test_who_may_not_see_the_balance_any_more_is_not_told(pool: Pool, settings: Settings) -> None:
    ctx = Context(settings, pool)
    team = await new_team(ctx)
    of = TeamMode(team.id, live=True)
    gone = await signed_in(ctx, "gone@example.com", team, Role.VIEWER)
    await balance_alerts.add(ctx, gone, of, DOLLAR)
    await pool.execute("delete from identity.membership where user_id = $1", gone.user_id)
    assert await balance_alerts.tell_once(ctx, WORKER) == 1
    assert await pool.fetchval("select count(*) from mail.outbox") == 0
    assert await pool.fetchval("select count(*) from billing.alert") == 0


async def test_alerts_are_ones_own_and_few(pool: Pool, settings: Settings) -> None:
    ctx = Context(settings, pool)
    team = await new_team(ctx)
    of = TeamMode(team.id, live=True)
    ada, bob = [await signed_in(ctx, f"{name}@example.com", team) for name in ("ada", "bob")]
    for wrong in (0, -1, 10**13):
        with pytest.raises(InvalidParameters):
            await balance_alerts.add(ctx, ada, of, wrong)
    for number in range(1, 6):
        await balance_alerts.add(ctx, ada, of, number * DOLLAR)
    with pytest.raises(InvalidParameters, match="remove one first"):
        await balance_alerts.add(ctx, ada, of, 9 * DOLLAR)
    (first, *_) = await balance_alerts.list_own(ctx, ada, of)
    with pytest.raises(NotFound):
        await balance_alerts.remove(ctx, bob, of, first.id)
    await balance_alerts.remove(ctx, ada, of, first.id)
    assert len(await balance_alerts.list_own(ctx, ada, of)) == 4
    assert await balance_alerts.list_own(ctx, bob, of) == []
    assert await identity.role_of(pool, team.id, bob.user_id or 0)
