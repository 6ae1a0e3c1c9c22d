"""A word in many scripts, drawn with strokes: the fonts at hand have Latin letters only.

Every glyph lies in a box from (0, 0) to its width and 10, y downwards.
"""

from dataclasses import dataclass

from PIL import Image, ImageDraw

from modellix_server.sandbox.rendering import caption

Line = tuple[tuple[float, float], ...]
_FINE = 4
"""Glyphs are drawn this much larger and scaled down."""


@dataclass(frozen=True, slots=True)
class Glyph:
    """Strokes, and circles as x, y, radius."""

    width: float
    lines: tuple[Line, ...]
    rings: tuple[tuple[float, float, float], ...] = ()
    dots: tuple[tuple[float, float], ...] = ()


_E = Glyph(8, (((7, 0), (1, 0), (1, 10), (7, 10)), ((1, 5), (6, 5))))
_P = Glyph(9, (((1, 10), (1, 0), (6, 0), (8, 1.5), (8, 3.5), (6, 5), (1, 5)),))
GLYPHS: dict[str, tuple[Glyph, ...]] = {
    "zh": (
        Glyph(10, (((1, 3), (9, 3), (9, 7), (1, 7), (1, 3)), ((5, 0), (5, 10)))),
        Glyph(
            10,
            (
                ((5, 0), (5, 2)),
                ((0.5, 2.6), (9.5, 2.6)),
                ((7.5, 2.6), (5, 6.4), (0.5, 10)),
                ((2.5, 2.6), (5, 6.4), (9.5, 10)),
            ),
        ),
    ),
    "ja": (
        Glyph(10, (((2, 2.5), (8, 2.5)), ((0.5, 8.5), (9.5, 8.5)))),
        Glyph(10, (((0.5, 2.5), (9.5, 2.5)), ((5, 0), (5, 10), (3.8, 9)), ((3, 4.5), (1, 8)), ((7, 4.5), (9, 8)))),
        Glyph(10, (((1, 1.5), (3.5, 3)), ((1, 9), (4, 8.2), (7, 6), (9.5, 2)))),
        Glyph(10, (((1, 2), (8, 2), (8, 9), (1, 9)), ((8.6, 0), (9.2, 1)), ((9.6, -0.4), (10.2, 0.6)))),
    ),
    "ko": (
        Glyph(
            10,
            (
                ((2, 0), (4, 0)),
                ((0.5, 1.5), (5.5, 1.5)),
                ((7.5, 0), (7.5, 6.4)),
                ((7.5, 3), (9.5, 3)),
                ((2, 7), (2, 9.7), (8.5, 9.7)),
            ),
            ((3, 3.9, 1.4),),
        ),
        Glyph(
            10,
            (
                ((1.5, 0.5), (8.5, 0.5), (8.2, 3)),
                ((0.5, 4.5), (9.5, 4.5)),
                ((1.5, 6), (8.5, 6), (8.5, 7.8), (1.5, 7.8), (1.5, 9.7), (8.7, 9.7)),
            ),
        ),
    ),
    "ru": (
        Glyph(9, (((1, 10), (1, 0), (8, 0), (8, 10)),)),
        _E,
        _P,
        _E,
        Glyph(
            9,
            (
                ((1, 0), (1, 10), (6, 10), (8, 8.5), (8, 6.5), (6, 5), (1, 5)),
                ((1, 0), (6, 0), (7.5, 1.3), (7.5, 3.7), (6, 5)),
            ),
        ),
        Glyph(10, (((5, 0), (2, 1.2), (0.7, 5), (2, 8.8), (5, 10), (8, 8.8), (9.3, 5), (8, 1.2), (5, 0)),)),
        Glyph(10, (((2, 8.2), (3, 0), (7.5, 0), (7.5, 8.2)), ((0.5, 10.4), (0.5, 8.2), (9.3, 8.2), (9.3, 10.4)))),
    ),
    "th": (
        Glyph(7, (((5, 10), (5, 1.5), (3.6, 0), (2, 0.4), (2, 1.6), (3.4, 1.6)),)),
        Glyph(10, (((2.9, 3.2), (2.9, 10)), ((2.9, 7), (5.5, 3), (7.4, 2.4), (8.4, 3.8), (8.4, 10))), ((2, 3.2, 1),)),
        Glyph(10, (((2.2, 4.2), (4, 5.6), (2.2, 7), (2.2, 10), (8.4, 10), (8.4, 2)),), ((2.6, 3.2, 1),)),
    ),
    "ar": (
        Glyph(
            30,
            (
                ((28.5, 2.4), (26.4, 1.4), (24.8, 2.6), (25.4, 4.2), (28.6, 4.6)),
                ((28.6, 4.6), (25, 6.6), (21, 6.6), (19.8, 8.2), (17.6, 9.8)),
                (
                    (15, 3.6),
                    (15, 6.6),
                    (9.4, 6.6),
                    (8, 4.6),
                    (5.6, 4.8),
                    (5.4, 6.2),
                    (7.6, 7.4),
                    (6.4, 9.4),
                    (2.6, 9.6),
                    (1, 7.6),
                ),
            ),
            dots=((12.4, 8.8), (3.6, 11.4), (5.6, 11.4)),
        ),
    ),
}
WORDS = {
    "en": "TRANSLATED TEXT",
    "es": "TEXTO TRADUCIDO",
    "fr": "TEXTE TRADUIT",
    "pt": "TEXTO TRADUZIDO",
    "it": "TESTO TRADOTTO",
    "vi": "VAN BAN DICH",
    "ms": "TEKS TERJEMAHAN",
    "id": "TEKS TERJEMAH",
}


def word(language: str, height: int) -> Image.Image:
    """The marker word of a language as a mask (L) of this height."""
    glyphs = GLYPHS.get(language)
    if glyphs is None:
        face = caption.face(max(8, round(height * 0.92)))
        image = Image.new("L", (max(1, round(face.getlength(WORDS[language]))), height))
        ImageDraw.Draw(image).text((0, height * 0.05), WORDS[language], font=face, fill=255)
        return image
    unit = height * _FINE / 12.5
    gap = 1.6
    total = sum(glyph.width + gap for glyph in glyphs)
    image = Image.new("L", (max(4, round(total * unit)), height * _FINE))
    draw = ImageDraw.Draw(image)
    pen = max(_FINE, round(unit * 1.05))
    x = gap / 2
    for glyph in glyphs:
        _draw(draw, glyph, x, unit, pen)
        x += glyph.width + gap
    return image.resize((max(1, image.width // _FINE), height), Image.Resampling.LANCZOS)


def _draw(draw: ImageDraw.ImageDraw, glyph: Glyph, x: float, unit: float, pen: int) -> None:
    for line in glyph.lines:
        points = [((x + px) * unit, (py + 0.9) * unit) for px, py in line]
        draw.line(points, fill=255, width=pen, joint="curve")
        for px, py in (points[0], points[-1]):
            draw.ellipse((px - pen / 2, py - pen / 2, px + pen / 2, py + pen / 2), fill=255)
    for cx, cy, radius in glyph.rings:
        place = (
            (x + cx - radius) * unit,
            (cy + 0.9 - radius) * unit,
            (x + cx + radius) * unit,
            (cy + 0.9 + radius) * unit,
        )
        draw.ellipse(place, outline=255, width=pen)
    for cx, cy in glyph.dots:
        px, py = (x + cx) * unit, (cy + 0.4) * unit
        draw.ellipse((px - pen * 0.7, py - pen * 0.7, px + pen * 0.7, py + pen * 0.7), fill=255)
