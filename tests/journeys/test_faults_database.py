"""The database goes away and comes back: 503 in the contract's words meanwhile, nothing lost, nothing doubled."""

from __future__ import annotations

import asyncio
import time
from types import SimpleNamespace

import msgspec
import pytest

from modellix_server.api.dispatch import Guarded
from modellix_server.api.hot.exchange import HotEndpoint
from modellix_server.base import time_budget
from modellix_server.identity import Caller
from modellix_server.limits import AddressLimit, Windows
from modellix_server.openapi.operation import Access
from modellix_server.operations.principal import Permission

MODEL = "alibaba/qwen-image-plus"
AWAY = "Service unavailable: the database cannot be reached"


@pytest.mark.full
async def test_away_and_back(postgres_server, stage, tmp_path) -> None:
    async with stage(postgres_server, tmp_path) as platform:
        team = await platform.team()
        task = (await team.submit(MODEL, prompt="[sandbox:slow=2]")).data["task_id"]
        name = await platform.pool.fetchval("select current_database()")
        await postgres_server.setup.execute(f"alter database {name} allow_connections false")
        await postgres_server.setup.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where datname = $1", name
        )
        try:
            ready = await team.get("/readyz")
            ready.refused(503, AWAY)
            assert ready.headers["retry-after"] == "1"
            assert (await team.get("/healthz")).status == 200
            for answer in (
                await team.get(f"/api/v1/tasks/{task}"),
                await team.get("/api/v1/apikey/validate"),
                await team.get("/api/v1/team/balance"),
            ):
                assert answer.status == 503
                assert answer.json["message"].startswith("Service unavailable: ")
                assert int(answer.headers["retry-after"]) > 0
            lost = await team.post(f"/api/v1/{MODEL}", {"prompt": "a"}, headers={"Idempotency-Key": "k"})
            assert lost.status == 503
            assert lost.json["message"].startswith("Service unavailable: ")
        finally:
            await postgres_server.setup.execute(f"alter database {name} allow_connections true")
        give_up = time.monotonic() + 60
        while (answer := await team.get("/api/v1/team/balance")).status == 503:
            assert time.monotonic() < give_up
            await asyncio.sleep(0.1)
        assert (await team.finish(task))["status"] == "success"
        again = await team.post(f"/api/v1/{MODEL}", {"prompt": "a"}, headers={"Idempotency-Key": "k"})
        assert (await team.finish(again.data["task_id"]))["status"] == "success"
        assert await platform.tasks_of(team) == 2
        assert await platform.balance_of(team) == (100_000_000 - 2 * 17_200, 0)
        assert [len(await platform.bill(one)) for one in (task, again.data["task_id"])] == [1, 1]
        await platform.books_are_clean()


@pytest.mark.full
async def test_a_lock_that_is_not_given_back(platform, superuser) -> None:
    """The database is well and one row is not: who needs it is told 503 in time, all others are served."""
    stuck, other = await platform.team(), await platform.team()
    held = superuser.transaction()
    await held.start()
    await superuser.execute("select 1 from ledger.balance where team_id = $1 for update", stuck.id)
    started = time.monotonic()
    answer = await stuck.post(f"/api/v1/{MODEL}", {"prompt": "a"}, headers={"Idempotency-Key": "k"})
    assert answer.status == 503, answer.body
    assert int(answer.headers["retry-after"]) > 0
    assert time.monotonic() - started < time_budget.REQUEST_S + 5
    assert (await other.get("/api/v1/team/balance")).status == 200
    await held.rollback()
    again = await stuck.post(f"/api/v1/{MODEL}", {"prompt": "a"}, headers={"Idempotency-Key": "k"})
    assert (await stuck.finish(again.data["task_id"]))["status"] == "success"
    assert await platform.tasks_of(stuck) == 1
    assert (await other.submit(MODEL, prompt="b")).status == 200


@pytest.mark.parametrize("kind", ["ordinary", "hot"])
async def test_a_fault_of_ours_tells_nothing(kind) -> None:
    """An endpoint that breaks: 500 in the contract's shape, without a word of what happened."""
    sent = []

    async def send(message) -> None:
        sent.append(message)

    async def endpoint(_):
        raise RuntimeError("secret detail")

    entries: list = []
    ctx = SimpleNamespace(request_log=SimpleNamespace(record=entries.append))
    ctx.settings = SimpleNamespace(docs_origin="http://127.0.0.1:8000/docs")
    ctx.strangers = AddressLimit("requests", each=0, together=0)
    ctx.callers = SimpleNamespace(cached=lambda header: Caller(1, 1, True, "k", 3, rpm=9, key_rpm=9))
    ctx.windows = Windows()
    broken = Guarded(ctx, endpoint, Access.PUBLIC, None) if kind == "ordinary" else None
    broken = broken or HotEndpoint(ctx, endpoint, Permission.READ_TASKS)
    scope = {"type": "http", "method": "GET", "path": "/api/v1/models", "headers": [], "query_string": b""}
    await broken(scope, None, send)
    assert sent[0]["status"] == 500
    assert (b"content-type", b"application/json") in sent[0]["headers"]
    body = msgspec.json.decode(sent[1]["body"])
    assert body == {"code": 500, "message": "Internal server error: please retry later"}
    assert entries[0].status == 500
