"""`modellix-server restore`: a backup into an empty place, checked before and after."""

import asyncio
import os
import shutil
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import msgspec

from modellix_server import tasks
from modellix_server.base.database import connect, open_pool
from modellix_server.base.migrations import discover
from modellix_server.base.settings import Settings
from modellix_server.embedded.data_directory import CannotStartError, DataDirectory, Runtime
from modellix_server.embedded.postgres import EmbeddedPostgres
from modellix_server.operations import reconciliation
from modellix_server.operations.context import Context
from modellix_server.operations.maintenance.backup import (
    DUMP,
    FILES,
    MANIFEST,
    Manifest,
    Say,
    digest,
    run_program,
    secret_check,
)
from modellix_server.operations.maintenance.migrate import ROOMS, migrate
from modellix_server.operations.principal import system
from modellix_server.results import Storage

_RESTORE_LIMIT_S = 24 * 3600.0


@dataclass(frozen=True, slots=True)
class Restored:
    """The outcome of a restore."""

    manifest: Manifest
    doubtful: int
    """Tasks that were ended because a vendor may have got them after the backup."""
    findings: list[str]
    """What does not add up in the ledger; nothing, if all is well."""


def read_manifest(source: Path) -> Manifest:
    """Read and check a backup: every file is there, whole and unchanged. Raises CannotStartError."""
    try:
        manifest = msgspec.json.decode((source / MANIFEST).read_bytes(), type=Manifest)
    except (OSError, msgspec.MsgspecError) as error:
        raise CannotStartError(f"{source} is no backup of Modellix: {error}") from error
    if not (source / DUMP).is_file() or digest(source / DUMP) != manifest.dump_sha256:
        raise CannotStartError(f"{source / DUMP} is missing or was changed")
    for file in manifest.files:
        place = source / FILES / file.path
        if not place.is_file() or place.stat().st_size != file.size or digest(place) != file.sha256:
            raise CannotStartError(f"{place} is missing or was changed")
    return manifest


async def restore_directory(
    source: Path, data_directory: DataDirectory, secrets: Path, env: Mapping[str, str], say: Say
) -> Restored:
    """Restore into an empty data directory; `up` can be run on it afterwards.

    When it fails the database and the files are removed again. Raises CannotStartError for what the operator can
    put right.
    """
    if data_directory.cluster.exists() or (data_directory.storage.exists() and any(data_directory.storage.iterdir())):
        raise CannotStartError(
            f"{data_directory.root} has a database or files already: restore needs a new data directory"
        )
    say("checking the backup")
    manifest = await asyncio.to_thread(read_manifest, source)
    data_directory.create()
    _take_secrets(secrets, data_directory)
    postgres = EmbeddedPostgres(data_directory, say=say)
    done = False
    try:
        await postgres.start()
        data_directory.write_runtime(Runtime(os.getpid(), "127.0.0.1", 8000, 8100))
        restored = await restore(source, manifest, data_directory.settings(env), say)
        done = True
        return restored
    finally:
        data_directory.forget_runtime()
        await postgres.stop()
        if not done:
            for folder in (data_directory.cluster, data_directory.storage):
                shutil.rmtree(folder, ignore_errors=True)


def _take_secrets(secrets: Path, data_directory: DataDirectory) -> None:
    place = data_directory.root / "secrets.json"
    if not place.exists():
        try:
            content = secrets.read_bytes()
        except OSError as error:
            raise CannotStartError(f"the secrets cannot be read: {error}") from error
        with os.fdopen(os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(content)


async def restore(source: Path, manifest: Manifest, settings: Settings, say: Say) -> Restored:
    """Restore into an empty database and storage. Raises CannotStartError."""
    # A backup from before a rotation opens with the former master key.
    if manifest.secret_check not in {secret_check(settings.secret, key) for key in settings.keyring.keys}:
        raise CannotStartError("these are not the secrets of this backup: its keys and vendor accounts would be lost")
    unknown = manifest.migrations.keys() - {migration.name for migration in discover(ROOMS)}
    if unknown:
        raise CannotStartError(f"this backup is of a later version, {manifest.modellix}: it has {min(unknown)}")
    db = await connect(settings.owner_database_url, name="restore")
    try:
        if await db.fetchval("select count(*) from pg_namespace where nspname = any ($1)", ["base", "tasks"]):
            raise CannotStartError("the database is not empty")
    finally:
        await db.close()
    say("loading the database")
    arguments = ("--no-owner", "--exit-on-error", "--single-transaction", str(source / DUMP))
    await run_program("pg_restore", settings.owner_database_url, *arguments, limit_s=_RESTORE_LIMIT_S)
    await _require_rows(settings, manifest)
    await migrate(settings)
    storage = Storage(settings.storage_url)
    for number, file in enumerate(manifest.files, 1):
        await storage.put(file.path, source / FILES / file.path)
        if number % 1000 == 0:
            say(f"stored {number:,} of {len(manifest.files):,} files")
    say("checking the ledger")
    return await _settle(settings, manifest)


async def _require_rows(settings: Settings, manifest: Manifest) -> None:
    db = await connect(settings.owner_database_url, name="restore", statement_timeout_ms=3_600_000)
    try:
        for table, rows in manifest.rows.items():
            try:
                found = await db.fetchval(f"select count(*) from {table}")  # noqa: S608 - names as the dump made them
            except asyncpg.UndefinedTableError:
                found = None
            if found != rows:
                raise CannotStartError(f"{table} has {found} rows after loading, the backup says {rows}")
        await db.execute("analyze")  # or the first queries would be planned for empty tables
    finally:
        await db.close()


async def _settle(settings: Settings, manifest: Manifest) -> Restored:
    pool = await open_pool(settings.database_url, size=2, name="restore", statement_timeout_ms=600_000)
    try:
        doubtful = await tasks.end_doubtful(pool)
        who = system("restore", socket.gethostname())
        return Restored(manifest, doubtful, await reconciliation.verify(Context(settings, pool), who))
    finally:
        await pool.close()
