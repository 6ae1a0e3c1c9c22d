"""One file in a multipart body, received into memory or the spool with every part of it capped."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from io import BufferedRandom, BytesIO
from pathlib import Path
from typing import IO

from modellix_server.base.aside import Aside
from modellix_server.base.errors import (
    BodyTooLarge,
    InvalidFormat,
    InvalidParameters,
    MissingParameter,
    too_large,
    too_slow,
)
from modellix_server.base.multipart import FormParser
from modellix_server.catalogue import show
from modellix_server.inspection import Format, Kind, head_tells, identify, sniff, unsupported
from modellix_server.results.spool import Spool
from modellix_server.results.uploads import MOST_UPLOAD_BYTES

_TIMEOUT_S = 900.0
_AT_ONCE_BYTES = 256 * 1024
_SMALL_BYTES = 16 * 1024
_FEW_LINES = 64  # of headers and boundaries, which cost more than what is between them
_AROUND_BYTES = 64 * 1024  # boundaries and headers
_HEAD_BYTES = 1024
_MOST_BODY_BYTES = max(MOST_UPLOAD_BYTES.values()) + _AROUND_BYTES
_MOST_NAME_CHARACTERS = 255
_MOST_TEXT_BYTES = 16 * 1024
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class NewFile:
    """A received file: its bytes if it is small, else in the spool."""

    content: bytes | Path
    sha256: str
    kind: Kind
    filename: str
    """Safe to display; never a path."""


@dataclass(frozen=True, slots=True)
class UploadBody:
    """A multipart body that is still to be read."""

    content_type: str
    length: int | None
    """Bytes, as its sender says."""
    chunks: AsyncIterator[bytes]


@asynccontextmanager
async def received_file(spool: Spool, aside: Aside, team_id: int, body: UploadBody) -> AsyncIterator[NewFile]:
    """The part `file` of the body; the spool file goes with the context.

    Raises InvalidFormat, InvalidParameters, MissingParameter, BodyTooLarge, BodyTooSlow, and what `chunks` raises.
    """
    if body.length is not None and body.length > _MOST_BODY_BYTES:
        raise _too_large(_MOST_BODY_BYTES)
    reader = _Reader(body.content_type, spool.path())

    async def feed(data: bytes) -> None:
        reader.use_disk()
        await aside.feed(team_id, reader.feed, data)

    try:
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                rest = await _receive(body.chunks, feed)
        except TimeoutError:
            raise too_slow(_TIMEOUT_S) from None
        if not reader.size and rest.count(b"\r\n") <= _FEW_LINES:
            reader.feed(rest)  # takes a tenth of a millisecond: a thread would take longer
            rest = b""
        if not rest and reader.head_tells:
            yield reader.result()
        else:
            yield await aside.run(team_id, reader.result, rest)
    finally:
        reader.close()


def given_file(filename: str, content: bytes) -> NewFile:
    """A file that came inside another message. Raises InvalidFormat, BodyTooLarge."""
    if not content:
        raise InvalidFormat("parameter 'file' is empty")
    known = _known(BytesIO(content))
    if len(content) > (most := MOST_UPLOAD_BYTES[known.kind]):
        raise _too_large(most, known.kind)
    return NewFile(content, hashlib.sha256(content).hexdigest(), known.kind, _shown(filename, known))


async def _receive(chunks: AsyncIterator[bytes], feed: Callable[[bytes], Awaitable[None]]) -> bytes:
    """Feed the body, but for the rest that is returned: most are small, and need not wait for two turns."""
    pending, received = bytearray(), 0
    async for chunk in chunks:
        pending += chunk
        received += len(chunk)
        if received > _MOST_BODY_BYTES:
            raise _too_large(_MOST_BODY_BYTES)
        # The empty one is the last.
        if len(pending) >= (_AT_ONCE_BYTES if chunk else _SMALL_BYTES):
            # Off the event loop: the parser is slow where bytes look like boundaries, and the disk may make it wait.
            await feed(bytes(pending))
            pending.clear()
    return bytes(pending)


class _Reader:
    """Follows the parser's events: one part called `file`; short texts beside it are passed over."""

    def __init__(self, content_type: str, path: Path) -> None:
        """`path` is for a file that is not small. Raises InvalidFormat."""
        self._parser = FormParser(content_type, self)
        self._path = path
        self._file: BytesIO | BufferedRandom = BytesIO()
        self._digest = hashlib.sha256()
        self._head = bytearray()
        self._format: Format | None = None
        self._filename: str | None = None
        self._beside: str | None = None
        self._beside_bytes = 0
        self.size = 0
        """Bytes of the file that were taken."""

    def use_disk(self) -> None:
        """Have the file on disk. To be called before anything is fed. Raises OSError."""
        if isinstance(self._file, BytesIO):
            self._file = self._path.open("xb+")

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the body. Raises what `received_file` raises."""
        self._parser.feed(data)

    @property
    def head_tells(self) -> bool:
        """Whether the file is small, and its format plain from its head: then `result` takes no time."""
        return isinstance(self._file, BytesIO) and head_tells(bytes(self._head))

    def result(self, rest: bytes = b"") -> NewFile:
        """What the whole body held, which ends with `rest`; on disk it is there until this is closed."""
        self.feed(rest)
        self._parser.require_end()
        if self._filename is None:
            raise MissingParameter("parameter 'file' is required")
        if not self.size:
            raise InvalidFormat("parameter 'file' is empty")
        self._file.seek(0)
        self._format = _known(self._file)
        if self.size > (most := MOST_UPLOAD_BYTES[self._format.kind]):
            raise _too_large(most, self._format.kind)
        if isinstance(self._file, BytesIO):
            content: bytes | Path = self._file.getvalue()
        else:
            self._file.close()
            content = self._path
        return NewFile(content, self._digest.hexdigest(), self._format.kind, _shown(self._filename, self._format))

    def close(self) -> None:
        """Delete what is on disk, if it was not moved."""
        self._file.close()
        if not isinstance(self._file, BytesIO):
            self._path.unlink(missing_ok=True)

    def begin(self, name: str, options: Mapping[bytes, bytes], headers: Mapping[bytes, bytes]) -> None:  # noqa: ARG002
        """The file, or a text beside it."""
        self._beside = None if name == "file" else name
        if self._beside is not None:  # such as the `purpose` of other file APIs
            if b"filename" in options or b"filename*" in options:
                raise InvalidParameters(f"unknown parameter {show(name)}; allowed: file")
            return
        if self._filename is not None:
            raise InvalidParameters("parameter 'file' is there more than once")
        self._filename = options.get(b"filename", b"").decode("utf-8", "replace")

    def data(self, piece: bytes) -> None:
        """More of it."""
        if self._beside is not None:
            self._beside_bytes += len(piece)
            if self._beside_bytes > _MOST_TEXT_BYTES:
                raise InvalidParameters(f"parameter {show(self._beside)} is longer than a text beside a file may be")
            return
        self.size += len(piece)
        if self._format is None:
            self._head += piece[: _HEAD_BYTES - len(self._head)]
            if len(self._head) == _HEAD_BYTES:
                self._format = sniff(bytes(self._head))  # a guess, for the cap
                if self._format is None:
                    raise _unsupported(BytesIO(self._head))
        elif self.size > (most := MOST_UPLOAD_BYTES[self._format.kind]):
            raise _too_large(most, self._format.kind)
        self._digest.update(piece)
        self._file.write(piece)

    def end(self) -> None:
        """Nothing is left to do for a part."""


def _known(file: IO[bytes]) -> Format:
    found = identify(file)
    if found is None:
        raise _unsupported(file)
    return found


def _unsupported(file: IO[bytes]) -> InvalidFormat:
    return InvalidFormat(f"parameter 'file' {unsupported(file)}")


def _too_large(most: int, kind: str = "request body") -> BodyTooLarge:
    return too_large(most, f"the {kind}")


def _shown(name: str, format_: Format) -> str:
    """A name without folders and without what a terminal or a page would trip over."""
    last = name.replace("\\", "/").rpartition("/")[2]
    clean = _UNPRINTABLE.sub("", last).strip(" .")[:_MOST_NAME_CHARACTERS]
    return clean or f"file.{format_.name}"
