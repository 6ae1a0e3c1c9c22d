"""The size of a still in HEIF (ISO/IEC 23008-12): HEIC and AVIF, whose boxes are alike. No pixel is decoded.

A picture of a camera is a grid of tiles; turned and cropped after that (docs/adr/0028 says why this is not a library).
"""

from __future__ import annotations

import os
import struct
from collections import defaultdict
from collections.abc import Iterator
from io import BytesIO
from typing import IO

from modellix_server.inspection.boxes import Box, BrokenBoxes, boxes, container, contents

_MOST_ITEMS = 10_000
_MOST_STEPS = 8
"""Derived from derived from …: real pictures need two."""


def still_size(file: IO[bytes], meta: Box, size: int) -> tuple[int, int]:
    """Width and height of the primary picture of a file of `size` bytes, as it is shown.

    Raises BrokenBoxes for a file that is broken or cut off, or has no picture.
    """
    try:
        return _Items(file, meta, size).shown(None, _MOST_STEPS)
    except (struct.error, IndexError, KeyError, ZeroDivisionError):
        raise BrokenBoxes("the items make no sense") from None


def still_size_of(file: IO[bytes]) -> tuple[int, int] | None:
    """Width and height of the picture in a HEIF file, as it is shown; None for a file that is broken, or none."""
    size = file.seek(0, os.SEEK_END)
    try:
        meta = container(file, size).meta
        return None if meta is None else still_size(file, meta, size)
    except BrokenBoxes:
        return None


class _Reader:
    """Reads numbers one after the other."""

    def __init__(self, data: bytes) -> None:
        self._data = BytesIO(data)

    def number(self, length: int) -> int:
        data = self._data.read(length)
        if len(data) < length:
            raise BrokenBoxes("a box ends too early")
        return int.from_bytes(data)

    def version(self) -> tuple[int, int]:
        """Version and flags of a full box."""
        return self.number(1), self.number(3)

    def bytes(self, length: int) -> bytes:
        data = self._data.read(length)
        if len(data) < length:
            raise BrokenBoxes("a box ends too early")
        return data


