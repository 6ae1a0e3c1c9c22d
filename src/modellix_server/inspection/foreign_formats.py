"""What a file is that no model takes: named, so that its sender knows what to convert."""

from __future__ import annotations

import re

LOOKED_AT_BYTES = 1024
"""How many first bytes are looked at."""

_STARTS = (
    (b"%PDF", "PDF"),
    (b"\0\0\1\0", "ICO"),
    (b"\0\0\0\x0cjP  ", "JPEG 2000"),
    (b"\xff\x4f\xff\x51", "JPEG 2000"),
    (b"\0\0\0\x0cJXL ", "JPEG XL"),
    (b"\xff\x0a", "JPEG XL"),
    (b"II+\0", "BigTIFF"),
    (b"MM\0+", "BigTIFF"),
    (b"8BPS", "PSD (Photoshop)"),
    (b"v/1\1", "OpenEXR"),
    (b"#?RADIANCE", "HDR (Radiance)"),
    (b"DDS ", "DDS"),
    (b"icns", "ICNS"),
    (b"qoif", "QOI"),
    (b"glTF", "glTF"),
    (b"\x1a\x45\xdf\xa3", "MKV (Matroska)"),
    (b"FLV\1", "FLV"),
    (b"0&\xb2u\x8ef\xcf\x11", "WMV or WMA"),
    (b"\0\0\1\xba", "MPEG"),
    (b"\0\0\1\xb3", "MPEG"),
    (b"caff", "CAF"),
    (b"#!AMR", "AMR"),
    (b".snd", "AU"),
    (b"RF64", "RF64"),
    (b"BW64", "BW64"),
    (b"riff.\x91\xcf\x11", "W64"),
    (b"\x0bw", "AC-3"),
    (b"MThd", "MIDI"),
    (b"PK\3\4", "ZIP"),
    (b"\x1f\x8b", "gzip"),
    (b"7z\xbc\xaf", "7z"),
    (b"Rar!", "RAR"),
    (b"bplist", "bplist (Apple)"),
    (b"version https://git-lfs", "Git LFS pointer"),
    (b"data:", "data URI"),
)
_NETPBM = re.compile(rb"P[1-7][\s#]")
_MARKUP = re.compile(rb"<(?:!doctype html|html|head|body)[\s>]", re.IGNORECASE)
_DRAWING = re.compile(rb"<(?:!doctype )?svg[\s>]", re.IGNORECASE)
_TEXT = re.compile(rb"[\t\n\r -~\x80-\xff]+")
_TRANSPORT_BYTES = 188
"""Packets of a transport stream, each beginning with a G."""


def name_of(head: bytes) -> str | None:
    """The format of a file with these first bytes, in no language; None for one that is not known here either."""
    for start, name in _STARTS:
        if head.startswith(start):
            return name
    if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
        return "AIFF"
    if head[:1] == b"G" and head[_TRANSPORT_BYTES : _TRANSPORT_BYTES + 1] == b"G":
        return "MPEG-TS"
    if head.startswith(b"OggS"):
        return "OGV"
    if head.startswith(b"\x89PNG"):
        return "CgBI"
    if _NETPBM.match(head):
        return "PPM"
    return _text(head[:LOOKED_AT_BYTES])


def _text(head: bytes) -> str | None:
    plain = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if plain[:2] == b"<?" or plain[:1] == b"<":
        if _DRAWING.search(plain):
            return "SVG"
        return "HTML" if _MARKUP.search(plain) else "XML"
    if plain[:1] in (b"{", b"["):
        return "JSON"
    return "text" if len(plain) > 16 and _TEXT.fullmatch(plain) else None
