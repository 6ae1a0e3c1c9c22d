"""A strip with the prompt, the seed and the model, so that a test picture says where it comes from."""

from __future__ import annotations

import unicodedata
from functools import lru_cache

from PIL import Image, ImageDraw, ImageFont

MOST_LINES = 3


@lru_cache(maxsize=32)
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def strip(width: int, height: int, prompt: str, note: str) -> Image.Image:
    """The strip for a picture of this size, as RGBA, `width` wide. Characters the font lacks show as boxes."""
    unit = max(9, round(min(width, height) * 0.026))
    pad = unit
    large, small = _font(unit), _font(max(8, round(unit * 0.72)))
    lines = _wrap(_plain(prompt), large, width - 2 * pad)
    tall = round(unit * 1.35)
    image = Image.new("RGBA", (width, pad + tall * len(lines) + tall + pad // 2), (8, 10, 20, 200))
    draw = ImageDraw.Draw(image)
    for index, line in enumerate(lines):
        draw.text((pad, pad * 0.7 + index * tall), line, font=large, fill=(255, 255, 255, 245))
    draw.text((pad, pad * 0.8 + len(lines) * tall), note, font=small, fill=(255, 255, 255, 180))
    return image


def _plain(text: str) -> str:
    """One line of printable text."""
    clean = "".join(" " if unicodedata.category(char)[0] in "CZ" else char for char in text[:600])
    return " ".join(clean.split())


def _wrap(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: float) -> list[str]:
    """Lines that fit, broken at spaces where there are any; the last one ends in dots when there is more."""
    lines: list[str] = []
    while text and len(lines) < MOST_LINES:
        fits = _fitting(text, font, width)
        if fits < len(text) and len(lines) == MOST_LINES - 1:
            lines.append(text[: max(1, fits - 3)].rstrip() + "...")
            break
        space = text.rfind(" ", 0, fits + 1) if fits < len(text) else len(text)
        end = space if space > 0 else fits
        lines.append(text[:end])
        text = text[end:].lstrip()
    return lines


def _fitting(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: float) -> int:
    """How many characters from the start fit (at least one)."""
    low, high = 1, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        if font.getlength(text[:middle]) <= width:
            low = middle
        else:
            high = middle - 1
    return low
