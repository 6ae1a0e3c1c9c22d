"""Checks of picture files for which the library does too much: it unpacks texts, and wants nothing after the end."""

from __future__ import annotations

import struct
import zlib
from typing import IO

_MOST_CHUNKS = 200_000
_PIECE_BYTES = 1 << 20
_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
"""Colour type -> its bit depths (PNG, 11.2.1)."""


def png_size(file: IO[bytes]) -> tuple[int, int, bool]:
    """Width and height of a PNG, and whether it has transparency; what it is made of is checked, no text unpacked.

    Raises ValueError for a broken one. What follows its end is passed over.
    """
    file.seek(8)
    head, transparent, seen = b"", False, set()
    for number in range(_MOST_CHUNKS):
        length, kind = struct.unpack(">I4s", _exactly(file, 8))
        if length > 0x7FFF_FFFF or (number == 0) != (kind == b"IHDR"):
            raise ValueError("chunks out of order")
        data = _checked(file, kind, length)
        if kind == b"IHDR":
            head = data
        transparent = transparent or kind == b"tRNS"
        seen.add(kind)
        if kind == b"IEND":
            break
    width, height, depth, colour, compression, filtering, interlace = struct.unpack(">IIBBBBB", head)
    sound = depth in _DEPTHS.get(colour, ()) and (compression, filtering) == (0, 0) and interlace < 2
    if not {b"IDAT", b"IEND"} <= seen or not sound or not width or not height or (colour == 3 and b"PLTE" not in seen):
        raise ValueError("not a whole picture")
    return width, height, transparent or colour in (4, 6)


def _checked(file: IO[bytes], kind: bytes, length: int) -> bytes:
    """The contents of a short chunk. Raises ValueError if its checksum is wrong, and it is one that a picture needs.

    Programs that change a text forget its checksum, and libpng only warns of it.
    """
    crc, left, kept = zlib.crc32(kind), length, b""
    while left:
        piece = _exactly(file, min(left, _PIECE_BYTES))
        crc = zlib.crc32(piece, crc)
        kept = piece if length < 64 else b""
        left -= len(piece)
    needed = not kind[0] & 0x20  # in capitals (PNG, 5.4)
    if struct.unpack(">I", _exactly(file, 4))[0] != crc and needed:
        raise ValueError("a checksum is wrong")
    return kept


def _exactly(file: IO[bytes], length: int) -> bytes:
    data = file.read(length)
    if len(data) < length:
        raise ValueError("cut off")
    return data


def jpeg_has_end(file: IO[bytes]) -> bool:
    """Whether the coded data of a JPEG are followed by the marker of its end, whatever comes after that."""
    at = 2
    for _ in range(_MOST_CHUNKS):
        file.seek(at)
        head = file.read(4)
        if len(head) < 4 or head[0] != 0xFF:
            return False
        if head[1] == 0xFF:  # a marker may be preceded by any number of these
            at += 1
        elif head[1] in (0x01, *range(0xD0, 0xD9)):
            at += 2
        else:
            at += 2 + int.from_bytes(head[2:])
            if head[1] == 0xDA:
                return _has_end_after(file, at)
    return False


def _has_end_after(file: IO[bytes], at: int) -> bool:
    """In coded data a byte of ones is always followed by a zero, but for markers."""
    file.seek(at)
    last = b""
    while piece := file.read(_PIECE_BYTES):
        if b"\xff\xd9" in last + piece:
            return True
        last = piece[-1:]
    return False
