"""A watermark that is repeated over a picture: its shape is learned where it is clear, and taken off everywhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageChops, ImageFilter

from modellix_server.sandbox.rendering import filling
from modellix_server.sandbox.rendering.parts import Patch

Place = tuple[int, int]

_ROOM = 4
"""What lies around a line of letters, in pixels."""
_LEAST = 3
"""Lines of the same size that make a stamp."""
_SLACK, _SHIFTS = 3, range(-2, 3)
"""How much their sizes may differ, and how far off a place may be."""
_SURE, _LIKELY = 0.55, 0.25
"""The share of the letters that must be seen at a place; at one where the distances of the others lead to."""
_PART = 12
"""At least so many pixels of a print are inside the picture."""
_CONTRAST = 50
"""Between ink and ground, to tell how much of the ground shows through."""
_OPAQUE = 0.93
"""More than this hides what is below."""
_NOTHING = 0.02
_REACH = 15
_EVEN = 14
"""How far colours of an even ground may differ."""
_UNLIKE = 12
"""Where what shines through differs so much from what is around, it is believed."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """The mask of its letters (L), and where it is: left and top of the mask."""

    mask: Image.Image
    places: list[Place]


def found(lines: Sequence[Patch], seen: Image.Image) -> Stamp | None:
    """The stamp of which these lines of letters are prints; `seen` is the mask of all strokes."""
    alike = max(([other for other in lines if _same_size(one, other)] for one in lines), key=len, default=[])
    if len(alike) < _LEAST:
        return None
    clearest = max(alike, key=lambda line: line.pixels)
    mask = seen.crop(_around(clearest))
    places: list[Place] = []
    for line in sorted(lines, key=lambda line: not _same_size(line, clearest)):
        left, top, right, bottom = _around(line)
        guesses = {(left, top), (right - mask.width, top), (left, bottom - mask.height)}
        _take(places, max(_fitted(mask, seen, guess) for guess in guesses), _SURE, mask.size)
    steps = sorted({abs(a[0] - b[0]) for a in places for b in places if abs(a[1] - b[1]) <= 1 and a[0] != b[0]})
    for left, top in tuple(places) if steps else ():
        first = left - left // steps[0] * steps[0] - steps[0]
        for near in range(first, seen.width - _PART, steps[0]):
            if near + mask.width > _PART:
                _take(places, _fitted(mask, seen, (near, top)), _LIKELY, mask.size)
    return Stamp(mask, places) if len(places) >= _LEAST else None


def lifted(image: Image.Image, stamp: Stamp, ink: int) -> tuple[Image.Image, Image.Image]:
    """The picture (RGB) without the stamp, and a mask (L) of where it was."""
    wide = stamp.mask.filter(ImageFilter.MaxFilter(9))
    hole = _printed(image.size, stamp, wide)
    around = filling.filled(image, hole)
    cover = _cover(image, around, stamp, ink)
    below = around.copy()
    for place in stamp.places:
        below.paste(_shone(image, place, cover, stamp.mask.size, ink), place, wide)
    most, least = (filling.widest(around, choose, _REACH) for choose in (ImageChops.lighter, ImageChops.darker))
    below = ImageChops.lighter(ImageChops.darker(below, most), least)  # no colour that is not near
    box = hole.getbbox()
    below.paste(below.crop(box).filter(ImageFilter.MedianFilter(5)), box, hole.crop(box))
    unlike = ImageChops.difference(below.convert("L"), around.convert("L"))  # JPEG keeps colours too coarse
    edges = unlike.point([255 if value > _UNLIKE else 0 for value in range(256)])
    edges = edges.filter(ImageFilter.MedianFilter(3)).filter(ImageFilter.MaxFilter(3))
    made = Image.composite(below, around, edges.filter(ImageFilter.GaussianBlur(1)))
    near = _printed(image.size, stamp, stamp.mask.filter(ImageFilter.MaxFilter(17)))
    return _smoothed(Image.composite(made, image, hole), near), near


def _smoothed(made: Image.Image, near: Image.Image) -> Image.Image:
    """Near the letters too, JPEG left their colours: even ground flows in from farther away."""
    far = filling.filled(made, near)
    red, green, blue = ImageChops.difference(far, made).filter(ImageFilter.BoxBlur(2)).split()
    unlike = ImageChops.lighter(ImageChops.lighter(red, green), blue)
    uneven = unlike.point([255 if value > _EVEN else 0 for value in range(256)]).filter(ImageFilter.MaxFilter(9))
    return Image.composite(made, far, uneven.filter(ImageFilter.GaussianBlur(2)))


def _printed(size: tuple[int, int], stamp: Stamp, mask: Image.Image) -> Image.Image:
    hole = Image.new("L", size)
    for place in stamp.places:
        hole.paste(255, place, mask)
    return hole


def _same_size(one: Patch, other: Patch) -> bool:
    return abs(one.width - other.width) <= _SLACK and abs(one.height - other.height) <= _SLACK


def _around(line: Patch) -> tuple[int, int, int, int]:
    return line.left - _ROOM, line.top - _ROOM, line.right + _ROOM, line.bottom + _ROOM


def _fitted(mask: Image.Image, seen: Image.Image, guess: Place) -> tuple[float, Place]:
    """The best place near a guess, and which share of the letters inside the picture is seen there."""
    best = (0.0, guess)
    for dy in _SHIFTS:
        for dx in _SHIFTS:
            left, top = guess[0] + dx, guess[1] + dy
            there = seen.crop((left, top, left + mask.width, top + mask.height))
            shared = ImageChops.darker(there, mask).histogram()[255]
            inside = mask.crop((max(0, -left), 0, min(mask.width, seen.width - left), mask.height)).histogram()[255]
            best = max(best, (shared / max(inside, mask.width), (left, top)))
    return best


def _take(places: list[Place], fitted: tuple[float, Place], least: float, size: tuple[int, int]) -> None:
    share, (left, top) = fitted
    apart = all(abs(left - x) > size[0] // 2 or abs(top - y) > size[1] // 2 for x, y in places)
    if share >= least and apart:
        places.append((left, top))


def _cover(image: Image.Image, around: Image.Image, stamp: Stamp, ink: int) -> list[float]:
    """How much of the ground the ink hides at each pixel of the stamp: what most of its clear prints say."""
    width, height = stamp.mask.size
    said: list[list[float]] = [[] for _ in range(width * height)]
    for left, top in stamp.places:
        box = (left, top, left + width, top + height)
        new, old = (one.convert("L").crop(box).tobytes() for one in (image, around))
        inside = Image.new("L", image.size, 1).crop(box).tobytes()
        for at, shares in enumerate(said):
            if inside[at] and abs(ink - old[at]) > _CONTRAST:
                shares.append((new[at] - old[at]) / (ink - old[at]))
    return [min(_OPAQUE, max(0.0, sorted(one)[len(one) // 2])) if one else 0.0 for one in said]


def _shone(image: Image.Image, place: Place, cover: Sequence[float], size: tuple[int, int], ink: int) -> Image.Image:
    """What is below one print: the ink taken off each pixel as far as it covers it."""
    left, top = place
    pixels = bytearray(image.crop((left, top, left + size[0], top + size[1])).tobytes())
    for at, share in enumerate(cover):
        if share > _NOTHING:
            for byte in range(3 * at, 3 * at + 3):
                pixels[byte] = max(0, min(255, round((pixels[byte] - ink * share) / (1 - share))))
    return Image.frombytes("RGB", size, bytes(pixels))
