"""Priorities of processes that share the cores of one machine.

All of this is optional: on a system without it, or where the kernel refuses, all processes are equal.
"""

import ctypes
import os
import platform
import struct
import sys
import time
from pathlib import Path

_SHORT_TURN_NS = 100_000  # the shortest that Linux grants
_SCHED_SETATTR = {"x86_64": 314, "aarch64": 274}  # the number of sched_setattr(2) in each system call table
_SESSION = Path("/proc/self/autogroup")
_TRIES, _BETWEEN_TRIES_S = 5, 0.1


def give_way(steps: int) -> None:
    """Lower this process's priority by so many steps of niceness; children that start later inherit it.

    On Linux also as a batch process: it does not preempt the running process when it wakes up.
    """
    niceness = os.nice(steps)
    if sys.platform != "linux":
        return
    if os.sched_getscheduler(0) == os.SCHED_OTHER:
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    _ask_for_turns(os.getpid(), 0)
    if os.getsid(0) == os.getpid():  # else the session is another program's: a terminal's, for instance
        _let_session_give_way(niceness)


def take_short_turns(pid: int) -> None:
    """Give a process time slices of 0.1 ms, so that it runs soon after it wakes up; its later children inherit them.

    Its share of the processor stays the same. For processes with many small steps that others wait for: between two
    of them other processes may run for milliseconds. Linux 6.12 and later; the kernel's sched(7) calls it a slice.
    """
    if sys.platform == "linux":
        _ask_for_turns(pid, _SHORT_TURN_NS)


def leave_a_core() -> None:
    """Do not use one of this machine's cores, if there are several; children that start later inherit it.

    A process that wakes up to answer a request then finds a free core: niceness decides about shares, but even a
    process of low priority finishes its time slice of some milliseconds.
    """
    if sys.platform == "linux" and len(cores := os.sched_getaffinity(0)) > 1:
        os.sched_setaffinity(0, cores - {min(cores)})


def _ask_for_turns(pid: int, length_ns: int) -> None:
    """Time slices of this length, or of the usual one for 0; policy and niceness stay. Older kernels ignore it."""
    number = _SCHED_SETATTR.get(platform.machine())
    if number is None:
        return
    try:
        policy, niceness = os.sched_getscheduler(pid), os.getpriority(os.PRIO_PROCESS, pid)
    except ProcessLookupError:  # it has ended already
        return
    # struct sched_attr of linux/sched/types.h: size, policy, flags, nice, priority, runtime, deadline, period
    attributes = struct.pack("=IIQiIQQQ", 48, policy, 0, niceness, 0, length_ns, 0, 0)
    ctypes.CDLL(None).syscall(number, pid, attributes, 0)


def _let_session_give_way(niceness: int) -> None:
    """Niceness of a process counts within its session only where cores are shared out by session (autogroup, sched(7)).

    Users other than root may set this ten times a second, all of them together.
    """
    for _ in range(_TRIES):
        try:
            _SESSION.write_text(str(niceness))
        except BlockingIOError:
            time.sleep(_BETWEEN_TRIES_S)
        except OSError:
            return
        else:
            return
