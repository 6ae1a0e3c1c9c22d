"""Letters of every script that the models speak, shaped and drawn by HarfBuzz with the fonts beside this module.

What no font has is written in words that can be read: nothing is ever drawn as a box (docs/adr/0033).
"""

import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from pathlib import Path

import uharfbuzz as hb
from PIL import Image

from modellix_server.sandbox.rendering import directions

_FONTS = Path(__file__).with_name("fonts")
_OURS = ("alphabets", "han", "hangul", "arabic", "hebrew", "thai", "devanagari")
RISE = 0.98
"""From the top of a line to what the letters stand on, in sizes."""
_JOINERS = "\u200c\u200d"


class Typeface:
    """A font, by name one of ours."""

    def __init__(self, blob: hb.Blob) -> None:
        """Raises ValueError where it is no font that can be drawn."""
        face = hb.Face(blob)
        if not face.glyph_count or not face.unicodes:
            raise ValueError("no font")
        self._font = hb.Font(face)
        self._units = face.upem

    @classmethod
    def of(cls, content: bytes) -> "Typeface":
        """A font somebody gave. Raises ValueError where it is none."""
        return cls(hb.Blob(content))

    def has(self, char: str) -> bool:
        """Whether the character has a shape of its own in it."""
        return bool(self._font.get_nominal_glyph(ord(char)))

    def shaped(self, text: str, *, leftwards: bool) -> tuple["Placed", ...]:
        """The glyphs of a piece of text, from left to right, placed in sizes from its left end."""
        buffer = hb.Buffer()
        buffer.add_str(text)
        buffer.guess_segment_properties()
        buffer.direction = "rtl" if leftwards else "ltr"
        hb.shape(self._font, buffer)
        placed, pen = [], 0
        for info, position in zip(buffer.glyph_infos, buffer.glyph_positions, strict=True):
            x, y = pen + position.x_offset, position.y_offset
            placed.append(Placed(self, info.codepoint, x / self._units, y / self._units))
            pen += position.x_advance
        placed.append(Placed(self, None, pen / self._units, 0))
        return tuple(placed)

    def draw(self, onto: hb.RasterDraw, glyph: int, place: tuple[float, float], size: float, bold: float) -> None:
        """Add a glyph's outline, `size` pixels large, at a place in pixels, y upwards."""
        self._font.synthetic_bold = (bold, bold, True)
        scale = size / self._units
        onto.transform = (scale, 0, 0, scale, *place)
        onto.draw_glyph(self._font, glyph)


@dataclass(frozen=True, slots=True)
class Placed:
    """A glyph and where it is, in sizes; without a glyph the end of a piece."""

    typeface: Typeface
    glyph: int | None
    x: float
    y: float


@dataclass(frozen=True, slots=True)
class Lettering:
    """A line of text, drawn: a mask (L) whose left upper corner is at `left` and `top` from the line's beginning."""

    ink: Image.Image
    left: int
    top: int
    advance: float
    """Width of the line; its ink may reach out of it."""


@lru_cache(maxsize=1)
def typefaces() -> tuple[Typeface, ...]:
    """Ours, the one asked first in front. The files are mapped, not read."""
    return tuple(Typeface(hb.Blob.from_file_path(str(_FONTS / f"{name}.ttf"))) for name in _OURS)


def width(text: str, size: float, own: Typeface | None = None) -> float:
    """How wide a line of text is, in pixels."""
    return (_laid_out if own is None else _lay_out)(text, own)[-1].x * size


def line(text: str, size: float, *, own: Typeface | None = None, bold: float = 0.0) -> Lettering:
    """A line of text with letters of this size in pixels; first from the typeface given, bolder by a share of it."""
    placed = (_laid_out if own is None else _lay_out)(text, own)
    raster = hb.RasterDraw()
    for one in placed:
        if one.glyph is not None:
            one.typeface.draw(raster, one.glyph, (one.x * size, one.y * size), size, bold)
    drawn = raster.render()
    extents = drawn.extents
    if not extents.width or not extents.height:
        return Lettering(Image.new("L", (1, 1)), 0, 0, placed[-1].x * size)
    ink = Image.frombuffer(
        "L", (extents.width, extents.height), drawn.buffer, "raw", "L", extents.stride, -1
    )  # its rows go upwards
    top = round(RISE * size) - extents.y_origin - extents.height
    return Lettering(ink.copy(), extents.x_origin, top, placed[-1].x * size)


