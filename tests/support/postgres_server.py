"""The PostgreSQL of a test process, and the databases it makes there."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from modellix_server.base.database import connect
from modellix_server.base.functions import discover_functions
from modellix_server.base.migrations import discover, migrate
from modellix_server.embedded.data_directory import APP, OWNER, SUPERUSER, DataDirectory
from modellix_server.embedded.postgres import EmbeddedPostgres
from modellix_server.operations.maintenance.migrate import ROOMS

_TEMPLATE = "template_modellix"


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

    data_directory: DataDirectory
    postgres: EmbeddedPostgres
    setup: asyncpg.Connection

    async def create(self, name: str, template: str = _TEMPLATE) -> Database:
        """A copy of the template, made by copying its files: through the log it would take five times as long."""
        await self.setup.execute(f"create database {name} template {template} owner {OWNER} strategy file_copy")
        return self.database(name)

    def database(self, name: str) -> Database:
        return Database(name, *(self.data_directory.dsn(role, name) for role in (APP, OWNER, SUPERUSER)))


def _memory() -> str | None:
    """A file system in memory with room for a server, where making a database takes a tenth of the time."""
    shared = Path("/dev/shm")
    return str(shared) if shared.is_dir() and shutil.disk_usage(shared).free > 4 << 30 else None


@contextlib.asynccontextmanager
async def open_server() -> AsyncIterator[Server]:
    """A server with a template of the migrated, empty database."""
    # Not pytest's own folder: that one is closed to the user a server started by root runs as.
    folder = Path(tempfile.mkdtemp(prefix="modellix-test-", dir=_memory()))
    folder.chmod(0o711)
    data_directory = DataDirectory(folder / "data")
    data_directory.create()
    postgres = EmbeddedPostgres(data_directory)
    try:
        await postgres.start()
        setup = await connect(data_directory.dsn(SUPERUSER, "postgres"), name="test")
        await setup.execute(f"create database {_TEMPLATE} owner {OWNER}")
        await migrate(data_directory.dsn(OWNER, _TEMPLATE), discover(ROOMS), discover_functions(ROOMS))
        yield Server(data_directory, postgres, setup)
        await setup.close()
    finally:
        await postgres.stop()
        shutil.rmtree(folder)
