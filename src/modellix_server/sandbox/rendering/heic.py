"""HEIC pictures for Pillow, which has no decoder of them: ffmpeg has one, tiles included (docs/adr/0028)."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import IO, Any

from PIL import Image

from modellix_server.inspection import identify, still_size_of
from modellix_server.sandbox.rendering import ffmpeg

NAME = "HEIC"


def register() -> None:
    """Let `Image.open` read them where `HEIC` is among its formats. It runs a program: only in a render process."""
    opener: Any = _opened  # the library asks for no more than a picture
    Image.register_open(NAME, opener, lambda head: head[4:8] == b"ftyp")


def _opened(file: IO[bytes], _name: str | bytes) -> Image.Image:
    """The picture, decoded and turned. Raises SyntaxError, as the library's own readers do."""
    found, size = identify(file), still_size_of(file)
    if found is None or found.name != "heic" or size is None:
        raise SyntaxError("no HEIC")
    file.seek(0)
    with tempfile.TemporaryDirectory(prefix="heic-") as folder:
        given, made = Path(folder, "given.heic"), Path(folder, "made.ppm")
        given.write_bytes(file.read())
        try:
            ffmpeg.run(["-i", str(given), "-frames:v", "1", "-update", "1", str(made)])
        except ffmpeg.FfmpegFailed:
            raise SyntaxError("cannot be decoded") from None
        with Image.open(made) as picture:
            exact = picture.resize(size)  # it drops a last row or column where colours are stored in halves
    exact.format = NAME  # as the library tells of files that it has opened
    return exact
