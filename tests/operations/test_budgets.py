"""Budgets of teams as operations: who may, what the audit log says."""

from __future__ import annotations

import json

import pytest

from modellix_server import audit, identity
from modellix_server.base.errors import InvalidParameters, OutOfRange
from modellix_server.base.team_mode import TeamMode
from modellix_server.budgets import BudgetLimit
from modellix_server.operations import budgets
from modellix_server.operations.context import Context
from modellix_server.operations.principal import OF_AN_API_KEY, ROLE_PERMISSIONS, Forbidden, Principal, operator

ANNA = operator("anna", "host-7")


async def test_a_team_has_a_budget_in_each_mode_and_changes_are_in_the_audit_log(pool, settings) -> None:
    team = await identity.create_team(pool, "acme")
    ctx, live, test = Context(settings, pool), TeamMode(team.id, live=True), TeamMode(team.id, live=False)
    owner = Principal("user:1", ROLE_PERMISSIONS[identity.Role.OWNER], "here", live)
    assert await budgets.of_team(ctx, owner, live) is None
    made = await budgets.change_of_team(ctx, owner, live, BudgetLimit(5_000_000, "monthly"))
    assert made is not None
    assert (made.amount, made.period, made.left, made.key_id) == (5_000_000, "monthly", 5_000_000, None)
    assert await budgets.of_team(ctx, owner, live) == made
    assert await budgets.of_team(ctx, ANNA, test) is None
    for wrong in (BudgetLimit(1, "hourly"), BudgetLimit(-1), BudgetLimit(10**16)):
        with pytest.raises(InvalidParameters if wrong.period == "hourly" else OutOfRange):
            await budgets.change_of_team(ctx, owner, live, wrong)
    assert await budgets.change_of_team(ctx, owner, live, None) is None
    kept = [(e.actor, e.action, e.team_id, json.loads(e.details)) for e in reversed(await audit.list_entries(pool))]
    assert kept == [
        ("user:1", "team.budget", team.id, {"mode": "live", "micros": 5_000_000, "period": "monthly"}),
        ("user:1", "team.budget", team.id, {"mode": "live", "micros": None, "period": None}),
    ]


async def test_of_its_own_team_and_mode_only(pool, settings) -> None:
    team, other = await identity.create_team(pool, "acme"), await identity.create_team(pool, "other")
    ctx, of = Context(settings, pool), TeamMode(team.id, live=True)
    for who in (
        Principal("user:1", ROLE_PERMISSIONS[identity.Role.OWNER], "here", TeamMode(other.id, live=True)),
        Principal("user:1", ROLE_PERMISSIONS[identity.Role.OWNER], "here", TeamMode(team.id, live=False)),
        Principal("user:2", ROLE_PERMISSIONS[identity.Role.DEVELOPER], "here", of),
        Principal("key:1", OF_AN_API_KEY, "here", of),
    ):
        with pytest.raises(Forbidden):
            await budgets.change_of_team(ctx, who, of, BudgetLimit(1))
    assert await budgets.of_team(ctx, ANNA, of) is None
