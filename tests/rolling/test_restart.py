"""API processes and workers of this version restarted one after the other, under load, behind a load balancer."""

from __future__ import annotations

import asyncio
import signal

import aiohttp
import pytest

SUBMIT = "/api/v1/text-to-image/alibaba/qwen-image-plus/async"


@pytest.mark.full
@pytest.mark.timeout(300)
async def test_rolling_restart_under_load(fleet, front, load) -> None:
    """Two API processes and two workers; clients keep their connections open and never try again."""
    await fleet.command("migrate")
    fleet.env |= {"MODELLIX_DRAIN_S": "3", "MODELLIX_DOCS_AFTER_S": "3"}
    await fleet.emulate("dashscope")
    await fleet.team()
    key = await fleet.key()
    apis = await asyncio.gather(*(fleet.serve() for _ in range(2)))
    workers = [await fleet.work() for _ in range(2)]
    async with front(health_s=0.5) as entrance:
        for _, port in apis:
            entrance.add(port)
        async with load(f"http://127.0.0.1:{entrance.port}", key, per_s=6, keep_alive=True) as clients:
            await asyncio.sleep(2)
            for api, port in apis:
                _, new_port = await fleet.serve()
                entrance.add(new_port)
                took_s = await fleet.stop(api)
                assert took_s >= 3
                entrance.forget(port)
            for worker, _ in workers:
                await fleet.work()
                await fleet.stop(worker)
            await asyncio.sleep(1)
            await clients.finish()
    assert clients.failures == [], fleet.log()
    await fleet.nothing_is_lost_or_doubled(clients.accepted)
    print(f"{clients.requests} requests, {len(clients.accepted)} tasks, slowest {clients.slowest_s:.2f} s")


@pytest.mark.full
async def test_notice_is_given_before_the_port_closes(fleet) -> None:
    await fleet.command("migrate")
    fleet.env["MODELLIX_DRAIN_S"] = "6"
    await fleet.team()
    key = await fleet.key()
    api, port = await fleet.serve()
    headers = {"Authorization": f"Bearer {key}"}
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}", headers=headers) as http:
        async with http.post(SUBMIT, json={"prompt": "before"}) as answer:
            assert answer.status == 200
            assert "connection" not in answer.headers
        api.send_signal(signal.SIGTERM)
        await asyncio.sleep(0.5)
        async with http.get("/readyz") as answer:
            assert answer.status == 503
            assert answer.headers["retry-after"] == "1"
        async with http.get("/healthz") as answer:
            assert answer.status == 200
        async with http.post(SUBMIT, json={"prompt": "meanwhile"}) as answer:
            assert answer.status == 200
            assert answer.headers["connection"] == "close"
        async with http.get("/api/v1/nothing/of/the/kind/here") as answer:  # by the router, not by the short cut
            assert (answer.status, answer.headers["connection"]) == (404, "close")
        assert await asyncio.to_thread(api.wait, 60) == 0


@pytest.mark.full
async def test_a_second_signal_hurries(fleet) -> None:
    await fleet.command("migrate")
    fleet.env["MODELLIX_DRAIN_S"] = "600"
    api, _ = await fleet.serve()
    api.send_signal(signal.SIGTERM)
    await asyncio.sleep(0.5)
    assert api.poll() is None
    assert await fleet.stop(api) < 300  # not the whole time for draining, on a machine however busy
