"""Examines an untrusted file. Runs in the helper process only."""

import os
from io import BytesIO, RawIOBase
from pathlib import Path
from typing import IO, Any

from PIL import Image
from pymediainfo import MediaInfo

from modellix_server.inspection import boxes
from modellix_server.inspection.formats import Format, Kind, identify, unsupported
from modellix_server.inspection.heif import still_size
from modellix_server.inspection.messages import Probed
from modellix_server.inspection.recordings import recorded_ms
from modellix_server.inspection.still_files import jpeg_has_end, png_size
from modellix_server.inspection.wave_files import streamed_ms

MOST_PIXELS = 100_000_000
_LONGEST_MS = 24 * 3600 * 1000
_ORIENTATION, _ON_ITS_SIDE = 0x0112, (5, 6, 7, 8)
_DNG_VERSION = 50706
_PILLOW = ("JPEG", "WEBP", "BMP", "GIF", "TIFF")

# Nothing is decoded here and the size is checked below, so Pillow's own warning has no use.
Image.MAX_IMAGE_PIXELS = None


class Unfit(Exception):
    """The file is broken, or not of the expected kind."""


def probe(kind: Kind, file: IO[bytes]) -> Probed:
    """The file's format and size, from its bytes. Raises Unfit."""
    found = identify(file)
    if found is None:
        raise Unfit(f"the file {unsupported(file)}")
    if found.kind != kind:
        inside = "a sound" if found.kind == "audio" else found.name
        raise Unfit(f"the file is {inside}, not {'an' if kind[0] in 'ai' else 'a'} {kind}")
    file.seek(0)
    if found.name in ("heic", "avif"):
        return checked(_still(found, file))
    return checked(_picture(found, file)) if kind == "image" else checked(_tracks(found, file, kind))


def open_file(data: bytes | None, path: str | None) -> IO[bytes]:
    """The file of a request."""
    return BytesIO(data) if data is not None else Path(path or "").open("rb")


def checked(probed: Probed) -> Probed:
    """The same, unless it is too large. Raises Unfit."""
    pixels = (probed.width or 0) * (probed.height or 0)
    if pixels > MOST_PIXELS:
        size = f"got {probed.width}*{probed.height}"
        raise Unfit(f"the picture has more than {MOST_PIXELS:,} pixels, {size}")
    return probed


def _picture(found: Format, file: IO[bytes]) -> Probed:
    """Size from the header; the pixels are never decoded, the structure is checked where that is cheap."""
    try:
        if found.name == "png":
            width, height, alpha = png_size(file)
        else:
            with Image.open(file, formats=_PILLOW) as image:
                if _is_raw(image, file):
                    raise Unfit("the file is a camera's raw picture, whose format no model takes")
                (width, height), alpha = _as_shown(image), image.has_transparency_data
                image.verify()
    except Unfit:
        raise
    except Exception:  # noqa: BLE001 - Pillow's parsers raise nearly anything on a hostile file
        raise Unfit(f"the {found.name} file is broken") from None
    if width < 1 or height < 1 or _is_cut(found, file):
        raise Unfit(f"the {found.name} file is broken")
    return Probed(found.name, width, height, has_alpha=alpha)


def _as_shown(image: Image.Image) -> tuple[int, int]:
    """Width and height of a picture turned as its Exif says; of a TIFF the library has them so."""
    width, height = image.size
    turned = image.format in ("JPEG", "MPO", "WEBP") and image.getexif().get(_ORIENTATION) in _ON_ITS_SIDE
    return (height, width) if turned else (width, height)


def _is_raw(image: Image.Image, file: IO[bytes]) -> bool:
    """Whether a TIFF is a camera's raw picture, of which the library sees a small preview."""
    if image.format != "TIFF":
        return False
    at = file.tell()
    file.seek(8)
    canon = file.read(2) == b"CR"
    file.seek(at)
    return canon or _DNG_VERSION in image.getexif()


def _is_cut(found: Format, file: IO[bytes]) -> bool:
    """Whether the end of the file is missing, for formats that mark their end. More may follow it."""
    if found.name == "webp":
        file.seek(4)
        promised = int.from_bytes(file.read(4), "little") + 8
        return file.seek(0, os.SEEK_END) < promised
    return found.name == "jpeg" and not jpeg_has_end(file)


