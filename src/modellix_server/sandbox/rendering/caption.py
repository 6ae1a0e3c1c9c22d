"""A strip with the prompt, the seed and the model, which identifies a test image."""

import unicodedata
from dataclasses import dataclass
from functools import lru_cache

from PIL import Image, ImageDraw, ImageFont

MOST_LINES = 3
MARK = "AI generated"
GROUND = (8, 10, 20, 200)
_DARK = 85
"""The ground is never lighter than this, whatever shines through."""
_BRIGHT = 170


@lru_cache(maxsize=32)
def face(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """The font that is always available. It has Latin letters only."""
    return ImageFont.load_default(size)


def strip(width: int, height: int, prompt: str, note: str) -> Image.Image:
    """The strip for a picture of this size, as RGBA, `width` wide. Characters the font lacks show as boxes."""
    unit = _unit(width, height)
    pad = unit
    large, small = face(unit), face(max(8, round(unit * 0.72)))
    lines = _wrap(_plain(prompt), large, width - 2 * pad)
    tall = round(unit * 1.35)
    image = Image.new("RGBA", (width, pad + tall * len(lines) + tall + pad // 2), GROUND)
    draw = ImageDraw.Draw(image)
    for index, line in enumerate(lines):
        draw.text((pad, pad * 0.7 + index * tall), line, font=large, fill=(255, 255, 255, 245))
    draw.text((pad, pad * 0.8 + len(lines) * tall), note, font=small, fill=(255, 255, 255, 180))
    return image


@dataclass(frozen=True, slots=True)
class Strip:
    """A caption on a finished picture: where it begins, and its lines of text as left, top, right, bottom."""

    top: int
    lines: tuple[tuple[int, int, int, int], ...]


def found(image: Image.Image) -> Strip | None:
    """The caption of a picture of ours, found again by its place, its ground and its letters."""
    width, height = image.size
    unit = _unit(width, height)
    tall, pad = round(unit * 1.35), unit
    for count in range(MOST_LINES, 0, -1):
        top = height - (pad + tall * (count + 1) + pad // 2)
        if top <= 0:
            continue
        margin = image.crop((1, top + 1, max(2, pad - 2), height))
        if max(high for _, high in margin.convert("RGB").getextrema()) > _DARK:  # type: ignore[misc]
            continue
        lines = []
        for index in range(count):
            first = round(top + pad * 0.7 + index * tall)
            row = image.crop((pad, first, width, first + tall)).convert("L")
            ink = row.point([255 if value > _BRIGHT else 0 for value in range(256)]).getbbox()
            if ink:
                lines.append((pad + ink[0], first + ink[1], pad + ink[2], first + ink[3]))
        if lines:
            return Strip(top, tuple(lines))
    return None


def _unit(width: int, height: int) -> int:
    """Height of the prompt's letters."""
    return max(9, round(min(width, height) * 0.026))


def overlay(width: int, height: int, prompt: str, note: str, *, mark: bool) -> Image.Image:
    """The strip, with the vendor's mark above it where one was asked for."""
    below = strip(width, height, prompt, note)
    if not mark:
        return below
    label = watermark(width, height)
    image = Image.new("RGBA", (width, below.height + label.height))
    image.paste(label, (width - label.width, 0))
    image.paste(below, (0, label.height))
    return image


def watermark(width: int, height: int) -> Image.Image:
    """The words a vendor puts on what it made, as RGBA, for a picture of this size."""
    unit = max(9, round(min(width, height) * 0.03))
    font = face(unit)
    image = Image.new("RGBA", (round(font.getlength(MARK)) + 2 * unit, 2 * unit))
    ImageDraw.Draw(image).text((unit, unit * 0.4), MARK, font=font, fill=(255, 255, 255, 190))
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
