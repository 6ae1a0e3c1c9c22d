"""One drawn woman: standing, walking, dancing, as a portrait, and her clothes by themselves."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from PIL import Image, ImageChops, ImageDraw, ImageFilter

Point = tuple[float, float]
FINE = 3
"""Pictures are drawn this much larger and scaled down: Pillow's edges are hard."""
SKIN, SHADE, HAIR = "#e8b48f", "#d79a76", "#3b2418"
GROUND = "#e9e6df"


@dataclass(frozen=True, slots=True)
class Pose:
    """Degrees from hanging straight down, left limbs first; outwards or forwards (seen aside) is positive."""

    arms: tuple[float, float] = (9, 9)
    forearms: tuple[float, float] = (5, 5)
    thighs: tuple[float, float] = (4, 4)
    shins: tuple[float, float] = (2, 2)
    lean: float = 0
    rise: float = 0
    """How far the body is lifted, as a share of its height."""


@dataclass(frozen=True, slots=True)
class Clothes:
    """Colours. `stripe` crosses the top."""

    top: str = "#3f9c8f"
    trousers: str = "#8d99ae"
    stripe: str | None = None
    long_sleeves: bool = False
    parts: frozenset[str] = field(default=frozenset({"body", "top", "trousers"}))
    """What is drawn: a garment by itself is the top or the trousers alone."""


RED_TOP = Clothes(top="#c8324a", stripe="#f6d25a", long_sleeves=True)


