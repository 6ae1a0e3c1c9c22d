"""The supervisor: PostgreSQL, `serve`, `work` and `sandbox` on one machine, from one command."""

import asyncio
import contextlib
import os
import signal
import socket
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from modellix_server.base.addresses import local_origin
from modellix_server.base.database import connect, open_pool
from modellix_server.base.process import ENOUGH_FILES, raise_file_limit, stopped_children
from modellix_server.base.settings import Settings
from modellix_server.embedded.data_directory import CannotStartError, DataDirectory, Runtime, remedied
from modellix_server.embedded.instance_lock import (
    PortInUseError,
    answers,
    free_loopback_port,
    only_instance,
    require_free_port,
)
from modellix_server.embedded.logfile import open_log, rotate, tail
from modellix_server.embedded.postgres import STOP_LIMIT_S, EmbeddedPostgres, full_disk
from modellix_server.operations.maintenance.migrate import migrate
from modellix_server.processes import banner

DRAIN_LIMIT_S = 30.0
_HURRIED_STOP_S = 3.0
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 30.0
_LONGEST_POSTGRES_PAUSE_S = 5.0  # nothing works without it: when its disk has room again it should be back soon
_SOUND_AFTER_S = 10.0  # a child that lived this long did not fail at its start
_OLD_PORT_LIMIT_S = 3.0
_TELL_EVERY_S = 15.0
_LOOK_EVERY_S = 5.0

# Also a disk without room for a folder or a log, and an old server that cannot be ended.
_NOT_STARTED: tuple[type[Exception], ...] = (CannotStartError, OSError)

FirstStart = Callable[[Settings], Awaitable[banner.Welcome]]


@dataclass(frozen=True, slots=True)
class Child:
    """A program to keep running. Those of a lower `stop_rank` are stopped, and awaited, before the next."""

    name: str
    argv: tuple[str, ...]
    stop_rank: int = 0
    metrics_port_after: int = 0
    """How far its port for metrics is behind the one that was given for all."""


def platform_children(data_directory: DataDirectory, sandbox_port: int) -> list[Child]:
    """List the processes of the platform; the sandbox is needed until the worker has finished its submissions."""

    def command(name: str, *options: str) -> tuple[str, ...]:
        program = (sys.executable, "-m", "modellix_server.cli.app", name)
        return (*program, "--data", str(data_directory.root), "--parent", str(os.getpid()), *options)

    return [
        Child("sandbox", command("sandbox", "--port", str(sandbox_port)), stop_rank=1),
        Child("serve", command("serve")),
        Child("work", command("work"), metrics_port_after=1),
    ]


async def _self_test(settings: Settings) -> None:
    """Refuse to start with a master key that does not open what is stored. Raises BadSettings."""
    from modellix_server.operations.master_key import self_test  # noqa: PLC0415 - as below

    db = await connect(settings.database_url, name="self-test")
    try:
        await self_test(db, settings)
    finally:
        await db.close()


async def bootstrap_first_start(settings: Settings) -> banner.Welcome:
    """Make the default team where it is missing, and a link that signs the operator in."""
    from modellix_server.operations.context import Context  # noqa: PLC0415 - imports half the platform
    from modellix_server.operations.first_start import first_start  # noqa: PLC0415
    from modellix_server.operations.principal import system  # noqa: PLC0415
    from modellix_server.operations.sign_in import create_link  # noqa: PLC0415

    db = await open_pool(settings.database_url, size=1, name="first-start")
    try:
        context, who = Context(settings, db), system("first start", socket.gethostname())
        return banner.Welcome(await first_start(context, who), await create_link(context, who))
    finally:
        await db.close()


