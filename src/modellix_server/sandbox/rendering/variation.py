"""What makes two pictures with different seeds different, where nothing else does."""

import hashlib
import random

from PIL import Image, ImageChops

_GRID = 4


def chance(text: str) -> random.Random:
    """Random choices that follow from a text."""
    return random.Random(hashlib.sha256(text.encode(errors="replace")).digest())  # noqa: S311  (a picture)


def lit(image: Image.Image, text: str, strength: int, where: Image.Image | None = None) -> Image.Image:
    """The picture in a soft light that follows from a text, all of it or where the mask is white.

    No channel changes by more than `strength`; transparency stays.
    """
    if image.mode == "RGBA":
        made = lit(image.convert("RGB"), text, strength, where)
        made.putalpha(image.getchannel("A"))
        return made
    drawn = chance(f"light\n{text}")
    field = Image.new("RGB", (_GRID, _GRID))
    for at in range(_GRID * _GRID):
        red, green, blue = (drawn.randint(0, 2 * strength) for _ in range(3))
        field.putpixel((at % _GRID, at // _GRID), (red, green, blue))
    light = field.resize(image.size, Image.Resampling.BILINEAR)
    made = ImageChops.add(image, light, 1, -strength)
    return made if where is None else Image.composite(made, image, where)
