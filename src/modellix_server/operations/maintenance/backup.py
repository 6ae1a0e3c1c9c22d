"""`modellix-server backup`: the database and the stored files, as of one moment, in one folder.

The dump is made first, then the files are copied: a file is in the storage before any row refers to it, so every
file that the dump refers to is copied, unless it expires in between. The secrets are not copied.
Whoever finds a backup can neither sign in nor call a vendor with it, and a backup without them cannot be
used: keep `secrets.json` (or the variables) somewhere else.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import os
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from urllib.parse import unquote, urlsplit

import asyncpg
import msgspec

from modellix_server import audit
from modellix_server.base.database import connect
from modellix_server.base.migrations import applied_migrations
from modellix_server.base.secret import Secret
from modellix_server.base.settings import Settings
from modellix_server.embedded.data_directory import CannotStartError
from modellix_server.embedded.postgres import find_binaries
from modellix_server.operations.context import Context
from modellix_server.operations.principal import Permission, Principal
from modellix_server.results import Storage

DUMP, FILES, MANIFEST, FOLDERS = "database.dump", "files", "manifest.json", ("results", "inputs", "uploads")
_DUMP_LIMIT_MS = 6 * 3600 * 1000

Say = Callable[[str], None]


class BackedUpFile(msgspec.Struct, frozen=True):
    """One copied file; `path` as in the storage."""

    path: str
    size: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True):
    """What a backup holds, to be checked against when it is used."""

    modellix: str
    postgresql: str
    at: str
    """ISO 8601 of the moment that the database is shown at."""
    migrations: dict[str, str]
    """Name -> checksum."""
    rows: dict[str, int]
    """Table -> number of rows at that moment."""
    dump_sha256: str
    secret_check: str
    """Tells whether secrets are those of the backup, and nothing about them."""
    files: list[BackedUpFile]


async def back_up(ctx: Context, who: Principal, target: Path, say: Say) -> Manifest:
    """Write a backup into the new folder `target`; when it fails nothing is left there.

    Raises CannotStartError for what the operator can put right, OSError for the folder.
    """
    who.require(Permission.OPERATE)
    if target.exists():
        raise CannotStartError(f"{target} is there already: a backup needs a new folder")
    unfinished = target.with_name(f"{target.name}.unfinished")
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(unfinished)
    unfinished.mkdir(mode=0o700, parents=True)
    try:
        manifest = await _write(ctx.settings, unfinished, say)
        await asyncio.to_thread(_sync, unfinished)
        unfinished.rename(target)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise
    async with ctx.transaction() as tx:
        subject, files = f"backup:{target.name}", len(manifest.files)
        await audit.record(tx, who.actor, "backup.create", subject, at=manifest.at, files=files)
    return manifest


async def _write(settings: Settings, folder: Path, say: Say) -> Manifest:
    async with _snapshot(settings.owner_database_url) as (db, snapshot):
        at, server = await db.fetchval("select now()"), await db.fetchval("show server_version")
        say("dumping the database")
        await _dump(settings.owner_database_url, snapshot, folder / DUMP)
        rows = {table: await db.fetchval(f"select count(*) from {table}") for table in await _tables(db)}  # noqa: S608
        migrations = await applied_migrations(db)
    files = []
    async for file in _copies(Storage(settings.storage_url), folder / FILES):
        files.append(file)
        if len(files) % 1000 == 0:
            say(f"copied {len(files):,} files")
    manifest = Manifest(
        modellix=version("modellix-server"),
        postgresql=server,
        at=at.isoformat(),
        migrations=migrations,
        rows=rows,
        dump_sha256=await asyncio.to_thread(digest, folder / DUMP),
        secret_check=secret_check(settings.secret, settings.master_key),
        files=files,
    )
    (folder / MANIFEST).write_bytes(msgspec.json.format(msgspec.json.encode(manifest), indent=1))
    return manifest


def secret_check(secret: Secret, master_key: Secret) -> str:
    """A value by which a later restore recognises the same two secrets."""
    return hmac.digest(secret.derive("backup") + master_key.derive("backup"), b"modellix", hashlib.sha256).hex()


def digest(path: Path) -> str:
    """SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.asynccontextmanager
async def _snapshot(dsn: str) -> AsyncIterator[tuple[asyncpg.Connection[asyncpg.Record], str]]:
    """A connection that sees one moment, and the name by which others see the same."""
    db = await connect(dsn, name="backup", statement_timeout_ms=_DUMP_LIMIT_MS)
    try:
        await db.execute("set idle_in_transaction_session_timeout = 0")
        async with db.transaction(isolation="repeatable_read", readonly=True):
            yield db, await db.fetchval("select pg_export_snapshot()")
    finally:
        await db.close()


async def _tables(db: asyncpg.Connection[asyncpg.Record]) -> list[str]:
    rows = await db.fetch(
        """select format('%I.%I', n.nspname, c.relname) from pg_class c join pg_namespace n on n.oid = c.relnamespace
           where c.relkind = 'r' and n.nspname !~ '^pg_' and n.nspname <> 'information_schema' order by 1"""
    )
    return [row[0] for row in rows]


async def _dump(dsn: str, snapshot: str, target: Path) -> None:
    await run_program(
        "pg_dump", dsn, "--format=custom", "--no-owner", f"--snapshot={snapshot}", f"--file={target}", limit_s=6 * 3600
    )


async def run_program(name: str, dsn: str, *arguments: str, limit_s: float) -> None:
    """Run one of PostgreSQL's programs on a database; its password goes by the environment, never in the arguments.

    Raises CannotStartError with what it said.
    """
    program = find_binaries() / name
    if not os.access(program, os.X_OK):
        raise CannotStartError(
            f"there is no {name} in {program.parent}: name a folder that has it in MODELLIX_POSTGRES_BIN"
        )
    parts = urlsplit(dsn)
    place = parts._replace(netloc=f"{parts.username}@{parts.hostname or ''}{f':{parts.port}' if parts.port else ''}")
    process = await asyncio.create_subprocess_exec(
        str(program),
        f"--dbname={place.geturl()}",
        "--no-password",
        *arguments,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "PGPASSWORD": unquote(parts.password or "")},
    )
    try:
        async with asyncio.timeout(limit_s):
            _, said = await process.communicate()
    except BaseException:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        raise
    if process.returncode != 0:
        raise CannotStartError(f"{name} failed: {said.decode(errors='replace').strip()[-1000:]}")


async def _copies(storage: Storage, folder: Path) -> AsyncIterator[BackedUpFile]:
    """Copy every stored file; one that expires meanwhile is left out."""
    for name in FOLDERS:
        async for page in storage.names(f"{name}/"):
            for path in page:
                if (copied := await _copy(storage, path, folder / path)) is not None:
                    yield copied


async def _copy(storage: Storage, path: str, target: Path) -> BackedUpFile | None:
    try:
        opened = await storage.open(path, None)
    except FileNotFoundError:
        return None
    target.parent.mkdir(parents=True, exist_ok=True)
    sha256, size = hashlib.sha256(), 0
    with target.open("xb") as file:
        async for chunk in opened.chunks:
            sha256.update(chunk)
            size += len(chunk)
            await asyncio.to_thread(file.write, chunk)
    return BackedUpFile(path, size, sha256.hexdigest())


def _sync(folder: Path) -> None:
    """Flush everything to the disk before the folder gets its final name."""
    for path in _everything(folder):
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _everything(folder: Path) -> Iterator[Path]:
    yield from folder.rglob("*")
    yield folder


def stamp() -> str:
    """A folder name that sorts by time."""
    return f"modellix-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