class Supervisor:
    """One run of the platform on one data directory.

    `children` and `first_start` are what is run; tests put small programs in their place.
    """

    def __init__(
        self,
        data_directory: DataDirectory,
        *,
        host: str,
        port: int,
        children: Callable[[DataDirectory, int], list[Child]] = platform_children,
        first_start: FirstStart = bootstrap_first_start,
    ) -> None:
        self._data_directory = data_directory
        self._host = host
        self._port = port
        self._origin = local_origin(host, port)
        self._terminal = banner.Terminal()
        self._children = children
        self._first_start = first_start
        self._postgres = EmbeddedPostgres(data_directory, say=self._say)
        self._running: dict[Child, asyncio.subprocess.Process] = {}
        self._asked = asyncio.Event()
        self._hurry = asyncio.Event()

    async def run(self) -> None:
        """Start everything and keep it running until a signal; leaves no process behind.

        Raises CannotStartError or BadSettings for what the operator can put right; other exceptions are faults.
        """
        try:
            await self._run()
        except OSError as error:
            if told := remedied(error):
                raise told from error
            raise

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            # nohup means it. A script's `&` ignores SIGINT too, but whoever sends us one wants us to stop.
            if signum is not signal.SIGHUP or signal.getsignal(signum) is not signal.SIG_IGN:
                loop.add_signal_handler(signum, self._on_signal)
        self._data_directory.create()
        if (files := raise_file_limit()) < ENOUGH_FILES:
            self._say(f"only {files} open files are allowed, so few clients are served at a time: raise `ulimit -n`")
        with only_instance(self._data_directory.pid_file):
            await self._require_port()
            main = asyncio.create_task(self._start_and_keep())
            asked = asyncio.create_task(self._asked.wait())
            try:
                await asyncio.wait({main, asked}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                asked.cancel()
                main.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    try:
                        await main
                    finally:
                        await self._shut_down()

    def _on_signal(self) -> None:
        (self._hurry if self._asked.is_set() else self._asked).set()

    def _say(self, text: str, style: str = "yellow") -> None:
        self._terminal.say(text, style)

    async def _require_port(self) -> None:
        """Refuse a port in use; after a crash the old `serve` is given a moment to vanish from it."""
        deadline = time.monotonic() + (_OLD_PORT_LIMIT_S if self._data_directory.read_runtime() else 0)
        while True:
            try:
                return require_free_port(self._host, self._port)
            except PortInUseError:
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(0.05)

    async def _start_and_keep(self) -> None:
        await self._postgres.start()
        sandbox_port = free_loopback_port()
        self._data_directory.write_runtime(Runtime(os.getpid(), self._host, self._port, sandbox_port))
        settings = self._data_directory.settings(self._environment())
        await migrate(settings)
        await _self_test(settings)
        async with asyncio.TaskGroup() as keepers:
            keepers.create_task(self._keep_postgres())
            keepers.create_task(self._look_after())
            keepers.create_task(banner.show_mail(self._terminal, self._data_directory.mail))
            for child in self._children(self._data_directory, sandbox_port):
                keepers.create_task(self._keep(child))
            welcome = await self._first_start(settings)
            await self._wait_until_ready()
            banner.show(self._terminal, self._data_directory, self._origin, welcome)

    def _environment(self, child: Child | None = None) -> dict[str, str]:
        """Make a child's environment: what was chosen here wins over what the variables said."""
        ours = {"MODELLIX_HOST": self._host, "MODELLIX_PORT": str(self._port)}
        # Nobody else serves this port, so nobody is to be given notice before it closes.
        made = {"MODELLIX_PUBLIC_URL": self._origin, "MODELLIX_DRAIN_S": "0", **os.environ, **ours}
        if child is not None and child.metrics_port_after and (address := made.get("MODELLIX_METRICS_ADDRESS")):
            host, _, port = address.rpartition(":")
            if port.isdigit():  # what is not is refused by the child that is asked to listen there
                made["MODELLIX_METRICS_ADDRESS"] = f"{host}:{int(port) + child.metrics_port_after}"
        return made

    async def _keep(self, child: Child) -> None:
        """Run a child, again and again."""
        log_path = self._data_directory.logs / f"{child.name}.log"
        pauses = _Pauses()
        while True:
            pauses.started()
            try:
                with open_log(log_path) as log:
                    written = log.tell()
                    process = await asyncio.create_subprocess_exec(
                        *child.argv,
                        stdin=asyncio.subprocess.DEVNULL,
                        stdout=log,
                        stderr=log,
                        start_new_session=True,  # Ctrl-C at a terminal is ours to pass on
                        env=self._environment(child),
                    )
            except OSError as error:  # no room for the log, no more processes
                pause_s = pauses.next_s()
                self._say(f"{child.name} cannot be started ({error}); trying again in {pause_s:.1f} s")
                await asyncio.sleep(pause_s)
                continue
            self._running[child] = process
            code = await process.wait()
            _kill_session(process)
            del self._running[child]
            pause_s = pauses.next_s()
            self._say(f"{child.name} ended ({_how(code)}); starting it again in {pause_s:.1f} s. Log: {log_path}")
            if said := tail(log_path, written):
                self._say(said, "dim")
            await asyncio.sleep(pause_s)

    async def _look_after(self) -> None:
        """See to it that children which somebody stopped go on, and that logs do not grow for ever."""
        unwritable: set[str] = set()
        while True:
            await asyncio.sleep(_LOOK_EVERY_S)
            for pid, command in stopped_children(os.getpid()).items():
                name = next((child.name for child, one in self._running.items() if one.pid == pid), command[:80])
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGCONT)
                    self._say(f"{name} was stopped by a signal (process {pid}); it goes on now")
            for log in self._data_directory.logs.glob("*.log"):
                try:
                    await asyncio.to_thread(rotate, log)
                    unwritable.discard(log.name)
                except OSError as error:
                    if log.name not in unwritable:
                        self._say(f"{log} is large and cannot be rotated: {error}")
                    unwritable.add(log.name)

    async def _keep_postgres(self) -> None:
        pauses = _Pauses(_LONGEST_POSTGRES_PAUSE_S)
        while True:
            code = await self._postgres.wait()
            self._say(
                f"PostgreSQL ended ({_how(code)}); starting it again. Log: {self._data_directory.logs / 'postgres.log'}"
            )
            if self._postgres.disk_is_full:
                self._say(f"PostgreSQL: {full_disk(self._data_directory)}", "bold red")
            while self._postgres.pid is None:
                await asyncio.sleep(pauses.next_s())
                pauses.started()
                try:
                    await self._postgres.start()
                except _NOT_STARTED as error:
                    self._say(f"PostgreSQL does not start: {error}")
                else:
                    self._say("PostgreSQL works again.", "green")

    async def _wait_until_ready(self) -> None:
        started = told = time.monotonic()
        while not await answers(self._origin):
            if time.monotonic() - told > _TELL_EVERY_S:
                told = time.monotonic()
                self._say(f"still not ready after {told - started:.0f} s; see the logs in {self._data_directory.logs}")
            await asyncio.sleep(0.05)

    async def _shut_down(self) -> None:
        """Drain, then stop the database; a second signal, or the end of the time allowed, ends it by force."""
        if self._asked.is_set():
            self._say("Stopping; once more to hurry.")
        deadline = time.monotonic() + DRAIN_LIMIT_S
        for rank in sorted({child.stop_rank for child in self._running}):
            processes = [process for child, process in self._running.items() if child.stop_rank == rank]
            for process in processes:
                with contextlib.suppress(ProcessLookupError):
                    process.terminate()
            ended = asyncio.create_task(_all_ended(processes))
            hurry: asyncio.Task[Any] = asyncio.create_task(self._hurry.wait())
            left_s = max(0.0, deadline - time.monotonic())
            await asyncio.wait((ended, hurry), timeout=left_s, return_when=asyncio.FIRST_COMPLETED)
            hurry.cancel()
            for process in processes:
                _kill_session(process)
            await ended
        await self._postgres.stop(within_s=_HURRIED_STOP_S if self._hurry.is_set() else STOP_LIMIT_S)
        self._data_directory.forget_runtime()


class _Pauses:
    """How long to wait before a restart: little, unless the program keeps dying at its start."""

    def __init__(self, longest_s: float = _LONGEST_PAUSE_S) -> None:
        self._longest_s = longest_s
        self._pause_s = _FIRST_PAUSE_S
        self._started = time.monotonic()

    def started(self) -> None:
        self._started = time.monotonic()

    def next_s(self) -> float:
        quick = time.monotonic() - self._started < _SOUND_AFTER_S
        self._pause_s = min(2 * self._pause_s, self._longest_s) if quick else _FIRST_PAUSE_S
        return self._pause_s


def _kill_session(process: asyncio.subprocess.Process) -> None:
    """End a child with whatever it started; each leads a process group of its own."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


async def _all_ended(processes: list[asyncio.subprocess.Process]) -> None:
    for process in processes:
        await process.wait()


def _how(code: int) -> str:
    return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"


def run(data_directory: DataDirectory, host: str, port: int) -> None:
    """Run the platform until a signal; see `Supervisor.run` for what it raises."""
    asyncio.run(Supervisor(data_directory, host=host, port=port).run())
