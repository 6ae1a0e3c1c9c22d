"""The media formats the platform takes and stores, recognised by their bytes and nothing else."""

import os
from dataclasses import dataclass
from typing import IO, Literal

from modellix_server.inspection import boxes, foreign_formats, heif
from modellix_server.inspection.recordings import is_sound

Kind = Literal["image", "video", "audio"]
Wanted = Literal["image", "video", "audio", "vector"]
"""The expected kind of a result: `vector` is an SVG, an image that only a vendor may deliver."""

HEAD_BYTES = 64
"""How many first bytes `sniff` looks at."""


@dataclass(frozen=True, slots=True)
class Format:
    """One file format; `name` is also the file name extension and the contract's `format`."""

    name: str
    kind: Kind
    mime: str


FORMATS = {
    format_.name: format_
    for format_ in (
        Format("png", "image", "image/png"),
        Format("jpeg", "image", "image/jpeg"),
        Format("webp", "image", "image/webp"),
        Format("bmp", "image", "image/bmp"),
        Format("gif", "image", "image/gif"),
        Format("tiff", "image", "image/tiff"),
        Format("heic", "image", "image/heic"),
        Format("avif", "image", "image/avif"),
        Format("svg", "image", "image/svg+xml"),  # never sniffed: an input cannot be one
        Format("mp4", "video", "video/mp4"),
        Format("mov", "video", "video/quicktime"),
        Format("webm", "video", "video/webm"),
        Format("weba", "audio", "audio/webm"),
        Format("avi", "video", "video/x-msvideo"),
        Format("wav", "audio", "audio/wav"),
        Format("mp3", "audio", "audio/mpeg"),
        Format("aac", "audio", "audio/aac"),
        Format("m4a", "audio", "audio/mp4"),
        Format("ogg", "audio", "audio/ogg"),
        Format("flac", "audio", "audio/flac"),
    )
}

_STARTS = (
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"\xff\xd8\xff", "jpeg"),
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
    (b"II*\0", "tiff"),
    (b"MM\0*", "tiff"),
    (b"OggS", "ogg"),
    (b"fLaC", "flac"),
    (b"ID3", "mp3"),
)
# Brands of ISO base media files (mp4ra.org); cameras and editors have many more, beside one of these.
_STILLS = {
    **dict.fromkeys((b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"hevm", b"hevs"), "heic"),
    **dict.fromkeys((b"avif", b"avis"), "avif"),
}
_ANY_STILL = (b"mif1", b"mif2", b"msf1", b"miaf", b"MiHB", b"MiHA", b"MiHE")
"""A picture, coded in whatever way."""
_BRANDS = {
    **_STILLS,
    **dict.fromkeys((b"M4A ", b"M4B ", b"M4P "), "m4a"),
    **dict.fromkeys((b"isom", b"iso2", b"iso3", b"iso4", b"iso5", b"iso6", b"iso7", b"iso8", b"iso9", b"isoa"), "mp4"),
    **dict.fromkeys((b"mp41", b"mp42", b"avc1", b"hvc1", b"av01", b"dash", b"mmp4", b"MSNV", b"M4V ", b"M4VP"), "mp4"),
    **dict.fromkeys((b"3gp4", b"3gp5", b"3gp6", b"3gp7", b"3gp8", b"3gp9", b"3ge6", b"3gg6", b"3gs7", b"3g2a"), "mp4"),
    **dict.fromkeys((b"3g2b", b"3g2c", b"M4VH", b"mp4v", b"f4v ", b"F4V ", b"kddi", b"XAVC", b"CAEP", b"iphE"), "mp4"),
    b"qt  ": "mov",
}
_BEFORE_BRANDS = (b"free", b"skip", b"wide", b"uuid", b"pnot")
"""Boxes that may stand before the brands."""
_BMP_HEADERS = (12, 40, 52, 56, 64, 108, 124)


def sniff(head: bytes) -> Format | None:
    """The format that a file with these first bytes seems to have, or None for an unsupported one.

    A first guess: what an ISO base media file holds is said further in, which `identify` reads.
    """
    name = _name(head[:HEAD_BYTES])
    return FORMATS[name] if name else None


