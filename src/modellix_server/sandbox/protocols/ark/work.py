"""From an accepted submission to its outcome: the task's states, the making, the charge."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from modellix_server.base import log
from modellix_server.sandbox import media
from modellix_server.sandbox.bill import Bill, BillLine
from modellix_server.sandbox.directives import Directives
from modellix_server.sandbox.protocols.ark.content import FRAMES_PER_S, ClipJob
from modellix_server.sandbox.protocols.ark.render import MIB, ArkShot, Drawing, draw, shoot
from modellix_server.sandbox.protocols.ark.rules import ArkRefusal, PictureJob
from modellix_server.sandbox.rendering.clips import Clip
from modellix_server.sandbox.rendering.footage import Take
from modellix_server.sandbox.rendering.paint import Picture, Source, UnusableMedia, shape_like
from modellix_server.sandbox.rendering.sound import Sound
from modellix_server.sandbox.rendering.studio import Studio
from modellix_server.sandbox.spool import Fault
from modellix_server.sandbox.store import DAY_S, MemoryStore

KEEP_S = 7 * DAY_S
"""How long the vendor keeps a task."""
FAILS_AFTER_S = 1.0
UNKNOWN_WORD = "dreaming"
PICTURE_SIDES = (15, 16_384)
FRAME_SIDES = (301, 5999)
FRAME_SHAPE = 2.5
FRAME_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF")
REFERENCE_S = (2.0, 15.0)
_log = log.get("sandbox")
Status = Literal["queued", "running", "succeeded", "failed", "cancelled", "expired"]

_BAD_MEDIA = {
    "format": "InvalidParameter.UnsupportedImageFormat",
    "size": "InvalidParameter.OversizedImage",
}
"""The rest are a plain InvalidParameter."""


@dataclass(frozen=True, slots=True)
class ArkFile:
    """A file made: its path below this app, its place on disk, its size in pixels."""

    link: str
    path: Path
    size: tuple[int, int]


@dataclass(frozen=True, slots=True)
class ArkOutcome:
    """What was made, and what the usage report says of it."""

    files: tuple[ArkFile, ...]
    images: int = 0
    """Pictures charged."""
    lost: int = 0
    """Pictures of a set that failed."""
    frames: int = 0
    """Frames of the clip charged."""
    last: ArkFile | None = None
    """The clip's closing frame."""


@dataclass(slots=True)
class ArkTask:
    """One accepted submission. Times are seconds since 1970."""

    job: PictureJob | ClipJob
    line: BillLine
    id: str = field(default_factory=lambda: f"cgt-{datetime.now(UTC):%Y%m%d%H%M%S}-{secrets.token_hex(3)[:5]}")
    created_at: float = field(default_factory=time.time)
    updated_at: float = field(default_factory=time.time)
    status: Status = "queued"
    outcome: ArkOutcome | None = None
    refusal: ArkRefusal | None = None
    runner: asyncio.Task[None] | None = None
    deleted: bool = False
    on_move: Callable[[ArkTask], None] | None = None

    @property
    def word(self) -> str:
        """The status as the client sees it."""
        odd_s = self.job.asked.badword_s
        if odd_s and self.status == "running" and time.time() - self.updated_at < odd_s:
            return UNKNOWN_WORD
        return self.status

    def move(self, status: Status) -> None:
        """Record a change of state."""
        self.status = status
        self.updated_at = time.time()
        self.line.state = status
        if self.on_move is not None:
            self.on_move(self)


