"""What a process of the platform settles for itself at start, and what Linux tells of its processes."""

import contextlib
import ctypes
import os
import resource
import signal
import sys
from pathlib import Path

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # malloc.h
_WANTED_FILES = 65_536
ENOUGH_FILES = 1024
"""Open files that a process of the platform should be allowed; with fewer, few clients are served at a time."""
_KEPT_BYTES, _MOST_BLOCK_BYTES = 64 << 20, 32 << 20  # larger blocks cannot be kept
_LARGE_BLOCK_BYTES = 128 * 1024


def die_with_parent(parent_pid: int, signum: int = signal.SIGKILL) -> None:
    """Ask Linux to send `signum` to this process when its parent dies; exit if it already has.

    Other systems have no such call; there only the supervisor's ordinary shutdown ends it.
    """
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, int(signum), 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    if os.getppid() != parent_pid:
        sys.exit("parent process is gone")


def stopped_children(parent_pid: int) -> dict[int, str]:
    """The child processes that are stopped, not ended (SIGSTOP, Ctrl-Z): process id to command line. Linux only."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            # proc_pid_stat(5): the name before the state may hold any character, brackets too
            state, parent = (folder / "stat").read_text(errors="replace").rpartition(")")[2].split()[:2]
            if state == "T" and parent == str(parent_pid):
                command = (folder / "cmdline").read_bytes().rstrip(b"\0").replace(b"\0", b" ")
                found[int(folder.name)] = command.decode(errors="replace")
    return found


def raise_file_limit() -> int:
    """Allow this process as many open files as it may have, up to a sensible number. Returns how many it may have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _WANTED_FILES if hard == resource.RLIM_INFINITY else min(hard, _WANTED_FILES)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
        return most
    return _WANTED_FILES if soft == resource.RLIM_INFINITY else soft


def most_open_files(pid: int) -> int:
    """How many files a process may have open at a time. Raises OSError for one that is gone."""
    for line in Path(f"/proc/{pid}/limits").read_text().splitlines():
        if line.startswith("Max open files"):
            soft = line.split()[3]
            return sys.maxsize if soft == "unlimited" else int(soft)
    return sys.maxsize


def reuse_memory() -> None:
    """Keep up to 64 MB of freed memory for the next use, where the C library is glibc (mallopt(3)).

    Blocks of some megabytes would otherwise be returned each time, and allocated again page by page, which doubles
    the time for an image of 10 MB.
    """
    if tune := getattr(ctypes.CDLL(None), "mallopt", None):
        tune(_M_MMAP_THRESHOLD, _MOST_BLOCK_BYTES)
        tune(_M_TRIM_THRESHOLD, _KEPT_BYTES)


def give_large_blocks_back() -> None:
    """Have each block of 128 KB or more go back to the system as soon as it is freed.

    That is glibc's way at first, but with each such block that is freed it raises the size, up to 32 MB. Then a few
    small blocks among large ones keep all of them: a hundred slow readers of files left 40 MB. Setting the size stops
    that (mallopt(3)). Other C libraries have no such call.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _LARGE_BLOCK_BYTES)


def give_holes_back() -> None:
    """Give the system what is free in the heap between blocks in use (malloc_trim(3)): what many bodies at once left.

    It takes some milliseconds. Other C libraries have no such call.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
