"""Clips made of given material: continued, edited, extended, or with subjects from pictures. Runs in a render process.

A given clip goes through ffmpeg's filters; everything else is drawn frame by frame as in `clips`.
"""

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image

from modellix_server.sandbox.rendering import caption, clips, cutout, ffmpeg, footage, movers, sound, staging, variation
from modellix_server.sandbox.rendering.clips import DRAWN_PER_S, FRAMES_PER_S, Clip
from modellix_server.sandbox.rendering.footage import Footage, Take
from modellix_server.sandbox.rendering.paint import Source, open_picture, shape_like
from modellix_server.sandbox.rendering.sound import Sound

Frames = Iterator[Image.Image]
TONES = (
    "colorchannelmixer=.35:.55:.15:0:.28:.50:.14:0:.18:.36:.12",
    "colorchannelmixer=.30:.25:.10:0:.20:.50:.20:0:.20:.35:.50",
    "colorchannelmixer=.55:.35:.15:0:.15:.40:.15:0:.30:.30:.40",
    "colorchannelmixer=.25:.30:.10:0:.25:.55:.20:0:.15:.40:.20",
)
"""Sepia, moonlight, magenta dusk, forest."""
VACE_S = 5.0
_ASIDE = 0.3
"""Width of an inset, as a share of the clip's."""


@dataclass(frozen=True, slots=True)
class Montage:
    """A clip to make of `pictures` and `takes`, by field. Without `size`: about `area` pixels in their shape."""

    work: str
    prompt: str
    seed: int
    model: str
    size: tuple[int, int] | None
    area: int
    options: dict[str, Any]
    pictures: dict[str, tuple[Source, ...]]
    takes: dict[str, tuple[Take, ...]]
    counted_s: float = 0
    dubbed: bool = False
    sound: Sound | None = None
    mark: bool = False

    @property
    def text(self) -> str:
        """What all choices follow from."""
        return f"{self.model}\n{self.seed}\n{self.prompt}"


@dataclass(frozen=True, slots=True)
class Filmed:
    """A finished clip: pixels, its own length and the billed length of its inputs."""

    size: tuple[int, int]
    seconds: float
    input_s: float


@dataclass(slots=True)
class Plan:
    """What ffmpeg is to do: its inputs, and filters that end in [base]. Input 0 is the pipe where there is a feed."""

    size: tuple[int, int]
    seconds: float
    inputs: list[str]
    filters: str
    feed: Iterator[Image.Image] = field(default_factory=lambda: iter(()))
    input_s: float = 0.0
    voice: int | None = None
    """The input whose sound is kept."""


@dataclass(slots=True)
class OpenedOrder:
    """The order with its material opened."""

    order: Montage
    scratch: Path
    takes: list[Footage]
    """All input clips, in the order of their fields."""
    named: dict[str, list[Footage]]

    def pictures(self, *names: str) -> list[Image.Image]:
        """The input pictures of these fields."""
        return [open_picture(source) for name in names for source in self.order.pictures.get(name, ())]


def cut(order: Montage, path: Path) -> Filmed:
    """Make the clip at `path`. Raises BadMedia."""
    with tempfile.TemporaryDirectory(prefix="cut-", dir=path.parent) as directory:
        scratch = Path(directory)
        named = {
            name: [footage.develop(take, scratch / f"{name}{index}") for index, take in enumerate(takes)]
            for name, takes in order.takes.items()
        }
        opened = OpenedOrder(order, scratch, [take for takes in named.values() for take in takes], named)
        if order.work == "continue" and not opened.takes:
            return _between(order, path)
        plan = _PLANS[order.work](opened)
        try:
            _encode(opened, plan, path)
        except ffmpeg.FfmpegFailed as error:
            if opened.takes:
                raise footage.undecodable() from error
            raise
    return Filmed(plan.size, plan.seconds, plan.input_s)


def _between(order: Montage, path: Path) -> Filmed:
    first, last = order.pictures.get("first_frame"), order.pictures.get("last_frame")
    seconds = int(order.options["duration"])
    clip = Clip(
        order.prompt,
        order.seed,
        order.model,
        seconds,
        order.size,
        order.area,
        first[0] if first else None,
        last[0] if last else None,
        order.dubbed,
        order.sound,
        order.mark,
    )
    return Filmed(clips.film(clip, path), seconds, 0)


def _continue(opened: OpenedOrder) -> Plan:
    take, last = opened.takes[0], opened.pictures("last_frame")
    size = opened.order.size or shape_like(take.size, opened.order.area)
    seconds = float(opened.order.options["duration"])
    return _joined(opened, size, seconds, take, None, last[0] if last else None)


