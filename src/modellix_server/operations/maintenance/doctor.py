"""`modellix-server doctor`: what is wrong, in words, with what to do about it."""

import contextlib
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal
from urllib.parse import urlsplit

import aiohttp
import asyncpg

from modellix_server import mail, requestlog, tasks, vault
from modellix_server.base.addresses import local_origin
from modellix_server.base.database import DATABASE_ERRORS, Connection, connect
from modellix_server.base.functions import applied_functions, discover_functions, outdated
from modellix_server.base.migrations import applied_migrations, discover
from modellix_server.base.process import ENOUGH_FILES, most_open_files, stopped_children
from modellix_server.base.settings import BadSettings, Settings
from modellix_server.base.team_mode import mode_word
from modellix_server.embedded.data_directory import CannotStartError, DataDirectory
from modellix_server.embedded.postgres import full_disk
from modellix_server.ledger import monitor
from modellix_server.operations.context import Context
from modellix_server.operations.maintenance.migrate import ROOMS
from modellix_server.operations.principal import Permission, Principal
from modellix_server.results import TROUBLE, Storage
from modellix_server.tasks.models import load_models

Grade = Literal["good", "warning", "bad"]
Answer = tuple[Grade, str]
"""How it is, and what to say about it."""
_Check = Callable[[Connection, Settings], Awaitable[Answer]]

_LEAST_FREE_BYTES = 1 << 30
_LEAST_SEGMENT_BYTES = 16 << 20  # what PostgreSQL asks for at a time (wal_segment_size)
_LATE_S = 300
_MOST_REVIEWS = 100
_MOST_SKEW_S = 2.0
_PROBE = "doctor/probe"
_STORAGE_TROUBLE: tuple[type[Exception], ...] = (*TROUBLE, ValueError)


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """The result of one check."""

    what: str
    grade: Grade
    says: str


async def examine(
    data_directory: DataDirectory, env: Mapping[str, str], test_mail_to: str | None = None
) -> list[Diagnosis]:
    """Run all checks; those that need the database are left out if it does not answer.

    With an address, a test message is sent there.
    """
    try:
        settings = data_directory.settings(env)
    except (BadSettings, CannotStartError) as error:
        return [Diagnosis("settings", "bad", str(error))]
    found = [_named(settings)]
    if not env.get("MODELLIX_DATABASE_URL"):
        found.append(("secrets", _secrets_file(data_directory)))
        found.append(("folders", _folders(data_directory)))
        found.append(("processes", _processes(data_directory)))
    found += await _checked(settings, data_directory, _IN_THE_DATABASE, test_mail_to)
    return [Diagnosis(what, *answer) for what, answer in found]


async def diagnose(ctx: Context, who: Principal) -> list[Diagnosis]:
    """The same as the process sees it that is asked: it has no data directory, and mostly not the owner's role.

    Without the check of the whole ledger, which reads every transfer (`reconciliation.ask_check`).
    """
    who.require(Permission.OPERATE)
    settings = ctx.settings
    left_out = {"ledger"} | ({"tables"} if settings.owner_database_url == settings.database_url else set())
    checks = {what: check for what, check in _IN_THE_DATABASE.items() if what not in left_out}
    found = [_named(settings), *await _checked(settings, None, checks, None)]
    return [Diagnosis(what, *answer) for what, answer in found]


def _named(settings: Settings) -> tuple[str, Answer]:
    return "settings", ("good", f"database, storage and secrets are named; public URL {settings.public_origin}")


