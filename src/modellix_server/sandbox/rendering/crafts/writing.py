"""Lettering on a picture, found by its strokes: thin, unlike what is near, and side by side in lines."""

from dataclasses import dataclass

from PIL import Image, ImageChops, ImageDraw, ImageFilter

from modellix_server.sandbox.rendering import filling
from modellix_server.sandbox.rendering.crafts import stamps
from modellix_server.sandbox.rendering.cutout import Box
from modellix_server.sandbox.rendering.filling import widest
from modellix_server.sandbox.rendering.parts import Joined, Patch, parts

_WORK_PX = 1024
"""It is looked for at this length of the longer side."""
_REACH = 9
"""Strokes are narrower than this, in pixels of that."""
_CLEAR, _FAINT = 14, 7
"""How much brighter or darker a stroke is than what is near: to be noticed, and where a line is already known."""
_EDGE, _CORE = 0.4, 0.8
"""Where a stroke ends, and where it covers fully: at these shares of its shade."""
_LEAST_SHARE, _MOST_SHARE = 0.2, 0.93
_EDGY = 50
"""Colours that differ so much within the reach are an edge."""
_CONTRAST = 60
"""Between ink and ground, to tell how much of the ground shows through."""
_GOES_ON = 8
"""How far a line may go on beside its clear letters, in heights of it."""
_HEIGHTS = (5, 70)
_MOST_LETTERS = 3000
"""A picture with more candidates is grainy, not written on."""
_LEAST = 4
"""Letters in a line."""


@dataclass(frozen=True, slots=True)
class Strokes:
    """How much brighter (or darker) a picture is at thin things than near them, as L."""

    shade: Image.Image

    def mask(self, least: int, edge: float = _EDGE) -> Image.Image:
        """Where it is by at least so much, and by about as much as the clearest nearby."""
        most = widest(self.shade, ImageChops.lighter, _REACH)
        inner = ImageChops.subtract(self.shade, most.point([round(value * edge) for value in range(256)]))
        clear = self.shade.point([255 if value >= least else 0 for value in range(256)])
        return ImageChops.darker(clear, inner.point([0] + [255] * 255))


def erased(image: Image.Image) -> tuple[Image.Image, Image.Image]:
    """The picture (RGB) without lettering laid over it, and a mask (L) of where that was."""
    small = _reduced(image)
    everywhere = Image.new("L", small.size)
    for strokes, ink in zip(_strokes(small), (255, 0), strict=True):
        stamp = stamps.found(_lines(strokes), strokes.mask(_FAINT))
        if stamp is not None:
            small, hole = stamps.lifted(small, stamp, ink)
            everywhere = ImageChops.lighter(everywhere, hole)
            break  # the other strokes are what is between its letters
        marks = _marks(strokes)
        if marks.getbbox():
            hole = marks.filter(ImageFilter.MaxFilter(5))
            small = _without(small, hole, ImageChops.darker(marks, strokes.mask(_FAINT, _CORE)), ink)
            everywhere = ImageChops.lighter(everywhere, hole)
    where = everywhere.resize(image.size, Image.Resampling.BILINEAR)
    return Image.composite(small.resize(image.size, Image.Resampling.BICUBIC), image, where), where


def lines(image: Image.Image) -> tuple[Box, ...]:
    """The boxes of the lines of letters, from above."""
    small = _reduced(image)
    factor = image.width / small.width
    found = [line for strokes in _strokes(small) for line in _lines(strokes)]
    boxes = [(line.left, line.top, line.right, line.bottom) for line in sorted(found, key=lambda one: one.top)]
    return tuple(
        (round(left * factor), round(top * factor), round(right * factor), round(bottom * factor))
        for left, top, right, bottom in boxes
    )


def _reduced(image: Image.Image) -> Image.Image:
    small = image.copy()
    small.thumbnail((_WORK_PX, _WORK_PX), Image.Resampling.BICUBIC)
    return small


def _strokes(small: Image.Image) -> tuple[Strokes, Strokes]:
    """The bright strokes and the dark ones."""
    grey = small.convert("L")
    low = widest(widest(grey, ImageChops.darker, _REACH), ImageChops.lighter, _REACH)
    high = widest(widest(grey, ImageChops.lighter, _REACH), ImageChops.darker, _REACH)
    return Strokes(ImageChops.subtract(grey, low)), Strokes(ImageChops.subtract(high, grey))


