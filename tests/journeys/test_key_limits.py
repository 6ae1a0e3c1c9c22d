"""What a key may do, as programs meet it: models, budget, expiry, rotation, and its view of itself."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from tests.support.api_client import Team
from tests.support.platform_processes import Platform
from tests.support.waiting import eventually

from modellix_server import budgets, identity
from modellix_server.base.team_mode import TeamMode
from modellix_server.budgets import BudgetLimit
from modellix_server.identity import AllowedModels

MODEL = "alibaba/qwen-image-plus"
CAT = {"prompt": "a cat"}


async def limited(platform: Platform, team: Team, **about) -> Team:
    """The same team with a key that has limits."""
    text, key = await identity.create_key(
        platform.pool, platform.secret, team.id, live=False, name="limited", created_by="tests", **about
    )
    return replace(team, authorization=f"Bearer {text}", key=key, text=text)


async def put(platform: Platform, team: Team, key_id: int | None, limit: BudgetLimit) -> None:
    async with platform.pool.acquire() as db, db.transaction():
        await budgets.put(db, TeamMode(team.id, live=False), key_id, limit)


async def test_a_model_that_the_key_may_not_use_is_refused_at_quote_and_submit(platform: Platform) -> None:
    team = await platform.team()
    by_name = await limited(platform, team, allowed=AllowedModels((MODEL,)))
    by_type = await limited(platform, team, allowed=AllowedModels((), ("text-to-video",)))
    assert (await by_name.submit(MODEL, **CAT)).status == 200
    assert (await by_name.post("/api/v1/quote", {"model": MODEL, "input": CAT})).status == 200
    for client, words in ((by_type, "text-to-video models"), (by_name, MODEL)):
        model = MODEL if client is by_type else "alibaba/qwen-image"
        for path, body in (
            (f"/api/v1/{model}", CAT),
            (f"/api/v1/text-to-image/{model}/stream", CAT),
            ("/api/v1/quote", {"model": model, "input": CAT}),
        ):
            answer = await client.post(path, body)
            assert answer.status == 403
            assert answer.json["message"] == f"Permission denied: this API key may use only {words}"
    assert (await by_name.post("/api/v1/no/model", CAT)).status == 404


async def test_forty_at_once_on_a_budget_for_ten(platform: Platform) -> None:
    team = await platform.team()
    client = await limited(platform, team)
    price = (await team.post("/api/v1/quote", {"model": MODEL, "input": CAT})).data["cost"]
    await put(platform, team, client.key.id, BudgetLimit(round(price * 10 * 1_000_000), "daily"))
    answers = await asyncio.gather(*(client.submit(MODEL, **CAT) for _ in range(40)))
    assert Counter(answer.status for answer in answers) == {200: 10, 402: 30}
    message = next(answer.json["message"] for answer in answers if answer.status == 402)
    assert message.startswith("Budget exceeded: insufficient budget of this API key")
    assert "it resets on" in message
    own = (await client.get("/api/v1/key")).data
    assert own["budget"]["left"] == 0.0
    assert (await team.submit(MODEL, **CAT)).status == 200, "another key is not held up"


async def test_a_key_reads_what_it_may_do(platform: Platform) -> None:
    team, end = await platform.team(concurrency=7, rpm=900, key_rpm=800), datetime.now(UTC) + timedelta(days=3)
    client = await limited(platform, team, allowed=AllowedModels((MODEL,), ("text-to-video",)), expires_at=end)
    await put(platform, team, client.key.id, BudgetLimit(5_000_000, "weekly"))
    await put(platform, team, None, BudgetLimit(50_000_000))
    cost = (await client.run(MODEL, **CAT))["billing"]["amount"]
    own = (await client.get("/api/v1/key")).data
    resets_at = own["budget"].pop("resets_at")
    assert datetime.fromisoformat(resets_at).weekday() == 0
    assert own.pop("created_at")
    assert datetime.fromisoformat(own.pop("expires_at")) == end.replace(microsecond=end.microsecond // 1000 * 1000)
    assert own == {
        "id": client.key.id,
        "name": "limited",
        "tag": None,
        "mode": "test",
        "looks_like": f"{client.key.prefix}…{client.key.last4}",
        "models": [MODEL],
        "types": ["text-to-video"],
        "limits": {"requests_per_minute": 800, "team_requests_per_minute": 900, "team_running_tasks": 7},
        "budget": {"amount": 5.0, "period": "weekly", "used": cost, "held": 0.0, "left": round(5 - cost, 6)},
        "team_budget": {
            "amount": 50.0, "period": "none", "used": cost, "held": 0.0, "left": round(50 - cost, 6), "resets_at": None,
        },
    }  # fmt: skip
    plain = (await team.get("/api/v1/key")).data
    assert (plain["models"], plain["types"], plain["budget"]) == (None, None, None)
    assert client.text not in str(own)


async def test_an_expired_key_and_a_former_text_are_refused(platform: Platform) -> None:
    team = await platform.team()
    client = await limited(platform, team)
    assert (await client.get("/api/v1/key")).status == 200
    async with platform.pool.acquire() as db, db.transaction():
        text, _ = await identity.rotate_key(db, platform.secret, client.key, timedelta(hours=1))
    later = replace(client, authorization=f"Bearer {text}")
    assert [(await one.get("/api/v1/key")).status for one in (client, later)] == [200, 200]
    assert (await later.submit(MODEL, **CAT)).status == 200
    async with platform.pool.acquire() as db, db.transaction():
        await identity.rotate_key(db, platform.secret, client.key, timedelta(0))

    async def gone() -> bool:  # a notice empties the cache of each process
        return {(await one.submit(MODEL, **CAT)).status for one in (client, later)} == {401}

    await eventually(gone)
    short = await limited(platform, team, expires_at=datetime.now(UTC) + timedelta(seconds=1.5))
    assert (await short.get("/api/v1/key")).status == 200

    async def expired() -> bool:  # the database knows a moment before the cache
        return {(await short.submit(MODEL, **CAT)).status, (await short.get("/api/v1/key")).status} == {401}

    await eventually(expired)
