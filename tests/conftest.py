"""What every test may ask for: a database of its own on a real PostgreSQL, a pool, settings."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import asyncpg
import hypothesis
import pytest

from modellix_server.base.database import Pool, connect, open_pool
from modellix_server.base.functions import discover_functions
from modellix_server.base.migrations import discover, migrate
from modellix_server.base.settings import Secret, Settings
from modellix_server.embedded.data_directory import APP, OWNER, SUPERUSER, DataDirectory
from modellix_server.embedded.postgres import EmbeddedPostgres
from modellix_server.operations.maintenance.migrate import ROOMS

# Nothing of the developer's own set-up may reach a test; which PostgreSQL to test against may.
for _name in [name for name in os.environ if name.startswith("MODELLIX_") and name != "MODELLIX_POSTGRES_BIN"]:
    del os.environ[_name]

_TEMPLATE = "template_modellix"


hypothesis.settings.register_profile("short", max_examples=5)
hypothesis.settings.register_profile("at length", max_examples=50)


def pytest_configure(config: pytest.Config) -> None:
    """Properties of every single model are tried out at length in `make test-all` alone."""
    hypothesis.settings.load_profile("short" if config.option.markexpr == "not full" else "at length")


@dataclass(frozen=True)
class Database:
    """A migrated, empty database for one test."""

    name: str
    app_dsn: str
    owner_dsn: str
    superuser_dsn: str


@dataclass(frozen=True)
class Server:
    """The PostgreSQL of this test process, and its connection for making and dropping databases."""

    home: DataDirectory
    postgres: EmbeddedPostgres
    setup: asyncpg.Connection

    async def create(self, name: str, template: str = _TEMPLATE) -> Database:
        """A copy of the template, made by copying its files: through the log it would take five times as long."""
        await self.setup.execute(f"create database {name} template {template} owner {OWNER} strategy file_copy")
        return self.database(name)

    def database(self, name: str) -> Database:
        return Database(name, *(self.home.dsn(role, name) for role in (APP, OWNER, SUPERUSER)))


def _memory() -> str | None:
    """A file system in memory with room for a server, where making a database takes a tenth of the time."""
    shared = Path("/dev/shm")
    return str(shared) if shared.is_dir() and shutil.disk_usage(shared).free > 4 << 30 else None


@pytest.fixture(scope="session")
async def postgres_server() -> AsyncIterator[Server]:
    # Not pytest's own folder: that one is closed to the user a server started by root runs as.
    folder = Path(tempfile.mkdtemp(prefix="modellix-test-", dir=_memory()))
    folder.chmod(0o711)
    home = DataDirectory(folder / "data")
    home.create()
    postgres = EmbeddedPostgres(home)
    try:
        await postgres.start()
        setup = await connect(home.dsn(SUPERUSER, "postgres"), name="test")
        await setup.execute(f"create database {_TEMPLATE} owner {OWNER}")
        await migrate(home.dsn(OWNER, _TEMPLATE), discover(ROOMS), discover_functions(ROOMS))
        yield Server(home, postgres, setup)
        await setup.close()
    finally:
        await postgres.stop()
        shutil.rmtree(folder)


@dataclass(frozen=True)
class SmallDisk:
    """A file system of its own, of 400 MB, that can be filled."""

    folder: Path

    def fill(self) -> None:
        with contextlib.suppress(OSError), (self.folder / "filler").open("wb", buffering=0) as place:
            while True:
                place.write(bytes(65536))
        assert shutil.disk_usage(self.folder).free == 0

    def clear(self) -> None:
        (self.folder / "filler").unlink()


@pytest.fixture
def small_disk() -> Iterator[SmallDisk]:
    if os.getuid() != 0:
        pytest.skip("only root can mount a small disk")
    folder = Path(tempfile.mkdtemp(prefix="modellix-test-"))
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=400m,mode=711", "tmpfs", folder], capture_output=True, text=True
    )
    if mounted.returncode != 0:
        folder.rmdir()
        pytest.skip(f"a small disk cannot be mounted here: {mounted.stderr.strip()}")
    try:
        yield SmallDisk(folder)
    finally:
        subprocess.run(["umount", "-l", folder], check=True)
        folder.rmdir()


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
