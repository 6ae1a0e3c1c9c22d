"""Budgets that are nearly or wholly used are told once: by mail and by webhook, whoever looks and how many at once."""

from __future__ import annotations

import asyncio
import json

import asyncpg
import pytest
from tests.budgets.test_budgets import limit, settle
from tests.support.people import visitor_of

from modellix_server import identity, webhooks
from modellix_server.base.database import Pool
from modellix_server.base.settings import Settings
from modellix_server.base.team_mode import TeamMode
from modellix_server.budgets import BudgetExceeded
from modellix_server.operations import budget_alerts, sign_in
from modellix_server.operations.context import Context
from modellix_server.operations.principal import Forbidden, operator, system
from modellix_server.tasks import Submissions
from modellix_server.webhooks import AlertChoice

WORKER = system("alerts", "tests")


async def told(ctx: Context, workers: int = 3) -> list[tuple[int, float]]:
    """What endpoints were told so far, after some workers looked at once: percents and amounts of budgets."""
    await asyncio.gather(*(budget_alerts.tell_once(ctx, WORKER) for _ in range(workers)))
    rows = await ctx.db.fetch("select event, payload from webhooks.message where task_id is null order by created_at")
    assert {row["event"] for row in rows} <= {"budget.threshold"}
    data = [json.loads(row["payload"])["data"] for row in rows]
    return [(one["percent"], one["budget"]["amount"]) for one in data]


async def listener(ctx: Context, of: TeamMode) -> None:
    async with ctx.transaction() as tx:
        await webhooks.create(tx, ctx.settings.keyring, of, "https://example.com/a", (), AlertChoice(budgets=True))


async def later(database, hours: int) -> None:
    """All that was used, and told, was so many hours ago."""
    owner = await asyncpg.connect(database.owner_dsn)
    for table in ("use", "charge", "told"):
        await owner.execute(f"update budgets.{table} set starts = starts - make_interval(hours => $1)", hours)
    await owner.close()


async def test_each_threshold_is_told_once_however_many_settle_and_look_at_once(
    pool: Pool, settings: Settings, database, new_customer
) -> None:
    ctx, acme = Context(settings, pool), await new_customer(micros=100_000)
    of = TeamMode(acme.team_id, live=False)
    submissions = Submissions(pool, asyncio.Event())
    await listener(ctx, of)
    await limit(pool, acme.team_id, None, 1000)
    tasks = [(await submissions.accept(acme.wants(100))).task_id for _ in range(7)]
    assert await told(ctx) == []
    accepted, *_ = await asyncio.gather(submissions.accept(acme.wants(100)), told(ctx), told(ctx))
    tasks.append(accepted.task_id)
    assert await told(ctx) == [(80, 0.001)]
    more, *_ = await asyncio.gather(
        asyncio.gather(*(submissions.accept(acme.wants(50)) for _ in range(2))),
        *(settle(pool, [task], [90]) for task in tasks[:4]),
        *(budget_alerts.tell_once(ctx, WORKER) for _ in range(4)),
    )
    assert await told(ctx) == [(80, 0.001)]
    with pytest.raises(BudgetExceeded):
        await submissions.accept(acme.wants(200))
    assert await told(ctx) == [(80, 0.001), (100, 0.001)], "a task did not fit into what is left"
    with pytest.raises(BudgetExceeded):
        await submissions.accept(acme.wants(200))
    await asyncio.gather(
        *(settle(pool, [task], [100]) for task in tasks[4:]), *(settle(pool, [one.task_id], [50]) for one in more)
    )
    assert await told(ctx) == [(80, 0.001), (100, 0.001)]
    await limit(pool, acme.team_id, None, 2000)
    assert await told(ctx) == [(80, 0.001), (100, 0.001)], "there is room again"
    await submissions.accept(acme.wants(800))
    assert await told(ctx) == [(80, 0.001), (100, 0.001), (80, 0.002)]
    await later(database, 24)
    assert len(await told(ctx)) == 3, "yesterday is over"
    await submissions.accept(acme.wants(2000))
    assert await told(ctx) == [(80, 0.001), (100, 0.001), (80, 0.002), (100, 0.002)], "a new day, both at once"


async def test_members_who_want_it_get_a_mail_about_team_and_keys(pool: Pool, settings: Settings, new_customer) -> None:
    ctx, acme = Context(settings, pool), await new_customer(micros=100_000)
    of = TeamMode(acme.team_id, live=False)
    team = next(one for one in await identity.list_teams(pool) if one.id == acme.team_id)
    people = {
        name: sign_in.act(await visitor_of(ctx, f"{name}@example.com", team), f"{team.id}-test", "here")[0]
        for name in ("ada", "bob", "gone")
    }
    for name in ("ada", "gone"):
        await budget_alerts.change(ctx, people[name], of, told=True)
    await budget_alerts.change(ctx, people["bob"], of, told=True)
    await budget_alerts.change(ctx, people["bob"], of, told=False)
    assert await budget_alerts.is_told(ctx, people["ada"], of)
    assert not await budget_alerts.is_told(ctx, people["bob"], of)
    with pytest.raises(Forbidden):
        await budget_alerts.change(ctx, operator("anna", "here"), of, told=True)
    await pool.execute("delete from identity.membership where user_id = $1", people["gone"].user_id)
    await limit(pool, acme.team_id, acme.key_id, 1000, "monthly")
    await limit(pool, acme.team_id, None, 10_000, "none")
    await Submissions(pool, asyncio.Event()).accept(acme.wants(850))
    assert await told(ctx) == [], "no endpoint wants it"
    (mail,) = await pool.fetch("select recipient, subject, body from mail.outbox")
    assert mail["recipient"] == "ada@example.com"
    assert "80 % of the budget of key" in mail["subject"]
    assert "0.0010 USD; 0.000850 USD of it are used or held" in mail["body"]
    assert "It resets on" in mail["body"]
    assert await pool.fetchval("select count(*) from billing.budget_alert") == 1, "who left is told no more"
