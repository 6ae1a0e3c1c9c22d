"""Database servers that outlived the supervisor that started them."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

_WAYS = (
    (signal.SIGINT, 60.0),  # "fast": writes everything out, and may still be recovering
    (signal.SIGQUIT, 10.0),  # "immediate": the next start recovers
    (signal.SIGKILL, 10.0),
)


async def stop_server(cluster: Path) -> None:
    """Stop every server process of this cluster, and remove the lock file that would block the next start.

    PostgreSQL's own check takes any process with the recorded pid for a server: a zombie, or an unrelated
    process that got the pid since. Raises TimeoutError when a process cannot be ended.
    """
    for signum, limit_s in _WAYS:
        if await _all_gone(cluster, signum, limit_s):
            (cluster / "postmaster.pid").unlink(missing_ok=True)
            return
    raise TimeoutError(f"process {sorted(_servers(cluster))} still serves {cluster} and cannot be ended")


async def _all_gone(cluster: Path, signum: signal.Signals, limit_s: float) -> bool:
    alive = _servers(cluster)
    # Backends end with their postmaster. Without one each gets the signal; it has no work left to finish.
    told = alive & {_noted(cluster)}
    if not told and signum == signal.SIGINT:
        return not alive
    for pid in told or alive:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signum)
    deadline = time.monotonic() + limit_s
    while _servers(cluster):
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(0.01)
    return True


def _noted(cluster: Path) -> int | None:
    try:
        return int((cluster / "postmaster.pid").read_text().split("\n", 1)[0])
    except (FileNotFoundError, ValueError):
        return None


def _servers(cluster: Path) -> set[int]:
    """Live PostgreSQL processes of this cluster: its folder is their working directory. Zombies have none."""
    if sys.platform != "linux":
        pid = _noted(cluster)
        return {pid} if pid is not None and _is_postgres(pid) else set()
    found = set()
    wanted = cluster.stat()
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with contextlib.suppress(OSError):
                if (entry / "comm").read_text() == "postgres\n" and os.path.samestat((entry / "cwd").stat(), wanted):
                    found.add(int(entry.name))
    return found


def _is_postgres(pid: int) -> bool:
    listed = subprocess.run(["ps", "-o", "stat=,comm=", "-p", str(pid)], capture_output=True, text=True, check=False)
    state, _, command = listed.stdout.strip().partition(" ")
    return bool(state) and not state.startswith("Z") and Path(command.strip()).name == "postgres"
