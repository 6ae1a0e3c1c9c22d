"""What a process and its helper say to each other: length-prefixed MessagePack over pipes."""

from __future__ import annotations

import struct

import msgspec

from modellix_server.inspection.formats import Kind, Wanted

LENGTH = struct.Struct(">I")
MOST_SLIM_BYTES = 256 * 1024
"""A body without its media; more than that is not a body of ours and would cost the event loop."""


class Probe(msgspec.Struct, frozen=True, tag=True):
    """Look at one file, given as its bytes or as a path, that ought to be of this kind."""

    kind: Wanted
    data: bytes | None
    path: str | None


class Extract(msgspec.Struct, frozen=True, tag=True):
    """Take the media out of the JSON body in this file; write them to `target`.0, `target`.1 and so on."""

    path: str
    media: tuple[str, ...]
    target: str


class Probed(msgspec.Struct, frozen=True, tag=True):
    """What a file is. Pixels and milliseconds; None where the format has none or does not tell."""

    format: str
    width: int | None = None
    height: int | None = None
    duration_ms: int | None = None
    has_audio: bool | None = None


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


class Refused(msgspec.Struct, frozen=True, tag=True):
    """The file or the body is not what it ought to be, in words for the client."""

    why: str


Request = Probe | Extract
Reply = Probed | Extracted | Refused

encode_requests = msgspec.msgpack.Encoder().encode
encode_replies = msgspec.msgpack.Encoder().encode
decode_requests = msgspec.msgpack.Decoder(list[Request]).decode
decode_replies = msgspec.msgpack.Decoder(list[Reply]).decode
