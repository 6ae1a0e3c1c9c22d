"""The connected parts of a black-and-white picture."""

import re
from dataclasses import dataclass, field

from PIL import Image

_WHITE = re.compile(rb"\xff+")


@dataclass(slots=True)
class Patch:
    """White pixels that touch: the box around them, how many they are, and where: as row, first, end."""

    left: int = 1 << 30
    top: int = 1 << 30
    right: int = 0
    bottom: int = 0
    pixels: int = 0
    stretches: list[tuple[int, int, int]] = field(default_factory=list)

    @property
    def width(self) -> int:
        """Of the box."""
        return self.right - self.left

    @property
    def height(self) -> int:
        """Of the box."""
        return self.bottom - self.top

    def add(self, stretch: tuple[int, int, int]) -> None:
        """One more row of pixels."""
        row, first, end = stretch
        self.left, self.right = min(self.left, first), max(self.right, end)
        self.top, self.bottom = min(self.top, row), max(self.bottom, row + 1)
        self.pixels += end - first
        self.stretches.append(stretch)


def parts(mask: Image.Image) -> list[Patch]:
    """The parts of a mask (L, black and white); pixels touch at sides and corners."""
    width, pixels = mask.width, mask.tobytes()
    stretches: list[tuple[int, int, int]] = []
    joined = Joined()
    above = range(0)
    for row in range(mask.height):
        start = len(stretches)
        for match in _WHITE.finditer(pixels, row * width, (row + 1) * width):
            stretches.append((row, match.start() - row * width, match.end() - row * width))
            joined.grow()
        here = range(start, len(stretches))
        at = above.start
        for index in here:
            _, first, end = stretches[index]
            while at < above.stop and stretches[at][2] < first:
                at += 1
            other = at
            while other < above.stop and stretches[other][1] <= end:
                joined.join(other, index)
                other += 1
        above = here
    found: dict[int, Patch] = {}
    for index, stretch in enumerate(stretches):
        found.setdefault(joined.root(index), Patch()).add(stretch)
    return list(found.values())


class Joined:
    """Numbers from 0, joined into groups; each group is known by its root."""

    def __init__(self, count: int = 0) -> None:
        self._above = list(range(count))

    def grow(self) -> None:
        """One more number, alone."""
        self._above.append(len(self._above))

    def root(self, number: int) -> int:
        """The group of a number."""
        while self._above[number] != number:
            self._above[number] = self._above[self._above[number]]
            number = self._above[number]
        return number

    def join(self, one: int, other: int) -> None:
        """Make the groups of two numbers one."""
        self._above[self.root(one)] = self.root(other)