class _Items:
    """The items of a `meta` box: what they are, their properties, where their data are."""

    def __init__(self, file: IO[bytes], meta: Box, size: int) -> None:
        self._file = file
        self._size = size
        self._primary = 0
        self._kinds: dict[int, bytes] = {}
        self._properties: list[tuple[bytes, bytes]] = []
        self._of: defaultdict[int, list[int]] = defaultdict(list)
        self._places: dict[int, tuple[int, list[tuple[int, int]]]] = {}
        self._made_of: defaultdict[int, list[int]] = defaultdict(list)
        self._data: Box | None = None
        take = {
            b"pitm": self._take_primary,
            b"iinf": self._take_kinds,
            b"iprp": self._take_properties,
            b"iloc": self._take_places,
            b"iref": self._take_references,
        }
        for box in boxes(file, meta.start + 4, meta.end):
            if box.kind in take:
                take[box.kind](box)
            elif box.kind == b"idat":
                self._data = box
        if self._primary not in self._kinds:
            raise BrokenBoxes("there is no primary picture")

    def shown(self, item: int | None, steps: int) -> tuple[int, int]:
        """Width and height of an item, after everything that is to be done to it."""
        item = self._primary if item is None else item
        if not steps:
            raise BrokenBoxes("items are made of each other")
        width, height = self._made(item, steps)
        for kind, data in self._its(item):
            if kind == b"clap":
                across, of, down, of_down = struct.unpack(">4I", data[:16])
                width, height = round(across / of), round(down / of_down)
            elif kind == b"irot" and data[0] & 1:
                width, height = height, width
        if width < 1 or height < 1:
            raise BrokenBoxes("the picture has no size")
        return width, height

    def _made(self, item: int, steps: int) -> tuple[int, int]:
        """Width and height of an item as it is stored or put together."""
        kind = self._kinds[item]
        self._require_data(item)
        for part in self._made_of[item]:
            self._require_data(part)
        if kind == b"iden":
            return self.shown(self._made_of[item][0], steps - 1)
        if kind == b"grid":
            data = self._read(item)
            return struct.unpack(">2I" if data[1] & 1 else ">2H", data[4 : 12 if data[1] & 1 else 8])
        for name, data in self._its(item):
            if name == b"ispe":
                return struct.unpack(">2I", data[4:12])
        raise BrokenBoxes("an item has no size")

    def _its(self, item: int) -> Iterator[tuple[bytes, bytes]]:
        for number in self._of[item]:
            if number:
                yield self._properties[number - 1]

    def _require_data(self, item: int) -> None:
        """Raise BrokenBoxes if the data of an item are not all there."""
        method, extents = self._places.get(item, (0, []))
        own = 0 if self._data is None else self._data.end - self._data.start
        end = own if method == 1 else self._size
        if any(start + length > end for start, length in extents):
            raise BrokenBoxes("the file is cut off")

    def _read(self, item: int) -> bytes:
        method, extents = self._places[item]
        before = self._data.start if method == 1 and self._data is not None else 0
        return b"".join(
            contents(self._file, Box(b"item", before + start, before + start + length)) for start, length in extents
        )

    def _take_primary(self, box: Box) -> None:
        read = _Reader(contents(self._file, box))
        version, _ = read.version()
        self._primary = read.number(4 if version else 2)

    def _take_kinds(self, box: Box) -> None:
        version, _ = _Reader(contents(self._file, box)).version()
        for entry in boxes(self._file, box.start + (8 if version else 6), box.end):
            if entry.kind != b"infe" or len(self._kinds) >= _MOST_ITEMS:
                continue
            read = _Reader(contents(self._file, entry))
            version, _ = read.version()
            if version >= 2:
                item = read.number(2 if version == 2 else 4)
                read.number(2)
                self._kinds[item] = read.bytes(4)

    def _take_properties(self, box: Box) -> None:
        for part in boxes(self._file, box.start, box.end):
            if part.kind == b"ipco":
                self._properties = [
                    # Of the others, colour profiles among them, nothing is wanted.
                    (one.kind, contents(self._file, one) if one.kind in (b"ispe", b"irot", b"clap") else b"")
                    for one in boxes(self._file, part.start, part.end)
                ]
            elif part.kind == b"ipma":
                read = _Reader(contents(self._file, part))
                version, flags = read.version()
                wide = 2 if flags & 1 else 1
                for _ in range(min(read.number(4), _MOST_ITEMS)):
                    item = read.number(4 if version else 2)
                    mask = 0x7FFF if wide == 2 else 0x7F
                    self._of[item] += [read.number(wide) & mask for _ in range(read.number(1))]

    def _take_places(self, box: Box) -> None:
        read = _Reader(contents(self._file, box))
        version, _ = read.version()
        sizes = read.number(2)
        of_offset, of_length, of_base = sizes >> 12, sizes >> 8 & 15, sizes >> 4 & 15
        of_index = sizes & 15 if version else 0
        for _ in range(min(read.number(4 if version == 2 else 2), _MOST_ITEMS)):
            item = read.number(4 if version == 2 else 2)
            method = read.number(2) & 15 if version else 0
            read.number(2)
            base = read.number(of_base)
            extents = []
            for _ in range(min(read.number(2), _MOST_ITEMS)):
                read.number(of_index)
                extents.append((base + read.number(of_offset), read.number(of_length)))
            self._places[item] = method, extents

    def _take_references(self, box: Box) -> None:
        version, _ = _Reader(contents(self._file, box)).version()
        wide = 4 if version else 2
        for reference in boxes(self._file, box.start + 4, box.end):
            if reference.kind == b"dimg":
                read = _Reader(contents(self._file, reference))
                item = read.number(wide)
                self._made_of[item] += [read.number(wide) for _ in range(min(read.number(2), _MOST_ITEMS))]

    def coded_as(self) -> frozenset[bytes]:
        """The codings of the items."""
        return frozenset(self._kinds.values())


def codings(file: IO[bytes], meta: Box, size: int) -> frozenset[bytes]:
    """The types of the items: `hvc1`, `av01`, `grid`. Raises BrokenBoxes."""
    return _Items(file, meta, size).coded_as()
