"""Examines an untrusted file. Runs in the helper process only."""

import os
from io import BytesIO
from pathlib import Path
from typing import IO, Any

from PIL import Image
from pymediainfo import MediaInfo

from modellix_server.inspection.formats import HEAD_BYTES, Format, Kind, sniff
from modellix_server.inspection.messages import Probed

MOST_PIXELS = 100_000_000
_TAIL_BYTES = 64 * 1024
_PILLOW = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF")

# Nothing is decoded here and the size is checked below, so Pillow's own warning has no use.
Image.MAX_IMAGE_PIXELS = None


class Unfit(Exception):
    """The file is broken, or not of the expected kind."""


def probe(kind: Kind, file: IO[bytes]) -> Probed:
    """The file's format and size, from its bytes. Raises Unfit."""
    found = sniff(file.read(HEAD_BYTES))
    if found is None:
        raise Unfit(f"the file is no {kind} of a known format")
    if found.kind != kind:
        raise Unfit(f"the file is {found.name}, not {'an' if kind[0] in 'ai' else 'a'} {kind}")
    file.seek(0)
    if found.name == "heic":
        return checked(_tracks(found, file, "image"))
    return checked(_picture(found, file)) if kind == "image" else checked(_tracks(found, file, kind))


def open_file(data: bytes | None, path: str | None) -> IO[bytes]:
    """The file of a request."""
    return BytesIO(data) if data is not None else Path(path or "").open("rb")


def checked(probed: Probed) -> Probed:
    """The same, unless it is too large. Raises Unfit."""
    pixels = (probed.width or 0) * (probed.height or 0)
    if pixels > MOST_PIXELS:
        raise Unfit(f"the picture has more than {MOST_PIXELS:,} pixels")
    return probed


def _picture(found: Format, file: IO[bytes]) -> Probed:
    """Size from the header; the pixels are never decoded, the structure is checked where that is cheap."""
    try:
        with Image.open(file, formats=_PILLOW) as image:
            width, height = image.size
            image.verify()  # PNG: every chunk and its checksum
    except Exception:  # noqa: BLE001 - Pillow's parsers raise nearly anything on a hostile file
        raise Unfit(f"the {found.name} file is broken") from None
    if width < 1 or height < 1 or _is_cut(found, file):
        raise Unfit(f"the {found.name} file is broken")
    return Probed(found.name, width, height)


def _is_cut(found: Format, file: IO[bytes]) -> bool:
    """Whether the end of the file is missing, for formats that mark their end."""
    if found.name == "webp":
        file.seek(4)
        promised = int.from_bytes(file.read(4), "little") + 8
        return file.seek(0, os.SEEK_END) < promised
    if found.name == "jpeg":
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - _TAIL_BYTES))
        return b"\xff\xd9" not in file.read()
    return False


def _tracks(found: Format, file: IO[bytes], kind: Kind) -> Probed:
    try:
        tracks = MediaInfo.parse(file).tracks
    except Exception:  # noqa: BLE001 - the library wraps a parser of a hundred formats
        raise Unfit(f"the {found.name} file is broken") from None
    by_type: dict[str, dict[str, Any]] = {}
    for track in tracks:
        by_type.setdefault(track.track_type, track.to_data())
    whole, main = by_type.get("General", {}), by_type.get(kind.capitalize())
    if main is None or whole.get("istruncated") == "Yes":
        raise Unfit(f"the {found.name} file is broken or has no {kind} in it")
    width, height = _integer(main.get("width")), _integer(main.get("height"))
    duration_ms = None if kind == "image" else _integer(whole.get("duration")) or _integer(main.get("duration"))
    if kind != "audio" and not (width and height):
        raise Unfit(f"the {found.name} file tells no width and height")
    if kind == "video" and not duration_ms:
        raise Unfit(f"the {found.name} file tells no duration")
    return Probed(found.name, width, height, duration_ms, "Audio" in by_type)


def _integer(value: object) -> int | None:
    """MediaInfo returns some integers as texts such as `2000.000000`."""
    try:
        return round(float(value)) if isinstance(value, int | float | str) else None
    except (ValueError, OverflowError):
        return None
