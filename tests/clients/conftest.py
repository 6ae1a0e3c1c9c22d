"""What tests of the clients share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.support.api_client import Team
from tests.support.faulty_proxy import FaultyProxy, open_proxy
from tests.support.platform_processes import Platform

from modellix import Client


@pytest.fixture
async def team(platform: Platform) -> Team:
    return await platform.team()


@pytest.fixture
def client(platform: Platform, team: Team) -> Iterator[Client]:
    with Client(team.text, base_url=platform.origin) as opened:
        yield opened


@pytest.fixture
def proxy(platform: Platform) -> Iterator[FaultyProxy]:
    with open_proxy(platform.origin) as opened:
        yield opened


@pytest.fixture
def environment(platform: Platform, team: Team, tmp_path, monkeypatch) -> dict[str, str]:
    """What a program of a user finds: an address, a key, a home of its own."""
    env = {
        "MODELLIX_BASE_URL": platform.origin,
        "MODELLIX_API_KEY": team.text,
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
    }
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    return env