async def _checked(
    settings: Settings, data_directory: DataDirectory | None, checks: Mapping[str, _Check], test_mail_to: str | None
) -> list[tuple[str, Answer]]:
    api = f"{local_origin(settings.host, settings.port)}/readyz"
    found = [
        ("catalogue", _catalogue(settings)),
        ("disk", _disk(settings, data_directory)),
        ("storage", await _storage(settings)),
        ("mail", await _mail(settings, test_mail_to)),
        ("API", await _answers(api, "is `serve` running?")),
        ("sandbox", await _answers(f"{settings.sandbox_url}/healthz", "test keys need it: is `sandbox` running?")),
    ]
    try:
        db = await connect(settings.database_url, name="doctor")
    except DATABASE_ERRORS as error:
        why = _why_not(settings, data_directory)
        return [*found, ("database", ("bad", f"it does not answer ({type(error).__name__}): {why}"))]
    try:
        for what, check in checks.items():
            found.append((what, await check(db, settings)))
    except DATABASE_ERRORS as error:
        found.append(("database", ("bad", f"it stopped answering: {error}")))
    finally:
        await db.close()
    return found


def _why_not(settings: Settings, data_directory: DataDirectory | None) -> str:
    with contextlib.suppress(OSError):
        if (
            data_directory is not None
            and data_directory.runs_database(settings)
            and shutil.disk_usage(data_directory.cluster / "pg_wal").free < _LEAST_SEGMENT_BYTES
        ):
            return full_disk(data_directory)
    return "is PostgreSQL running?"


def _secrets_file(data_directory: DataDirectory) -> Answer:
    file = data_directory.root / "secrets.json"
    mode = stat.S_IMODE(file.stat().st_mode)
    if mode & 0o077:
        return "bad", f"others may read secrets.json (mode {mode:o}): chmod 600 {file}"
    return "good", "only their owner may read them; keep a copy beside your backups' place, not in it"


def _folders(data_directory: DataDirectory) -> Answer:
    for folder in data_directory.folders:
        if not folder.is_dir():
            return "warning", f"{folder} was removed: it is made again when it is needed, or at the next start"
        if not os.access(folder, os.W_OK | os.X_OK):
            return "bad", f"{folder} cannot be written to: give it back to the user of the platform"
    return "good", f"all are in {data_directory.root}"


def _processes(data_directory: DataDirectory) -> Answer:
    runtime = data_directory.read_runtime()
    if runtime is None:
        return "bad", "`modellix-server up` does not run here"
    if stopped := stopped_children(runtime.pid):
        pid, command = next(iter(stopped.items()))
        return "bad", f"process {pid} was stopped by a signal, as by Ctrl-Z: kill -CONT {pid} ({command[:80]})"
    try:
        files = most_open_files(runtime.pid)
    except OSError:
        return "bad", f"the supervisor (process {runtime.pid}) is gone: start `modellix-server up` again"
    if files < ENOUGH_FILES:
        return "warning", f"{files} open files are allowed, so few clients are served at a time: raise `ulimit -n`"
    return "good", "none is stopped, and they may open enough files"


def _catalogue(settings: Settings) -> Answer:
    try:
        catalogue, _ = load_models(settings)
    except BadSettings as error:
        return "bad", str(error)
    return "good", f"{len(catalogue)} models"


def _disk(settings: Settings, data_directory: DataDirectory | None) -> Answer:
    parts = urlsplit(settings.storage_url)
    places = {settings.spool_dir or tempfile.gettempdir()} | ({parts.path} if parts.scheme == "file" else set())
    if data_directory is not None and data_directory.runs_database(settings):  # the log may be a link to another disk
        places |= {str(data_directory.cluster), str(data_directory.cluster / "pg_wal")}
    short = []
    for place in sorted(places):
        with contextlib.suppress(OSError):
            if (free := shutil.disk_usage(place).free) < _LEAST_FREE_BYTES:
                short.append(f"{free / 1e9:.1f} GB free at {place}")
    if short:
        return "bad", f"{', '.join(short)}: a full disk stops the database. Make room"
    return "good", "enough room"


async def _storage(settings: Settings) -> Answer:
    try:
        storage = Storage(settings.storage_url)
        await storage.put(_PROBE, b"probe")
        read = await storage.read(_PROBE)
        await storage.delete([_PROBE])
    except _STORAGE_TROUBLE as error:
        return "bad", f"a file cannot be written, read and deleted there: {type(error).__name__}: {error}"
    if read != b"probe":
        return "bad", "what was written there is not what is read"
    return "good", "a file was written, read and deleted"


