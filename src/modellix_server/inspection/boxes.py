"""The boxes of ISO base media files (ISO/IEC 14496-12): of MP4, MOV, HEIC and AVIF. They are found, not decoded."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import IO, NamedTuple

_MOST_BOXES = 100_000
_MOST_BYTES = 4 << 20
_MOST_TRACKS = 1000
_MOST_BRANDS = 64


class BrokenBoxes(ValueError):
    """The boxes do not fit into the file, or into each other."""


class Box(NamedTuple):
    """One box: its type, and where its contents are."""

    kind: bytes
    start: int
    end: int


class Container(NamedTuple):
    """What the outermost boxes of a file say about it."""

    brands: tuple[bytes, ...]
    """The major brand first; empty for QuickTime from before brands."""
    movie: Box | None
    """`moov`."""
    meta: Box | None
    """`meta`: the items of a picture."""
    begins: int
    """Where the box with the brands is; others may stand before it."""


def boxes(file: IO[bytes], start: int, end: int) -> Iterator[Box]:
    """The boxes in this part of a file, one after the other; what follows the last whole header is passed over.

    Raises BrokenBoxes for one that is longer than its place.
    """
    for _ in range(_MOST_BOXES):
        file.seek(start)
        head = file.read(16)
        if end - start < 8 or len(head) < 8:
            return
        length, kind = struct.unpack(">I4s", head[:8])
        begins = start + 8
        if length == 1 and len(head) == 16:
            length, begins = struct.unpack(">Q", head[8:])[0], start + 16
        elif length == 0:
            length = end - start
        if length < begins - start or start + length > end:
            raise BrokenBoxes(f"the box {kind!r} does not fit")
        yield Box(kind, begins, start + length)
        start += length


def container(file: IO[bytes], size: int) -> Container:
    """The outermost boxes that matter. A file may go on after them with anything, as those of motion photos do."""
    brands: tuple[bytes, ...] = ()
    movie = meta = None
    begins = 0
    try:
        for box in boxes(file, 0, size):
            if box.kind == b"ftyp" and not brands:
                told, begins = contents(file, box), box.start - 8
                brands = (told[:4], *(told[at : at + 4] for at in range(8, min(len(told), 8 + 4 * _MOST_BRANDS), 4)))
            elif box.kind == b"moov" and movie is None:
                movie = box
            elif box.kind == b"meta" and meta is None:
                meta = box
            if movie is not None and (meta is not None or not brands):
                break
    except BrokenBoxes:
        if movie is None and meta is None and not brands:
            raise
    return Container(brands, movie, meta, begins)


def handlers(file: IO[bytes], movie: Box) -> frozenset[bytes]:
    """What the tracks of a movie are: `vide`, `soun` and others."""
    found = set()
    tracks = 0
    for track in boxes(file, movie.start, movie.end):
        if track.kind != b"trak":
            continue
        tracks += 1
        if tracks > _MOST_TRACKS:
            raise BrokenBoxes("there are too many tracks")
        for media in boxes(file, track.start, track.end):
            if media.kind == b"mdia":
                for box in boxes(file, media.start, media.end):
                    if box.kind == b"hdlr":
                        found.add(contents(file, box)[8:12])
    return frozenset(found)


def contents(file: IO[bytes], box: Box) -> bytes:
    """What is in a box. Raises BrokenBoxes for one that is too long to be read at once, or cut off."""
    length = box.end - box.start
    if length > _MOST_BYTES:
        raise BrokenBoxes(f"the box {box.kind!r} is too long")
    file.seek(box.start)
    data = file.read(length)
    if len(data) < length:
        raise BrokenBoxes(f"the box {box.kind!r} is cut off")
    return data
