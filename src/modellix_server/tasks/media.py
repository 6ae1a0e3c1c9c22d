"""Media on their way in and out: inputs made fit for the vendor, results copied into our storage."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import msgspec

from modellix_server.base import faults
from modellix_server.base.errors import InvalidFormat
from modellix_server.base.outbound import PUBLIC_ONLY
from modellix_server.base.settings import Settings
from modellix_server.catalogue import Measurement, MediaInput, Model, samples
from modellix_server.results import (
    MOST_READ_BYTES,
    STORED,
    TROUBLE,
    Fetcher,
    FetchGone,
    FetchLater,
    FetchNever,
    Helper,
    Refused,
    RemoteResult,
    Resource,
    Storage,
    TooBig,
    discard,
    own_link,
    own_sample,
    read_input,
    sniff,
)
from modellix_server.tasks import rules
from modellix_server.tasks.accounts import Account
from modellix_server.upstreams.contract import Done, RemoteFile

_MOST_COPIES_AT_ONCE = 64


class BadMedia(Exception):
    """An input cannot be used, or a result cannot be had; the message is for the client."""


class StoredFile(msgspec.Struct, frozen=True):
    """One file of a stored result, as the client sees it. Pixels, bytes, milliseconds."""

    type: str
    format: str
    role: str
    size: int
    sha256: str
    width: int | None = None
    height: int | None = None
    duration_ms: int | None = None

    def public(self) -> dict[str, Any]:
        """The fields of the contract's `resources[]`, without the link."""
        seconds = None if self.duration_ms is None else self.duration_ms / 1000
        return {
            "type": self.type,
            "width": self.width,
            "height": self.height,
            "format": self.format,
            "role": self.role,
            "size": self.size,
            "duration": seconds,
        }


class StoredResult(msgspec.Struct, frozen=True):
    """What a task delivered: the JSON in `results.result.resources`."""

    resources: tuple[StoredFile, ...]
    request_id: str | None = None
    data: dict[str, Any] = {}

    @property
    def bytes(self) -> int:
        """All files together."""
        return sum(file.size for file in self.resources)

    @property
    def counted(self) -> Measurement:
        """What we ourselves found in the files that are charged: another form of the same is not."""
        charged = [file for file in self.resources if file.role == "primary"]
        clips = [file.duration_ms for file in charged if file.type == "video"]
        return Measurement(
            images=sum(file.type == "image" for file in charged) or None,
            milliseconds=sum(clip or 0 for clip in clips) if clips else None,
        )

    def metadata(self) -> dict[str, Any]:
        """The contract's `result.metadata`."""
        counted = self.counted
        about: dict[str, Any] = {**self.data, "request_id": self.request_id}
        if counted.images is not None:
            about["image_count"] = counted.images
        if counted.milliseconds is not None:
            about["video_duration"] = counted.milliseconds / 1000
        return about


