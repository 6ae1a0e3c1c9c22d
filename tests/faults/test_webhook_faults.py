"""A worker killed between the receiver's 2xx and its record of it: told again as the same message."""

from __future__ import annotations

import asyncio
import ipaddress
import time

from aiohttp import web
from standardwebhooks import Webhook

from modellix_server import webhooks
from modellix_server.base.team_mode import TeamMode
from modellix_server.webhooks.delivery import TIMEOUT_S

LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"),)


async def test_killed_between_the_answer_and_its_record(stage) -> None:
    got: list[tuple[dict[str, str], bytes]] = []

    async def handle(request: web.Request) -> web.Response:
        got.append(({name.lower(): value for name, value in request.headers.items()}, await request.read()))
        return web.Response()

    app = web.Application()
    app.router.add_post("/", handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
    of = TeamMode(stage.team_id, live=False)
    _, secret = await webhooks.create(stage.pool, stage.settings.keyring, of, url, LOOPBACK)
    task = await stage.submit(prompt="told twice")
    await stage.died(stage.worker(kill_at="webhook_sent"))
    assert (await stage.row(task))["state"] == "succeeded"
    assert len(got) == 1
    leased_s = await stage.pool.fetchval("select extract(epoch from due_at - now()) from webhooks.message")
    assert 1 < leased_s <= TIMEOUT_S + stage.settings.lease_s, "nobody else may send it before"
    await stage.pool.execute("update webhooks.message set due_at = now()")  # as if that time was over
    stage.worker()
    give_up = time.monotonic() + 60
    while await stage.pool.fetchval("select state from webhooks.message") != "delivered":
        assert time.monotonic() < give_up
        await asyncio.sleep(0.2)
    assert len(got) == 2
    assert len({headers["webhook-id"] for headers, _ in got}) == 1
    assert got[0][1] == got[1][1]
    for headers, body in got:
        Webhook(secret).verify(body, headers)
    await stage.books_are_clean()
    await runner.cleanup()
