"""What every test may ask for: a database of its own on a real PostgreSQL, a pool, settings."""

from __future__ import annotations

import os
import secrets
from collections.abc import AsyncIterator, Iterator
from itertools import count
from pathlib import Path

import hypothesis
import pytest
from tests.support.javascript import Project
from tests.support.platform_processes import Platform, open_platform
from tests.support.postgres_server import Database, Server, open_server
from tests.support.small_disk import SmallDisk, mounted_disk

from modellix_server.base.database import Pool, open_pool
from modellix_server.base.secret import Secret
from modellix_server.base.settings import Settings

# Nothing of the developer's own set-up may reach a test; which PostgreSQL to test against may.
for _name in [name for name in os.environ if name.startswith("MODELLIX_") and name != "MODELLIX_POSTGRES_BIN"]:
    del os.environ[_name]
# The documentation is made for its first reader: it takes as much computing as all other starts of a platform.
os.environ["MODELLIX_DOCS_AFTER_S"] = "86400"

hypothesis.settings.register_profile("short", max_examples=5)
hypothesis.settings.register_profile("at length", max_examples=50)


def pytest_configure(config: pytest.Config) -> None:
    """Properties of every single model are tried out at length in `make test-all` alone."""
    hypothesis.settings.load_profile("short" if config.option.markexpr == "not full" else "at length")


@pytest.fixture(scope="session")
async def postgres_server() -> AsyncIterator[Server]:
    async with open_server() as server:
        yield server


@pytest.fixture(scope="session")
async def platform(postgres_server: Server, tmp_path_factory) -> AsyncIterator[Platform]:
    """The one that most tests share: each makes a team of its own on it."""
    async with open_platform(postgres_server, tmp_path_factory.mktemp("platform")) as opened:
        yield opened
        await opened.books_are_clean()


@pytest.fixture(scope="session")
def javascript(tmp_path_factory) -> Project:
    """Where programs in JavaScript find our client and other packages. Skips where npm's registry gave none."""
    return Project.make(tmp_path_factory.mktemp("javascript"))


@pytest.fixture
def small_disk() -> Iterator[SmallDisk]:
    with mounted_disk() as disk:
        yield disk


_numbers = count(1)


@pytest.fixture
async def database(postgres_server: Server) -> AsyncIterator[Database]:
    name = f"test_{next(_numbers)}"
    yield await postgres_server.create(name)
    await postgres_server.setup.execute(f"drop database {name} with (force)")


@pytest.fixture
async def pool(database: Database) -> AsyncIterator[Pool]:
    """Connections of the application role."""
    opened = await open_pool(database.app_dsn, size=8, name="test")
    yield opened
    await opened.close()


@pytest.fixture
def settings(database: Database, tmp_path: Path) -> Settings:
    """Settings on this test's database; nothing listens at the sandbox's address."""
    spool = tmp_path / "spool"
    spool.mkdir()
    return Settings(
        database_url=database.app_dsn,
        owner_database_url=database.owner_dsn,
        storage_url=(tmp_path / "storage").as_uri(),
        secret=Secret(secrets.token_bytes(32)),
        master_key=Secret(secrets.token_bytes(32)),
        sandbox_url="http://127.0.0.1:9",
        spool_dir=str(spool),
    )
