"""From a job to its files: inputs loaded, pictures and clips ordered from the render processes."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path

from modellix_server.sandbox import media, seeds
from modellix_server.sandbox.protocols.dashscope import shape
from modellix_server.sandbox.protocols.dashscope.fields import DashScopeRefusal, sides
from modellix_server.sandbox.protocols.dashscope.rules import DashScopeJob
from modellix_server.sandbox.protocols.dashscope.table import DashScopeMedia
from modellix_server.sandbox.rendering import footage
from modellix_server.sandbox.rendering.clips import Clip
from modellix_server.sandbox.rendering.crafts.brief import Craft, Crafted
from modellix_server.sandbox.rendering.footage import Take
from modellix_server.sandbox.rendering.montage import Montage
from modellix_server.sandbox.rendering.paint import Picture, Source, UnusableMedia
from modellix_server.sandbox.rendering.sound import Sound
from modellix_server.sandbox.rendering.studio import Studio
from modellix_server.sandbox.spool import Fault

MIB = 1024 * 1024
_BAD_MEDIA = {
    "format": "InvalidParameter.ImageFormat",
    "alpha": "InvalidParameter.ImageFormat",
    "size": "InvalidFile.Size",
    "resolution": "InvalidFile.Resolution",
    "sound": "InvalidFile.Format",
    "clip": "InvalidFile.Format",
    "duration": "InvalidFile.Duration",
    "parameter": "InvalidParameter",
    "person": "InvalidPerson",
    "garment": "InvalidGarment",
}


@dataclass(frozen=True, slots=True)
class DashScopeOutcome:
    """What was made: paths of the files below this app, and what the usage report says."""

    files: tuple[str, ...]
    size: tuple[int, int]
    billed_images: int = 0
    billed_seconds: float = 0
    made_s: float = 0
    input_s: float = 0
    resolution: int = 0
    companions: tuple[str | None, ...] = ()
    """Files that go with `files`, in their order: outlines, cut-outs."""
    boxes: tuple[tuple[int, int, int, int] | None, ...] = ()
    message: str = ""


class Maker:
    """Makes what jobs ask for; `begin` is called when a render process takes a job on."""

    def __init__(self, studio: Studio, fetch: media.Fetch) -> None:
        self._studio = studio
        self._fetch = fetch

    async def make(self, job: DashScopeJob, begin: Callable[[], None]) -> DashScopeOutcome:
        """The finished job. Raises Refusal."""
        make: Callable[[DashScopeJob, Callable[[], None]], Awaitable[DashScopeOutcome]]
        if job.rules.makes == "picture":
            make = self._pictures
        elif job.rules.makes == "craft":
            make = self._crafts
        elif job.rules.work in ("", "frames"):
            make = self._clip
        else:
            make = self._montage
        try:
            return await make(job, begin)
        except UnusableMedia as bad:
            raise DashScopeRefusal(400, _BAD_MEDIA[bad.what], bad.message) from bad

    async def _pictures(self, job: DashScopeJob, begin: Callable[[], None]) -> DashScopeOutcome:
        sources = tuple(await self._sources(job, "images"))
        order = Picture(
            job.prompt,
            _seed(job),
            job.model,
            picture_size(job),
            area=shape.preset_area(job.rules.parameters["size"], job.parameters["size"])
            if job.parameters.get("size")
            else 1024 * 1024,
            sources=sources,
            mark=_mark(job),
            boxes=_boxes(job),
            palette=_palette(job),
        )
        orders = [replace(order, index=index) for index in range(job.count - ("partial" in job.asked))]
        made = await asyncio.gather(*(self._picture(job, order, begin) for order in orders))
        return DashScopeOutcome(
            files=tuple(path for path, _ in made),
            size=made[0][1],
            billed_images=len(made) + ("overbill" in job.asked),
        )

    async def _picture(
        self, job: DashScopeJob, order: Picture, begin: Callable[[], None]
    ) -> tuple[str, tuple[int, int]]:
        async with self._studio.place():
            begin()
            path, size = await self._studio.paint(order)
        return self._studio.spool.add(path, fault=_fault(job)), size

    async def _crafts(self, job: DashScopeJob, begin: Callable[[], None]) -> DashScopeOutcome:
        files = {name: tuple(await self._sources(job, name)) for name in job.media if _kind(job, name) == "picture"}
        fonts = [await self._load(link) for name in job.media if _kind(job, name) == "font" for link in job.media[name]]
        order = Craft(
            work=job.rules.work,
            prompt=job.prompt,
            seed=_seed(job),
            model=job.model,
            sources=files,
            font=fonts[0] if fonts else None,
            options=job.parameters,
            mark=_mark(job),
        )
        orders = [replace(order, index=index) for index in range(job.count - ("partial" in job.asked))]
        made = await asyncio.gather(*(self._craft(order, begin) for order in orders))
        keep, fault = self._studio.spool.add, _fault(job)
        return DashScopeOutcome(
            files=tuple(keep(path, fault=fault) for one in made for path in one.files),
            size=made[0].size,
            billed_images=len(made) + ("overbill" in job.asked),
            companions=tuple(None if path is None else keep(path) for one in made for path in one.companions),
            boxes=made[0].boxes,
            message=made[0].message,
        )

    async def _craft(self, order: Craft, begin: Callable[[], None]) -> Crafted:
        async with self._studio.place():
            begin()
            return await self._studio.craft(order)

    async def _clip(self, job: DashScopeJob, begin: Callable[[], None]) -> DashScopeOutcome:
        first = await self._sources(job, "img_url", "first_frame_url", "first_frame")
        last = await self._sources(job, "last_frame_url")
        size = shape.clip_size(job.parameters)
        lines = shape.lines(job.parameters)
        order = Clip(
            prompt=job.prompt,
            seed=_seed(job),
            model=job.model,
            seconds=int(job.parameters["duration"]),
            size=size,
            area=shape.TIER_AREAS[lines],
            first=first[0] if first else None,
            last=last[0] if last else None,
            dubbed=_has_sound(job),
            sound=await self._sound(job),
            mark=_mark(job),
        )
        async with self._studio.place():
            begin()
            path, made_size = await self._studio.film(order)
        return self._filmed(job, path, made_size, order.seconds)

    async def _montage(self, job: DashScopeJob, begin: Callable[[], None]) -> DashScopeOutcome:
        pictures: dict[str, tuple[Source, ...]] = {}
        takes: dict[str, tuple[Take, ...]] = {}
        for name, links in job.media.items():
            limits = job.rules.media[name]
            if limits.kind == "sound":
                continue
            loaded = [await self._load(link) for link in links]
            shots = [data for data in loaded if limits.kind == "clip" or footage.is_clip(data)]
            takes[name] = tuple(_take(data, limits) for data in shots)
            pictures[name] = tuple(_source(data, limits) for data in loaded if data not in shots)
        order = Montage(
            work=job.rules.work,
            prompt=job.prompt,
            seed=_seed(job),
            model=job.model,
            size=shape.clip_size(job.parameters),
            area=shape.TIER_AREAS[shape.lines(job.parameters)],
            options=job.parameters,
            pictures=pictures,
            takes=takes,
            counted_s=job.rules.counted_s,
            dubbed=_has_sound(job),
            sound=await self._sound(job),
            mark=_mark(job),
        )
        async with self._studio.place():
            begin()
            path, made = await self._studio.cut(order)
        return self._filmed(job, path, made.size, made.seconds, made.input_s)

    def _filmed(
        self, job: DashScopeJob, path: Path, size: tuple[int, int], seconds: float, input_s: float = 0
    ) -> DashScopeOutcome:
        return DashScopeOutcome(
            files=(self._studio.spool.add(path, fault=_fault(job)),),
            size=size,
            billed_seconds=(seconds + input_s) * (2 if "overbill" in job.asked else 1),
            made_s=seconds,
            input_s=input_s,
            resolution=shape.lines(job.parameters),
        )

    async def _sources(self, job: DashScopeJob, *names: str) -> list[Source]:
        return [
            _source(await self._load(link), limits)
            for name in names
            if (limits := job.rules.media.get(name)) is not None
            for link in job.media.get(name, ())
        ]

    async def _sound(self, job: DashScopeJob) -> Sound | None:
        if job.parameters.get("audio") is False:
            return None
        for name in ("audio_url", "driving_audio"):
            for link in job.media.get(name, ()):
                limits = job.rules.media[name]
                return Sound(await self._load(link), limits.most_mb * MIB, limits.seconds)
        return None

    async def _load(self, link: str) -> bytes:
        try:
            return await media.load(link, self._fetch)
        except media.BrokenDataUri as error:
            raise DashScopeRefusal(
                400, "InvalidParameter.ImageContent", "The data URI could not be decoded."
            ) from error
        except media.Unreachable as error:
            code = "InvalidURL"
            if error.timed_out:
                code += ".Timeout"
            elif error.refused:
                code += ".ConnectionRefused"
            raise DashScopeRefusal(400, code, "The input file could not be downloaded.") from error


def _kind(job: DashScopeJob, name: str) -> str:
    return job.rules.media[name].kind


def _source(data: bytes, limits: DashScopeMedia) -> Source:
    return Source(data, limits.most_mb * MIB, limits.sides, limits.alpha)


def _take(data: bytes, limits: DashScopeMedia) -> Take:
    return Take(data, limits.most_mb * MIB, limits.sides, limits.seconds)


def _has_sound(job: DashScopeJob) -> bool:
    return job.rules.sound and job.parameters.get("audio") is not False


def _mark(job: DashScopeJob) -> bool:
    return bool(job.parameters.get("watermark") or job.parameters.get("add_watermark"))


def picture_size(job: DashScopeJob) -> tuple[int, int] | None:
    """The size a picture will have, None where it follows an input picture."""
    asked = job.parameters.get("size")
    if not asked:
        return None
    preset = job.rules.parameters["size"].presets.get(asked)
    if job.media.get("images") and (preset or "size" not in job.given):
        return None
    return (preset, preset) if preset else sides(asked)


def _boxes(job: DashScopeJob) -> tuple[tuple[int, int, int, int], ...]:
    """The regions to edit of the last picture."""
    lists = job.parameters.get("bbox_list") or [[]]
    last = lists[-1] if isinstance(lists[-1], list) else []
    try:
        return tuple((int(x1), int(y1), int(x2), int(y2)) for x1, y1, x2, y2 in last)
    except (TypeError, ValueError) as error:
        raise DashScopeRefusal(400, "InvalidParameter", "bbox_list must have lists of [x1, y1, x2, y2]") from error


def _palette(job: DashScopeJob) -> tuple[str, ...]:
    colours = [item.get("hex") if isinstance(item, dict) else None for item in job.parameters.get("color_palette", ())]
    for colour in colours:
        if not isinstance(colour, str) or not shape.COLOUR.fullmatch(colour):
            raise DashScopeRefusal(400, "InvalidParameter", "color_palette must have items {hex, ratio}")
    return tuple(str(colour) for colour in colours)


def _seed(job: DashScopeJob) -> int:
    given = job.parameters.get("seed")
    return seeds.seed_for(None if given is None else int(given))


def _fault(job: DashScopeJob) -> Fault:
    for fault in ("vanish", "huge", "mistyped"):
        if fault in job.asked:
            return fault
    return ""
