"""From an accepted submission to its outcome: the task's states, the making, the charge."""

from __future__ import annotations

import asyncio
import hashlib
import time
import uuid
from dataclasses import dataclass, field
from typing import Literal

from modellix_server.base import log
from modellix_server.upstreams.emulators import media
from modellix_server.upstreams.emulators.bill import Bill, Line
from modellix_server.upstreams.emulators.clips import Clip
from modellix_server.upstreams.emulators.dashscope.rules import Job, Refusal, sides
from modellix_server.upstreams.emulators.paint import BadMedia, Picture, Source
from modellix_server.upstreams.emulators.sound import Sound
from modellix_server.upstreams.emulators.spool import Fault
from modellix_server.upstreams.emulators.store import MemoryStore
from modellix_server.upstreams.emulators.studio import Studio

TIMEOUT_S = 3 * 3600.0
"""The vendor ends a task that runs this long."""
FAILS_AFTER_S = 1.0
UNKNOWN_WORD = "DREAMING"
_log = log.get("sandbox")
MIB = 1024 * 1024
TIER_AREAS = {480: 832 * 480, 720: 1280 * 720, 1080: 1920 * 1080}
_FAULTS = ("InternalError", "SystemError", "Model", "RequestTimeOut")
"""Beginnings of the codes that are the vendor's own fault: HTTP 500 where a call answers with them."""
Status = Literal["PENDING", "RUNNING", "SUCCEEDED", "FAILED", "CANCELED"]

