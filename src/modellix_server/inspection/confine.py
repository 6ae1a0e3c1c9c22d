"""Confinement of the helper process: limits on memory, time and file size, and no network."""

import ctypes
import platform
import resource
import struct
import sys

from modellix_server.base.scheduling import give_way, leave_a_core

_MEMORY_BYTES = 2 << 30
_FILE_BYTES = 64 << 20
_CPU_S = 10

_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _FILTER_MODE = 38, 22, 2  # linux/prctl.h, linux/seccomp.h
_SOCKET_CALL = {"x86_64": 41, "aarch64": 198}  # the number of socket(2) in each system call table
_LOAD_NUMBER, _IF_EQUAL, _RETURN = 0x20, 0x15, 0x06  # linux/bpf_common.h
_ALLOW, _REFUSE_EPERM = 0x7FFF0000, 0x00050001


def confine(*, give_way_by: int = 0) -> None:
    """Confine this process, irrevocably. One that gives way to its parent also keeps off one core.

    Raises OSError when the system refuses, in which case nothing may be probed here.
    """
    give_way(give_way_by)
    if give_way_by:
        leave_a_core()
    _limit(resource.RLIMIT_AS, _MEMORY_BYTES)
    _limit(resource.RLIMIT_FSIZE, _FILE_BYTES)
    _limit(resource.RLIMIT_CORE, 0)
    if sys.platform == "linux":
        _refuse_sockets()


def renew_time() -> None:
    """Allow some more seconds of processor time from now on; the kernel kills this process beyond them."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (int(used.ru_utime + used.ru_stime) + _CPU_S, hard))


def _limit(what: int, value: int) -> None:
    _, hard = resource.getrlimit(what)
    resource.setrlimit(what, (value if hard == resource.RLIM_INFINITY else min(value, hard), hard))


def _refuse_sockets() -> None:
    """Let socket(2) fail with EPERM: the media parser has an HTTP client and follows references in video files."""
    number = _SOCKET_CALL.get(platform.machine())
    if number is None:
        raise OSError(f"no system call table for {platform.machine()}: the helper cannot be cut off from the network")
    rules = b"".join(
        struct.pack("HBBI", *rule)
        for rule in (
            (_LOAD_NUMBER, 0, 0, 0),
            (_IF_EQUAL, 0, 1, number),
            (_RETURN, 0, 0, _REFUSE_EPERM),
            (_RETURN, 0, 0, _ALLOW),
        )
    )
    buffer = ctypes.create_string_buffer(rules, len(rules))
    program = ctypes.create_string_buffer(struct.pack("HxxxxxxP", 4, ctypes.addressof(buffer)))
    libc = ctypes.CDLL(None, use_errno=True)
    for option, *values in (
        (_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0),
        (_PR_SET_SECCOMP, _FILTER_MODE, ctypes.addressof(program), 0, 0),
    ):
        if libc.prctl(option, *map(ctypes.c_ulong, values)) != 0:
            raise OSError(ctypes.get_errno(), "the system refuses to cut the helper off from the network")
