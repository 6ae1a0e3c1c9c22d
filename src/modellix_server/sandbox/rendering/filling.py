"""Holes in pictures, filled from what is around them."""

from PIL import Image, ImageOps

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
