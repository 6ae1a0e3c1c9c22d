"""The processes of a run: started from the real command line, watched by CPU and memory, ended by us."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from modellix_server.embedded.instance_lock import answers

HERE = Path(__file__).parent
READY_LIMIT_S = 60.0
STOP_LIMIT_S = 30.0
MODELLIX = ("-m", "modellix_server.cli.app")


class CannotMeasureError(RuntimeError):
    """The run cannot go on, or its figures would mean nothing; the message says why."""


@dataclass
class Program:
    """One child process and its log."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.process.pid

    async def stop(self) -> None:
        """End it in good order, by force after the limit."""
        if self.process.poll() is None:
            self.process.terminate()
        try:
            await asyncio.to_thread(self.process.wait, STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """End it as a crash would: SIGKILL."""
        with suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def require_alive(self) -> None:
        """Raise CannotMeasureError with the end of its log when it has ended by itself."""
        if self.process.poll() is not None:
            raise CannotMeasureError(
                f"{self.name} ended with {self.process.returncode}: {self.log.read_text(errors='replace')[-2000:]}"
            )


def start(name: str, *arguments: str, env: Mapping[str, str], log: Path) -> Program:
    """Start a Python program."""
    with log.open("ab") as file:
        process = subprocess.Popen(
            [sys.executable, *arguments], env=env, stdout=file, stderr=file, cwd=HERE.parent, start_new_session=True
        )
    return Program(name, process, log)


async def ready(program: Program, origin: str, path: str) -> None:
    """Wait until the program answers a GET with 200. Raises CannotMeasureError."""
    give_up = time.monotonic() + READY_LIMIT_S
    while not await answers(origin, path):
        program.require_alive()
        if time.monotonic() > give_up:
            raise CannotMeasureError(f"{program.name} does not answer within {READY_LIMIT_S:.0f} s")
        await asyncio.sleep(0.05)


def free_port() -> int:
    """A port nobody listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def clean_environment() -> dict[str, str]:
    """Our environment without any setting of the developer's own platform."""
    return {name: value for name, value in os.environ.items() if not name.startswith("MODELLIX_")}


def cpu_s(pid: int) -> float:
    """CPU seconds used so far by a process and all its children, living and ended."""
    total = 0.0
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        for each in (process, *process.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                times = each.cpu_times()
                total += times.user + times.system + times.children_user + times.children_system
    return total


def own_cpu_s(pid: int) -> float:
    """CPU seconds of the process alone."""
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


def rss_bytes(pid: int) -> int:
    """Resident memory of the process alone."""
    size: int = psutil.Process(pid).memory_info().rss
    return size


def disk_bytes(pid: int) -> int:
    """Bytes that a process and its children had written to files on a disk, cached or not; memory does not count."""
    process = psutil.Process(pid)
    return sum(each.io_counters().write_bytes for each in (process, *process.children(recursive=True)))


class Meter:
    """CPU of several processes over a stretch of time."""

    def __init__(self, **pids: int) -> None:
        self._pids = pids
        self._begin = {name: cpu_s(pid) for name, pid in pids.items()}

    def us_per(self, operations: float) -> dict[str, float]:
        """CPU microseconds an operation, by process, since the meter was made."""
        return {
            name: round((cpu_s(pid) - self._begin[name]) * 1e6 / max(operations, 1), 1)
            for name, pid in self._pids.items()
        }