class Figure:
    """A person of `height` pixels whose feet stand at `foot`; everything is drawn by `draw`."""

    def __init__(self, draw: ImageDraw.ImageDraw, foot: Point, height: float, clothes: Clothes, pose: Pose) -> None:
        self._draw, self._height, self._clothes, self._pose = draw, height, clothes, pose
        self._foot = (foot[0], foot[1] - pose.rise * height)

    def at(self, x: float, y: float) -> Point:
        """A point of the body: x from its middle, y from its top, in shares of the height."""
        lean = math.radians(self._pose.lean) * max(0.0, 0.52 - y)
        return self._foot[0] + (x + lean) * self._height, self._foot[1] - (1 - y) * self._height

    def front(self) -> None:
        """Seen from the front."""
        parts = self._clothes.parts
        legs = [self._leg(side) for side in (0, 1)]
        if "body" in parts:
            self._hair_behind()
            for hip, knee, ankle in legs:
                self._limb([hip, knee, ankle], 0.052, SKIN)
        if "trousers" in parts:
            self._trousers(legs)
        if "body" in parts:
            for _, _, ankle in legs:
                self._shoe(ankle)
        arms = [self._arm(side) for side in (0, 1)]
        if "body" in parts:
            for shoulder, elbow, hand in arms:
                self._limb([shoulder, elbow, hand], 0.043, SKIN)
                self._disc(hand, 0.026, SKIN)
            self._limb([self.at(0, 0.14), self.at(0, 0.2)], 0.052, SHADE)
        if "top" in parts:
            self._top(arms)
        if "body" in parts:
            self._head()

    def side(self) -> None:
        """Seen from the side, walking to the right."""
        far, near = (self._walking_leg(side) for side in (0, 1))
        far_arm, near_arm = (self._walking_arm(side) for side in (0, 1))
        cloth, dark = self._clothes.trousers, _darker(self._clothes.trousers)
        for leg, colour in ((far, dark), (near, cloth)):
            if leg is near:
                self._sleeve(far_arm, _darker(self._clothes.top))
            self._limb([*leg], 0.072, colour)
            foot = leg[2]
            self._limb([foot, (foot[0] + 0.045 * self._height, foot[1] + 0.012 * self._height)], 0.036, "#33272a")
        torso = [
            self.at(-0.052, 0.2),
            self.at(0.05, 0.2),
            self.at(0.058, 0.36),
            self.at(0.05, 0.53),
            self.at(-0.055, 0.53),
        ]
        self._limb([self.at(0.005, 0.14), self.at(0, 0.2)], 0.05, SHADE)
        self._draw.polygon(torso, fill=self._clothes.top)
        self._limb([self.at(-0.02, 0.2), self.at(0.02, 0.2)], 0.07, self._clothes.top)
        self._band(0.3, 0.054)
        self._profile()
        self._sleeve(near_arm, _darker(self._clothes.top, 0.92))

    def _leg(self, side: int) -> tuple[Point, Point, Point]:
        out = -1 if side == 0 else 1
        hip = self.at(out * 0.043, 0.52)
        knee = self._swing(hip, out * self._pose.thighs[side], 0.23)
        return hip, knee, self._swing(knee, out * self._pose.shins[side], 0.215)

    def _arm(self, side: int) -> tuple[Point, Point, Point]:
        out = -1 if side == 0 else 1
        shoulder = self.at(out * 0.094, 0.215)
        elbow = self._swing(shoulder, out * self._pose.arms[side], 0.16)
        return shoulder, elbow, self._swing(elbow, out * self._pose.forearms[side], 0.15)

    def _walking_leg(self, side: int) -> tuple[Point, Point, Point]:
        hip = self.at(0, 0.52)
        knee = self._swing(hip, self._pose.thighs[side], 0.23)
        return hip, knee, self._swing(knee, self._pose.shins[side], 0.215)

    def _walking_arm(self, side: int) -> tuple[Point, Point, Point]:
        shoulder = self.at(0, 0.22)
        elbow = self._swing(shoulder, self._pose.arms[side], 0.16)
        return shoulder, elbow, self._swing(elbow, self._pose.forearms[side], 0.14)

    def _swing(self, start: Point, angle: float, length: float) -> Point:
        turn = math.radians(angle)
        return (
            start[0] + math.sin(turn) * length * self._height,
            start[1] + math.cos(turn) * length * self._height,
        )

    def _sleeve(self, arm: tuple[Point, Point, Point], colour: str) -> None:
        self._limb([*arm], 0.046, colour)
        self._disc(arm[2], 0.024, SKIN)

    def _top(self, arms: list[tuple[Point, Point, Point]]) -> None:
        cloth = self._clothes.top
        for shoulder, elbow, hand in arms:
            half = ((shoulder[0] * 0.35 + elbow[0] * 0.65), (shoulder[1] * 0.35 + elbow[1] * 0.65))
            cuff = (elbow[0] + (hand[0] - elbow[0]) * 0.82, elbow[1] + (hand[1] - elbow[1]) * 0.82)
            line = [shoulder, elbow, cuff] if self._clothes.long_sleeves else [shoulder, half]
            self._limb(line, 0.068, _darker(cloth, 0.94))
        torso = [(-0.096, 0.205), (-0.05, 0.188), (0.05, 0.188), (0.096, 0.205)]
        torso += [(0.082, 0.3), (0.076, 0.4), (0.088, 0.53), (-0.088, 0.53), (-0.076, 0.4), (-0.082, 0.3)]
        self._draw.polygon([self.at(x, y) for x, y in torso], fill=cloth)
        for out in (-1, 1):
            self._disc(self.at(out * 0.088, 0.221), 0.033, cloth)
        self._band(0.31, 0.081)
        neck = self.at(0, 0.186)
        r = 0.043 * self._height
        if "body" in self._clothes.parts:
            self._draw.chord((neck[0] - r, neck[1] - r, neck[0] + r, neck[1] + r), 0, 180, fill=SHADE)
        else:
            self._draw.chord((neck[0] - r, neck[1] - r, neck[0] + r, neck[1] + r), 0, 180, fill=GROUND)
            self._draw.arc(
                (neck[0] - r, neck[1] - r, neck[0] + r, neck[1] + r), 0, 180, fill=_darker(cloth), width=round(r / 5)
            )

    def _band(self, y: float, half: float) -> None:
        if self._clothes.stripe:
            corners = [
                self.at(-half, y),
                self.at(half, y),
                self.at(half * 0.98, y + 0.05),
                self.at(-half * 0.98, y + 0.05),
            ]
            self._draw.polygon(corners, fill=self._clothes.stripe)

    def _trousers(self, legs: list[tuple[Point, Point, Point]]) -> None:
        cloth = self._clothes.trousers
        hips = [(-0.083, 0.475), (0.083, 0.475), (0.09, 0.56), (0, 0.585), (-0.09, 0.56)]
        self._draw.polygon([self.at(x, y) for x, y in hips], fill=cloth)
        for hip, knee, ankle in legs:
            self._limb([hip, knee, ankle], 0.083, cloth)
        crease = _darker(cloth, 0.9)
        for hip, knee, ankle in legs:
            self._limb([(hip[0], hip[1] + 0.05 * self._height), knee, ankle], 0.006, crease)
        waist = [self.at(-0.083, 0.475), self.at(0.083, 0.475), self.at(0.084, 0.495), self.at(-0.084, 0.495)]
        self._draw.polygon(waist, fill=_darker(cloth, 0.8))

    def _shoe(self, ankle: Point) -> None:
        r = 0.034 * self._height
        box = (ankle[0] - r * 1.1, ankle[1] + r * 0.1, ankle[0] + r * 1.1, ankle[1] + r * 1.4)
        self._draw.rounded_rectangle(box, r * 0.6, fill="#33272a")

    def _hair_behind(self) -> None:
        x, y = self.at(0, 0.085)
        r = self._height
        self._draw.rounded_rectangle((x - r * 0.072, y - r * 0.06, x + r * 0.072, y + r * 0.105), r * 0.06, fill=HAIR)

    def _head(self) -> None:
        x, y = self.at(0, 0.088)
        h = self._height
        self._draw.ellipse((x - h * 0.055, y - h * 0.064, x + h * 0.055, y + h * 0.07), fill=SKIN)
        self._draw.pieslice((x - h * 0.066, y - h * 0.082, x + h * 0.066, y + h * 0.06), 190, 350, fill=HAIR)
        for out in (-1, 1):
            ex, ey = x + out * h * 0.021, y + h * 0.008
            self._draw.ellipse((ex - h * 0.008, ey - h * 0.0055, ex + h * 0.008, ey + h * 0.0055), fill="white")
            self._draw.ellipse((ex - h * 0.005, ey - h * 0.0055, ex + h * 0.005, ey + h * 0.0055), fill="#35241c")
            brow = (ex - h * 0.012, ey - h * 0.018, ex + h * 0.012, ey - h * 0.006)
            self._draw.arc(brow, 200, 340, fill=HAIR, width=max(1, round(h * 0.0035)))
            self._draw.ellipse(
                (ex - h * 0.011 + out * h * 0.008, ey + h * 0.016, ex + h * 0.011 + out * h * 0.008, ey + h * 0.03),
                fill="#e9a58d",
            )
        self._draw.line(
            [(x, y + h * 0.012), (x - h * 0.006, y + h * 0.029), (x + h * 0.003, y + h * 0.03)],
            fill=SHADE,
            width=max(1, round(h * 0.004)),
        )
        self._draw.chord((x - h * 0.019, y + h * 0.028, x + h * 0.019, y + h * 0.052), 15, 165, fill="#b5444a")

    def _profile(self) -> None:
        x, y = self.at(0.008, 0.088)
        h = self._height
        self._draw.rounded_rectangle((x - h * 0.075, y - h * 0.05, x + h * 0.01, y + h * 0.1), h * 0.04, fill=HAIR)
        self._draw.ellipse((x - h * 0.052, y - h * 0.062, x + h * 0.056, y + h * 0.07), fill=SKIN)
        self._draw.polygon(
            [(x + h * 0.05, y), (x + h * 0.068, y + h * 0.022), (x + h * 0.048, y + h * 0.026)], fill=SKIN
        )
        self._draw.pieslice((x - h * 0.066, y - h * 0.08, x + h * 0.06, y + h * 0.06), 150, 345, fill=HAIR)
        self._draw.ellipse((x + h * 0.03, y - h * 0.002, x + h * 0.041, y + h * 0.012), fill="#35241c")
        self._draw.line(
            [(x + h * 0.034, y + h * 0.045), (x + h * 0.05, y + h * 0.041)],
            fill="#b5444a",
            width=max(1, round(h * 0.006)),
        )

    def _limb(self, line: list[Point], width: float, colour: str) -> None:
        pen = width * self._height
        self._draw.line(line, fill=colour, width=max(1, round(pen)), joint="curve")
        for point in line:
            self._disc(point, width / 2, colour)

    def _disc(self, middle: Point, radius: float, colour: str) -> None:
        r = radius * self._height
        self._draw.ellipse((middle[0] - r, middle[1] - r, middle[0] + r, middle[1] + r), fill=colour)


