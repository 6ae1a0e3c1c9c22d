"""Results on their way out: from the vendor into our storage."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from uuid import UUID

from modellix_server.base import faults
from modellix_server.base.outbound import PUBLIC_ONLY
from modellix_server.base.settings import Settings
from modellix_server.results import (
    TROUBLE,
    Fetcher,
    FetchGone,
    FetchLater,
    FetchNever,
    Helper,
    InlineResult,
    RemoteResult,
    Resource,
    Storage,
    discard,
)
from modellix_server.tasks import rules
from modellix_server.tasks.accounts import VendorAccount
from modellix_server.tasks.delivered import StoredFile, StoredResult, Verdict, VerdictFile
from modellix_server.tasks.inputs import BadMedia, Inputs
from modellix_server.upstreams.contract import Done, InlineFile, RemoteFile, Upstream

_MOST_COPIES_AT_ONCE = 64
_OPTIONAL_WAIT_S = 60.0


@dataclass(frozen=True)
class MediaTools:
    """What a worker needs to handle files."""

    settings: Settings
    storage: Storage
    helper: Helper
    fetcher: Fetcher
    copying: asyncio.Semaphore
    inputs: Inputs

    @classmethod
    def of(
        cls,
        settings: Settings,
        storage: Storage,
        helper: Helper,
        fetcher: Fetcher,
        upstreams: Mapping[str, Upstream],
    ) -> MediaTools:
        """Media handling that copies a bounded number of results at once."""
        copying = asyncio.Semaphore(_MOST_COPIES_AT_ONCE)
        inputs = Inputs(settings, storage, helper, fetcher, upstreams)
        return cls(settings, storage, helper, fetcher, copying, inputs)

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
        self, task_id: UUID, verdict: Verdict, account: VendorAccount | None, until: float
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
        self, task_id: UUID, index: int, file: VerdictFile, account: VendorAccount | None, until: float
    ) -> StoredFile:
        remote = RemoteResult(task_id, index, file.url, file.kind, file.role)
        origins = account.origins if account else PUBLIC_ONLY
        stored = await self._patiently(lambda: self.fetcher.fetch(remote, origins), until)
        await faults.point("result_fetched")
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
