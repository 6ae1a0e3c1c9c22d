"""Outlines of a black-and-white picture as SVG."""

from PIL import Image

_GRID_PX = 320
"""Outlines are traced at this length of the longer side."""
Point = tuple[int, int]


def svg(mask: Image.Image) -> str:
    """An SVG of the mask's size, what is light in it white on black."""
    small = mask.copy()
    small.thumbnail((_GRID_PX, _GRID_PX), Image.Resampling.BOX)
    scale = mask.width / small.width
    paths = "".join(_path(loop, scale) for loop in _loops(small))
    width, height = mask.size
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}">'
        f'<rect width="{width}" height="{height}" fill="#000"/>'
        f'<path fill="#fff" fill-rule="evenodd" d="{paths}"/></svg>\n'
    )


def _loops(image: Image.Image) -> list[list[Point]]:
    """The borders between light and dark pixels as closed lines, light on their right."""
    width, height = image.size
    pixels = image.tobytes()

    def light(x: int, y: int) -> bool:
        return 0 <= x < width and 0 <= y < height and pixels[y * width + x] > 127

    onward: dict[Point, list[Point]] = {}
    for y in range(height):
        for x in range(width):
            if light(x, y):
                sides = (
                    (light(x, y - 1), (x, y), (x + 1, y)),
                    (light(x + 1, y), (x + 1, y), (x + 1, y + 1)),
                    (light(x, y + 1), (x + 1, y + 1), (x, y + 1)),
                    (light(x - 1, y), (x, y + 1), (x, y)),
                )
                for inside, start, end in sides:
                    if not inside:
                        onward.setdefault(start, []).append(end)
    loops = []
    while onward:
        start = next(iter(onward))
        loop, place = [start], start
        while True:
            ends = onward[place]
            following = ends.pop()
            if not ends:
                del onward[place]
            if following == start:
                break
            loop.append(following)
            place = following
        loops.append(loop)
    return loops


def _path(loop: list[Point], scale: float) -> str:
    """The line through the middles of the border's steps, which makes stairs into slopes."""
    middles = [((x + a) / 2, (y + b) / 2) for (x, y), (a, b) in zip(loop, loop[1:] + loop[:1], strict=True)]
    kept = [
        point
        for before, point, after in zip(middles[-1:] + middles[:-1], middles, middles[1:] + middles[:1], strict=True)
        if (point[0] - before[0]) * (after[1] - point[1]) != (point[1] - before[1]) * (after[0] - point[0])
    ]
    return "M" + "L".join(f"{x * scale:.1f} {y * scale:.1f}" for x, y in kept or middles) + "Z"
