"""Where on the disk a local storage has its files."""

import contextlib
import fcntl
import os
import secrets
import struct
import sys
from pathlib import Path

_FLAGS = struct.Struct("l")
_READ_FLAGS, _WRITE_FLAGS = (way << 30 | _FLAGS.size << 16 | ord("f") << 8 | number for way, number in ((2, 1), (1, 2)))
"""FS_IOC_GETFLAGS and FS_IOC_SETFLAGS of linux/fs.h, as most processors number them."""
_TOP = 0x00020000  # FS_TOPDIR_FL


def make_apart(folder: Path) -> None:
    """Make a folder whose files lie apart from the rest of the disk, if there is none and the file system can do so.

    Ext4 gives a new file a place near its folder, and a folder one near that which it is in, unless that is marked as
    holding things apart (`chattr +T`): then the folder's name decides. Without a journal ext4 first looks at each place
    there that was given up in the last minutes. Beside programs that delete thousands of files that takes a millisecond
    for a file, and 20 µs where nobody deletes, which a name at random finds. Other file systems do not know the mark.
    Raises OSError.
    """
    if folder.exists():
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    if sys.platform == "linux":
        _hold_apart(folder.parent)
    fresh = folder.with_name(f"{folder.name}-{secrets.token_hex(8)}")
    fresh.mkdir()
    try:
        fresh.rename(folder)
    except OSError:  # another process was faster, and there are files in its folder
        fresh.rmdir()


def _hold_apart(folder: Path) -> None:
    with contextlib.suppress(OSError):
        file = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            (flags,) = _FLAGS.unpack(fcntl.ioctl(file, _READ_FLAGS, _FLAGS.pack(0)))
            fcntl.ioctl(file, _WRITE_FLAGS, _FLAGS.pack(flags | _TOP))
        finally:
            os.close(file)
