"""Messages between a process and its helper: length-prefixed MessagePack over pipes."""

from __future__ import annotations

import struct

import msgspec

from modellix_server.inspection.formats import Kind, Wanted

LENGTH = struct.Struct(">I")
MOST_SLIM_BYTES = 256 * 1024
"""Limit of a body without its media; parsing a larger one would block the event loop."""


class Probe(msgspec.Struct, frozen=True, tag=True):
    """Examine one file, given as bytes or as a path, of an expected kind."""

    kind: Wanted
    data: bytes | None
    path: str | None
    keep_at: str | None = None
    """Where the bytes are written too, if they are such a file: a path that lacks the format's name at its end."""


class Extract(msgspec.Struct, frozen=True, tag=True):
    """Take the media out of the JSON body in this file; write them to `target`.0, `target`.1 and so on."""

    path: str
    media: tuple[str, ...]
    target: str


class Probed(msgspec.Struct, frozen=True, tag=True):
    """What a file is. Pixels and milliseconds; None where the format has or states none."""

    format: str
    width: int | None = None
    height: int | None = None
    duration_ms: int | None = None
    has_audio: bool | None = None
    has_alpha: bool | None = None
    """Whether a picture has transparency; None where nobody has looked."""


class Extracted(msgspec.Struct, frozen=True, tag=True):
    """The body's JSON without media bytes, and the files."""

    slim: bytes
    files: tuple[ExtractedFile, ...]


class ExtractedFile(msgspec.Struct, frozen=True):
    """One file taken out of a body."""

    sha256: str
    mime: str
    kind: Kind
    size: int
    path: str
    found: Probed | Refused
    given: str


class Refused(msgspec.Struct, frozen=True, tag=True):
    """The file or the body is refused, with a message for the client."""

    why: str


class Unkept(msgspec.Struct, frozen=True, tag=True):
    """There is nothing against the file, but it could not be written."""

    why: str


Request = Probe | Extract
Reply = Probed | Extracted | Refused | Unkept

encode_requests = msgspec.msgpack.Encoder().encode
encode_replies = msgspec.msgpack.Encoder().encode
decode_requests = msgspec.msgpack.Decoder(list[Request]).decode
decode_replies = msgspec.msgpack.Decoder(list[Reply]).decode
