"""Who moves in a clip: where they are in each frame, and what is behind them.

Before a plain ground they are what differs from it, before any other what differs from what is there most of the
time. A camera that moves itself hides them.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import reduce
from pathlib import Path

from PIL import Image, ImageChops, ImageDraw, ImageFilter

from modellix_server.sandbox.rendering import cutout, ffmpeg
from modellix_server.sandbox.rendering.footage import Footage
from modellix_server.sandbox.rendering.parts import Patch, parts

Size = tuple[int, int]
_SMALL_PX = 192
"""They are looked for in frames of this width."""
_SAMPLES = 9
"""Frames from which the ground is put together."""
_APART = 30
_LEAST_HEIGHT, _MOST_COVERED = 0.35, 0.4
"""Shares of the frame: nobody is smaller, and where more differs, all of it moves."""
_SMOOTH = 2
"""Frames to each side over which places are averaged."""


@dataclass(frozen=True, slots=True)
class Pose:
    """Where somebody is in a frame, in shares of its sides; `lean` is how far the head is beside the feet."""

    middle: float
    foot: float
    height: float
    lean: float


@dataclass(frozen=True, slots=True)
class Mover:
    """Somebody in a clip. `shapes` are masks (L) that cover them, a small one for each frame."""

    ground: Image.Image
    shapes: list[Image.Image]
    poses: list[Pose]


def follow(take: Footage, size: Size, per_s: float, fitted: Callable[[Size], str], scratch: Path) -> Mover | None:
    """The one who moves in a clip that is shown in this size, so many frames a second. None where nobody is found."""
    small = (_SMALL_PX, max(2, round(_SMALL_PX * size[1] / size[0] / 2) * 2))
    frames = list(_frames(take, small, 2 * per_s, fitted, scratch))
    samples = list(_frames(take, size, _SAMPLES / take.seconds, fitted, scratch))[:_SAMPLES]
    if len(frames) < 2 or len(samples) < 3:
        return None
    cleared = [cutout.without(one, figure) for one in samples if (figure := cutout.found(one)) is not None]
    ground = _usual(cleared or samples)
    behind = ground.resize(small, Image.Resampling.BOX)
    every = [_alone(_unlike(frame, behind)) for frame in frames]
    # A drawn frame is shown for a while: it has to cover what comes in that time, and a little before and after.
    shapes = [reduce(ImageChops.lighter, every[max(0, at - 2) : at + 4]) for at in range(0, len(every), 2)]
    found = [_pose(shape) for shape in every[::2]]
    known = [pose for pose in found if pose is not None]
    if len(known) < len(found) / 2:
        return None
    height = sorted(pose.height for pose in known)[len(known) * 2 // 3]
    poses = _smoothed([_or_nearest(found, at) for at in range(len(found))], height)
    return Mover(ground, shapes, poses)


def replaced(mover: Mover, actor: Image.Image, size: Size) -> Iterator[Image.Image]:
    """What to lay over the frames (RGBA): the ground over the one who moves, and the actor (RGBA) in that place."""
    turned: dict[float, Image.Image] = {}
    for shape, pose in zip(mover.shapes, mover.poses, strict=True):
        broad = shape.filter(ImageFilter.MaxFilter(7)).resize(size, Image.Resampling.BICUBIC)
        frame = mover.ground.copy()
        frame.putalpha(broad.filter(ImageFilter.GaussianBlur(2)))
        lean = round(pose.lean, 2)
        if lean not in turned:
            turned = {lean: _leaning(actor, lean)}
        one = turned[lean]
        corner = (round(pose.middle * size[0] - one.width / 2), round(pose.foot * size[1]) - one.height)
        layer = Image.new("RGBA", size)
        layer.paste(one, corner)
        yield Image.alpha_composite(frame, layer)


def _leaning(actor: Image.Image, lean: float) -> Image.Image:
    room = math.ceil(actor.height * 0.3)
    wide = Image.new("RGBA", (actor.width + 2 * room, actor.height))
    wide.paste(actor, (room, 0))
    data = (1, lean, -lean * wide.height, 0, 1, 0)
    return wide.transform(wide.size, Image.Transform.AFFINE, data, Image.Resampling.BICUBIC)


def _frames(
    take: Footage, size: Size, per_s: float, fitted: Callable[[Size], str], scratch: Path
) -> Iterator[Image.Image]:
    path = scratch / "frames.rgb"
    shape = f"{fitted(size)},fps={per_s:.5f},format=rgb24"
    ffmpeg.run([*take.source, "-vf", shape, "-an", "-f", "rawvideo", "-threads", "1", "-y", str(path)])
    length = size[0] * size[1] * 3
    with path.open("rb") as file:
        while len(data := file.read(length)) == length:
            yield Image.frombytes("RGB", size, data)


def _usual(frames: list[Image.Image]) -> Image.Image:
    """What each pixel is most of the time: the middle one of its values, by a sorting network."""
    row = list(frames)
    for turn in range(len(row)):
        for at in range(turn % 2, len(row) - 1, 2):
            one, other = row[at], row[at + 1]
            row[at], row[at + 1] = ImageChops.darker(one, other), ImageChops.lighter(one, other)
    return row[len(row) // 2]


def _unlike(frame: Image.Image, ground: Image.Image) -> Image.Image:
    red, green, blue = ImageChops.difference(frame, ground).split()
    apart = ImageChops.lighter(ImageChops.lighter(red, green), blue)
    mask = apart.point([255 if value > _APART else 0 for value in range(256)])
    return mask.filter(ImageFilter.MedianFilter(3)).filter(ImageFilter.MaxFilter(5)).filter(ImageFilter.MinFilter(3))


def _body(mask: Image.Image) -> Patch | None:
    """The largest part of a mask; None where that is nobody."""
    width, height = mask.size
    body = max(parts(mask), key=lambda part: part.pixels, default=None)
    if body is None or body.height < _LEAST_HEIGHT * height or body.pixels > _MOST_COVERED * width * height:
        return None
    return body


def _alone(mask: Image.Image) -> Image.Image:
    """Without what is apart from the body: a sun that moves too, say."""
    body = _body(mask)
    if body is None:
        return mask
    kept = Image.new("L", mask.size)
    draw = ImageDraw.Draw(kept)
    for row, first, end in body.stretches:
        draw.line((first, row, end - 1, row), fill=255)
    return kept


def _pose(mask: Image.Image) -> Pose | None:
    """Of the body; None where that is nobody."""
    width, height = mask.size
    body = _body(mask)
    if body is None:
        return None
    third = body.height / 3
    ends = []
    for low, high in ((body.top, body.top + third), (body.bottom - third, body.bottom)):
        rows = [(first, end) for row, first, end in body.stretches if low <= row < high]
        ends.append(
            sum((first + end) / 2 * (end - first) for first, end in rows) / sum(end - first for first, end in rows)
        )
    head, foot = ends
    lean = max(-0.3, min(0.3, (head - foot) / body.height))
    return Pose(foot / width, body.bottom / height, body.height / height, lean)


def _or_nearest(found: list[Pose | None], at: int) -> Pose:
    for reach in range(len(found)):
        for near in (at - reach, at + reach):
            pose = found[near] if 0 <= near < len(found) else None
            if pose is not None:
                return pose
    raise AssertionError("nobody in any frame")


def _smoothed(poses: list[Pose], height: float) -> list[Pose]:
    """All of one height, and without jitter."""
    made = []
    for at in range(len(poses)):
        near = poses[max(0, at - _SMOOTH) : at + _SMOOTH + 1]
        middle, foot, lean = (
            sum(getattr(pose, name) for pose in near) / len(near) for name in ("middle", "foot", "lean")
        )
        made.append(Pose(middle, foot, height, lean))
    return made