async def _mail(settings: Settings, to: str | None) -> Answer:
    missing = mail.missing_settings(settings)
    try:
        transport = mail.open_transport(settings)
    except BadSettings as error:
        return "bad", str(error)
    if transport is None:
        return "warning", f"none can be sent, so nobody can sign in by a code: set {' and '.join(missing)}"
    try:
        async with transport as connection:
            if to is not None:
                await connection.send(mail.test_message(settings, to))
    except (mail.MailNotSent, mail.MailRefused) as error:
        return "bad", f"{error}. Messages wait until they can be sent"
    if not settings.smtp_url:
        return "good", f"messages become files in {settings.mail_dir}, as MODELLIX_SMTP_URL is not set"
    if to is not None:
        return "good", f"the server has taken a test message to {to}"
    return "good", "the server answers; `doctor --mail-to ADDRESS` sends a test message"


async def _unsent(db: Connection, _: Settings) -> Answer:
    waiting = await mail.backlog(db)
    if waiting.oldest_s > _LATE_S:
        return "warning", (
            f"{waiting.waiting} messages wait, the first for {waiting.oldest_s / 60:.0f} minutes: "
            f"{waiting.error or 'is `work` running?'}"
        )
    return "good", "no message waits for long"


async def _answers(url: str, advice: str) -> Answer:
    limit = aiohttp.ClientTimeout(total=5)
    try:
        async with aiohttp.ClientSession(timeout=limit) as http, http.get(url) as answer:
            if answer.status == 200:
                return "good", f"answers at {url}"
            return "bad", f"{url} answers {answer.status}"
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        return "bad", f"{url} does not answer ({type(error).__name__}): {advice}"


async def _database(db: Connection, _: Settings) -> Answer:
    version = db.get_server_version()
    if version.major < 15:
        return "bad", f"PostgreSQL {version.major} is too old: 15 is needed"
    for name in ("fsync", "synchronous_commit", "full_page_writes"):
        if await db.fetchval("select current_setting($1)", name) == "off":
            return "bad", f"{name} is off: committed money can be lost. Turn it on"
    if await db.fetchval("select rolsuper from pg_roles where rolname = current_user"):
        return "bad", "the platform signs in as a superuser: use modellix_app, which cannot change transfers"
    return "good", f"PostgreSQL {version.major}.{version.minor}, commits are durable"


async def _clock(db: Connection, _: Settings) -> Answer:
    before = time.time()
    theirs: float = await db.fetchval("select extract(epoch from clock_timestamp())::float8")
    skew = theirs - (before + time.time()) / 2
    if abs(skew) > _MOST_SKEW_S:
        return "warning", f"the database's clock is {skew:+.0f} s off ours: links and ids show ours. Run NTP"
    return "good", "ours and the database's agree"


async def _tables(_: Connection, settings: Settings) -> Answer:
    ours = discover(ROOMS)
    owner = await connect(settings.owner_database_url, name="doctor")
    try:
        applied = await applied_migrations(owner)
        functions = outdated(discover_functions(ROOMS), await applied_functions(owner))
    except (asyncpg.InsufficientPrivilegeError, asyncpg.UndefinedTableError):
        return "warning", "the list of migrations may not be read: set MODELLIX_OWNER_DATABASE_URL"
    finally:
        await owner.close()
    missing = [one.name for one in ours if one.name not in applied]
    changed = [one.name for one in ours if applied.get(one.name, one.checksum) != one.checksum]
    if missing:
        return "bad", f"{len(missing)} migrations are missing, first {missing[0]}: run `modellix-server migrate`"
    if functions:
        others = f"{len(functions)} SQL functions are of another version, first {functions[0].name}"
        return "bad", f"{others}: run `modellix-server migrate`"
    if changed:
        return "bad", f"{changed[0]} is not what this database was made with: is this another version?"
    return "good", f"all {len(ours)} migrations are applied, and the functions are of this version"


