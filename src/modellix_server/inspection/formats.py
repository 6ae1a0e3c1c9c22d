"""The media formats the platform takes and stores, recognised by their first bytes and nothing else."""

from dataclasses import dataclass
from typing import Literal

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
        Format("svg", "image", "image/svg+xml"),  # never sniffed: an input cannot be one
        Format("mp4", "video", "video/mp4"),
        Format("mov", "video", "video/quicktime"),
        Format("webm", "video", "video/webm"),
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
# Brands of ISO base media files (mp4ra.org).
_BRANDS = {
    **dict.fromkeys((b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1"), "heic"),
    **dict.fromkeys((b"M4A ", b"M4B "), "m4a"),
    **dict.fromkeys((b"isom", b"iso2", b"iso3", b"iso4", b"iso5", b"iso6", b"iso7", b"iso8", b"iso9"), "mp4"),
    **dict.fromkeys((b"mp41", b"mp42", b"avc1", b"hvc1", b"av01", b"dash", b"mmp4", b"MSNV", b"M4V ", b"M4VP"), "mp4"),
    **dict.fromkeys((b"3gp4", b"3gp5", b"3gp6", b"3gp7"), "mp4"),
    b"qt  ": "mov",
}
_BMP_HEADERS = (12, 40, 52, 56, 64, 108, 124)


def sniff(head: bytes) -> Format | None:
    """The format that a file with these first bytes has, or None for an unsupported one."""
    name = _name(head[:HEAD_BYTES])
    return FORMATS[name] if name else None


def _name(head: bytes) -> str | None:
    for start, name in _STARTS:
        if head.startswith(start):
            return name
    if head[:4] == b"RIFF":
        return {b"WEBP": "webp", b"WAVE": "wav", b"AVI ": "avi"}.get(head[8:12])
    if head[4:8] == b"ftyp":
        return _BRANDS.get(head[8:12])
    if head[4:8] in (b"moov", b"wide", b"mdat"):  # QuickTime from before brands
        return "mov"
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