def write(
    image: Image.Image,
    place: tuple[float, float],
    text: str,
    size: float,
    colour: tuple[int, ...] | str,
    *,
    bold: float = 0.0,
) -> None:
    """Draw a line of text into a picture, its left upper corner at `place`."""
    drawn = line(text, size, bold=bold)
    corner = (round(place[0]) + drawn.left, round(place[1]) + drawn.top)
    if image.mode == "RGBA":
        fill = Image.new("RGBA", drawn.ink.size, colour)
        alpha = fill.getchannel("A")
        fill.putalpha(Image.composite(alpha, Image.new("L", alpha.size), drawn.ink))
        over = Image.new("RGBA", image.size)
        over.paste(fill, corner)
        image.alpha_composite(over)
    else:
        image.paste(Image.new(image.mode, drawn.ink.size, colour), corner, drawn.ink)


def leftwards(text: str) -> bool:
    """Whether a text is read from right to left."""
    return directions.leftwards(text)


@lru_cache(maxsize=512)
def _laid_out(text: str, own: None) -> tuple[Placed, ...]:
    return _lay_out(text, own)


def _lay_out(text: str, own: Typeface | None) -> tuple[Placed, ...]:
    """All glyphs of a line from left to right, and its end."""
    faces = typefaces() if own is None else (own, *typefaces())
    text = readable(text, faces)
    pieces = []
    for start, end, level in directions.runs(text):
        chosen = _choice(text[start:end], faces)
        split = [(face, "".join(char for _, char in group)) for face, group in groupby(chosen, lambda pair: pair[0])]
        ordered = reversed(split) if level % 2 else split
        pieces += [(face, piece, bool(level % 2)) for face, piece in ordered]
    placed: list[Placed] = []
    pen = 0.0
    for face, piece, backwards in pieces:
        *glyphs, end = face.shaped(piece, leftwards=backwards)
        placed += [Placed(face, one.glyph, pen + one.x, one.y) for one in glyphs]
        pen += end.x
    return (*placed, Placed(faces[0], None, pen, 0))


def _choice(text: str, faces: tuple[Typeface, ...]) -> list[tuple[Typeface, str]]:
    """Each character with the typeface for it; what belongs to the letter before it has that one's, or is left out."""
    chosen: list[tuple[Typeface, str]] = []
    for char in text:
        if chosen and _follows(char):
            if chosen[-1][0].has(char) or char in _JOINERS:
                chosen.append((chosen[-1][0], char))
        else:
            chosen.append((next((face for face in faces if face.has(char)), faces[0]), char))
    return chosen


def _follows(char: str) -> bool:
    return char in _JOINERS or unicodedata.category(char)[0] == "M"


def readable(text: str, faces: tuple[Typeface, ...] | None = None) -> str:
    """The text, with words for what the typefaces have no letters for."""
    known = faces or typefaces()
    parts: list[str] = []
    for char in unicodedata.normalize("NFC", text):
        if char in _JOINERS or any(face.has(char) for face in known):
            parts.append(char)
            continue
        simple = unicodedata.normalize("NFKC", char)
        if simple != char and all(any(face.has(one) for face in known) for one in simple):
            parts.append(simple)
            continue
        word = _word(char)
        if word and word != (parts[-1] if parts else ""):
            parts.append(word)
    return "".join(parts)


@lru_cache(maxsize=512)
def _word(char: str) -> str:
    """What is written for a character without a shape: its sound, its script or its name; what is unseen stays so."""
    name = unicodedata.name(char, "")
    kind = unicodedata.category(char)
    if name.startswith("HANGUL SYLLABLE "):
        return name.removeprefix("HANGUL SYLLABLE ").lower()
    if "IDEOGRAPH-" in name:
        return f"[U+{name.rpartition('-')[2]}]"
    if name.startswith("REGIONAL INDICATOR"):
        return name[-1]
    if not name or kind[0] in "MCZ" or kind == "Sk":
        return " " if kind[0] == "Z" else ""
    if kind[0] == "L":
        script = name.partition(" LETTER")[0].partition(" SYLLABLE")[0]
        return f"[{script.split()[0].capitalize()}]" if script != name else f"[{name.lower()}]"
    return f"[{name.lower()}]"
