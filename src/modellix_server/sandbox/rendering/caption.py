"""A strip with the prompt, the seed and the model, which identifies a test image."""

import unicodedata
from dataclasses import dataclass

from PIL import Image

from modellix_server.sandbox.rendering import lettering

MOST_LINES = 3
MARK = "AI generated"
GROUND = (8, 10, 20, 200)
_DARK = 85
"""The ground is never lighter than this, whatever shines through."""
_BRIGHT = 170
_TALL = 1.4
"""Height of a line, in sizes of its letters."""
_UNSEEN = "\u200c\u200d"
"""What joins letters or keeps them apart is part of the text."""


def strip(width: int, height: int, prompt: str, note: str) -> Image.Image:
    """The strip for a picture of this size, as RGBA, `width` wide. Lines of Arabic and Hebrew begin at the right."""
    unit = _unit(width, height)
    pad = unit
    text = lettering.readable(_plain(prompt))
    lines = _wrap(text, unit, width - 2 * pad)
    tall = round(unit * _TALL)
    image = Image.new("RGBA", (width, pad + tall * len(lines) + tall + pad // 2), GROUND)
    for index, line in enumerate(lines):
        x = width - pad - lettering.width(line, unit) if lettering.leftwards(text) else pad
        lettering.write(image, (x, pad * 0.6 + index * tall), line, unit, (255, 255, 255, 245))
    small = max(8, round(unit * 0.72))
    lettering.write(image, (pad, pad * 0.8 + len(lines) * tall), note, small, (255, 255, 255, 180))
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
    tall, pad = round(unit * _TALL), unit
    for count in range(MOST_LINES, 0, -1):
        top = height - (pad + tall * (count + 1) + pad // 2)
        if top <= 0:
            continue
        margin = image.crop((1, top + 1, max(2, pad - 2), height))
        if max(high for _, high in margin.convert("RGB").getextrema()) > _DARK:  # type: ignore[misc]
            continue
        lines = []
        for index in range(count):
            first = round(top + pad * 0.6 + index * tall)
            row = image.crop((pad, first, width, first + tall)).convert("L")
            ink = row.point([255 if value > _BRIGHT else 0 for value in range(256)]).getbbox()
            if ink:
                lines.append((pad + ink[0], first + ink[1], pad + ink[2], first + ink[3]))
        if lines:
            return Strip(top, tuple(lines))
    return None


def _unit(width: int, height: int) -> int:
    """Size of the prompt's letters."""
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
    image = Image.new("RGBA", (round(lettering.width(MARK, unit)) + 2 * unit, 2 * unit))
    lettering.write(image, (unit, unit * 0.4), MARK, unit, (255, 255, 255, 190))
    return image


def _plain(text: str) -> str:
    """One line of printable text."""
    clean = "".join(_seen(char) for char in text[:600])
    return " ".join(clean.split())


def _seen(char: str) -> str:
    if char in _UNSEEN:
        return char
    kind = unicodedata.category(char)
    return "" if kind == "Cf" else " " if kind[0] in "CZ" else char


def _wrap(text: str, size: int, width: float) -> list[str]:
    """Lines that fit, broken between words, or anywhere in scripts without spaces; dots where more would come."""
    lines: list[str] = []
    while text and len(lines) < MOST_LINES:
        fits = _fitting(text, size, width)
        if fits < len(text) and len(lines) == MOST_LINES - 1:
            lines.append(text[: max(1, fits - 3)].rstrip() + "...")
            break
        end = fits
        while 0 < end < len(text) and not _may_break(text, end):
            end -= 1
        end = end or fits
        lines.append(text[:end].rstrip())
        text = text[end:].lstrip()
    return lines


def _may_break(text: str, at: int) -> bool:
    """Whether a line may end before this character."""
    before, after = text[at - 1], text[at]
    if " " in (before, after):
        return True
    wide = {unicodedata.east_asian_width(char) in "WF" for char in (before, after)}
    return True in wide and unicodedata.category(after)[0] not in "PM"


def _fitting(text: str, size: int, width: float) -> int:
    """How many characters from the start fit (at least one)."""
    low, high = 1, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        if lettering.width(text[:middle], size) <= width:
            low = middle
        else:
            high = middle - 1
    return low
