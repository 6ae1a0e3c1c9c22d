"""The length of a WebM that was written while it was recorded, as browsers do (RFC 8794, RFC 9559).

Such a file has a segment without a length. Its clusters tell when they begin, and their blocks how long after that.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import IO, NamedTuple

_SEGMENT, _INFO, _SCALE, _CLUSTER, _BEGINS = 0x18538067, 0x1549A966, 0x2AD7B1, 0x1F43B675, 0xE7
_GROUP, _BLOCK, _SIMPLE_BLOCK = 0xA0, 0xA1, 0xA3
_TRACKS, _TRACK, _TRACK_TYPE = 0x1654AE6B, 0xAE, 0x83
_SOUND = 2
_OPENED = (_SEGMENT, _INFO, _TRACKS, _TRACK, _CLUSTER, _GROUP)
"""What is looked into; everything else is passed over."""
_BLOCK_HEAD_BYTES = 10
_USUAL_SCALE_NS = 1_000_000
_MOST_ELEMENTS = 500_000
_MOST_BEFORE_TRACKS = 1000
"""Elements that are looked at for the tracks, which is done in processes that have other work too."""


class _Element(NamedTuple):
    kind: int
    length: int | None
    """Bytes; None where its writer did not know."""
    begins: int


def recorded_ms(file: IO[bytes], size: int) -> int | None:
    """Milliseconds from the beginning to the last picture or sound; None for a file that is no such recording."""
    scale_ns, cluster, last = _USUAL_SCALE_NS, 0, 0
    for element in _elements(file, size):
        file.seek(element.begins)
        if element.kind == _SEGMENT and element.length is not None:  # as long as it says, or cut off
            return None
        if element.kind == _SCALE:
            scale_ns = int.from_bytes(file.read(min(element.length or 0, 8))) or _USUAL_SCALE_NS
        elif element.kind == _BEGINS:
            cluster = int.from_bytes(file.read(min(element.length or 0, 8)))
        elif element.kind in (_BLOCK, _SIMPLE_BLOCK):
            head = file.read(_BLOCK_HEAD_BYTES)
            track_bytes = 9 - head[0].bit_length() if head else 9
            if len(head) >= track_bytes + 2:
                last = max(last, cluster + struct.unpack_from(">h", head, track_bytes)[0])
    return last * scale_ns // 1_000_000 or None


def is_sound(file: IO[bytes], size: int) -> bool:
    """Whether a WebM has tracks of sounds and no others, as browsers record voices. The file is rewound."""
    types = []
    for element in _elements(file, size, _MOST_BEFORE_TRACKS):
        if element.kind == _CLUSTER:
            break
        if element.kind == _TRACK_TYPE:
            file.seek(element.begins)
            types.append(int.from_bytes(file.read(min(element.length or 0, 8))))
    file.seek(0)
    return bool(types) and set(types) == {_SOUND}


def _elements(file: IO[bytes], size: int, most: int = _MOST_ELEMENTS) -> Iterator[_Element]:
    """All elements, those inside of others after them."""
    at = 0
    for _ in range(most):
        file.seek(at)
        head = file.read(12)
        if len(head) < 2:
            return
        kind_bytes = 9 - head[0].bit_length()
        rest = head[kind_bytes:]
        length_bytes = 9 - rest[0].bit_length() if rest else 9
        if kind_bytes > 4 or length_bytes > 8 or len(rest) < length_bytes:
            return
        kind = int.from_bytes(head[:kind_bytes])
        told = int.from_bytes(rest[:length_bytes]) & ((1 << 7 * length_bytes) - 1)
        length = None if told == (1 << 7 * length_bytes) - 1 else told
        begins = at + kind_bytes + length_bytes
        yield _Element(kind, length, begins)
        if kind in _OPENED:
            at = begins
        elif length is None:
            return
        else:
            at = begins + length
        if at > size:
            return
