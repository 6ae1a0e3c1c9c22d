"""What can be uploaded: paths, bytes, open files, pictures of Pillow."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TypeGuard

_SIGNATURES = (
    (b"\x89PNG", "png"),
    (b"\xff\xd8\xff", "jpg"),
    (b"GIF8", "gif"),
    (b"BM", "bmp"),
    (b"ID3", "mp3"),
)
_BY_FOURCC = {b"WEBP": "webp", b"WAVE": "wav", b"AVI ": "avi"}

Uploadable = str | Path | bytes | BinaryIO | Any
"""A path, bytes, an open binary file, or a picture of Pillow."""


@dataclass(frozen=True, slots=True)
class Upload:
    """A file on its way. Its stream can go back to where it began."""

    filename: str
    stream: BinaryIO
    start: int
    owned: bool
    """Whether it was opened for this upload."""

    def rewound(self) -> BinaryIO:
        """The stream, from its beginning."""
        self.stream.seek(self.start)
        return self.stream

    def close(self) -> None:
        """Close what was opened for it."""
        if self.owned:
            self.stream.close()


def opened(file: Uploadable, filename: str | None) -> Upload:
    """A file, ready to be sent. Raises OSError for a path that cannot be read, TypeError for anything else."""
    if isinstance(file, str | Path):
        path = Path(file)
        return Upload(filename or path.name, path.open("rb"), 0, owned=True)
    if isinstance(file, bytes | bytearray | memoryview):
        content = bytes(file)
        return Upload(filename or f"file.{_extension(content)}", io.BytesIO(content), 0, owned=True)
    if _is_picture(file):
        buffer = io.BytesIO()
        file.save(buffer, "PNG")
        return Upload(filename or "picture.png", buffer, 0, owned=True)
    if _is_open_file(file):
        name = filename or Path(str(getattr(file, "name", "file"))).name
        if file.seekable():
            return Upload(name, file, file.tell(), owned=False)
        return Upload(name, io.BytesIO(file.read()), 0, owned=True)
    raise TypeError(f"cannot upload {type(file).__name__}: give a path, bytes, an open file or a picture of Pillow")


def is_file(value: object) -> bool:
    """Whether a parameter's value is a file to be uploaded first. A `str` is a link, never a path."""
    return isinstance(value, Path | bytes | bytearray | memoryview) or _is_picture(value) or _is_open_file(value)


def has_files(value: object) -> bool:
    """Whether there is a file anywhere in a parameter."""
    if isinstance(value, Mapping):
        return any(has_files(one) for one in value.values())
    if isinstance(value, list | tuple):
        return any(has_files(one) for one in value)
    return is_file(value)


def _is_picture(value: object) -> TypeGuard[Any]:
    return all(hasattr(value, name) for name in ("save", "mode", "getbands"))  # without importing Pillow


def _is_open_file(value: object) -> TypeGuard[BinaryIO]:
    return hasattr(value, "read") and hasattr(value, "seekable")


def _extension(content: bytes) -> str:
    if content[:4] == b"RIFF":
        return _BY_FOURCC.get(content[8:12], "bin")
    if content[4:8] == b"ftyp":
        return "mp4"
    return next((name for start, name in _SIGNATURES if content.startswith(start)), "bin")