async def _workers(db: Connection, _: Settings) -> Answer:
    alive = (await tasks.queue_now(db)).workers
    if not alive:
        return "bad", "none is alive: nothing will be carried out. Is `work` running?"
    return "good", f"{alive} alive"


async def _queue(db: Connection, _: Settings) -> Answer:
    now = await tasks.queue_now(db)
    if now.oldest_s > _LATE_S:
        first = f"{now.due} tasks wait for a worker, the first for {now.oldest_s / 60:.0f} minutes"
        return "bad", f"{first}: start more workers"
    return "good", "no task waits for long"


async def _vendors(db: Connection, settings: Settings) -> Answer:
    accounts = await vault.list_accounts(db, settings.keyring)
    if closed := [f"{account.upstream} ({account.name})" for account in accounts if account.last4 is None]:
        names = ", ".join(closed)
        return "bad", f"the keys of {names} cannot be opened: is MODELLIX_MASTER_KEY another one? Set them again"
    if not accounts:
        return "warning", "no vendor account: live keys get 503. Set one with `admin upstream set`"
    if broken := [one for one in await tasks.list_open(db) if one.live]:
        words = "; ".join(
            f"{one.upstream} does not answer since {one.opened_at:%H:%M} UTC: {one.reason}" for one in broken
        )
        again = "Tasks wait, new ones get 503. It is tried again by itself: `admin upstream test` asks now"
        return "warning", f"{words}. {again}"
    if urlsplit(settings.public_origin).hostname in ("127.0.0.1", "localhost", "::1"):
        here = "MODELLIX_PUBLIC_URL is this machine: results can be fetched here only"
        return "warning", f"{len(accounts)} accounts, but {here}"
    return "good", f"{len(accounts)} accounts, their keys can be opened"


async def _request_log(db: Connection, _: Settings) -> Answer:
    lost = await requestlog.count_lost(db, days=1)
    if lost:
        return "warning", f"{lost} rows were lost within a day: the database was away or slow"
    return "good", "complete"


async def _reviews(db: Connection, _: Settings) -> Answer:
    yesterday = datetime.now(UTC) - timedelta(days=1)
    recent = sum(one.at > yesterday for one in await tasks.list_reviews(db, limit=_MOST_REVIEWS, decided=False))
    if recent:
        count = f"{recent} or more" if recent == _MOST_REVIEWS else str(recent)
        return "warning", f"{count} things of the last day to look at: `admin task review`, or the page Reviews"
    return "good", "nothing of the last day to look at"


async def _frozen(db: Connection, _: Settings) -> Answer:
    if frozen := await monitor.list_frozen(db):
        first = frozen[0]
        whose = "all teams" if first.team_id == monitor.ALL_TEAMS else f"team {first.team_id}"
        return "bad", (
            f"{len(frozen)} take no new tasks. First {whose} "
            f"({mode_word(live=first.live)}) since {first.since:%Y-%m-%d %H:%M} UTC: {first.reason}. "
            "Find out why, then `ledger unfreeze`"
        )
    at = await monitor.completed_at(db)
    if at is None or (datetime.now(UTC) - at).total_seconds() > _LATE_S:
        since = "ever" if at is None else f"since {at:%Y-%m-%d %H:%M} UTC"
        return "warning", f"no worker has run the ledger monitor {since}"
    return "good", f"none; the ledger monitor ran at {at:%H:%M:%S} UTC"


async def _ledger(db: Connection, _: Settings) -> Answer:
    if findings := await tasks.verify(db):
        first = f"{len(findings)} things do not add up, first: {findings[0]}"
        return "bad", f"{first}. Run `ledger verify`, stop paid work"
    return "good", "balances, transfers, holds and tasks agree"


_IN_THE_DATABASE: dict[str, _Check] = {
    "database": _database,
    "clock": _clock,
    "tables": _tables,
    "workers": _workers,
    "queue": _queue,
    "vendors": _vendors,
    "request log": _request_log,
    "outbox": _unsent,
    "reviews": _reviews,
    "frozen accounts": _frozen,
    "ledger": _ledger,
}