@dataclass(frozen=True)
class Media:
    """What a worker needs to handle files."""

    settings: Settings
    storage: Storage
    helper: Helper
    fetcher: Fetcher
    copying: asyncio.Semaphore

    @classmethod
    def of(cls, settings: Settings, storage: Storage, helper: Helper, fetcher: Fetcher) -> Media:
        """Media handling that copies a bounded number of results at once."""
        return cls(settings, storage, helper, fetcher, asyncio.Semaphore(_MOST_COPIES_AT_ONCE))

    def needed(self, model: Model, params: Mapping[str, Any]) -> bool:
        """Whether an input is ours to provide: bytes from a body, or a link to a result or sample of ours."""
        return any(self._ours(value) for medium in model.media for value in _values(params.get(medium.name)))

    def _ours(self, value: str) -> bool:
        origin = self.settings.public_origin
        return value.startswith((STORED, f"{origin}/results/", samples.link(origin, "")))

    async def resolve(self, model: Model, params: Mapping[str, Any]) -> dict[str, Any]:
        """The parameters with our own inputs as data URIs; every other link goes to the vendor as it is.

        So does a link to a sample where the model takes links only: it is public. Raises BadMedia.
        """
        resolved = dict(params)
        for medium in model.media:
            value = params.get(medium.name)
            if isinstance(value, list):
                resolved[medium.name] = [await self._data_uri(medium, item) for item in value]
            elif isinstance(value, str):
                resolved[medium.name] = await self._data_uri(medium, value)
        return resolved

    async def _data_uri(self, medium: MediaInput, value: str) -> str:
        if not self._ours(value):
            return value
        inline = "data" in medium.accepts
        try:
            sample = own_sample(self.settings, value)
        except InvalidFormat:
            raise BadMedia(f"parameter '{medium.name}' names a sample that does not exist") from None
        if sample is None and not inline:
            raise BadMedia(f"parameter '{medium.name}' needs a public link for this model")
        mime, data = await self._read(medium, value) if sample is None else _known(sample.read_bytes())
        await self._check(medium, data)
        return f"data:{mime};base64,{base64.b64encode(data).decode()}" if inline else value

    async def _read(self, medium: MediaInput, value: str) -> tuple[str, bytes]:
        """MIME type and bytes of an input in our storage."""
        try:
            if value.startswith(STORED):
                return await read_input(self.storage, value.removeprefix(STORED))
            path = own_link(self.settings, value)
            assert path is not None
            return _known(await self.storage.read(path, medium.max_bytes or MOST_READ_BYTES))
        except (FileNotFoundError, InvalidFormat):
            raise BadMedia(f"parameter '{medium.name}' names a file that has expired") from None
        except TooBig as error:
            raise BadMedia(f"parameter '{medium.name}' names a file that is too big: {error.size:,} bytes") from None

    async def _check(self, medium: MediaInput, data: bytes) -> None:
        """The model's limits on bytes, format and sides, before the vendor is asked."""
        name = f"parameter '{medium.name}'"
        if medium.max_bytes is not None and len(data) > medium.max_bytes:
            raise BadMedia(f"{name} has {len(data):,} bytes, the limit is {medium.max_bytes:,}")
        found = await self.helper.probe(medium.kind, data)
        if isinstance(found, Refused):
            raise BadMedia(f"{name}: {found.why}")
        if medium.formats and found.format not in medium.formats:
            raise BadMedia(f"{name} is {found.format}, allowed are {', '.join(medium.formats)}")
        for side in (found.width, found.height):
            if side is None:
                continue
            if medium.min_side_px is not None and side < medium.min_side_px:
                raise BadMedia(f"{name} has a side of {side} px, the least is {medium.min_side_px}")
            if medium.max_side_px is not None and side > medium.max_side_px:
                raise BadMedia(f"{name} has a side of {side} px, the most is {medium.max_side_px}")

    async def keep(self, task_id: UUID, done: Done, account: Account | None, until: float) -> StoredResult:
        """Copy every file of a result into our storage; doing it again overwrites it.

        Trouble on the way or with our own storage is waited out until `until` (monotonic seconds). Raises BadMedia.
        """
        files = [await self._copy(task_id, index, file, account, until) for index, file in enumerate(done.files)]
        return StoredResult(tuple(files), done.request_id, dict(done.data))

    async def forget(self, task_id: UUID) -> None:
        """Delete what was already copied of a result that will not be had; what cannot be deleted now goes later."""
        with contextlib.suppress(*TROUBLE):
            await discard(self.storage, task_id)

    async def _copy(
        self, task_id: UUID, index: int, file: RemoteFile, account: Account | None, until: float
    ) -> StoredFile:
        if file.kind == "document":
            raise BadMedia("the vendor delivered a document, which cannot be stored yet")
        remote = RemoteResult(task_id, index, file.url, file.kind, file.role)
        origins = account.origins if account else PUBLIC_ONLY
        tries = gone = 0
        while True:
            tries += 1
            try:
                async with self.copying:  # not while waiting for the next try: others may be luckier
                    stored = await self.fetcher.fetch(remote, origins)
            except FetchGone as error:
                gone += 1
                delay = rules.gone_retry_in_s(gone)
                if delay is None:
                    raise BadMedia(str(error)) from None
            except FetchNever as error:
                raise BadMedia(str(error)) from None
            except FetchLater as error:
                delay = rules.retry_in_s(tries)
                if time.monotonic() + delay > until:
                    raise BadMedia(str(error)) from None
            else:
                faults.point("result_fetched")
                return _public(stored)
            await asyncio.sleep(delay)


def _public(resource: Resource) -> StoredFile:
    return StoredFile(
        type=resource.type,
        format=resource.format,
        role=resource.role,
        size=resource.size,
        sha256=resource.sha256,
        width=resource.width,
        height=resource.height,
        duration_ms=resource.duration_ms,
    )


def _known(data: bytes) -> tuple[str, bytes]:
    found = sniff(data)
    return found.mime if found else "application/octet-stream", data


def _values(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []
