"""Frames drawn of given pictures: drifting from one to another, subjects in a landscape, a figure that sways."""

import math
from collections.abc import Iterator

from PIL import Image, ImageDraw, ImageFilter, ImageOps

from modellix_server.sandbox.rendering import clips, cutout, variation
from modellix_server.sandbox.rendering.scene import Scene

_GUIDE = 0.16
"""Height of a guide picture in the corner, as a share of the clip's."""


def drift(
    start: Image.Image | None, end: Image.Image | None, size: tuple[int, int], count: int, text: str
) -> Iterator[Image.Image]:
    """From `start` to `end`; with one of them closer and closer to it, or away from it."""
    if start is not None and end is not None:
        return clips.turn(start, end, size, count, text)
    picture = start or end
    assert picture is not None
    frames = clips.pan(picture, size, count, text)
    return frames if end is None else reversed(list(frames))


def stage(
    subjects: list[Image.Image], ground: Image.Image | None, text: str, size: tuple[int, int], count: int
) -> Iterator[Image.Image]:
    """The subjects, cut out or as portraits, that float in a landscape or before the `ground` picture."""
    scene = Scene(text)
    behind = None if ground is None else clips.pan(ground, size, count, text)
    height = round(size[1] * (0.58 if len(subjects) < 3 else 0.4))
    figures = [subject(one, height, widest=round(size[0] * 0.8 / len(subjects))) for one in subjects]
    for index in range(count):
        moment = index / count
        image = scene.frame(*size, moment) if behind is None else next(behind)
        for place, portrait in enumerate(figures):
            x = size[0] * (place + 1) / (len(figures) + 1) + math.sin(moment * 5 + place * 2) * size[0] * 0.03
            y = size[1] * 0.46 + math.cos(moment * 6 + place) * size[1] * 0.04
            image.paste(portrait, (round(x - portrait.width / 2), round(y - portrait.height / 2)), portrait)
        yield image


def sway(picture: Image.Image, size: tuple[int, int], count: int, text: str) -> Iterator[Image.Image]:
    """The picture leaning left and right as if it danced, at a pace that follows from the text."""
    pace, start = _rhythm(text, 2.4)
    ground = ImageOps.fit(picture, (round(size[0] * 1.16), round(size[1] * 1.16)), Image.Resampling.BICUBIC)
    for index in range(count):
        beat = start + index / clips.DRAWN_PER_S * pace
        lean, rise = 0.08 * math.sin(beat), size[1] * 0.04 * abs(math.cos(beat))
        shift = (ground.width - size[0]) / 2 - lean * size[1] / 2
        data = (1.0, lean, shift, 0.0, 1.0, (ground.height - size[1]) / 2 - rise)
        yield ground.transform(size, Image.Transform.AFFINE, data, Image.Resampling.BILINEAR)


def _rhythm(text: str, usual: float) -> tuple[float, float]:
    """Pace, in radians a second, and where in its movement a dance begins."""
    chance = variation.chance(f"rhythm\n{text}")
    return usual * chance.uniform(0.8, 1.25), chance.uniform(0, math.tau)


def perform(
    picture: Image.Image, ground: Image.Image, place: cutout.Box, count: int, text: str
) -> Iterator[Image.Image]:
    """A figure cut out of its plain ground, leaning left and right on its feet, as high as `place` on the ground."""
    pace, start = _rhythm(text, 4.2)
    left, top, right, foot = place
    actor = cut(picture, foot - top)
    room = round(actor.height * 0.16)
    stage = Image.new("RGBA", (actor.width + 2 * room, actor.height))
    stage.paste(actor, (room, 0))
    for index in range(count):
        beat = start + index / clips.DRAWN_PER_S * pace
        lean = 0.13 * math.sin(beat)
        turned = stage.transform(
            stage.size, Image.Transform.AFFINE, (1, lean, -lean * stage.height, 0, 1, 0), Image.Resampling.BICUBIC
        )
        image = ground.copy()
        rise = round(actor.height * 0.03 * abs(math.cos(beat)))
        image.paste(turned, ((left + right - turned.width) // 2, top - rise), turned)
        yield image


def cut(picture: Image.Image, height: int) -> Image.Image:
    """The figure before a plain ground, or the whole picture where there is none, as RGBA of this height."""
    mask = cutout.figure(picture)
    alone = picture.convert("RGBA")
    alone.putalpha(mask)
    alone = alone.crop(cutout.box(mask))
    return alone.resize((max(1, round(alone.width * height / alone.height)), max(1, height)), Image.Resampling.LANCZOS)


def subject(picture: Image.Image, height: int, *, widest: int) -> Image.Image:
    """A subject for a scene: a figure cut out of its plain ground, or else the picture as a portrait."""
    if cutout.found(picture) is None:
        return figure(picture, height, widest=widest)
    alone = cut(picture, height)
    alone.thumbnail((widest, height), Image.Resampling.LANCZOS)
    return alone


def figure(picture: Image.Image, height: int, *, widest: int = 10_000) -> Image.Image:
    """The picture as a portrait with round corners and a light frame, as RGBA."""
    scale = min(height / picture.height, widest / picture.width)
    size = (max(8, round(picture.width * scale)), max(8, round(picture.height * scale)))
    edge = max(2, min(size) // 40)
    mask = Image.new("L", (size[0] * 2, size[1] * 2), 0)
    ImageDraw.Draw(mask).rounded_rectangle((0, 0, size[0] * 2 - 1, size[1] * 2 - 1), min(size) // 5, fill=255)
    card = Image.new("RGBA", size, (255, 255, 255, 0))
    card.paste(Image.new("RGB", size, "#fffaf0"), mask=mask.resize(size, Image.Resampling.BICUBIC))
    inner = (size[0] - 2 * edge, size[1] - 2 * edge)
    small = mask.resize(inner, Image.Resampling.BICUBIC)
    card.paste(ImageOps.fit(picture, inner, Image.Resampling.BICUBIC), (edge, edge), small)
    return card


def guides(pictures: list[Image.Image], size: tuple[int, int]) -> Image.Image:
    """Small versions of the guide pictures in a row, as RGBA."""
    cards = [figure(picture, round(size[1] * _GUIDE), widest=size[0] // 6) for picture in pictures]
    pad = max(4, size[0] // 80)
    row = Image.new("RGBA", (sum(card.width + pad for card in cards), max(card.height for card in cards) + pad))
    x = 0
    for card in cards:
        row.paste(card, (x, pad), card)
        x += card.width + pad
    return row


def shadow(mask: Image.Image, radius: float) -> Image.Image:
    """A soft shadow of what the mask shows."""
    return mask.filter(ImageFilter.GaussianBlur(radius)).point([int(v * 0.5) for v in range(256)])
