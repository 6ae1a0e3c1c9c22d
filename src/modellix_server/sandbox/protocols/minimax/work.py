"""From an accepted submission to its outcome: the task's states, the making, the charge."""

from __future__ import annotations

import asyncio
import io
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from PIL import Image

from modellix_server.base import log
from modellix_server.sandbox import media, seeds
from modellix_server.sandbox.bill import Bill, BillLine
from modellix_server.sandbox.protocols.minimax.rules import (
    FAILURES,
    FRAME,
    PORTRAIT,
    MiniMaxJob,
    MiniMaxLimits,
    MiniMaxRefusal,
    check,
)
from modellix_server.sandbox.protocols.minimax.rules import invalid as invalid_input
from modellix_server.sandbox.rendering.clips import Clip
from modellix_server.sandbox.rendering.paint import Picture, Source, UnusableMedia, shape_like
from modellix_server.sandbox.rendering.studio import Studio
from modellix_server.sandbox.spool import Fault

NEVER_S = 24 * 3600.0
FAILS_AFTER_S = 1.0
UNKNOWN_WORD = "Dreaming"
AREAS = {"512P": (912, 512), "720P": (1280, 720), "768P": (1366, 768), "1080P": (1920, 1080)}
"""Sizes of clips made from words alone; from a picture they have its shape and about this area."""
_SAME_SHAPE = 0.02
_ANY_SIDE = (1, 16_384)
_log = log.get("sandbox")
Status = Literal["Preparing", "Queueing", "Processing", "Success", "Fail"]


def new_id() -> str:
    """An id of the vendor's form: fifteen digits."""
    return str(secrets.randbelow(9 * 10**14) + 10**14)


@dataclass(frozen=True, slots=True)
class MiniMaxOutcome:
    """What was made: paths of the files below this app, their size, and how many pictures are reported."""

    files: tuple[str, ...]
    size: tuple[int, int]
    bytes: int = 0
    told_images: int = 0


@dataclass(slots=True)
class MiniMaxTask:
    """One accepted submission. Times are seconds since 1970."""

    job: MiniMaxJob
    line: BillLine
    owner: str
    """The key that created it: other keys do not see it."""
    id: str = field(default_factory=new_id)
    file_id: str = field(default_factory=new_id)
    submitted_at: float = field(default_factory=time.time)
    started_at: float | None = None
    status: Status = "Preparing"
    outcome: MiniMaxOutcome | None = None
    refusal: MiniMaxRefusal | None = None
    runner: asyncio.Task[None] | None = None
    on_move: Callable[[MiniMaxTask], None] | None = None

    @property
    def word(self) -> str:
        """The status as the client sees it."""
        odd_s = self.job.asked.badword_s
        if odd_s and self.status == "Processing" and time.time() - (self.started_at or 0) < odd_s:
            return UNKNOWN_WORD
        return self.status

    def move(self, status: Status) -> None:
        """Record a change of state."""
        self.status = self.line.state = status
        if self.on_move is not None:
            self.on_move(self)


def size_of(picture: bytes, resolution: str) -> tuple[int, int]:
    """Of a clip that begins with a picture: exactly the usual one for its usual shape, else about its area."""
    width, height = AREAS[resolution]
    with Image.open(io.BytesIO(picture)) as image:
        across, down = image.size
    if abs(max(across, down) / min(across, down) - width / height) < _SAME_SHAPE:
        return (width, height) if across >= down else (height, width)
    return shape_like((across, down), width * height)


