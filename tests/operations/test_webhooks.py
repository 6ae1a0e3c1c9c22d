"""Webhooks as operations: who may, what the audit log says, whose they are."""

from __future__ import annotations

import json
from uuid import uuid4

import pytest

from modellix_server import audit, identity
from modellix_server.base.errors import InvalidParameters, NotFound
from modellix_server.base.team_mode import TeamMode
from modellix_server.operations import webhooks
from modellix_server.operations.context import Context
from modellix_server.operations.principal import OF_AN_API_KEY, Forbidden, Principal, operator

ANNA = operator("anna", "host-7")


@pytest.fixture
async def team(pool) -> identity.Team:
    return await identity.create_team(pool, "acme")


async def entries(pool) -> list[tuple]:
    return [
        (one.actor, one.origin, one.action, one.subject, one.team_id, json.loads(one.details))
        for one in reversed(await audit.list_entries(pool))
    ]


async def test_each_change_is_in_the_audit_log_and_each_refused_one_is_not(pool, settings, team) -> None:
    ctx, of = Context(settings, pool), TeamMode(team.id, live=True)
    made, secret = await webhooks.create(ctx, ANNA, of, "https://example.com/a")
    name, who = f"we_{made.id.hex}", ("admin:anna", "host-7")
    changed = await webhooks.change(ctx, ANNA, of, made.id, url="https://example.org/b", enabled=False)
    rotated = await webhooks.rotate(ctx, ANNA, of, made.id)
    await webhooks.rotate(ctx, ANNA, of, None)
    assert await webhooks.replay_failed(ctx, ANNA, of, made.id) == 0
    await webhooks.delete(ctx, ANNA, of, made.id)
    for refused in (webhooks.delete(ctx, ANNA, of, made.id), webhooks.replay(ctx, ANNA, of, uuid4())):
        with pytest.raises(NotFound):
            await refused
    with pytest.raises(InvalidParameters):
        await webhooks.create(ctx, ANNA, of, "http://10.0.0.1/")
    assert (changed.url, changed.disabled_why) == ("https://example.org/b", "by its team")
    assert await entries(pool) == [
        (*who, action, subject, team.id, {"mode": "live", **about})
        for action, subject, about in [
            ("webhook.create", name, {"host": "example.com"}),
            ("webhook.change", name, {"host": "example.org", "enabled": False}),
            ("webhook.rotate", name, {}),
            ("webhook.rotate", f"team:{team.id}", {}),
            ("webhook.replay", name, {"count": 0}),
            ("webhook.delete", name, {}),
        ]
    ]
    assert secret != rotated


async def test_a_key_may_what_concerns_its_own_team_and_mode(pool, settings, team) -> None:
    ctx, mine, test = Context(settings, pool), TeamMode(team.id, live=True), TeamMode(team.id, live=False)
    key = Principal("key:1", OF_AN_API_KEY, "192.0.2.1", mine, 1)
    made, _ = await webhooks.create(ctx, key, mine, "https://example.com/a")
    assert [one.id for one in await webhooks.list_all(ctx, key, mine)] == [made.id]
    assert await webhooks.find(ctx, key, mine, made.id) == made
    assert await webhooks.deliveries(ctx, key, mine, made.id) == []
    assert await webhooks.team_secret(ctx, key, mine) == await webhooks.team_secret(ctx, ANNA, mine)
    for of in (test, TeamMode(team.id + 1, live=True)):
        with pytest.raises(Forbidden):
            await webhooks.list_all(ctx, key, of)
        with pytest.raises(Forbidden):
            await webhooks.create(ctx, key, of, "https://example.com/a")
    with pytest.raises(NotFound):
        await webhooks.find(ctx, ANNA, test, made.id)