_BAD_MEDIA = {
    "format": "InvalidParameter.ImageFormat",
    "alpha": "InvalidParameter.ImageFormat",
    "size": "InvalidFile.Size",
    "resolution": "InvalidFile.Resolution",
    "sound": "InvalidFile.Format",
    "duration": "InvalidFile.Duration",
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was made: paths of the files below this app, and what the usage report says."""

    files: tuple[str, ...]
    size: tuple[int, int]
    billed_images: int = 0
    billed_seconds: int = 0
    resolution: int = 0


@dataclass(slots=True)
class Task:
    """One accepted submission. Times are seconds since 1970."""

    job: Job
    line: Line
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    request_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    submitted_at: float = field(default_factory=time.time)
    started_at: float | None = None
    ended_at: float | None = None
    status: Status = "PENDING"
    outcome: Outcome | None = None
    refusal: Refusal | None = None
    runner: asyncio.Task[None] | None = None

    @property
    def word(self) -> str:
        """The status as it is told to the client."""
        odd_s = self.job.asked.badword_s
        if odd_s and self.status == "RUNNING" and time.time() - (self.started_at or 0) < odd_s:
            return UNKNOWN_WORD
        return self.status


class Workshop:
    """Carries tasks out. `instant` makes pictures by handing out one that is ready."""

    def __init__(
        self, studio: Studio, store: MemoryStore[Task], fetch: media.Fetch, bill: Bill, ready: str | None
    ) -> None:
        self._studio = studio
        self._store = store
        self._fetch = fetch
        self._bill = bill
        self._ready = ready
        self._runners: set[asyncio.Task[None]] = set()

    def start(self, task: Task) -> None:
        """Take a task on; it goes on by itself."""
        self._bill.accept(task.line, task.id, task.status)
        if task.job.route.mode == "async":
            self._store.put(task.id, task)
        if self._at_once(task):
            self._begin(task)
            self._succeed(task, self._instant(task))
            return
        task.runner = asyncio.create_task(self.carry_out(task))
        self._runners.add(task.runner)
        task.runner.add_done_callback(self._runners.discard)

    def cancel(self, task: Task) -> bool:
        """Cancel a task that is still queued; False when it is not."""
        if task.status != "PENDING" or task.runner is None:
            return False
        task.runner.cancel()
        self._end(task, "CANCELED")
        return True

    def _at_once(self, task: Task) -> bool:
        return self._ready is not None and task.job.rules.makes == "picture" and not task.job.asked.names

    async def carry_out(self, task: Task) -> None:
        """See the task through to its end, whatever it is."""
        asked = task.job.asked
        try:
            await asyncio.sleep(asked.queue_s)
            pause_s = max(asked.slow_s, asked.badword_s, FAILS_AFTER_S if asked.fail else 0.0)
            if pause_s or "never" in asked:
                self._begin(task)
            await asyncio.sleep(TIMEOUT_S if "never" in asked else pause_s)
            if "never" in asked:
                raise Refusal(500, "InternalError.Timeout", "The task timed out.")
            outcome = await self._make(task)
        except Refusal as refusal:
            task.refusal = refusal
            task.line.code = refusal.code
            self._end(task, "FAILED")
        except Exception:  # noqa: BLE001 - a client must not wait for ever for our own mistakes
            _log.exception("a task of the emulator failed", task=task.id, model=task.job.model)
            task.refusal = Refusal(500, "InternalError", "The emulator has a fault; see its log.")
            task.line.code = task.refusal.code
            self._end(task, "FAILED")
        else:
            self._succeed(task, outcome)

    def _begin(self, task: Task) -> None:
        if task.started_at is None:
            task.started_at = time.time()
            task.status = "RUNNING"
            task.line.state = "RUNNING"

    def _succeed(self, task: Task, outcome: Outcome) -> None:
        self._bill.charge(task.line, images=outcome.billed_images, seconds=outcome.billed_seconds)
        task.outcome = outcome
        self._end(task, "SUCCEEDED")

    def _end(self, task: Task, status: Status) -> None:
        task.ended_at = time.time()
        task.line.finished_at = task.ended_at
        task.status = status
        task.line.state = status
        task.runner = None

    def _instant(self, task: Task) -> Outcome:
        assert self._ready is not None
        count = task.job.count
        return Outcome((self._ready,) * count, _size(task.job) or (64, 64), billed_images=count)

    async def _make(self, task: Task) -> Outcome:
        asked = task.job.asked
        if asked.fail:
            status = 500 if asked.fail.startswith(_FAULTS) else 400
            raise Refusal(status, asked.fail, "The task failed, as its prompt asked for.")
        if task.job.count == 1 and "partial" in asked:
            raise Refusal(500, "InternalError.Algo", "The image could not be generated.")
        try:
            if task.job.rules.makes == "clip":
                return await self._clip(task)
            return await self._pictures(task)
        except BadMedia as bad:
            raise Refusal(400, _BAD_MEDIA[bad.what], bad.message) from bad

    async def _pictures(self, task: Task) -> Outcome:
        job = task.job
        sources = tuple(await self._sources(job, "images"))
        size = _size(job)
        orders = [
            Picture(job.prompt, _seed(job), job.model, size, index, sources=sources)
            for index in range(job.count - ("partial" in job.asked))
        ]
        made = await asyncio.gather(*(self._picture(task, order) for order in orders))
        return Outcome(
            files=tuple(path for path, _ in made),
            size=made[0][1],
            billed_images=len(made) + ("overbill" in job.asked),
        )

    async def _picture(self, task: Task, order: Picture) -> tuple[str, tuple[int, int]]:
        async with self._studio.place():
            self._begin(task)
            path, size = await self._studio.paint(order)
        return self._studio.spool.add(path, fault=_fault(task.job)), size

    async def _clip(self, task: Task) -> Outcome:
        job = task.job
        first = await self._sources(job, "img_url", "first_frame_url")
        last = await self._sources(job, "last_frame_url")
        size = _size(job)
        lines = _lines(job, size)
        order = Clip(
            prompt=job.prompt,
            seed=_seed(job),
            model=job.model,
            seconds=int(job.parameters["duration"]),
            size=size,
            area=TIER_AREAS[lines],
            first=first[0] if first else None,
            last=last[0] if last else None,
            dubbed=job.rules.sound,
            sound=await self._sound(job),
        )
        async with self._studio.place():
            self._begin(task)
            path, made_size = await self._studio.film(order)
        return Outcome(
            files=(self._studio.spool.add(path, fault=_fault(job)),),
            size=made_size,
            billed_seconds=order.seconds * (2 if "overbill" in job.asked else 1),
            resolution=lines,
        )

    async def _sources(self, job: Job, *fields: str) -> list[Source]:
        return [
            Source(await self._load(link), limits.most_mb * MIB, limits.sides, limits.alpha)
            for name in fields
            if (limits := job.rules.media.get(name)) is not None
            for link in job.media.get(name, ())
        ]

    async def _sound(self, job: Job) -> Sound | None:
        links = job.media.get("audio_url")
        if not links:
            return None
        limits = job.rules.media["audio_url"]
        return Sound(await self._load(links[0]), limits.most_mb * MIB, limits.seconds)

    async def _load(self, link: str) -> bytes:
        try:
            return await media.load(link, self._fetch)
        except media.BrokenDataUri as error:
            raise Refusal(400, "InvalidParameter.ImageContent", "The data URI could not be decoded.") from error
        except media.Unreachable as error:
            code = "InvalidURL"
            if error.timed_out:
                code += ".Timeout"
            elif error.refused:
                code += ".ConnectionRefused"
            raise Refusal(400, code, "The input file could not be downloaded.") from error


def _size(job: Job) -> tuple[int, int] | None:
    asked = job.parameters.get("size")
    return sides(asked) if asked else None


def _lines(job: Job, size: tuple[int, int] | None) -> int:
    """The price tier of a clip: as asked, or the smallest that holds its size."""
    if size is None:
        return int(job.parameters["resolution"].removesuffix("P"))
    return next(lines for lines, area in TIER_AREAS.items() if size[0] * size[1] <= area)


def _seed(job: Job) -> int:
    """The given seed, or one that follows from the prompt, so that every picture can be made again."""
    given = job.parameters.get("seed")
    if given is not None:
        return int(given)
    return int.from_bytes(hashlib.sha256(job.prompt.encode(errors="replace")).digest()[:4]) >> 1


def _fault(job: Job) -> Fault:
    for fault in ("vanish", "huge", "mistyped"):
        if fault in job.asked:
            return fault
    return ""
