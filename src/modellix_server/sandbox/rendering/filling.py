"""Holes in pictures, filled from what is around them; and which colours are near a pixel."""

from collections.abc import Callable

from PIL import Image, ImageChops, ImageOps

_KNOWN = 40
"""A coarse pixel is known when this much of it (of 255) is."""


def filled(image: Image.Image, hole: Image.Image) -> Image.Image:
    """The picture (RGB) with what is around flowing into the hole (L, white), coarse colours under finer ones."""
    level = image.copy()
    level.putalpha(ImageOps.invert(hole).point([0] * 250 + [255] * 6))
    levels = [level]
    while max(level.size) > 1:
        level = level.reduce(2)
        level.putalpha(level.getchannel("A").point([0] * _KNOWN + [255] * (256 - _KNOWN)))
        levels.append(level)
    made = levels.pop()
    for finer in reversed(levels):
        below = made.resize(finer.size, Image.Resampling.BICUBIC)
        made = Image.composite(finer, below, finer.getchannel("A"))
    return Image.composite(made.convert("RGB"), image, hole)


def widest(image: Image.Image, choose: Callable[[Image.Image, Image.Image], Image.Image], reach: int) -> Image.Image:
    """The darkest or lightest within half of the reach of each pixel; much faster than Pillow's rank filters."""
    for across, down in ((1, 0), (0, 1)):
        done = 1
        while done < reach:
            step = min(done, reach - done)
            image = choose(image, ImageChops.offset(image, step * across, step * down))
            done += step
        image = ImageChops.offset(image, -(reach // 2) * across, -(reach // 2) * down)
    return image