def _joined(
    opened: OpenedOrder,
    size: tuple[int, int],
    seconds: float,
    before: Footage | None,
    after: Footage | None,
    last: Image.Image | None,
    first: Image.Image | None = None,
) -> Plan:
    """Given clips at the beginning and the end, and drawn frames between that lead from one to the other."""
    drawn = clips.drawn_size(size)
    lead_s = min(before.seconds, seconds / 2 if after else seconds) if before else 0.0
    tail_s = min(after.seconds, seconds - lead_s) if after else 0.0
    count = clips.drawn_count(seconds - lead_s - tail_s)
    start = footage.frame(before, lead_s) if before else first
    end = footage.frame(after, 0) if after else last
    frames = staging.drift(start, end, drawn, count, opened.order.text) if count > 1 else iter(())
    inputs, filters, joined = [*_pipe(drawn)], f"[0:v]{_fit(size)}[middle];", "[middle]"
    for take, label, length_s in ((before, "lead", lead_s), (after, "tail", tail_s)):
        if take is not None:
            filters += f"[{inputs.count('-i')}:v]trim=duration={length_s:.3f},{_fit(size)}[{label}];"
            inputs += take.source
    if count <= 1:
        inputs, filters, joined = before.source if before else [], "", ""
        return Plan(size, seconds, inputs, f"[0:v]{_fit(size)}[base]", voice=0)
    joined = ("[lead]" if before else "") + joined + ("[tail]" if after else "")
    filters += f"{joined}concat=n={joined.count('[')}:v=1:a=0[base]"
    return Plan(size, seconds, inputs, filters, frames)


def _subjects(opened: OpenedOrder) -> Plan:
    order = opened.order
    shots = [footage.frame(take, take.seconds / 2) for take in opened.takes]
    subjects = opened.pictures("reference_urls", "reference_image") + shots
    ground = opened.pictures("first_frame")
    return _scene_with(opened, subjects, ground[0] if ground else None, float(order.options["duration"]))


def _scene_with(opened: OpenedOrder, subjects: list[Image.Image], ground: Image.Image | None, seconds: float) -> Plan:
    order = opened.order
    size = order.size or (1280, 720)
    if ground is not None and "size" not in order.options:
        size = shape_like(ground.size, order.area)  # a first picture decides the shape
    drawn = clips.drawn_size(size)
    count = clips.drawn_count(seconds)
    frames = staging.stage(subjects, ground, opened.order.text, drawn, count)
    counted = min(order.counted_s, sum(take.seconds for take in opened.takes))
    return Plan(size, seconds, _pipe(drawn), f"[0:v]{_fit(size)}[base]", frames, input_s=counted)


def _edit(opened: OpenedOrder) -> Plan:
    order, take = opened.order, opened.named["video"][0]
    asked_s = float(order.options.get("duration") or 0)
    length_s = min(take.seconds, asked_s or order.counted_s)
    size = order.size or shape_like(take.size, order.area)
    guides = opened.pictures("reference_image")
    inputs, filters = [*take.source], f"[0:v]{_fit(size)},{_tone(order)}[toned]"
    if guides:
        strip = staging.guides(guides, size)
        strip.save(opened.scratch / "guides.png", compress_level=1)
        inputs += ["-i", str(opened.scratch / "guides.png")]
        filters += ";[toned][1:v]overlay=x=W-w:y=0[base]"
    else:
        filters += ";[toned]null[base]"
    return Plan(size, length_s, inputs, filters, input_s=length_s, voice=0 if take.sound else None)


