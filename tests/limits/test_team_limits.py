"""Limits of a team on a real database."""

import secrets

import pytest

from modellix_server import limits
from modellix_server.base.errors import InvalidParameters
from modellix_server.limits import TeamLimits


async def test_defaults_and_partial_changes(pool):
    team = secrets.randbelow(2**60)
    assert await limits.of_team(pool, team) == TeamLimits(concurrency=3, rpm=1000, key_rpm=100, most_waiting=100)
    assert await limits.set_for_team(pool, team, rpm=5) == TeamLimits(3, 5, 100, 100)
    assert await limits.set_for_team(pool, team, concurrency=0, key_rpm=7, most_waiting=9) == TeamLimits(0, 5, 7, 9)
    assert await limits.of_team(pool, team) == TeamLimits(0, 5, 7, 9)


@pytest.mark.parametrize(
    "wrong", [{"concurrency": -1}, {"rpm": 0}, {"key_rpm": 0}, {"rpm": 2**31}, {"most_waiting": -1}]
)
async def test_impossible_limits_are_refused(pool, wrong):
    team = secrets.randbelow(2**60)
    with pytest.raises(InvalidParameters):
        await limits.set_for_team(pool, team, **wrong)
    assert await limits.of_team(pool, team) == TeamLimits(3, 1000, 100, 100)
