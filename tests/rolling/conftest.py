"""Processes that come and go, a load balancer in front of them, and clients who mind every failed request."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from tests.support.fleet import Fleet, open_fleet
from tests.support.load_balancer import Front
from tests.support.steady_load import Load


@pytest.fixture
async def fleet(postgres_server, tmp_path: Path) -> AsyncIterator[Fleet]:
    async with open_fleet(postgres_server, tmp_path) as opened:
        yield opened


@pytest.fixture(scope="session")
def fleets() -> Callable[..., contextlib.AbstractAsyncContextManager[Fleet]]:
    """For tests that share one."""
    return open_fleet


@pytest.fixture(scope="session")
def front() -> type[Front]:
    return Front


@pytest.fixture(scope="session")
def load() -> type[Load]:
    return Load