def _act(opened: OpenedOrder) -> Plan:
    take, picture = opened.takes[0], opened.pictures("image_url")[0]
    size = shape_like(picture.size, opened.order.area)
    drawn = clips.drawn_size(size)
    frames = _performance(picture, drawn, take.seconds, opened.order.text)
    width = round(size[0] * _ASIDE / 2) * 2
    pad = max(4, size[0] // 60)
    filters = (
        f"[0:v]{_fit(size)}[stage];[1:v]scale={width}:-2,setsar=1,fps={FRAMES_PER_S},"
        f"pad=iw+8:ih+8:4:4:white[aside];[stage][aside]overlay=x=W-w-{pad}:y={pad}[base]"
    )
    return Plan(size, take.seconds, [*_pipe(drawn), *take.source], filters, frames, voice=1 if take.sound else None)


def _performance(picture: Image.Image, size: tuple[int, int], seconds: float, text: str) -> Frames:
    """The figure of the picture dances before its ground; the whole picture sways where there is none."""
    place = cutout.found(picture)
    if place is None:
        return staging.sway(picture, size, clips.drawn_count(seconds), text)
    across, down = size[0] / picture.width, size[1] / picture.height
    left, top, right, foot = cutout.box(place)
    box = (round(left * across), round(top * down), round(right * across), round(foot * down))
    empty = cutout.without(picture, place).resize(size, Image.Resampling.BICUBIC)
    return staging.perform(picture, empty, box, clips.drawn_count(seconds), text)


def _restyle(opened: OpenedOrder) -> Plan:
    """The given clips, one after the other and as long as asked for, in other colours but for the very ends."""
    size = opened.order.size or shape_like(opened.takes[0].size, opened.order.area)
    seconds = float(opened.order.options["duration"])
    pace = seconds / sum(take.seconds for take in opened.takes)
    shots = "".join(f"[{index}:v]{_fit(size)}[shot{index}];" for index in range(len(opened.takes)))
    order = "".join(f"[shot{index}]" for index in range(len(opened.takes)))
    when = f":enable='between(t,0.5,{seconds - 0.5})'"
    filters = (
        f"{shots}{order}concat=n={len(opened.takes)}:v=1:a=0,setpts=PTS*{pace:.5f},fps={FRAMES_PER_S},"
        f"{_tone(opened.order, when)}[base]"
    )
    return Plan(size, seconds, [part for take in opened.takes for part in take.source], filters)


def _replace(opened: OpenedOrder) -> Plan:
    take, picture = opened.takes[0], opened.pictures("image_url")[0]
    size = shape_like(take.size, opened.order.area)
    drawn = clips.drawn_size(size)
    mover = movers.follow(take, drawn, DRAWN_PER_S, _fit, opened.scratch)
    if mover is not None:
        tall = round(mover.poses[0].height * drawn[1])
        actor = variation.lit(staging.subject(picture, tall, widest=round(drawn[0] * 0.8)), opened.order.text, 6)
        over = movers.replaced(mover, actor, drawn)
        filters = (
            f"[1:v]{_fit(size)}[stage];[0:v]scale={size[0]}:{size[1]}:flags=bilinear:out_color_matrix=bt709"
            f":out_range=tv,format=yuva420p,fps={FRAMES_PER_S}[actor];[stage][actor]overlay[base]"
        )
        inputs = [*_pipe(drawn, "rgba"), *take.source]
        return Plan(size, take.seconds, inputs, filters, over, voice=1 if take.sound else None)
    staging.figure(picture, round(size[1] * 0.8)).save(opened.scratch / "figure.png", compress_level=1)
    inputs = [*take.source, "-loop", "1", "-framerate", str(FRAMES_PER_S), "-i", str(opened.scratch / "figure.png")]
    sway = f"(W-w)/2+{size[0] * 0.03:.0f}*sin(t*2.4)"
    filters = f"[0:v]{_fit(size)}[stage];[stage][1:v]overlay=x='{sway}':y=H-h:shortest=0[base]"
    return Plan(size, take.seconds, inputs, filters, voice=0 if take.sound else None)


def _vace(opened: OpenedOrder) -> Plan:
    options = opened.order.options
    match options["function"]:
        case "image_reference":
            pictures = opened.pictures("ref_images_url")
            roles = options.get("obj_or_bg") or ["obj"] * len(pictures)
            ground = [picture for picture, role in zip(pictures, roles, strict=False) if role == "bg"]
            subjects = [picture for picture in pictures if not any(picture is one for one in ground)]
            return _scene_with(opened, subjects, ground[0] if ground else None, VACE_S)
        case "video_extension":
            return _extension(opened)
    take = opened.named["video_url"][0]
    seconds = min(take.seconds, VACE_S)
    size = _at_most_720p(take.size)
    voice = 0 if take.sound else None
    match options["function"]:
        case "video_repainting":
            lines = "edgedetect=mode=colormix:high=0.12:low=0.06,colorlevels=rimax=0.55:gimax=0.55:bimax=0.55"
            filters = f"[0:v]{_fit(size)},{_tone(opened.order)},format=gbrp,{lines},format=yuv420p[base]"
            return Plan(size, seconds, take.source, filters, voice=voice)
        case "video_edit":
            size = opened.order.size or size
            inputs = [*take.source, *_mask(opened)]
            filters = (
                f"[0:v]{_fit(size)},split[kept][other];[other]{_tone(opened.order)}[toned];"
                f"[1:v]{_fit(size)},format=gray[mask];[toned][mask]alphamerge[part];"
                "[kept][part]overlay=format=auto[base]"
            )
            return Plan(size, seconds, inputs, filters, voice=voice)
    left, right = (float(options[name]) - 1 for name in ("left_scale", "right_scale"))
    top, bottom = (float(options[name]) - 1 for name in ("top_scale", "bottom_scale"))
    full = _at_most_720p((round(take.size[0] * (1 + left + right)), round(take.size[1] * (1 + top + bottom))))
    inner = (_even(full[0] / (1 + left + right)), _even(full[1] / (1 + top + bottom)))
    place = f"x={_even(inner[0] * left)}:y={_even(inner[1] * top)}"
    filters = (
        f"[0:v]split[wide][inner];[wide]{_fit(full)},boxblur=24:2[around];[inner]{_fit(inner)}[centre];"
        f"[around][centre]overlay={place}[base]"
    )
    return Plan(full, seconds, take.source, filters, voice=voice)


def _extension(opened: OpenedOrder) -> Plan:
    def one(name: str) -> Footage | None:
        return opened.named.get(name, [None])[0]

    first, last = opened.pictures("first_frame_url"), opened.pictures("last_frame_url")
    before, after = one("first_clip_url"), one("last_clip_url")
    sizes = [take.size for take in (before, after) if take] + [picture.size for picture in (*first, *last)]
    size = _at_most_720p(sizes[0])
    return _joined(opened, size, VACE_S, before, after, last[0] if last else None, first[0] if first else None)


def _mask(opened: OpenedOrder) -> list[str]:
    masks = opened.named.get("mask_video_url")
    if masks:
        return masks[0].source
    path = opened.scratch / "mask.png"
    opened.pictures("mask_image_url")[0].save(path, compress_level=1)
    return ["-loop", "1", "-framerate", str(FRAMES_PER_S), "-i", str(path)]


_PLANS: dict[str, Callable[[OpenedOrder], Plan]] = {
    "continue": _continue,
    "subjects": _subjects,
    "edit": _edit,
    "act": _act,
    "replace": _replace,
    "restyle": _restyle,
    "vace": _vace,
}


def _tone(order: Montage, when: str = "") -> str:
    """Filters that give a clip other colours; `when` tells in which part of it."""
    chance = variation.chance(order.text)
    return f"{chance.choice(TONES)}{when},hue=h={chance.uniform(-9, 9):.2f}:s={chance.uniform(0.9, 1.1):.3f}{when}"


def _even(length: float) -> int:
    return max(2, round(length / 2) * 2)


def _at_most_720p(size: tuple[int, int]) -> tuple[int, int]:
    factor = min(1.0, (1280 * 720 / (size[0] * size[1])) ** 0.5)
    return _even(size[0] * factor), _even(size[1] * factor)


def _pipe(drawn: tuple[int, int], pixels: str = "rgb24") -> list[str]:
    form = ["-f", "rawvideo", "-pix_fmt", pixels, "-s", f"{drawn[0]}x{drawn[1]}", "-r", str(DRAWN_PER_S)]
    return [*form, "-i", "pipe:0"]


def _fit(size: tuple[int, int]) -> str:
    width, height = size
    return (
        f"scale={width}:{height}:force_original_aspect_ratio=increase:flags=bicubic"
        f":out_color_matrix=bt709:out_range=tv,crop={width}:{height},setsar=1,format=yuv420p,fps={FRAMES_PER_S}"
    )


def _encode(opened: OpenedOrder, plan: Plan, path: Path) -> None:
    order, count = opened.order, max(1, round(plan.seconds * FRAMES_PER_S))
    strip = opened.scratch / "caption.png"
    note = f"seed {order.seed}  -  {order.model}  -  sandbox"
    caption.overlay(*plan.size, order.prompt, note, mark=order.mark).save(strip, compress_level=1)
    number = plan.inputs.count("-i")
    inputs = [*plan.inputs, "-i", str(strip)]
    sound_options = ["-an"]
    if plan.voice is not None and order.sound is None:
        sound_options = ["-map", f"{plan.voice}:a?", *ffmpeg.AAC]
    elif order.sound is not None or order.dubbed:
        samples = opened.scratch / "sound.pcm"
        track = sound.fitted(order.sound, plan.seconds) if order.sound else sound.tune(order.text, plan.seconds)
        samples.write_bytes(track)
        inputs += ["-f", "s16le", "-ar", str(sound.RATE_HZ), "-ac", "2", "-i", str(samples)]
        sound_options = ["-map", f"{number + 1}:a", *ffmpeg.AAC]
    ends = f"tpad=stop_mode=clone:stop_duration={plan.seconds:.3f}"  # a clip may end some frames before its time
    filters = f"{plan.filters};[base]{ends}[long];[long][{number}:v]overlay=x=0:y=H-h:format=yuv420[out]"
    ffmpeg.run(
        [
            *inputs,
            *("-filter_complex", filters, "-map", "[out]", *ffmpeg.H264, "-frames:v", str(count)),
            *sound_options,
            *("-t", f"{plan.seconds:.3f}", *ffmpeg.MP4, "-y", str(path)),
        ],
        (frame.tobytes() for frame in plan.feed),
    )
