"""Endpoints belong to one team and mode; a message is sent by whoever holds its lease, and forgotten in time."""

from __future__ import annotations

import asyncio
import dataclasses
import ipaddress
from typing import Any

import pytest

from modellix_server import webhooks
from modellix_server.base.database import Pool
from modellix_server.base.errors import InvalidParameters, NotFound
from modellix_server.base.team_mode import TeamMode
from modellix_server.webhooks import drop_old, messages
from modellix_server.webhooks.rules import Outcome

LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"),)
MINE, THEIRS = TeamMode(1, live=True), TeamMode(2, live=True)


async def hang(*_: Any) -> None:
    await asyncio.sleep(60)


async def fault(_: Any, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 500 Fault\r\nContent-Length: 0\r\n\r\n")


async def test_a_former_holder_reports_in_vain(pool: Pool, stage, settings) -> None:
    receiver = await stage.receiver(hang)
    await stage.endpoint(receiver.origin)
    await stage.end()
    await stage.until(lambda: receiver.got)
    stage.deliverer._lanes.flying = 10**6  # this one takes no more
    await pool.execute("update webhooks.message set due_at = now()")  # its lease has run out
    (again,) = await messages.lease(pool, {}, 4, [], 10, 30)
    report = messages.Report(again, "{}", Outcome(200, None, 1), None, None)
    late = dataclasses.replace(report, message=dataclasses.replace(again, lease=again.lease - 1))
    await messages.report(pool, [late])
    assert await stage.states() == {"waiting": 1}
    await messages.report(pool, [report])
    assert await stage.states() == {"delivered": 1}
    await messages.report(pool, [report])
    assert await pool.fetchval("select count(*) from webhooks.delivery_attempt") == 1


async def test_two_workers_never_lease_one_message(pool: Pool, stage) -> None:
    stage.deliverer._lanes.flying = 10**6  # this one is busy
    receiver = await stage.receiver()
    await stage.endpoint(receiver.origin)
    await stage.end(60)
    leased = await asyncio.gather(*(messages.lease(pool, {}, 20, [], 100, 30) for _ in range(8)))
    ids = [message.id for some in leased for message in some]
    assert len(ids) == len(set(ids)) <= 60
    assert len(ids) >= 20


@pytest.mark.parametrize("how", ["deleted", "changed"])
async def test_who_changes_an_endpoint_and_who_reports_on_it_wait_in_line(pool: Pool, stage, how: str) -> None:
    """Each needs the endpoint and its messages: taken in another order, each could wait for what the other has."""
    stage.deliverer._lanes.flying = 10**6  # this one is busy
    receiver = await stage.receiver()
    endpoint, _ = await stage.endpoint(receiver.origin)
    await stage.end(2)
    await pool.execute("update webhooks.message set due_at = now()")
    leased = await messages.lease(pool, {}, 20, [], 100, 30)
    reports = [messages.Report(message, "{}", Outcome(500, None, 1), None, None) for message in leased]
    ways = {
        "deleted": lambda: webhooks.delete(pool, MINE, endpoint.id),
        "changed": lambda: webhooks.change(pool, MINE, endpoint.id, LOOPBACK, url=None, enabled=False),
    }
    async with pool.acquire() as other, other.transaction():
        await other.execute("select from webhooks.message where id = $1 for update", leased[-1].id)
        reporting = asyncio.create_task(messages.report(pool, reports))  # has the first one, and waits for this one
        await waiting(pool, 1)
        changing = asyncio.create_task(ways[how]())
        await waiting(pool, 2)
    await asyncio.gather(reporting, changing)


async def waiting(pool: Pool, count: int) -> None:
    """Until so many sessions wait for a lock."""
    asked = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
    async with asyncio.timeout(10):
        while await pool.fetchval(asked) < count:  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def test_endpoints_belong_to_one_team_and_mode(stage) -> None:
    made, _ = await stage.endpoint("http://127.0.0.1:9/")
    for of in (THEIRS, TeamMode(1, live=False)):
        assert await webhooks.list_all(stage.pool, of) == []
        for call in (
            webhooks.find(stage.pool, of, made.id),
            webhooks.change(stage.pool, of, made.id, LOOPBACK, url=None, enabled=False),
            webhooks.delete(stage.pool, of, made.id),
            webhooks.rotate(stage.pool, stage.keys, of, made.id),
        ):
            with pytest.raises(NotFound):
                await call
    assert [one.id for one in await webhooks.list_all(stage.pool, MINE)] == [made.id]
    await stage.end()
    await stage.pool.execute("update webhooks.message set due_at = now() + interval '1 hour'")
    off = await webhooks.change(stage.pool, MINE, made.id, LOOPBACK, url=None, enabled=False)
    assert off.disabled_why == "by its team"
    assert await stage.states() == {"failed": 1}, "nothing waits for an endpoint that is out of service"
    await webhooks.delete(stage.pool, MINE, made.id)
    with pytest.raises(NotFound):
        await webhooks.find(stage.pool, MINE, made.id)


async def test_a_team_has_twenty_endpoints_at_most_whoever_races(stage) -> None:
    calls = [stage.endpoint("http://127.0.0.1:9/") for _ in range(25)]
    made = await asyncio.gather(*calls, return_exceptions=True)
    assert sum(isinstance(one, InvalidParameters) for one in made) == 5
    assert len(await webhooks.list_all(stage.pool, MINE)) == 20


async def test_what_waits_for_an_endpoint_moves_with_it(stage) -> None:
    old, new = await stage.receiver(fault), await stage.receiver()
    made, _ = await stage.endpoint(old.origin)
    await stage.end()
    await stage.until(lambda: old.got)
    await asyncio.sleep(0.2)
    await webhooks.change(stage.pool, MINE, made.id, LOOPBACK, url=new.origin, enabled=None)
    await stage.hurry()
    await stage.settled("delivered", 1)
    assert (len(old.got), len(new.got)) == (1, 1)


async def test_old_messages_go(pool: Pool, stage) -> None:
    receiver = await stage.receiver()
    await stage.endpoint(receiver.origin)
    await stage.end()
    await stage.settled("delivered", 1)
    assert await drop_old(pool, 60) == 0
    await pool.execute("update webhooks.message set ended_at = now() - interval '1 hour'")
    assert await drop_old(pool, 60) == 1
    assert await pool.fetchval("select count(*) from webhooks.delivery_attempt") == 0