def identify(file: IO[bytes]) -> Format | None:
    """The format of a whole file, or None for an unsupported one."""
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    head = file.read(HEAD_BYTES)
    guess = sniff(head)
    if guess is None or head_tells(head):
        return guess
    if head[:3] == b"ID3":
        return _behind_tag(file, head)
    if guess.name == "webm":
        return FORMATS["weba"] if is_sound(file, size) else guess
    try:
        name = _contained(file, size)
    except boxes.BrokenBoxes:
        return guess  # which its examination will find broken
    finally:
        file.seek(0)
    return FORMATS[name] if name else guess


def head_tells(head: bytes) -> bool:
    """Whether the first bytes of a file are all that `identify` looks at; otherwise it may take milliseconds."""
    guess = sniff(head)
    return guess is None or not (head[:3] == b"ID3" or guess.name == "webm" or _has_boxes(head))


def unsupported(file: IO[bytes]) -> str:
    """For a message: that a file that `identify` does not know is not supported, and what it is."""
    file.seek(0)
    name = foreign_formats.name_of(file.read(foreign_formats.LOOKED_AT_BYTES))
    file.seek(0)
    if name is None:
        return "is not a supported image, video or audio file"
    return f"is not a supported image, video or audio file: its format is {name}"


def _behind_tag(file: IO[bytes], head: bytes) -> Format | None:
    """A sound with an ID3 tag before it, which programs put before others than MP3 too (ID3v2.4, 3.1)."""
    length = sum((byte & 0x7F) << shift for byte, shift in zip(head[6:10], (21, 14, 7, 0), strict=False))
    file.seek(10 + length)
    inside = sniff(file.read(HEAD_BYTES))
    file.seek(0)
    return inside if inside is not None and inside.name in ("flac", "aac") else FORMATS["mp3"]


def _has_boxes(head: bytes) -> bool:
    return head[4:8] in (b"ftyp", b"moov", b"mdat", *_BEFORE_BRANDS)


def _contained(file: IO[bytes], size: int) -> str | None:
    """The format of an ISO base media file, by its brands and by what is in it. Raises BrokenBoxes."""
    found = boxes.container(file, size)
    name = _by_brands(found.brands) if found.brands else "mov"
    if found.meta is not None and found.movie is None:
        if name in ("heic", "avif"):
            return name
        coded = heif.codings(file, found.meta, size)
        return "avif" if b"av01" in coded else "heic" if b"hvc1" in coded else name
    if found.movie is not None and name in (None, "mp4", "mov"):
        tracks = boxes.handlers(file, found.movie)
        if b"vide" not in tracks and b"soun" in tracks:
            return "m4a"
        return name or "mp4"
    return name


def _by_brands(brands: tuple[bytes, ...]) -> str | None:
    """The first brand that is known decides; one that says only that it is a picture leaves it to the others."""
    if brands[0] in _ANY_STILL:
        return next((_STILLS[brand] for brand in brands if brand in _STILLS), "heic")
    return next((_BRANDS[brand] for brand in brands if brand in _BRANDS), None)


def _name(head: bytes) -> str | None:
    if head[12:16] == b"CgBI" or head[28:35] == b"\x80theora":  # a PNG and an Ogg that only few programs read
        return None
    for start, name in _STARTS:
        if head.startswith(start):
            return name
    if head[:4] == b"RIFF":
        return {b"WEBP": "webp", b"WAVE": "wav", b"AVI ": "avi"}.get(head[8:12])
    if head[4:8] == b"ftyp":
        end = min(int.from_bytes(head[:4]), len(head))
        brands = (head[8:12], *(head[at : at + 4] for at in range(16, end - 3, 4)))
        return _by_brands(brands) or "mp4"
    if head[4:8] in _BEFORE_BRANDS or head[4:8] in (b"moov", b"mdat"):
        return "mov" if head[4:8] in (b"moov", b"wide", b"mdat", b"pnot") else "mp4"
    if head[:4] == b"\x1a\x45\xdf\xa3":
        return "webm" if b"webm" in head else None
    if head[:2] == b"BM" and int.from_bytes(head[14:18], "little") in _BMP_HEADERS:
        return "bmp"
    return _raw_sound(head)


def _raw_sound(head: bytes) -> str | None:
    """MPEG audio frames without a container: 11 or 12 sync bits, then the layer."""
    if len(head) < 4 or head[0] != 0xFF:
        return None
    if head[1] & 0xF6 == 0xF0:
        return "aac"
    return "mp3" if head[1] & 0xE6 == 0xE2 and head[2] & 0xF0 not in (0x00, 0xF0) else None
