"""A small painted landscape, derived from a text: the same text gives the same landscape, and it can move.

Flat shapes and soft light. The light is drawn small and enlarged, where it is as soft as before and costs a ninth.
"""

import hashlib
import math
import random
from dataclasses import dataclass

from PIL import Image, ImageDraw

Colour = tuple[int, int, int]
_HORIZON = 0.72
_LIGHT_SCALE = 3


@dataclass(frozen=True, slots=True)
class Palette:
    """Sky from top to horizon, the sun or moon, hills from far to near."""

    sky: tuple[str, ...]
    sun: str
    far: str
    near: str
    stars: bool = False


PALETTES = (
    Palette(("#2b2d6e", "#7a4a8f", "#e0708a", "#ffb88a", "#ffe3b0"), "#fff3d0", "#a4668f", "#2a1c45"),
    Palette(("#3f8fd6", "#7db9ea", "#b9dcf5", "#eef7fb"), "#fffbe6", "#9cc3d8", "#1f5a55"),
    Palette(("#0b1030", "#1a2458", "#38407f", "#7a6a9e"), "#f4f1de", "#3d4478", "#0a0e24", stars=True),
    Palette(("#f3c98b", "#f7dcb0", "#fbead0", "#fff6e6"), "#ffffff", "#e0b184", "#8a4f36"),
    Palette(("#0f4c5c", "#2a7f86", "#7cc0ab", "#e9f0c9"), "#fffde0", "#5fa39a", "#0c3136"),
    Palette(("#4a2545", "#a23b5e", "#ee7752", "#f9c55f"), "#fff0c0", "#b5485b", "#301530"),
    Palette(("#c9d8e6", "#dfe6ee", "#f2efee", "#fbe9e0"), "#fffaf2", "#b6c3d4", "#53677f"),
    Palette(("#12263a", "#1f5066", "#3fa29b", "#b5e3b0"), "#eafbe0", "#2e7f7f", "#07161f", stars=True),
)


@dataclass(frozen=True, slots=True)
class Ridge:
    """A line of hills: a sum of waves over the picture's width."""

    base: float
    waves: tuple[tuple[float, float, float], ...]
    """Height, waves across the picture, phase."""
    colour: Colour
    drift: float
    """How far it moves over the whole time, in picture widths."""

    def height_at(self, x: float) -> float:
        """Its top, as a share of the picture's height from above."""
        return self.base - sum(height * math.sin(waves * x * math.tau + phase) for height, waves, phase in self.waves)


