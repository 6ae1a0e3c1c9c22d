"""Storage of files: a local folder or an object store, behind one small interface."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from datetime import UTC
from email.utils import format_datetime
from pathlib import Path
from urllib.parse import unquote, urlsplit

import obstore
from obstore.exceptions import BaseError
from obstore.store import from_url

from modellix_server.results.placement import make_apart


class FetchError(Exception):
    """A result file could not be stored; the message may be shown to the team."""


class FetchLater(FetchError):
    """Network, vendor or storage trouble: the same fetch may succeed later."""


class FetchNever(FetchError):
    """Wrong type, too big, broken, or at a refused address: another try would fail too."""


class FetchGone(FetchNever):
    """The vendor answers 403, 404 or 410: expired, or not there yet; the caller decides how often to ask."""


TROUBLE: tuple[type[Exception], ...] = (BaseError, OSError)
"""Exceptions of a storage that cannot be reached or written."""

MOST_READ_BYTES = 64 << 20
"""Limit of a file that is read into memory at once."""

_FOLDERS = ("results", "inputs")  # of a local storage
_PARTS_AT_ONCE = 3  # of 5 MB each, in memory
_PIECE_BYTES = 128 * 1024  # of a file that is streamed: so much of it is in memory for each slow reader
_READS_AT_ONCE = 4
"""Of local files, each by a thread of obstore's: hundreds that run at once keep everybody else from the processors.
More pieces would also be sent in one pass of the event loop."""
_ONE_RANGE = re.compile(r"bytes=(\d{0,19})-(\d{0,19})", re.ASCII | re.IGNORECASE)


class TooBig(Exception):
    """The file is larger than the caller's limit; `size` is its size."""

    def __init__(self, size: int) -> None:
        super().__init__(f"the file has {size} bytes")
        self.size = size


class RangeNotSatisfiable(Exception):
    """The client asked for bytes beyond the end; `size` is the size of the file."""

    def __init__(self, size: int) -> None:
        super().__init__(f"the file has {size} bytes")
        self.size = size


@dataclass(frozen=True, slots=True)
class Opened:
    """A stored file, or the requested part of it."""

    size: int
    """Of the whole file."""
    start: int
    end: int
    """One past the last byte of this part."""
    chunks: AsyncGenerator[bytes]
    """To be closed by who does not read it to its end."""
    tag: str | None
    """Entity tag of the whole file, as HTTP writes it."""
    modified: str
    """When the file was written, as HTTP writes it."""

    @property
    def partial(self) -> bool:
        """Whether the answer is 206 rather than 200."""
        return self.end - self.start < self.size