def _without(image: Image.Image, hole: Image.Image, core: Image.Image, ink: int) -> Image.Image:
    """What was below the letters: from around, and where edges run below them by taking the ink off."""
    made = filling.filled(image, hole)
    share = _coverage(image, made, core, ink)
    if share is None:
        return made
    below = image.point([max(0, min(255, round((value - ink * share) / (1 - share)))) for value in range(256)] * 3)
    most, least = (widest(made, choose, _REACH) for choose in (ImageChops.lighter, ImageChops.darker))
    below = ImageChops.lighter(ImageChops.darker(below, most), least)  # no colour that is not near
    edges = ImageChops.subtract(most, least).convert("L").point([0] * _EDGY + [255] * (256 - _EDGY))
    core = ImageChops.darker(core, edges)
    made = filling.filled(Image.composite(below, image, core), ImageChops.subtract(hole, core))
    box = hole.getbbox()
    made.paste(made.crop(box).filter(ImageFilter.MedianFilter(5)), box, hole.crop(box))
    return made


def _coverage(image: Image.Image, ground: Image.Image, core: Image.Image, ink: int) -> float | None:
    """How much of the picture the ink hides, the middle of what is found in the letters; None where that is unclear."""
    new, old, inside = (part.convert("L").tobytes()[::3] for part in (image, ground, core))
    shares = sorted(
        (now - was) / (ink - was)
        for now, was, letter in zip(new, old, inside, strict=True)
        if letter and abs(ink - was) > _CONTRAST
    )
    share = shares[len(shares) // 2] if shares else 0.0
    return share if _LEAST_SHARE < share < _MOST_SHARE else None


def _marks(strokes: Strokes) -> Image.Image:
    """The strokes that belong to lines of letters, as a mask."""
    marks = Image.new("L", strokes.shade.size)
    draw = ImageDraw.Draw(marks)
    lines = _lines(strokes)
    for part in parts(strokes.mask(_FAINT)) if lines else ():
        if any(_belongs(part, line) for line in lines):
            for row, first, end in part.stretches:
                draw.line((first, row, end - 1, row), fill=255)
    return marks


def _belongs(part: Patch, line: Patch) -> bool:
    """Whether something fainter is in a line of letters, or beside it where it goes on."""
    room, reach = line.height * 0.2, line.height * _GOES_ON
    inside = line.top - room <= part.top and part.bottom <= line.bottom + room
    if not inside or (part.width > 3 * part.height and part.height < 0.4 * line.height):
        return False
    if part.left < line.left or part.right > line.right:
        inside = _may_be_letter(part) and part.height > 0.4 * line.height
    return inside and line.left - reach <= part.left and part.right <= line.right + reach


def _lines(strokes: Strokes) -> list[Patch]:
    """The boxes of the lines of letters."""
    letters = [part for part in parts(strokes.mask(_CLEAR)) if _may_be_letter(part)]
    if len(letters) > _MOST_LETTERS:
        return []
    letters.sort(key=lambda part: part.left)
    joined = Joined(len(letters))
    for at, one in enumerate(letters):
        for after in range(at + 1, len(letters)):
            other = letters[after]
            tallest = max(one.height, other.height)
            if other.left - one.right > 1.2 * tallest:
                break
            shared = min(one.bottom, other.bottom) - max(one.top, other.top)
            if shared > 0.5 * min(one.height, other.height) and tallest < 2.2 * min(one.height, other.height):
                joined.join(at, after)
    groups: dict[int, list[Patch]] = {}
    for at, letter in enumerate(letters):
        groups.setdefault(joined.root(at), []).append(letter)
    lines = []
    for group in groups.values():
        if len(group) >= _LEAST:
            line = Patch()
            for letter in group:
                for stretch in letter.stretches:
                    line.add(stretch)
            lines.append(line)
    return lines


def _may_be_letter(part: Patch) -> bool:
    low, high = _HEIGHTS
    if not low <= part.height <= high or part.width > 4 * part.height:
        return False
    return part.width <= part.height // 2 or part.pixels < 0.8 * part.width * part.height