class Scene:
    """One landscape. `frame` draws it at a moment between 0 and 1."""

    def __init__(self, text: str) -> None:
        chance = random.Random(hashlib.sha256(text.encode(errors="replace")).digest())  # noqa: S311  (a picture)
        self._palette = chance.choice(PALETTES)
        self._water = chance.random() < 0.45
        self._sun = (chance.uniform(0.2, 0.8), chance.uniform(0.16, 0.42), chance.uniform(0.05, 0.11))
        self._sun_moves = (chance.choice((-1, 1)) * 0.16, chance.uniform(0.08, 0.18))
        self._stars = [(chance.random(), chance.random() * 0.6, chance.random()) for _ in range(90)]
        self._clouds = [
            (chance.random(), chance.uniform(0.08, 0.4), chance.uniform(0.18, 0.42), chance.uniform(0.1, 0.3))
            for _ in range(chance.randint(2, 5))
        ]
        self._birds = [(chance.uniform(0.1, 0.8), chance.uniform(0.15, 0.4)) for _ in range(chance.randint(0, 6))]
        self._ridges = self._make_ridges(chance, chance.randint(3, 5))
        self._trees = [(chance.random() * 1.6, chance.uniform(0.5, 1.0)) for _ in range(chance.randint(10, 30))]

    def _make_ridges(self, chance: random.Random, count: int) -> list[Ridge]:
        far, near = _rgb(self._palette.far), _rgb(self._palette.near)
        ridges = []
        for index in range(count):
            depth = index / (count - 1)
            waves = tuple(
                (
                    chance.uniform(0.4, 1.0) * size * (0.7 + depth * 0.5),
                    turns * chance.uniform(0.7, 1.3),
                    chance.random() * math.tau,
                )
                for size, turns in ((0.055, 0.9), (0.03, 2.1), (0.012, 5.0), (0.004, 13.0))
            )
            ridges.append(Ridge(0.56 + 0.3 * depth, waves, _mix(far, near, depth**0.8), 0.05 + 0.4 * depth**2))
        return ridges

    def frame(self, width: int, height: int, moment: float) -> Image.Image:
        """The landscape at `moment` (0..1), as RGB."""
        image = self._light(-(-width // _LIGHT_SCALE), -(-height // _LIGHT_SCALE), moment)
        image = image.resize((width, height), Image.Resampling.BILINEAR)
        draw = ImageDraw.Draw(image, "RGBA")
        if self._palette.stars:
            self._draw_stars(draw, width, height, moment)
        self._draw_sun(draw, width, height, moment)
        for index, ridge in enumerate(self._ridges):
            last = index == len(self._ridges) - 1
            if last and self._water:
                self._draw_water(image, draw, width, height, moment)
            self._draw_ridge(draw, ridge, width, height, moment, trees=last)
        self._draw_birds(draw, width, height, moment)
        return image

    def _light(self, width: int, height: int, moment: float) -> Image.Image:
        """The sky without anything that has an edge."""
        horizon = max(1, int(height * _HORIZON))
        image = _gradient(self._palette.sky, width, horizon).crop((0, 0, width, height))
        image.paste(_rgb(self._palette.sky[-1]), (0, horizon, width, height))
        x, y, radius = self._sun_at(width, height, moment)
        for scale, strength in ((7.0, 0.45), (2.2, 0.5)):
            _glow(image, x, y, radius * scale, _rgb(self._palette.sun), strength)
        colour = _mix(_rgb(self._palette.sky[-1]), (255, 255, 255), 0.5)
        for x, y, span, strength in self._clouds:
            place = (x + 0.3 * moment) % 1.3 - 0.15
            _glow(image, place * width, y * height, span * width, colour, strength, squeeze=0.16)
        return image

    def _sun_at(self, width: int, height: int, moment: float) -> tuple[float, float, float]:
        """Its centre and radius."""
        x, y, size = self._sun
        x, y = x + self._sun_moves[0] * moment, y + self._sun_moves[1] * moment
        return x * width, y * height, size * min(width, height)

    def _draw_stars(self, draw: ImageDraw.ImageDraw, width: int, height: int, moment: float) -> None:
        size = max(width, height) / 900
        for x, y, phase in self._stars:
            light = 0.5 + 0.5 * math.sin(phase * 6.3 + moment * math.tau * 2)
            r = size * (0.5 + phase)
            box = (x * width - r, y * height - r, x * width + r, y * height + r)
            draw.ellipse(box, fill=(255, 255, 240, int(70 + 170 * light)))

    def _draw_sun(self, draw: ImageDraw.ImageDraw, width: int, height: int, moment: float) -> None:
        x, y, radius = self._sun_at(width, height, moment)
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=_rgb(self._palette.sun))

    def _draw_water(
        self, image: Image.Image, draw: ImageDraw.ImageDraw, width: int, height: int, moment: float
    ) -> None:
        top = int(height * _HORIZON)
        mirrored = image.crop((0, 2 * top - height, width, top)).transpose(Image.Transpose.FLIP_TOP_BOTTOM)
        tint = Image.new("RGB", mirrored.size, _mix(_rgb(self._palette.sky[0]), _rgb(self._palette.far), 0.3))
        image.paste(Image.blend(mirrored, tint, 0.42), (0, top))
        light = _rgb(self._palette.sky[-1])
        x, _, _ = self._sun_at(width, height, moment)
        for step in range(16):
            y = top + (height - top) * (step / 16) ** 1.4 + 1
            sway = math.sin(step * 1.9 + moment * math.tau * 3) * width * 0.012
            half = width * (0.03 + 0.006 * step) * (0.7 + 0.3 * math.sin(step * 2.7 + moment * math.tau * 2))
            draw.line((x - half + sway, y, x + half + sway, y), fill=(*light, 120), width=max(1, height // 260))

    def _draw_ridge(
        self, draw: ImageDraw.ImageDraw, ridge: Ridge, width: int, height: int, moment: float, *, trees: bool
    ) -> None:
        shift = ridge.drift * moment
        lift = 0.09 if trees and self._water else 0.0
        steps = max(32, width // 6)
        tops = [
            (step * width / steps, (ridge.height_at(step / steps + shift) + lift) * height) for step in range(steps + 1)
        ]
        draw.polygon([(0, height), *tops, (width, height)], fill=ridge.colour)
        if not trees:
            return
        unit = min(width, height) * 0.045
        for place, size in self._trees:
            x = place - shift
            if -0.1 < x < 1.1:
                foot = (ridge.height_at(place) + lift) * height + unit * 0.15
                _tree(draw, x * width, foot, unit * size, ridge.colour)

    def _draw_birds(self, draw: ImageDraw.ImageDraw, width: int, height: int, moment: float) -> None:
        span = min(width, height) * 0.014
        colour = (*_rgb(self._palette.near), 200)
        for index, (x, y) in enumerate(self._birds):
            flap = 0.35 + 0.5 * abs(math.sin(moment * 9 + index))
            cx, cy = (x + 0.25 * moment) % 1.05 * width, y * height
            wing = span * flap
            points = [(cx - span, cy - wing), (cx, cy), (cx + span, cy - wing)]
            draw.line(points, fill=colour, width=max(1, int(span / 5)), joint="curve")


def _tree(draw: ImageDraw.ImageDraw, x: float, foot: float, size: float, colour: Colour) -> None:
    for low, wide in ((0.0, 0.30), (0.35, 0.24), (0.7, 0.17)):
        top = foot - size * (low + 0.75)
        edge = foot - size * low
        draw.polygon([(x - size * wide, edge), (x, top), (x + size * wide, edge)], fill=colour)


def _glow(
    image: Image.Image,
    x: float,
    y: float,
    radius: float,
    colour: Colour,
    strength: float,
    squeeze: float = 1.0,
) -> None:
    """Light that fades towards an ellipse's edge."""
    size = (max(2, int(2 * radius)), max(2, int(2 * radius * squeeze)))
    mask = _FADE.resize(size, Image.Resampling.BILINEAR).point([int(v * strength) for v in range(256)])
    image.paste(colour, (int(x - size[0] / 2), int(y - size[1] / 2)), mask)


def _gradient(colours: tuple[str, ...], width: int, height: int) -> Image.Image:
    column = Image.new("RGB", (1, len(colours)))
    for index, colour in enumerate(colours):
        column.putpixel((0, index), _rgb(colour))
    return column.resize((1, height), Image.Resampling.BICUBIC).resize((width, height), Image.Resampling.NEAREST)


def _rgb(text: str) -> Colour:
    return int(text[1:3], 16), int(text[3:5], 16), int(text[5:7], 16)


def _mix(one: Colour, other: Colour, share: float) -> Colour:
    r, g, b = (round(a + (c - a) * share) for a, c in zip(one, other, strict=True))
    return r, g, b


def _fade() -> Image.Image:
    """A disc of light, squared so that it fades out softly."""
    return Image.radial_gradient("L").point([int(max(0.0, 1 - v / 181) ** 2 * 255) for v in range(256)])


_FADE = _fade()