def _still(found: Format, file: IO[bytes]) -> Probed:
    """HEIC and AVIF. Sequences, which have no picture apart from their tracks, are left to the parser of tracks."""
    size = file.seek(0, os.SEEK_END)
    try:
        outer = boxes.container(file, size)
        if outer.meta is None and outer.movie is not None:
            file.seek(0)
            return _tracks(found, file, "image")
        if outer.meta is None:
            raise Unfit(f"the {found.name} file is broken")
        width, height = still_size(file, outer.meta, size)
    except boxes.BrokenBoxes:
        raise Unfit(f"the {found.name} file is broken") from None
    return Probed(found.name, width, height)


class _Rest(RawIOBase):
    """A file from some place on, as if it began there."""

    def __init__(self, file: IO[bytes], begins: int) -> None:
        self._file = file
        self._begins = begins
        self.seek(0)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        place = offset + self._begins if whence == os.SEEK_SET else offset
        return self._file.seek(place, whence) - self._begins

    def tell(self) -> int:
        return self._file.tell() - self._begins

    def read(self, size: int = -1) -> bytes:
        return self._file.read(size)


def _from_brands(file: IO[bytes]) -> Any:
    """The file without what stands before its brands: the parser of tracks looks for them at the beginning only."""
    try:
        begins = boxes.container(file, file.seek(0, os.SEEK_END)).begins
    except boxes.BrokenBoxes:
        begins = 0
    file.seek(0)
    return _Rest(file, begins) if begins else file


def _tracks(found: Format, file: IO[bytes], kind: Kind) -> Probed:
    if found.name == "wav" and (duration_ms := streamed_ms(file)) is not None:  # which the library takes for cut off
        if duration_ms > _LONGEST_MS:
            raise Unfit("the wav file takes longer than a day")
        return Probed("wav", duration_ms=duration_ms)
    file.seek(0)
    try:
        tracks = MediaInfo.parse(_from_brands(file)).tracks
    except Exception:  # noqa: BLE001 - the library wraps a parser of a hundred formats
        raise Unfit(f"the {found.name} file is broken") from None
    by_type: dict[str, dict[str, Any]] = {}
    for track in tracks:
        by_type.setdefault(track.track_type, track.to_data())
    whole, main = by_type.get("General", {}), by_type.get(kind.capitalize())
    if main is None and kind == "video" and "Audio" in by_type:
        raise Unfit(f"the {found.name} file is a sound: there is no video in it")
    if main is None and kind == "audio" and "Video" in by_type:
        raise Unfit(f"the {found.name} file is a video: there is no sound in it")
    duration_ms = None if kind == "image" or main is None else _milliseconds(found, file, whole, main)
    if main is None or (whole.get("istruncated") == "Yes" and not duration_ms):
        raise Unfit(f"the {found.name} file is broken or has no {kind} in it")
    width, height = _integer(main.get("width")), _integer(main.get("height"))
    if (_integer(main.get("rotation")) or 0) % 180 == 90:
        width, height = height, width
    if kind != "audio" and not (width and height):
        raise Unfit(f"the {found.name} file tells no width and height")
    if kind == "video" and not duration_ms:
        raise Unfit(f"the {found.name} file tells no duration")
    if (duration_ms or 0) > _LONGEST_MS:
        raise Unfit(f"the {found.name} file says that it takes longer than a day")
    return Probed(found.name, width, height, duration_ms, "Audio" in by_type)


def _milliseconds(found: Format, file: IO[bytes], whole: dict[str, Any], main: dict[str, Any]) -> int | None:
    """How long a clip or sound is; None for one that is cut off, unless it was recorded without an end."""
    if found.name in ("webm", "weba") and not whole.get("duration"):
        return recorded_ms(file, file.seek(0, os.SEEK_END))
    if whole.get("istruncated") == "Yes":
        return None
    return _integer(whole.get("duration")) or _integer(main.get("duration"))


def _integer(value: object) -> int | None:
    """MediaInfo returns some integers as texts such as `2000.000000`."""
    try:
        return round(float(value)) if isinstance(value, int | float | str) else None
    except (ValueError, OverflowError):
        return None