def _darker(colour: str, factor: float = 0.8) -> str:
    return "#" + "".join(f"{round(int(colour[at : at + 2], 16) * factor):02x}" for at in (1, 3, 5))


def standing(
    size: tuple[int, int], clothes: Clothes, pose: Pose | None = None, ground: str | None = GROUND
) -> Image.Image:
    """The whole figure from the front, before a plain ground (RGB) or none (RGBA)."""
    wide, high = size[0] * FINE, size[1] * FINE
    image = Image.new("RGBA", (wide, high), ground or (255, 255, 255, 0))
    if ground and "body" in clothes.parts:
        floor = Image.new("L", image.size)
        ImageDraw.Draw(floor).ellipse((wide * 0.33, high * 0.93, wide * 0.67, high * 0.972), fill=70)
        image.paste("#9a948a", mask=floor.filter(ImageFilter.GaussianBlur(high / 120)))
    figure = Figure(ImageDraw.Draw(image), (wide / 2, high * 0.955), high * 0.91, clothes, pose or Pose())
    figure.front()
    small = image.resize(size, Image.Resampling.LANCZOS)
    return small.convert("RGB") if ground else small


def garment(size: tuple[int, int], clothes: Clothes) -> Image.Image:
    """One garment laid flat: the part of the figure that it is, as large as fits."""
    large = standing((size[0] * 2, size[1] * 2), clothes)
    ground = Image.new("RGB", large.size, GROUND)
    box = ImageChops.difference(large, ground).convert("L").point([0] * 6 + [255] * 250).getbbox()
    assert box is not None
    piece = large.crop(box)
    factor = min(size[0] * 0.8 / piece.width, size[1] * 0.8 / piece.height)
    piece = piece.resize((round(piece.width * factor), round(piece.height * factor)), Image.Resampling.LANCZOS)
    image = Image.new("RGB", size, GROUND)
    image.paste(piece, ((size[0] - piece.width) // 2, (size[1] - piece.height) // 2))
    return image


def portrait(size: tuple[int, int], clothes: Clothes) -> Image.Image:
    """Head and shoulders before a soft wall."""
    wide, high = size[0] * FINE, size[1] * FINE
    image = Image.new("RGB", (wide, high), "#c9d9d4")
    glow = Image.radial_gradient("L").point([255 - v for v in range(256)]).resize((wide, high))
    image.paste("#eef4ee", mask=glow)
    Figure(ImageDraw.Draw(image), (wide / 2, high * 3.05), high * 2.95, clothes, Pose()).front()
    return image.resize(size, Image.Resampling.LANCZOS)


def walking(moment: float) -> Pose:
    """A step, for `moment` from 0 to 1 and round again."""
    turn = moment * math.tau
    swing = 27 * math.sin(turn)
    bend = [26 * max(0.0, math.cos(turn)) + 4, 26 * max(0.0, -math.cos(turn)) + 4]
    return Pose(
        arms=(-swing * 0.9, swing * 0.9),
        forearms=(-swing * 0.9 + 22, swing * 0.9 + 22),
        thighs=(swing, -swing),
        shins=(swing - bend[0], -swing - bend[1]),
        lean=4,
        rise=0.012 * abs(math.cos(turn)),
    )


def dancing(moment: float) -> Pose:
    """A turn of a dance, for `moment` from 0 to 1 and round again."""
    turn = moment * math.tau
    left, right = 75 + 60 * math.sin(turn), 75 + 60 * math.sin(turn + math.pi)
    return Pose(
        arms=(left, right),
        forearms=(left + 35, right + 35),
        thighs=(8 + 9 * math.sin(turn), 8 - 9 * math.sin(turn)),
        shins=(2 - 6 * math.sin(turn), 2 + 6 * math.sin(turn)),
        lean=9 * math.sin(turn),
        rise=0.018 * abs(math.sin(turn * 2)),
    )
