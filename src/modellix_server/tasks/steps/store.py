"""From the vendor's success to ours: the verdict on record, the files in our storage, the charge."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from uuid import UUID

import msgspec

from modellix_server.base import faults, tracing
from modellix_server.base.external_link import PUBLIC_ONLY
from modellix_server.base.redaction import redact_text
from modellix_server.results import (
    TROUBLE,
    FetchGone,
    FetchLater,
    FetchNever,
    InlineResult,
    RemoteResult,
    Resource,
    discard,
)
from modellix_server.tasks import rules
from modellix_server.tasks.inputs import BadMedia
from modellix_server.tasks.journal import NO_RECORD, AttemptRecord, Finish, Job, Move
from modellix_server.tasks.routing import VendorAccount
from modellix_server.tasks.rules import StoredFile, StoredResult, Verdict, VerdictFile
from modellix_server.tasks.steps import Store, TaskClock, Tools
from modellix_server.upstreams.contract import InlineFile, NothingDelivered, RemoteFile

STORE_AT_LEAST_S = 300.0
"""For a result that came just before the deadline."""

_OPTIONAL_WAIT_S = 60.0


async def put_down(job: Job, delivered: Store, tools: Tools) -> Move | Finish:
    """Make a verdict of what the vendor delivered.

    Files that came inside the answer are stored first, as nobody else has them; trouble with our own storage is waited
    out. Of the others the verdict keeps the links.
    """
    done, until = delivered.done, time.monotonic() + STORE_AT_LEAST_S
    await faults.point("before_verdict")
    files = []
    try:
        for index, file in enumerate(done.files):
            files.append(await _put_down(job.id, index, file, tools, until))
    except BadMedia as error:
        return _unavailable(error, delivered.record)
    await faults.point("answer_kept")
    verdict = Verdict(tuple(files), done.measured, done.request_id, dict(done.data))
    return Move(
        "storing",
        verdict=msgspec.json.encode(verdict).decode(),
        record=delivered.record,
        too_late=f"the vendor delivered {done.measured}, request {done.request_id}",
    )


async def store(job: Job, account: VendorAccount | None, tools: Tools, clock: TaskClock) -> Finish:
    """Copy what a verdict names into our storage, and charge for what is there; doing it again overwrites it."""
    assert job.verdict is not None
    verdict = msgspec.json.decode(job.verdict, type=Verdict)
    until = max(clock.ends_at, time.monotonic() + STORE_AT_LEAST_S)
    try:
        with tracing.timed("store", job.id):
            stored, left_out = await _copy_all(job.id, verdict, account, tools, until)
    except BadMedia as error:
        return _unavailable(error, NO_RECORD)
    await faults.point("result_stored")
    charge = rules.charge(job.price, verdict.measured, stored.counted)
    return Finish(
        capture=charge.micros,
        resources=msgspec.json.encode(stored).decode(),
        bytes=stored.bytes,
        review=charge.review,
        left_out=left_out,
    )


async def forget(task_id: UUID, tools: Tools) -> None:
    """Delete what was already copied of a result that will not be had; what cannot be deleted now goes later."""
    with contextlib.suppress(*TROUBLE):
        await discard(tools.storage, task_id)


def _unavailable(error: BadMedia, record: AttemptRecord) -> Finish:
    return Finish(
        error_code="result_unavailable",
        error_message=str(error),
        record=record,
        review=f"result unavailable: {error}",
        discard_files=True,
    )


def nothing_delivered(error: NothingDelivered, record: AttemptRecord = NO_RECORD) -> Finish:
    """The vendor has finished, for its money perhaps, and there is nothing to have."""
    return Finish(
        error_code="result_unavailable",
        error_message="the vendor finished the task and named no file",
        record=record,
        review=f"result unavailable: {redact_text(str(error))}",
    )


async def _put_down(
    task_id: UUID, index: int, file: RemoteFile | InlineFile, tools: Tools, until: float
) -> VerdictFile:
    if isinstance(file, RemoteFile):
        return VerdictFile(file.kind, file.url, file.role)
    inline = InlineResult(task_id, index, file.data, file.kind, file.role)
    stored = await _patiently(lambda: tools.fetcher.keep(inline), tools, until)
    return VerdictFile(file.kind, role=file.role, stored=stored)


async def _copy_all(
    task_id: UUID, verdict: Verdict, account: VendorAccount | None, tools: Tools, until: float
) -> tuple[StoredResult, list[str]]:
    """The stored result, and why files are missing from it that are not paid for. Raises BadMedia for the others.

    Trouble on the way or with our own storage is waited out until `until` (monotonic seconds).
    """
    files: list[StoredFile] = []
    left_out: list[str] = []
    in_place = any(file.stored for file in verdict.files)  # under the numbers that they have in the verdict
    for file in verdict.files:
        optional = file.role == "alternative" and not in_place
        wait = min(until, time.monotonic() + _OPTIONAL_WAIT_S) if optional else until
        try:
            files.append(file.stored or await _copy(task_id, len(files), file, account, tools, wait))
        except BadMedia as error:
            if not optional:
                raise
            left_out.append(f"{file.kind}: {error}")
    return StoredResult(tuple(files), verdict.request_id, dict(verdict.data)), left_out


async def _copy(
    task_id: UUID, index: int, file: VerdictFile, account: VendorAccount | None, tools: Tools, until: float
) -> StoredFile:
    remote = RemoteResult(task_id, index, file.url, file.kind, file.role)
    origins = account.origins if account else PUBLIC_ONLY
    stored = await _patiently(lambda: tools.fetcher.fetch(remote, origins), tools, until)
    await faults.point("result_fetched")
    return stored


async def _patiently(attempt: Callable[[], Awaitable[Resource]], tools: Tools, until: float) -> StoredFile:
    """Try until a file is stored, or there is no sense or no time in trying again. Raises BadMedia."""
    tries = gone = 0
    while True:
        tries += 1
        try:
            async with tools.copying:  # not while waiting for the next try: others may be luckier
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
