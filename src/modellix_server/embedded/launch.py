"""Executes another program, as another user if asked, and ends it with its parent.

Run by its path in an interpreter of its own (`python -I -S launch.py PARENT SIGNAL UID GID SEARCH PROGRAM
ARGUMENT…`), because what it changes must hold for one process only, and changing it between fork and exec
is not safe in a process with threads. It imports nothing of ours.
"""

import ctypes
import os
import sys

FAILED = 71  # EX_OSERR of sysexits.h: our own exit status, which no PostgreSQL program uses

# linux/prctl.h, linux/securebits.h and linux/capability.h
_PR_SET_PDEATHSIG, _PR_SET_SECUREBITS, _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE = 1, 28, 47, 2
_SECBIT_NO_SETUID_FIXUP = 4
_CAP_DAC_READ_SEARCH = 2
_CAPABILITY_VERSION_3 = 0x20080522


def main(arguments: list[str]) -> None:
    """Drop to UID:GID (unless UID is -1), keep directory search if SEARCH is 1, and become PROGRAM."""
    parent, signum, uid, gid, search = map(int, arguments[:5])
    program = arguments[5:]
    try:
        if uid != -1:
            _become(uid, gid, keep_search=bool(search))
        if sys.platform == "linux":
            # Last, since the kernel forgets the request when credentials change.
            _prctl(_PR_SET_PDEATHSIG, signum)
        if os.getppid() != parent:
            sys.exit(FAILED)
        os.execv(program[0], program)  # noqa: S606 - no shell is what is wanted
    except OSError as error:
        sys.stderr.write(f"cannot start {program[0]}: {error}\n")
        sys.exit(FAILED)


def _become(uid: int, gid: int, *, keep_search: bool) -> None:
    if not keep_search:
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
        return
    # Keeps the capabilities over setuid, and lets access(2), which PostgreSQL asks about its own files, use them.
    _prctl(_PR_SET_SECUREBITS, _SECBIT_NO_SETUID_FIXUP)
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)
    only = 1 << _CAP_DAC_READ_SEARCH
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    sets = (ctypes.c_uint32 * 6)(only, only, only, 0, 0, 0)  # effective, permitted, inheritable; then bits 32-63
    _check(ctypes.CDLL(None, use_errno=True).capset(header, sets))
    _prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, _CAP_DAC_READ_SEARCH)


def _prctl(option: int, *arguments: int) -> None:
    # Unused arguments must be zero in all 64 bits, which a plain C int does not guarantee.
    padded = [ctypes.c_ulong(value) for value in (*arguments, 0, 0, 0, 0)[:4]]
    _check(ctypes.CDLL(None, use_errno=True).prctl(option, *padded))


def _check(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


if __name__ == "__main__":
    main(sys.argv[1:])
