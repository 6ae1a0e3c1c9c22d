"""Alerts to endpoints: told once each time, signed as every message, and sent again on demand."""

from __future__ import annotations

import asyncio
import json

import pytest
from standardwebhooks import Webhook
from tests.webhooks.conftest import LOOPBACK, MINE

from modellix_server import ledger, webhooks
from modellix_server.base.database import Pool
from modellix_server.base.errors import OutOfRange
from modellix_server.base.settings import Settings
from modellix_server.operations import balance_alerts
from modellix_server.operations.context import Context
from modellix_server.operations.principal import system
from modellix_server.webhooks import AlertChoice

WORKER = system("alerts", "tests")
DOLLAR = 1_000_000


async def test_a_low_balance_is_told_once_and_again_after_a_recharge(pool: Pool, settings: Settings, stage) -> None:
    ctx, receiver = Context(settings, pool), await stage.receiver()
    await ledger.open_team(pool, MINE.team_id)
    made, secret = await webhooks.create(
        pool, stage.keys, MINE, f"{receiver.origin}/a", LOOPBACK, AlertChoice(5 * DOLLAR)
    )
    await stage.endpoint(f"{receiver.origin}/plain")

    async def move(micros: int) -> None:
        await ledger.credit(pool, MINE.team_id, micros, live=True, actor="tests", note=None)

    async def sent() -> int:
        await asyncio.gather(*(balance_alerts.tell_once(ctx, WORKER) for _ in range(3)))
        return await pool.fetchval("select count(*) from webhooks.message")

    await move(20 * DOLLAR)
    assert await sent() == 0
    await move(-15 * DOLLAR)
    assert await sent() == 0, "5 is not below 5"
    await move(-1 * DOLLAR)
    assert await sent() == 1
    await move(-1 * DOLLAR)
    assert await sent() == 1
    await move(10 * DOLLAR)
    assert await sent() == 1
    await move(-9 * DOLLAR)
    assert await sent() == 2
    await webhooks.change(pool, MINE, made.id, (), url=None, enabled=None, alerts=AlertChoice(6 * DOLLAR))
    assert await sent() == 3, "another amount is another alert"
    await webhooks.change(pool, MINE, made.id, (), url=None, enabled=None, alerts=AlertChoice(None, True))
    assert await sent() == 3

    await stage.settled("delivered", 3)
    bodies = []
    for got in receiver.got:
        assert got.path == "/a", "the other endpoint wants none"
        assert got.headers["x-modellix-event"] == "balance.low"
        assert "x-modellix-task-id" not in got.headers
        bodies.append(Webhook(secret).verify(got.body, got.headers))
    assert {body["type"] for body in bodies} == {"balance.low"}
    assert sorted((body["data"]["available"], body["data"]["threshold"]) for body in bodies) == [
        (4.0, 5.0), (4.0, 5.0), (4.0, 6.0),
    ]  # fmt: skip
    assert all(set(body) == {"type", "timestamp", "data"} for body in bodies)
    (again, *_) = await webhooks.deliveries(pool, MINE, made.id, 10)
    assert again.task_id is None
    await webhooks.replay(pool, MINE, again.id)
    await stage.until(lambda: len(receiver.got) == 4)
    assert json.loads(receiver.got[-1].body)["type"] == "balance.low", "its body is kept"


async def test_an_amount_that_cannot_be(pool: Pool, stage) -> None:
    for micros in (0, -1, 10**13):
        with pytest.raises(OutOfRange):
            await webhooks.create(pool, stage.keys, MINE, "https://example.com/a", (), AlertChoice(micros))
