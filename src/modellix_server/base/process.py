"""What every process of the platform does for itself at start."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def die_with_parent(parent_pid: int, signum: int = signal.SIGKILL) -> None:
    """Ask Linux to send `signum` to this process when its parent dies; exit if it already has.

    Other systems have no such call; there the supervisor's ordinary shutdown is all there is.
    """
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, int(signum), 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    if os.getppid() != parent_pid:
        sys.exit("parent process is gone")


def give_way(steps: int) -> None:
    """Let others on this machine go first, by so many steps of niceness; children that start later inherit it.

    On Linux also as a batch process: it does not cut short the turn of whoever runs when it has something to do.
    """
    os.nice(steps)
    if sys.platform == "linux" and os.sched_getscheduler(0) == os.SCHED_OTHER:
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


def leave_a_core() -> None:
    """Keep off one of this machine's cores, if there are several; children that start later do so too.

    Whoever wakes up to answer a request then finds a core where nobody has to be driven away first: niceness
    decides who gets more, but even the nicest finish their turn of some milliseconds.
    """
    if sys.platform == "linux" and len(cores := os.sched_getaffinity(0)) > 1:
        os.sched_setaffinity(0, cores - {min(cores)})
