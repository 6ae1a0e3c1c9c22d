"""The supervisor as a test starts it: a real PostgreSQL, and stand-ins for the rooms' own programs."""

from __future__ import annotations

import os
import pwd
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil

from modellix_server.embedded import launch
from modellix_server.embedded.instance_lock import free_loopback_port

CHILDREN = ("sandbox", "serve", "work")
START_LIMIT_S = 60.0  # for a machine that is busy with other things
_STAND_IN = Path(__file__).with_name("stand_in_processes.py")


class Up:
    """One run of the supervisor."""

    def __init__(
        self, data: Path, *roles: str, user: str | None = None, port: int | None = None, files: int | None = None
    ) -> None:
        self.data = data
        self.port = port or free_loopback_port()
        command = [sys.executable, str(_STAND_IN), "up", str(data), str(self.port), *(roles or CHILDREN)]
        if user is not None:
            # The interpreter may lie where that user cannot look, as under /root.
            entry = pwd.getpwnam(user)
            arguments = (os.getpid(), int(signal.SIGKILL), entry.pw_uid, entry.pw_gid, 1)
            command = [sys.executable, "-I", "-S", launch.__file__, *map(str, arguments), *command]
        if files is not None:
            command = ["sh", "-c", f'ulimit -n {files} && exec "$@"', "sh", *command]
        self.output = ""
        self.started = time.monotonic()
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, bufsize=1, cwd="/"
        )

    def read_until(self, text: str) -> str:
        """Everything printed so far, once the text is among it."""
        while text not in self.output:
            line = self.process.stdout.readline()
            assert line, f"ended without {text!r}:\n{self.output}"
            self.output += line
            assert time.monotonic() - self.started < START_LIMIT_S, self.output
        return self.output

    def ready(self) -> float:
        """Seconds until the banner's last line."""
        self.read_until("/api/v1/tasks/")
        return time.monotonic() - self.started

    def everything(self) -> list[psutil.Process]:
        """All processes of this run, the supervisor first."""
        top = psutil.Process(self.process.pid)
        return [top, *top.children(recursive=True)]

    def child(self, name: str) -> psutil.Process:
        """One of the supervisor's own; between its fork and its exec each of them bears all their names."""
        while True:
            found = [process for process in psutil.Process(self.process.pid).children() if name in command_of(process)]
            if len(found) == 1:
                return found[0]
            assert found, f"there is no {name}"
            assert time.monotonic() - self.started < START_LIMIT_S, found
            time.sleep(0.01)

    def helper_of(self, name: str) -> psutil.Process:
        """The process that a child starts when it has finished its own start."""
        while not (helpers := self.child(name).children()):
            assert time.monotonic() - self.started < START_LIMIT_S, self.output
            time.sleep(0.01)
        return helpers[0]

    def postmaster(self) -> psutil.Process:
        return psutil.Process(int((self.data / "postgres" / "postmaster.pid").read_text().split()[0]))

    def end_by_itself(self) -> str:
        """Everything printed until the end, which was an error."""
        self.output += self.process.communicate(timeout=START_LIMIT_S)[0]
        assert self.process.returncode == 2
        return self.output

    def end(self) -> str:
        """SIGTERM, and everything printed until the end."""
        self.process.terminate()
        self.output += self.process.communicate(timeout=40)[0]
        return self.output


def gone(processes: list[psutil.Process], within_s: float = 20.0) -> bool:
    """Whether all have ended; one that only waits for a slow init to collect it has."""
    deadline = time.monotonic() + within_s
    while any(process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in processes):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def command_of(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:
        return []
