"""Copies a result file from the vendor into the storage."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

from modellix_server.base import faults
from modellix_server.base.external_link import Origins
from modellix_server.base.outbound import AnswerLost, Blocked, Download, NotSent, Outbound, TooLarge, Unasked
from modellix_server.inspection import Kind, Refused, Wanted
from modellix_server.results.helper_process import Helper, is_quick
from modellix_server.results.links import stored_place
from modellix_server.results.spool import Spool
from modellix_server.results.storage import TROUBLE, FetchGone, FetchLater, FetchNever, Storage

_MOST_BYTES: dict[Wanted, int] = {
    "image": 64_000_000,
    "video": 2_000_000_000,
    "audio": 64_000_000,
    "vector": 8_000_000,
}
_TIMEOUT_S: dict[Wanted, float] = {"image": 120, "video": 900, "audio": 120, "vector": 120}
_INPUT_TIMEOUT_S = 30
_IN_MEMORY_BYTES = 1_000_000  # up to here a file is kept in memory and written once
_WRITE_BYTES = 1_000_000
_GONE = (403, 404, 410)
_PASSING = (408, 425, 429)


@dataclass(frozen=True, slots=True)
class Resource:
    """One file of a result, in our storage."""

    type: Kind
    format: str
    width: int | None
    """Pixels; None for audio."""
    height: int | None
    size: int
    """Bytes."""
    duration_ms: int | None
    """None for images, and for audio that does not state it."""
    role: str
    path: str
    """In the storage."""
    sha256: str


@dataclass(frozen=True, slots=True)
class RemoteResult:
    """One file of a task's result that is still at the vendor; the URL is untrusted."""

    task_id: UUID
    index: int
    url: str
    kind: Wanted
    role: str = "primary"


@dataclass(frozen=True, slots=True)
class InlineResult:
    """One file of a task's result that came inside the vendor's answer; the bytes are untrusted."""

    task_id: UUID
    index: int
    data: bytes = field(repr=False)
    kind: Wanted
    role: str = "primary"


