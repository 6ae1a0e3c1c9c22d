"""Schema migrations: plain SQL files that each room keeps beside its code.

A file is `<room>/migrations/NNNN_what.sql`; numbers are unique over all rooms and give the order. Each
file runs once, in its own transaction, and its checksum is kept so that an edited file is noticed.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.resources import files

import asyncpg

from modellix_server.base.database import connect

_FILE = re.compile(r"(\d{4})_[a-z0-9_]+\.sql")
_LOCK = 0x6D6F6465  # one migrating process at a time
_JOURNAL = """
    create schema if not exists base;
    create table if not exists base.migration (
        version int primary key, name text not null, checksum text not null,
        applied_at timestamptz not null default now()
    );
"""


class ChangedMigration(Exception):
    """A file is no longer what this database was made with: it belongs to another version of the program."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One SQL file."""

    version: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        """SHA-256 of the text, to notice a file that was edited after it ran."""
        return hashlib.sha256(self.sql.encode()).hexdigest()


def discover(packages: Iterable[str]) -> list[Migration]:
    """All migrations of the named packages in order; ValueError on a misnamed file or a number used twice."""
    found: dict[int, Migration] = {}
    for package in packages:
        top, *rooms = package.split(".")
        folder = files(top).joinpath(*rooms, "migrations")  # found without importing the room's code
        if not folder.is_dir():
            continue
        for file in folder.iterdir():
            named = _FILE.fullmatch(file.name)
            if named is None:
                raise ValueError(f"{package}: {file.name} is not named NNNN_what.sql")
            migration = Migration(int(named[1]), file.name, file.read_text(encoding="utf-8"))
            if clash := found.get(migration.version):
                raise ValueError(f"{migration.name} and {clash.name} have the same number")
            found[migration.version] = migration
    return [found[version] for version in sorted(found)]


async def migrate(dsn: str, migrations: Sequence[Migration]) -> list[Migration]:
    """Apply what is missing, as the owner role, and return it; safe to call from several processes.

    Raises ChangedMigration.
    """
    db = await connect(dsn, name="migrate", statement_timeout_ms=600_000)
    try:
        await db.execute("select pg_advisory_lock($1)", _LOCK)
        await db.execute(_JOURNAL)
        applied = {row["version"]: row["checksum"] for row in await db.fetch("select * from base.migration")}
        missing = []
        for migration in migrations:
            if (checksum := applied.get(migration.version)) is None:
                await _apply(db, migration)
                missing.append(migration)
            elif checksum != migration.checksum:
                raise ChangedMigration(f"migration {migration.name} was changed after it was applied")
        return missing
    finally:
        await db.close()


async def _apply(db: asyncpg.Connection[asyncpg.Record], migration: Migration) -> None:
    async with db.transaction():
        await db.execute(migration.sql)
        await db.execute(
            "insert into base.migration (version, name, checksum) values ($1, $2, $3)",
            migration.version,
            migration.name,
            migration.checksum,
        )
