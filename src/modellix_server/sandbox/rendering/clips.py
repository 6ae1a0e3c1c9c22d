"""Clips: H.264 with AAC in MP4, of exact size and length, moving all the time. Runs in a render process.

A clip from a prompt is a landscape in motion; one from a first picture starts with that picture and drifts into
it; one with a last picture, with or without a first one, ends with that. Frames are drawn at a modest size, scaled
up by the encoder, and each is shown twice: what moves here is slow.
"""

import math
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageOps

from modellix_server.sandbox.rendering import caption, ffmpeg, sound, variation
from modellix_server.sandbox.rendering.paint import Source, open_picture, shape_like
from modellix_server.sandbox.rendering.scene import Scene
from modellix_server.sandbox.rendering.sound import Sound

FRAMES_PER_S = 24
DRAWN_PER_S = FRAMES_PER_S // 2
DRAWN_PX = 768 * 432
"""Pixels of a drawn frame, at most."""
_ZOOM = 0.14


@dataclass(frozen=True, slots=True)
class Clip:
    """A clip to make. Without `size` it has about `area` pixels in the shape of `first`, or else of `last`."""

    prompt: str
    seed: int
    model: str
    seconds: float
    size: tuple[int, int] | None = None
    area: int = 1280 * 720
    first: Source | None = None
    last: Source | None = None
    dubbed: bool = False
    """Whether it gets a tune when no sound is given."""
    sound: Sound | None = None
    mark: bool = False
    """Whether it bears the vendor's mark."""

    @property
    def text(self) -> str:
        """What all choices follow from."""
        return f"{self.model}\n{self.seed}\n{self.prompt}"


def film(order: Clip, path: Path) -> tuple[int, int]:
    """Make the clip at `path`; its size in pixels. Raises BadMedia."""
    first = open_picture(order.first) if order.first else None
    last = open_picture(order.last) if order.last else None
    size = order.size
    if size is None:
        shape = first or last
        assert shape is not None
        size = shape_like(shape.size, order.area)
    track = _track(order)
    drawn = drawn_size(size)
    count = drawn_count(order.seconds)
    if first is None:
        frames = _landscape(order, drawn, count) if last is None else _arrival(order, last, drawn, count)
    else:
        text = order.text
        frames = pan(first, drawn, count, text) if last is None else turn(first, last, drawn, count, text)
    with tempfile.TemporaryDirectory(prefix="clip-", dir=path.parent) as scratch:
        _encode(order, size, drawn, frames, track, Path(scratch), path)
    return size


def _track(order: Clip) -> bytes | None:
    if order.sound is not None:
        return sound.fitted(order.sound, order.seconds)
    if order.dubbed:
        return sound.tune(order.text, order.seconds)
    return None


def drawn_count(seconds: float) -> int:
    """How many frames are drawn for so many seconds: enough for the last one shown."""
    return math.ceil(round(seconds * FRAMES_PER_S) * DRAWN_PER_S / FRAMES_PER_S)


def drawn_size(size: tuple[int, int]) -> tuple[int, int]:
    """The size frames are drawn in, for a clip of `size`."""
    factor = min(1.0, (DRAWN_PX / (size[0] * size[1])) ** 0.5)
    width, height = (max(2, round(side * factor / 2) * 2) for side in size)
    return width, height


def _landscape(order: Clip, size: tuple[int, int], count: int) -> Iterator[Image.Image]:
    scene = Scene(order.text)
    return (scene.frame(*size, index / count) for index in range(count))


def pan(picture: Image.Image, size: tuple[int, int], count: int, text: str) -> Iterator[Image.Image]:
    """Frames that move closer to a place in the picture that follows from the text."""
    ground = _ground(picture, size)
    place = _goal(text)
    return (_zoomed(ground, size, index / (count - 1), place) for index in range(count))


def _goal(text: str) -> tuple[float, float]:
    """Where a camera moves to, as shares of width and height."""
    chance = variation.chance(f"camera\n{text}")
    return chance.uniform(0.05, 0.95), chance.uniform(0.15, 0.85)


def _arrival(order: Clip, last: Image.Image, size: tuple[int, int], count: int) -> Iterator[Image.Image]:
    end, place = _ground(last, size), _goal(order.text)
    for index, frame in enumerate(_landscape(order, size, count)):
        moment = index / (count - 1)
        yield Image.blend(frame, _zoomed(end, size, 1 - moment, place), moment * moment * (3 - 2 * moment))


def turn(first: Image.Image, last: Image.Image, size: tuple[int, int], count: int, text: str) -> Iterator[Image.Image]:
    """Frames from one picture to the other, along a way that follows from the text."""
    start, end = _ground(first, size), _ground(last, size)
    there, back = _goal(text), _goal(f"back\n{text}")
    for index in range(count):
        moment = index / (count - 1)
        share = moment * moment * (3 - 2 * moment)
        yield Image.blend(_zoomed(start, size, moment, there), _zoomed(end, size, 1 - moment, back), share)


def _ground(picture: Image.Image, size: tuple[int, int]) -> Image.Image:
    """The picture cut to the clip's shape, with a little more detail than a frame, to zoom into."""
    return ImageOps.fit(picture, (round(size[0] * 1.2), round(size[1] * 1.2)), Image.Resampling.BICUBIC)


def _zoomed(ground: Image.Image, size: tuple[int, int], moment: float, place: tuple[float, float]) -> Image.Image:
    """All of the ground at moment 0, then ever closer to a place in it."""
    cut = _ZOOM * moment
    left, top = ground.width * cut * place[0], ground.height * cut * place[1]
    box = (left, top, left + ground.width * (1 - cut), top + ground.height * (1 - cut))
    return ground.resize(size, Image.Resampling.BILINEAR, box=box)


def _encode(
    order: Clip,
    size: tuple[int, int],
    drawn: tuple[int, int],
    frames: Iterator[Image.Image],
    track: bytes | None,
    scratch: Path,
    path: Path,
) -> None:
    strip = scratch / "caption.png"
    note = f"seed {order.seed}  -  {order.model}  -  sandbox"
    caption.overlay(*size, order.prompt, note, mark=order.mark).save(strip, compress_level=1)
    inputs = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{drawn[0]}x{drawn[1]}", "-r", str(DRAWN_PER_S)]
    inputs += ["-i", "pipe:0", "-i", str(strip)]
    sound_options = ["-an"]
    if track is not None:
        samples = scratch / "sound.pcm"
        samples.write_bytes(track)
        inputs += ["-f", "s16le", "-ar", str(sound.RATE_HZ), "-ac", "2", "-i", str(samples)]
        sound_options = ["-map", "2:a", *ffmpeg.AAC]
    # Given pictures stay untouched at both ends; the caption comes and goes between.
    when = f":enable='between(t,0.5,{order.seconds - 0.5})'" if order.first or order.last else ""
    filters = (
        f"[0:v]scale={size[0]}:{size[1]}:flags=bilinear:out_color_matrix=bt709:out_range=tv,format=yuv420p[base];"
        f"[base][1:v]overlay=x=0:y=H-h:format=yuv420{when},fps={FRAMES_PER_S}[out]"
    )
    ffmpeg.run(
        [
            *inputs,
            *("-filter_complex", filters, "-map", "[out]"),
            *(*ffmpeg.H264, "-frames:v", str(round(order.seconds * FRAMES_PER_S))),
            *sound_options,
            *("-t", str(order.seconds), *ffmpeg.MP4, "-y", str(path)),
        ],
        (frame.tobytes() for frame in frames),
    )
