"""What most journeys need, and what their clients send."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import asyncpg
import pytest
from tests.support.api_client import Team
from tests.support.media_files import Draw, Film
from tests.support.platform_processes import Platform, open_platform
from tests.support.web_servers import showing_folder

from modellix_server.base.database import connect


@pytest.fixture(scope="session")
def stage() -> Callable[..., contextlib.AbstractAsyncContextManager[Platform]]:
    """For tests that need a platform with settings of its own."""
    return open_platform


@pytest.fixture
async def team(platform: Platform) -> Team:
    return await platform.team()


@pytest.fixture
async def superuser(platform: Platform) -> AsyncIterator[asyncpg.Connection]:
    """For what no role of the platform may do."""
    connection = await connect(platform.database, name="superuser")
    yield connection
    await connection.close()


@pytest.fixture(scope="session")
def web(tmp_path_factory) -> Iterator[tuple[str, Path]]:
    """Somebody's web server, and the folder it shows."""
    folder = tmp_path_factory.mktemp("web")
    with showing_folder(folder) as origin:
        yield origin, folder


@pytest.fixture(scope="session")
def draw() -> Draw:
    return Draw()


@pytest.fixture(scope="session")
def film(tmp_path_factory) -> Film:
    return Film(tmp_path_factory.mktemp("films"))
