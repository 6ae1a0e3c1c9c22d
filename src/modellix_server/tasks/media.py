"""Media on their way in and out: inputs made fit for the vendor, results copied into our storage."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from modellix_server.base import faults
from modellix_server.base.errors import InvalidFormat
from modellix_server.base.outbound import PUBLIC_ONLY
from modellix_server.base.settings import Settings
from modellix_server.catalogue import MediaInput, Model
from modellix_server.results import (
    MOST_READ_BYTES,
    STORED,
    TROUBLE,
    Fetcher,
    FetchError,
    FetchGone,
    FetchLater,
    FetchNever,
    Helper,
    InlineResult,
    Refused,
    RemoteResult,
    Resource,
    Storage,
    TooBig,
    discard,
    looks_own,
    own_link,
    own_sample,
    read_input,
    sniff,
)
from modellix_server.tasks import rules
from modellix_server.tasks.accounts import Account
from modellix_server.tasks.delivered import StoredFile, StoredResult, Verdict, VerdictFile
from modellix_server.upstreams.contract import Done, InlineFile, RemoteFile, Upstream

_MOST_COPIES_AT_ONCE = 64
_MOST_INPUT_CHARACTERS = 64 << 20  # of one order's media, as data URIs
_INPUT_TRIES = 2
_OPTIONAL_WAIT_S = 60.0


class BadMedia(Exception):
    """An input cannot be used, or a result cannot be had; the message is for the client."""


@dataclass(frozen=True)
class Media:
    """What a worker needs to handle files."""

    settings: Settings
    storage: Storage
    helper: Helper
    fetcher: Fetcher
    upstreams: Mapping[str, Upstream]
    copying: asyncio.Semaphore

    @classmethod
    def of(
        cls,
        settings: Settings,
        storage: Storage,
        helper: Helper,
        fetcher: Fetcher,
        upstreams: Mapping[str, Upstream],
    ) -> Media:
        """Media handling that copies a bounded number of results at once."""
        return cls(settings, storage, helper, fetcher, upstreams, asyncio.Semaphore(_MOST_COPIES_AT_ONCE))

    def needed(self, model: Model, params: Mapping[str, Any]) -> bool:
        """Whether an input is ours to provide: bytes, a link to a file of ours, any link if the vendor loads none."""
        links = self._links_pass(model)
        values = (value for medium in model.media for value in _values(params.get(medium.name)))
        return any(not links or self._ours(value) for value in values)

    def _links_pass(self, model: Model) -> bool:
        return self.upstreams[model.routes[0].upstream].traits.fetches_links

    def _ours(self, value: str) -> bool:
        return value.startswith(STORED) or looks_own(self.settings, value)

    async def resolve(self, model: Model, params: Mapping[str, Any]) -> dict[str, Any]:
        """The parameters with our own inputs as data URIs; every other link goes to the vendor as it is.

        So does a link to a sample where the model takes links only: it is public. A vendor that loads no links gets
        what they lead to. Raises BadMedia.
        """
        resolved = dict(params)
        links = self._links_pass(model)
        left = _MOST_INPUT_CHARACTERS

        async def one(medium: MediaInput, value: str) -> str:
            nonlocal left
            if links and not self._ours(value):
                return value
            uri = await self._data_uri(medium, value)
            left -= len(uri)
            if left < 0:
                raise BadMedia(f"the inputs have more than {_MOST_INPUT_CHARACTERS * 3 // 4:,} bytes together")
            return uri

        for medium in model.media:
            value = params.get(medium.name)
            if isinstance(value, list):
                resolved[medium.name] = [await one(medium, item) for item in value]
            elif isinstance(value, str):
                resolved[medium.name] = await one(medium, value)
        return resolved

    async def _data_uri(self, medium: MediaInput, value: str) -> str:
        inline = "data" in medium.accepts
        if not self._ours(value):
            mime, data = _known(await self._fetched(medium, value))
        elif sample := self._sample(medium, value):
            mime, data = _known(sample.read_bytes())
        elif inline:
            mime, data = await self._read(medium, value)
        else:
            raise BadMedia(f"parameter '{medium.name}' needs a public link for this model")
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

    def _sample(self, medium: MediaInput, value: str) -> Path | None:
        try:
            return own_sample(self.settings, value)
        except InvalidFormat:
            raise BadMedia(f"parameter '{medium.name}' names a sample that does not exist") from None

    async def _fetched(self, medium: MediaInput, url: str) -> bytes:
        """What a link of the client's leads to; a passing trouble there is waited out for a moment."""
        for tried in range(1, _INPUT_TRIES + 1):
            try:
                async with self.copying:
                    return await self.fetcher.read(url, medium.max_bytes or MOST_READ_BYTES)
            except FetchError as error:
                if isinstance(error, FetchNever) or tried == _INPUT_TRIES:
                    raise BadMedia(f"parameter '{medium.name}' could not be loaded: {error}") from None
            await asyncio.sleep(rules.retry_in_s(tried))
        raise AssertionError

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

    async def put_down(self, task_id: UUID, done: Done, until: float) -> Verdict:
        """What to write down of a success: files that came inside the answer are stored first, as nobody has them.

        Trouble with our own storage is waited out until `until` (monotonic seconds). Raises BadMedia.
        """
        files = [await self._put_down(task_id, index, file, until) for index, file in enumerate(done.files)]
        return Verdict(tuple(files), done.measured, done.request_id, dict(done.data))

    async def _put_down(self, task_id: UUID, index: int, file: RemoteFile | InlineFile, until: float) -> VerdictFile:
        if isinstance(file, RemoteFile):
            return VerdictFile(file.kind, file.url, file.role)
        inline = InlineResult(task_id, index, file.data, file.kind, file.role)
        return VerdictFile(
            file.kind, role=file.role, stored=await self._patiently(lambda: self.fetcher.keep(inline), until)
        )

    async def keep(
        self, task_id: UUID, verdict: Verdict, account: Account | None, until: float
    ) -> tuple[StoredResult, list[str]]:
        """Copy every file of a result into our storage that is not there yet; doing it again overwrites it.

        Trouble on the way or with our own storage is waited out until `until` (monotonic seconds). A file beside
        those that are paid for is left out, and why is told, when it cannot be had. Raises BadMedia for the others.
        """
        files: list[StoredFile] = []
        lost: list[str] = []
        in_place = any(file.stored for file in verdict.files)  # under the numbers that they have in the verdict
        for file in verdict.files:
            optional = file.role == "alternative" and not in_place
            wait = min(until, time.monotonic() + _OPTIONAL_WAIT_S) if optional else until
            try:
                files.append(file.stored or await self._copy(task_id, len(files), file, account, wait))
            except BadMedia as error:
                if not optional:
                    raise
                lost.append(f"{file.kind}: {error}")
        return StoredResult(tuple(files), verdict.request_id, dict(verdict.data)), lost

    async def forget(self, task_id: UUID) -> None:
        """Delete what was already copied of a result that will not be had; what cannot be deleted now goes later."""
        with contextlib.suppress(*TROUBLE):
            await discard(self.storage, task_id)

    async def _copy(
        self, task_id: UUID, index: int, file: VerdictFile, account: Account | None, until: float
    ) -> StoredFile:
        remote = RemoteResult(task_id, index, file.url, file.kind, file.role)
        origins = account.origins if account else PUBLIC_ONLY
        stored = await self._patiently(lambda: self.fetcher.fetch(remote, origins), until)
        faults.point("result_fetched")
        return stored

    async def _patiently(self, attempt: Callable[[], Awaitable[Resource]], until: float) -> StoredFile:
        """Try until a file is stored, or there is no sense or no time in trying again."""
        tries = gone = 0
        while True:
            tries += 1
            try:
                async with self.copying:  # not while waiting for the next try: others may be luckier
                    return _public(await attempt())
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
