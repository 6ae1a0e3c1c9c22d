"""Schema migrations: plain SQL files that each room keeps beside its code, of tables, indexes and data.

Functions are not among them: see `base.functions`. (Early migrations made some, which their files replace.)

A file is `<room>/migrations/NNNN_what.sql`; numbers are unique over all rooms and give the order. Each
file runs once, in its own transaction, and its checksum is kept so that an edited file is noticed.

Below a line `-- outside a transaction` are statements for tables that may be large and in use: indexes created
concurrently, constraints validated afterwards (`base.online`). They run one by one after the file's
transaction, and again from where they stopped if they were interrupted.
"""

import asyncio
import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.resources import files

from modellix_server.base.database import connect
from modellix_server.base.functions import JOURNAL as FUNCTION_JOURNAL
from modellix_server.base.functions import FunctionFile, apply_functions
from modellix_server.base.online import Connection, Statement, carry_out, giving_way, read_statements

_FILE = re.compile(r"(\d{4})_[a-z0-9_]+\.sql")
_OUTSIDE = re.compile(r"^-- outside a transaction$", re.MULTILINE)
_LOCK = 0x6D6F6465  # one migrating process at a time
_LOCK_PAUSE_S = 0.1
_JOURNAL = """
    create schema if not exists base;
    create table if not exists base.migration (
        version int primary key, name text not null, checksum text not null,
        applied_at timestamptz not null default now()
    );
    alter table base.migration add column if not exists unfinished boolean not null default false;
"""


class ChangedMigration(Exception):
    """A file was changed after it was applied: the database belongs to another version of the program."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One SQL file."""

    version: int
    name: str
    sql: str
    """The whole text."""

    @property
    def checksum(self) -> str:
        """SHA-256 of the text, to notice a file that was edited after it ran."""
        return hashlib.sha256(self.sql.encode()).hexdigest()

    @property
    def inside(self) -> str:
        """What runs in the file's transaction."""
        return _OUTSIDE.split(self.sql)[0]

    @property
    def outside(self) -> list[Statement]:
        """What runs after it. Raises ValueError for statements that cannot run there."""
        _, *rest = _OUTSIDE.split(self.sql)
        return read_statements("\n".join(rest))


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


async def applied_migrations(db: Connection) -> dict[str, str]:
    """What this database was made with: name -> checksum."""
    return {row["name"]: row["checksum"] for row in await db.fetch("select name, checksum from base.migration")}


async def migrate(
    dsn: str, migrations: Sequence[Migration], functions: Sequence[FunctionFile] = ()
) -> list[Migration | FunctionFile]:
    """Apply what is missing or has changed, as the owner role, and return it; safe to call from several processes.

    May run while the platform works: see docs/migrations.md. A database that knows further migrations belongs to a
    later version, so its functions are left as they are. Raises ChangedMigration, and asyncpg's
    LockNotAvailableError when a table stayed in use for ten minutes.
    """
    db = await connect(dsn, name="migrate", statement_timeout_ms=600_000)
    try:
        # Not by waiting in the database: `create index concurrently` would wait for the waiting transaction.
        while not await db.fetchval("select pg_try_advisory_lock($1)", _LOCK):  # noqa: ASYNC110
            await asyncio.sleep(_LOCK_PAUSE_S)
        await db.execute(_JOURNAL + FUNCTION_JOURNAL)
        applied = {row["version"]: row for row in await db.fetch("select * from base.migration")}
        done: list[Migration | FunctionFile] = []
        for migration in migrations:
            known = applied.pop(migration.version, None)
            if known is not None and known["checksum"] != migration.checksum:
                raise ChangedMigration(f"migration {migration.name} was changed after it was applied")
            if known is None or known["unfinished"]:
                await _apply(db, migration, begun=known is not None)
                done.append(migration)
        if not applied:
            done += await apply_functions(db, functions)
        return done
    finally:
        await db.close()


async def _apply(db: Connection, migration: Migration, *, begun: bool) -> None:
    outside = migration.outside
    if not begun:
        await _inside(db, migration, unfinished=bool(outside))
    if outside:
        for statement in outside:
            await carry_out(db, statement)
        await db.execute("update base.migration set unfinished = false where version = $1", migration.version)


async def _inside(db: Connection, migration: Migration, *, unfinished: bool) -> None:
    async def run() -> None:
        await db.execute(f"select;\n{migration.inside}")  # the driver cannot execute a text without any statement
        await db.execute(
            "insert into base.migration (version, name, checksum, unfinished) values ($1, $2, $3, $4)",
            migration.version,
            migration.name,
            migration.checksum,
            unfinished,
        )

    await giving_way(db, migration.name, run)