class ArkWorkshop:
    """Carries submissions out. `ready` is a picture handed out at once instead of new ones."""

    def __init__(
        self, studio: Studio, store: MemoryStore[ArkTask], fetch: media.Fetch, bill: Bill, ready: ArkFile | None
    ) -> None:
        self._studio = studio
        self._store = store
        self._fetch = fetch
        self._bill = bill
        self._ready = ready
        self._runners: set[asyncio.Task[None]] = set()

    def start(self, task: ArkTask) -> None:
        """Start a submission in the background."""
        self._bill.accept(task.line, task.id, task.status)
        if isinstance(task.job, ClipJob):
            self._store.put(task.id, task)
        elif self._ready is not None and not task.job.asked.names:
            self._succeed(task, ArkOutcome((self._ready,) * task.job.count, images=task.job.count))
            return
        task.runner = asyncio.create_task(self.carry_out(task))
        self._runners.add(task.runner)
        task.runner.add_done_callback(self._runners.discard)

    def cancel(self, task: ArkTask) -> bool:
        """Cancel a task that is still queued; False when it is not."""
        if task.status != "queued" or task.runner is None:
            return False
        task.runner.cancel()
        self._end(task, "cancelled")
        return True

    async def carry_out(self, task: ArkTask) -> None:
        """Run the task to its end, whatever the outcome."""
        asked = task.job.asked
        try:
            await asyncio.sleep(asked.queue_s)
            pause_s = max(asked.slow_s, asked.badword_s, FAILS_AFTER_S if asked.fail else 0.0)
            if pause_s or "never" in asked:
                task.move("running")
            if "never" in asked:
                await self._wait_in_vain(task)
                return
            await asyncio.sleep(pause_s)
            outcome = await self._make(task)
        except ArkRefusal as refusal:
            self._fail(task, refusal)
        except Exception:  # noqa: BLE001 - a client must not wait for ever for our own mistakes
            _log.exception("a task of the emulator failed", task=task.id, model=task.job.model)
            self._fail(task, ArkRefusal(500, "InternalServiceError", "The emulator has a fault; see its log."))
        else:
            self._succeed(task, outcome)

    async def _wait_in_vain(self, task: ArkTask) -> None:
        if isinstance(task.job, ClipJob):
            await asyncio.sleep(task.job.wait_s)
            self._end(task, "expired")
        else:
            await asyncio.sleep(DAY_S)
            raise ArkRefusal(500, "InternalServiceError", "The request took too long.")

    def _succeed(self, task: ArkTask, outcome: ArkOutcome) -> None:
        self._bill.charge(task.line, images=outcome.images, seconds=outcome.frames / FRAMES_PER_S)
        task.outcome = outcome
        self._end(task, "succeeded")

    def _fail(self, task: ArkTask, refusal: ArkRefusal) -> None:
        task.refusal = refusal
        task.line.code = refusal.code
        self._end(task, "failed")

    def _end(self, task: ArkTask, status: Status) -> None:
        task.move(status)
        task.line.finished_at = task.updated_at
        task.runner = None

    async def _make(self, task: ArkTask) -> ArkOutcome:
        job = task.job
        if job.asked.fail:
            status = 500 if job.asked.fail.startswith("Internal") else 400
            raise ArkRefusal(status, job.asked.fail, "The task failed, as its prompt asked for.")
        if "partial" in job.asked and (isinstance(job, ClipJob) or job.count == 1):
            raise lost()
        try:
            if isinstance(job, ClipJob):
                return await self._clip(task, job)
            return await self._pictures(task, job)
        except UnusableMedia as bad:
            raise ArkRefusal(400, _BAD_MEDIA.get(bad.what, "InvalidParameter"), bad.message) from bad

    async def _pictures(self, task: ArkTask, job: PictureJob) -> ArkOutcome:
        sources = tuple([Source(await self._load(link), 10 * MIB, PICTURE_SIDES) for link in job.images])
        failing = int("partial" in job.asked)
        orders = [
            Picture(job.prompt, job.seed, job.model, job.size, index, sources=sources)
            for index in range(job.count - failing)
        ]
        files = await asyncio.gather(*(self._picture(task, job, order) for order in orders))
        return ArkOutcome(tuple(files), images=len(files) + ("overbill" in job.asked), lost=failing)

    async def _picture(self, task: ArkTask, job: PictureJob, order: Picture) -> ArkFile:
        drawing = Drawing(order, job.rules.formats, job.rules.shape)
        async with self._studio.place():
            task.move("running")
            path, size = await self._studio.make(".png" if job.png else ".jpg", draw, drawing)
        return ArkFile(self._studio.spool.add(path, fault=_fault(job.asked)), path, size)

    async def _clip(self, task: ArkTask, job: ClipJob) -> ArkOutcome:
        frames = {role: [await self._load(link) for link in links] for role, links in job.media.items()}
        pictures = [
            Source(data, 30 * MIB, FRAME_SIDES)
            for role in ("first_frame", "last_frame", "reference_image")
            for data in frames.get(role, ())
        ]
        sounds = [Sound(data, 15 * MIB, REFERENCE_S) for data in frames.get("reference_audio", ())]
        clip = Clip(
            prompt=job.prompt,
            seed=job.seed,
            model=job.model,
            seconds=job.frames / FRAMES_PER_S,
            size=_size(job, shaped=bool(pictures or frames.get("reference_video"))),
            area=_area(job),
            first=pictures[0] if pictures else None,
            last=pictures[-1] if len(pictures) > 1 else None,
            dubbed=job.sound,
            sound=sounds[0] if sounds and job.sound else None,
        )
        takes = tuple(Take(data, 50 * MIB, seconds=REFERENCE_S) for data in frames.get("reference_video", ()))
        formats = (*FRAME_FORMATS, "HEIC") if job.rules.heic else FRAME_FORMATS
        shot = ArkShot(clip, takes, last_frame=job.last_frame, formats=formats, shape=FRAME_SHAPE)
        async with self._studio.place():
            task.move("running")
            path, shown = await self._studio.make(".mp4", shoot, shot)
        spool, fault = self._studio.spool, _fault(job.asked)
        return ArkOutcome(
            files=(ArkFile(spool.add(path, fault=fault), path, shown.size),),
            frames=job.frames * (2 if "overbill" in job.asked else 1),
            last=ArkFile(spool.add(shown.last, fault=fault), shown.last, shown.size) if shown.last else None,
        )

    async def _load(self, link: str) -> bytes:
        try:
            return await media.load(link, self._fetch)
        except media.BrokenDataUri as error:
            raise ArkRefusal(400, "InvalidImageURL.InvalidFormat", "The data URI could not be decoded.") from error
        except media.Unreachable as error:
            message = "The URL specified in the request could not be downloaded."
            raise ArkRefusal(400, "InvalidParameter", message) from error


def lost() -> ArkRefusal:
    """Why one picture of a set is missing."""
    message = "The request failed because the output image may contain sensitive information."
    return ArkRefusal(400, "OutputImageSensitiveContentDetected", message)


def _area(job: ClipJob) -> int:
    width, height = job.rules.shapes[job.resolution]
    return width * height


def _size(job: ClipJob, *, shaped: bool) -> tuple[int, int] | None:
    """Pixels of the clip. Only those of 16:9 are documented for certain: other shapes have about the same area."""
    if job.ratio == "adaptive" and shaped:
        return None
    if job.ratio in ("16:9", "adaptive"):
        return job.rules.shapes[job.resolution]
    width, _, height = job.ratio.partition(":")
    return shape_like((int(width), int(height)), _area(job))


def _fault(asked: Directives) -> Fault:
    for fault in ("vanish", "huge", "mistyped"):
        if fault in asked:
            return fault
    return ""