class MiniMaxWorkshop:
    """Carries tasks out. With `ready`, pictures are made by handing out that one."""

    def __init__(self, studio: Studio, fetch: media.Fetch, bill: Bill, ready: str | None) -> None:
        self._studio = studio
        self._fetch = fetch
        self._bill = bill
        self._ready = ready
        self._runners: set[asyncio.Task[None]] = set()

    def start(self, task: MiniMaxTask) -> None:
        """Start a task in the background."""
        self._bill.accept(task.line, task.id, task.status)
        job = task.job
        if self._ready is not None and job.makes == "picture" and not job.asked.names and not job.base64:
            count = task.job.count
            self._succeed(task, MiniMaxOutcome((self._ready,) * count, (64, 64), told_images=count), images=count)
            return
        task.runner = asyncio.create_task(self._carry_out(task))
        self._runners.add(task.runner)
        task.runner.add_done_callback(self._runners.discard)

    async def _carry_out(self, task: MiniMaxTask) -> None:
        """Run the task to its end, whatever the outcome."""
        asked = task.job.asked
        try:
            if asked.queue_s:
                task.move("Queueing")
                await asyncio.sleep(asked.queue_s)
            pause_s = max(asked.slow_s, asked.badword_s, FAILS_AFTER_S if asked.fail else 0.0)
            if pause_s or "never" in asked:
                _begin(task)
            await asyncio.sleep(NEVER_S if "never" in asked else pause_s)
            await self._make(task)
        except MiniMaxRefusal as refusal:
            _fail(task, refusal)
        except UnusableMedia as bad:
            _fail(task, invalid_input(bad.message))
        except Exception:  # noqa: BLE001 - a client must not wait for ever for our own mistakes
            _log.exception("a task of the emulator failed", task=task.id, model=task.job.model)
            _fail(task, MiniMaxRefusal(1000, "The emulator has a fault; see its log."))

    async def _make(self, task: MiniMaxTask) -> None:
        job = task.job
        if job.asked.fail:
            raise MiniMaxRefusal(FAILURES[job.asked.fail], "The task failed, as its prompt asked for.")
        if "partial" in job.asked and job.count == 1:
            raise MiniMaxRefusal(1027, "The generated content may be inappropriate.")
        if job.makes == "clip":
            await self._clip(task)
        else:
            await self._pictures(task)

    async def _pictures(self, task: MiniMaxTask) -> None:
        job = task.job
        sources = tuple([await self._source(link, PORTRAIT) for link in job.subjects])
        seed = seeds.seed_for(job.seed)
        orders = [
            Picture(job.prompt, seed, job.model, job.size, index, sources=sources, mark=job.mark)
            for index in range(job.count - ("partial" in job.asked))
        ]
        made = await asyncio.gather(*(self._picture(task, order) for order in orders))
        billed = len(made) + ("overbill" in job.asked)
        assert job.size is not None
        self._succeed(task, MiniMaxOutcome(tuple(made), job.size, told_images=billed), images=billed)

    async def _picture(self, task: MiniMaxTask, order: Picture) -> str:
        async with self._studio.place():
            _begin(task)
            path, _ = await self._studio.paint(order)
        return self._studio.spool.add(path, fault=_fault(task.job))

    async def _clip(self, task: MiniMaxTask) -> None:
        job = task.job
        start = job.first or (job.subjects[0] if job.subjects else None)
        width, height = AREAS[job.resolution]
        first = await self._source(start, FRAME) if start else None
        last = await self._source(job.last, FRAME) if job.last else None
        shown = (first if job.first else None) or last
        order = Clip(
            prompt=job.prompt,
            seed=seeds.seed_for(job.seed),
            model=job.model,
            seconds=job.seconds,
            size=size_of(shown.data, job.resolution) if shown else (width, height),
            area=width * height,
            first=first,
            last=last,
            mark=job.mark,
        )
        async with self._studio.place():
            _begin(task)
            path, size = await self._studio.film(order)
        length = path.stat().st_size
        files = (self._studio.spool.add(path, fault=_fault(job)),)
        seconds = order.seconds * (2 if "overbill" in job.asked else 1)
        self._succeed(task, MiniMaxOutcome(files, size, bytes=length), seconds=seconds)

    def _succeed(self, task: MiniMaxTask, outcome: MiniMaxOutcome, *, images: int = 0, seconds: float = 0.0) -> None:
        self._bill.charge(task.line, images=images, seconds=seconds)
        task.outcome = outcome
        _end(task, "Success")

    async def _source(self, link: str, limits: MiniMaxLimits) -> Source:
        try:
            data = await media.load(link, self._fetch)
        except media.BrokenDataUri as error:
            raise invalid_input("the data URL could not be decoded") from error
        except media.Unreachable as error:
            raise invalid_input("the image could not be downloaded") from error
        check(data, limits)
        return Source(data, limits.most_bytes, _ANY_SIDE)


def _begin(task: MiniMaxTask) -> None:
    if task.started_at is None:
        task.started_at = time.time()
        task.move("Processing")


def _fail(task: MiniMaxTask, refusal: MiniMaxRefusal) -> None:
    task.refusal = refusal
    task.line.code = str(refusal.code)
    _end(task, "Fail")


def _end(task: MiniMaxTask, status: Status) -> None:
    task.line.finished_at = time.time()
    task.move(status)
    task.runner = None


def _fault(job: MiniMaxJob) -> Fault:
    for fault in ("vanish", "huge", "mistyped"):
        if fault in job.asked:
            return fault
    return ""
