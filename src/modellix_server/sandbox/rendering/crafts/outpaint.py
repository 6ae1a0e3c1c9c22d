"""Out-painting: a picture turned, laid on a larger canvas, and the space around it painted."""

import math

from PIL import Image, ImageFilter, ImageOps

from modellix_server.sandbox.rendering import variation
from modellix_server.sandbox.rendering.crafts.brief import Craft, Made
from modellix_server.sandbox.rendering.paint import UnusableMedia

MOST_GROWTH = 3
LIMIT_BYTES = 5 * 1024 * 1024
_DRAFT_PX = 960
"""The surroundings are drafted at this length of the longer side: they are soft anyway."""
_LIGHT = 6


def outpaint(order: Craft) -> Made:
    """The picture with more around it, as the options say: a ratio wins over scales, which win over pixels."""
    options = order.options
    image = order.needed("image_url")
    angle = options["angle"]
    turned = image.convert("RGBA").rotate(angle, Image.Resampling.BICUBIC, expand=True) if angle else image
    left, top, size = _canvas(turned.size, options)
    if size == turned.size and (not angle or angle % 90 == 0):
        raise UnusableMedia(
            "parameter", "There is nothing to expand: angle, output_ratio, scales or offsets must change it."
        )
    made = _surroundings(image, angle, (left + turned.width / 2, top + turned.height / 2), size, order.text)
    made.paste(turned.convert("RGB"), (left, top), turned.getchannel("A") if angle else None)
    return Made([made], most_bytes=LIMIT_BYTES if options["limit_image_size"] else None)


def _canvas(size: tuple[int, int], options: dict[str, object]) -> tuple[int, int, tuple[int, int]]:
    """Where the picture goes and how large the canvas is."""
    width, height = size
    ratio = str(options["output_ratio"])
    across, down = (float(str(options[name])) for name in ("x_scale", "y_scale"))
    if ratio:
        wide, high = (int(part) for part in ratio.split(":"))
        full = (max(width, round(height * wide / high)), max(height, round(width * high / wide)))
    elif across > 1 or down > 1:
        full = (round(width * across), round(height * down))
    else:
        left, right, top, bottom = (int(str(options[f"{side}_offset"])) for side in ("left", "right", "top", "bottom"))
        full = (width + left + right, height + top + bottom)
        if full[0] > MOST_GROWTH * width or full[1] > MOST_GROWTH * height:
            raise UnusableMedia("parameter", "The expanded sides must be less than 3 times the input's.")
        return left, top, full
    return (full[0] - width) // 2, (full[1] - height) // 2, full


def around(image: Image.Image, place: tuple[int, int], size: tuple[int, int], text: str) -> Image.Image:
    """`image` (RGB) at `place` on a canvas of `size`; what it leaves free continues it, mirrored and soft."""
    middle = (place[0] + image.width / 2, place[1] + image.height / 2)
    canvas = _surroundings(image, 0, middle, size, text)
    canvas.paste(image, place)
    return canvas


def _surroundings(
    image: Image.Image, angle: float, middle: tuple[float, float], size: tuple[int, int], text: str
) -> Image.Image:
    """The picture and its mirror images side by side for ever, turned about its middle; the softer the farther off."""
    factor = min(1.0, _DRAFT_PX / max(size))
    small = (max(1, round(size[0] * factor)), max(1, round(size[1] * factor)))
    tile = image.resize(
        (max(1, round(image.width * factor)), max(1, round(image.height * factor))), Image.Resampling.BICUBIC
    )
    centre = (middle[0] * factor, middle[1] * factor)
    far = max(math.dist(centre, corner) for corner in ((0, 0), (small[0], 0), (0, small[1]), small))
    across, down = (math.ceil(far / side + 0.5) for side in tile.size)
    wall = _wall(tile, across, down)
    turn = math.radians(angle)
    cos, sin = math.cos(turn), math.sin(turn)
    x, y = wall.width / 2 - cos * centre[0] + sin * centre[1], wall.height / 2 - sin * centre[0] - cos * centre[1]
    map_back = (cos, -sin, x, sin, cos, y)
    draft = wall.transform(small, Image.Transform.AFFINE, map_back, Image.Resampling.BICUBIC)
    known = Image.new("L", wall.size)
    corner = ((wall.width - tile.width) // 2, (wall.height - tile.height) // 2)
    known.paste(255, (*corner, corner[0] + tile.width, corner[1] + tile.height))
    known = known.transform(small, Image.Transform.AFFINE, map_back, Image.Resampling.BILINEAR)
    outside = ImageOps.invert(known).filter(ImageFilter.GaussianBlur(max(small) / 10))
    distance = outside.point([max(0, min(255, (v - 140) * 3)) for v in range(256)])  # nothing at the picture's edge
    near = draft.filter(ImageFilter.GaussianBlur(1))
    soft = Image.composite(draft.filter(ImageFilter.GaussianBlur(max(small) / 50)), near, distance)
    return variation.lit(soft, text, _LIGHT).resize(size, Image.Resampling.BICUBIC)


def _wall(tile: Image.Image, across: int, down: int) -> Image.Image:
    """So many copies of the picture to each side of it, every other one mirrored."""
    wall = Image.new("RGB", (tile.width * (2 * across + 1), tile.height * (2 * down + 1)))
    for column in range(-across, across + 1):
        for row in range(-down, down + 1):
            one = ImageOps.mirror(tile) if column % 2 else tile
            one = ImageOps.flip(one) if row % 2 else one
            wall.paste(one, ((column + across) * tile.width, (row + down) * tile.height))
    return wall
