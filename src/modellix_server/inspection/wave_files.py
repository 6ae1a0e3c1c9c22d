"""Sounds that a program wrote without knowing how long they would be: into a pipe, or while it recorded."""

from __future__ import annotations

import os
import struct
from typing import IO

_UNKNOWN = (0, 0x7FFF_FFFF, 0xFFFF_FFFF)
"""What programs write in place of a length that they never came to know."""
_MOST_CHUNKS = 1000


def streamed_ms(file: IO[bytes]) -> int | None:
    """Milliseconds of a WAV whose data go on to its end; None for one that states their length, or is broken."""
    end, at, rate = file.seek(0, os.SEEK_END), 12, 0
    for _ in range(_MOST_CHUNKS):
        file.seek(at)
        head = file.read(8)
        if len(head) < 8:
            return None
        kind, length = struct.unpack("<4sI", head)
        if kind == b"fmt " and length >= 16:
            (rate,) = struct.unpack("<8xI", file.read(12))  # bytes a second
        if kind == b"data":
            data = end - at - 8
            return data * 1000 // rate if length in _UNKNOWN and rate and data > 0 else None
        at += 8 + length + length % 2
    return None
