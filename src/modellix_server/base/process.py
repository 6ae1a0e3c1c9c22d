"""Settings that every process of the platform makes for itself at start."""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # malloc.h
_KEPT_BYTES, _MOST_BLOCK_BYTES = 64 << 20, 32 << 20  # larger blocks cannot be kept


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


def reuse_memory() -> None:
    """Keep up to 64 MB of freed memory for the next use, where the C library is glibc (mallopt(3)).

    Blocks of some megabytes would otherwise be returned each time, and allocated again page by page, which doubles
    the time for an image of 10 MB.
    """
    if tune := getattr(ctypes.CDLL(None), "mallopt", None):
        tune(_M_MMAP_THRESHOLD, _MOST_BLOCK_BYTES)
        tune(_M_TRIM_THRESHOLD, _KEPT_BYTES)