class Storage:
    """Files by path; `url` is `file:///…`, `s3://…`, `gs://…`, `az://…` or `memory:///` (tests)."""

    def __init__(self, url: str) -> None:
        self._folder: Path | None = None
        self._reads = asyncio.Semaphore(_READS_AT_ONCE)
        if url.startswith("file:"):
            self._folder = Path(unquote(urlsplit(url).path))
            # A local folder is created if missing, and a task's folder is removed with its last file.
            self._store = from_url(url, mkdir=True, automatic_cleanup=True)
            for name in _FOLDERS:
                make_apart(self._folder / name)
        else:
            self._store = from_url(url)

    async def put(self, path: str, content: bytes | Path) -> None:
        """Write or replace a file; readers see the old one or the new one, never a part. Raises TROUBLE."""
        if isinstance(content, Path):
            await obstore.put_async(self._store, path, content, max_concurrency=_PARTS_AT_ONCE)
        else:
            await obstore.put_async(self._store, path, content, use_multipart=False)

    def local(self, path: str) -> Path | None:
        """Where a file lies on this machine's disk; None for an object store."""
        return None if self._folder is None else self._folder / path

    async def move_in(self, path: str, file: Path) -> None:
        """Like `put`, for a local file that may be moved: on the same disk nothing is copied."""
        if self._folder is not None:
            with suppress(OSError):  # another disk, or a folder that is being removed: then as with any storage
                await asyncio.to_thread(_rename, file, self._folder / path)
                return
        await self.put(path, file)

    async def size(self, path: str) -> int | None:
        """Bytes of a file, None if there is none. Raises TROUBLE."""
        try:
            size: int = (await obstore.head_async(self._store, path))["size"]
        except FileNotFoundError:
            return None
        return size

    async def delete(self, paths: Sequence[str]) -> None:
        """Delete files. Idempotent. Raises TROUBLE."""
        try:
            await obstore.delete_async(self._store, paths)
        except FileNotFoundError:  # a local folder stops at the first one that is missing
            for path in paths:
                with suppress(FileNotFoundError):
                    await obstore.delete_async(self._store, path)

    async def read(self, path: str, most: int = MOST_READ_BYTES) -> bytes:
        """A whole file of at most `most` bytes. Raises TooBig, FileNotFoundError if there is none, else TROUBLE."""
        answer = await obstore.get_async(self._store, path)
        if answer.meta["size"] > most:
            raise TooBig(answer.meta["size"])
        return bytes(await answer.bytes_async())

    async def open(self, path: str, range_header: str | None = None, if_range: str | None = None) -> Opened:
        """A file as a stream, whole or one `Range: bytes=…` of it, if an `If-Range` names the file as it is.

        Several ranges, and a header that is none, get the whole file (RFC 9110, 14.2). Raises
        FileNotFoundError, RangeNotSatisfiable or TROUBLE.
        """
        wanted = _ONE_RANGE.fullmatch(range_header or "")
        ranged = wanted is not None and wanted[1] + wanted[2] != ""
        if self._folder is None and not ranged:
            answer = await obstore.get_async(self._store, path)
            meta, start, end = answer.meta, 0, answer.meta["size"]
            return Opened(end, start, end, _bytes(answer.stream(min_chunk_size=_PIECE_BYTES)), *_validators(meta))
        async with self._reads if self._folder is not None else nullcontext():
            meta = await obstore.head_async(self._store, path)
        size, (tag, modified), start, end = meta["size"], _validators(meta), -1, -1
        if wanted is not None and ranged and (if_range is None or if_range in (tag, modified)):
            start, end = _bounds(wanted[1], wanted[2], size)
        if start < 0:
            start, end = 0, size
        if self._folder is not None:
            return Opened(size, start, end, self._pieces(path, start, end), tag, modified)
        answer = await obstore.get_async(self._store, path, options={"range": (start, end)})
        return Opened(size, start, end, _bytes(answer.stream(min_chunk_size=_PIECE_BYTES)), tag, modified)

    async def _pieces(self, path: str, start: int, end: int) -> AsyncGenerator[bytes]:
        """A part of a local file, which is open only while a piece is read: its reader may be slow, or never go on."""
        for at in range(start, end, _PIECE_BYTES):
            async with self._reads:
                piece = await obstore.get_range_async(self._store, path, start=at, end=min(at + _PIECE_BYTES, end))
            yield bytes(piece)

    async def names(self, prefix: str) -> AsyncIterator[list[str]]:
        """All paths under a folder, a page at a time. Raises TROUBLE."""
        async for page in obstore.list(self._store, prefix, chunk_size=1000):
            yield [meta["path"] for meta in page]


def _rename(file: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    file.rename(target)


def _bounds(first: str, last: str, size: int) -> tuple[int, int]:
    """Start and end of a byte range; (-1, -1) for one that is to be ignored."""
    if not first:
        start, end = max(size - int(last), 0), size
        if int(last) == 0:
            raise RangeNotSatisfiable(size)
    else:
        start, end = int(first), min(int(last) + 1, size) if last else size
        if last and int(last) < start:
            return -1, -1
    if start >= size:
        raise RangeNotSatisfiable(size)
    return start, end


def _validators(meta: obstore.ObjectMeta) -> tuple[str | None, str]:
    """What names this version of a file for `If-Range`: strong ones, as no file is written twice under one name."""
    tag, modified = meta["e_tag"], meta["last_modified"].astimezone(UTC).replace(microsecond=0)
    return None if tag is None or tag.startswith("W/") else tag, format_datetime(modified, usegmt=True)


async def _bytes(stream: obstore.BytesStream) -> AsyncGenerator[bytes]:
    async for chunk in stream:
        yield bytes(chunk)