class Fetcher:
    """Copies result files into the storage; nothing is served before its task is settled with it.

    Each running fetch takes up to a megabyte of memory; the caller bounds their number.
    """

    def __init__(self, outbound: Outbound, links: Outbound, storage: Storage, helper: Helper, spool: Spool) -> None:
        """`links` fetches what customers name, and nothing else: their dead hosts hold up no vendor's results."""
        self._outbound = outbound
        self._links = links
        self._storage = storage
        self._helper = helper
        self._spool = spool

    async def fetch(self, remote: RemoteResult, origins: Origins) -> Resource:
        """Download, examine and store one file. Idempotent: a second call overwrites it.

        Raises FetchLater, FetchNever or FetchGone.
        """
        kind = remote.kind
        try:
            async with self._outbound.stream(
                remote.url, origins=origins, timeout_s=_TIMEOUT_S[kind], max_bytes=_MOST_BYTES[kind]
            ) as download:
                _require_success(download.status)
                content, size, digest = await self._received(download)
            try:
                return await self._keep(remote, content, size, digest)
            finally:
                if isinstance(content, Path):
                    content.unlink(missing_ok=True)
        except (Blocked, TooLarge, Unasked) as error:
            raise FetchNever(f"the {kind} could not be fetched: {error}") from error
        except (NotSent, AnswerLost) as error:
            raise FetchLater(f"the {kind} could not be fetched: {error}") from error
        except TROUBLE as error:  # our disk or storage
            raise FetchLater(f"the {kind} could not be stored: {type(error).__name__}") from error

    async def read(self, url: str, most_bytes: int) -> bytes:
        """Load an input file from a public address into memory. Raises FetchLater or FetchNever."""
        try:
            async with self._links.stream(url, timeout_s=_INPUT_TIMEOUT_S, max_bytes=most_bytes) as download:
                if download.status != 200:
                    passing = download.status >= 500 or download.status in _PASSING
                    raise (FetchLater if passing else FetchNever)(f"the answer was {download.status}")
                return b"".join([chunk async for chunk in download.chunks()])
        except (Blocked, TooLarge, Unasked) as error:
            raise FetchNever(str(error)) from error
        except (NotSent, AnswerLost) as error:
            raise FetchLater(str(error)) from error

    async def keep(self, inline: InlineResult) -> Resource:
        """Examine and store one file that is in memory. Idempotent: a second call overwrites it.

        Raises FetchLater or FetchNever.
        """
        kind, data = inline.kind, inline.data
        if len(data) > _MOST_BYTES[kind]:
            raise FetchNever(f"the {kind} is larger than allowed")
        digest = (await asyncio.to_thread(hashlib.sha256, data)).hexdigest()
        try:
            async with self._spooled(data) as content:
                return await self._keep(inline, content, len(data), digest)
        except TROUBLE as error:
            raise FetchLater(f"the {kind} could not be stored: {type(error).__name__}") from error

    @asynccontextmanager
    async def _spooled(self, data: bytes) -> AsyncIterator[bytes | Path]:
        """Small contents in memory, others in a spool file that is deleted at the end of the context."""
        if len(data) <= _IN_MEMORY_BYTES:
            yield data
            return
        path = self._spool.path()
        try:
            await asyncio.to_thread(path.write_bytes, data)
            yield path
        finally:
            path.unlink(missing_ok=True)

    async def _keep(self, file: RemoteResult | InlineResult, content: bytes | Path, size: int, digest: str) -> Resource:
        await faults.point("result_spooled")
        place = stored_place(file.task_id, file.index)
        local = self._storage.local(place)
        if local is not None and isinstance(content, bytes) and is_quick(file.kind, size):
            found = await self._helper.probe_and_keep(file.kind, content, local)
            kept = True
        else:
            found = await self._helper.probe(file.kind, content)
            kept = False
        if isinstance(found, Refused):
            raise FetchNever(found.why)
        path = f"{place}.{found.format}"
        if not kept:
            await self._storage.put(path, content)
        return Resource(
            type="image" if file.kind == "vector" else file.kind,
            format=found.format,
            width=found.width,
            height=found.height,
            size=size,
            duration_ms=found.duration_ms,
            role=file.role,
            path=path,
            sha256=digest,
        )

    async def _received(self, download: Download) -> tuple[bytes | Path, int, str]:
        """The whole body, size and SHA-256: in memory if it is small, else in a spool file that the caller deletes."""
        chunks = download.chunks()
        start = bytearray()
        async for chunk in chunks:
            start += chunk
            if len(start) > _IN_MEMORY_BYTES:
                break
        else:
            whole = bytes(start)
            return whole, len(whole), hashlib.sha256(whole).hexdigest()
        path = self._spool.path()
        try:
            return path, *await _write(path, start, chunks)
        except BaseException:
            path.unlink(missing_ok=True)
            raise


async def _write(path: Path, start: bytearray, chunks: AsyncIterator[bytes]) -> tuple[int, str]:
    """Stream a body into a file, in large writes off the event loop; its size and SHA-256."""
    digest = hashlib.sha256()
    size = 0
    pending = start

    def flush(data: bytearray) -> None:
        digest.update(data)
        file.write(data)  # whole, or it raises: a raw file would write a part and say so when the disk is full

    with path.open("xb", buffering=_WRITE_BYTES) as file:
        async for chunk in chunks:
            pending += chunk
            if len(pending) >= _WRITE_BYTES:
                size += len(pending)
                data, pending = pending, bytearray()
                await asyncio.to_thread(flush, data)
        size += len(pending)
        await asyncio.to_thread(flush, pending)
    return size, digest.hexdigest()


def _require_success(status: int) -> None:
    if status == 200:
        return
    words = f"the vendor answered {status} for the result file"
    if status in _GONE:
        raise FetchGone(words)
    if status >= 500 or status in _PASSING:
        raise FetchLater(words)
    raise FetchNever(words)
