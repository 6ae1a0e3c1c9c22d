"""Out-painting: a picture turned, laid on a larger canvas, and the space around it painted."""

from PIL import Image, ImageFilter, ImageOps

from modellix_server.sandbox.rendering.crafts.brief import Craft, Made
from modellix_server.sandbox.rendering.paint import UnusableMedia

MOST_GROWTH = 3
LIMIT_BYTES = 5 * 1024 * 1024
_DRAFT_PX = 640
"""The surroundings are drafted at this length of the longer side: they are soft anyway."""


def outpaint(order: Craft) -> Made:
    """The picture with more around it, as the options say: a ratio wins over scales, which win over pixels."""
    options = order.options
    image = order.needed("image_url").convert("RGBA")
    angle = options["angle"]
    if angle:
        image = image.rotate(angle, Image.Resampling.BICUBIC, expand=True)
    left, top, size = _canvas(image.size, options)
    if size == image.size and (not angle or angle % 90 == 0):
        raise UnusableMedia(
            "parameter", "There is nothing to expand: angle, output_ratio, scales or offsets must change it."
        )
    made = around(image, (left, top), size)
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


def around(image: Image.Image, place: tuple[int, int], size: tuple[int, int]) -> Image.Image:
    """`image` (RGBA or RGB) at `place` on a canvas of `size`; what it leaves free continues it, mirrored and soft."""
    picture = image.convert("RGBA")
    canvas = _surroundings(picture, place, size)
    canvas.paste(picture.convert("RGB"), place, picture.getchannel("A"))
    return canvas


def _surroundings(picture: Image.Image, place: tuple[int, int], size: tuple[int, int]) -> Image.Image:
    factor = min(1.0, _DRAFT_PX / max(size))
    small = (max(1, round(size[0] * factor)), max(1, round(size[1] * factor)))
    inner = (max(1, round(picture.width * factor)), max(1, round(picture.height * factor)))
    corner = (round(place[0] * factor), round(place[1] * factor))
    tile = _opaque(picture.resize(inner, Image.Resampling.BICUBIC))
    mirrored = ImageOps.mirror(tile)
    draft = Image.new("RGB", small)
    for column in range(-4, 5):
        for row in range(-4, 5):
            one = mirrored if column % 2 else tile
            one = ImageOps.flip(one) if row % 2 else one
            draft.paste(one, (corner[0] + column * inner[0], corner[1] + row * inner[1]))
    near = draft.filter(ImageFilter.GaussianBlur(1))
    far = draft.filter(ImageFilter.GaussianBlur(max(small) / 50))
    distance = Image.new("L", small, 255)
    distance.paste(0, (*corner, corner[0] + inner[0], corner[1] + inner[1]))
    distance = distance.filter(ImageFilter.GaussianBlur(max(small) / 10))
    distance = distance.point([max(0, min(255, (v - 140) * 3)) for v in range(256)])  # nothing at the picture's edge
    soft = Image.composite(far, near, distance)
    return soft.resize(size, Image.Resampling.BICUBIC)


def _opaque(picture: Image.Image) -> Image.Image:
    """Corners that a rotation left empty filled with the picture's own colours, spread out."""
    whole = picture.getchannel("A")
    middle = picture.resize((1, 1), Image.Resampling.BOX).convert("RGB").getpixel((0, 0))
    ground = Image.new("RGB", picture.size, middle if isinstance(middle, tuple) else (128, 128, 128))
    ground.paste(picture.convert("RGB"), mask=whole)
    for radius in (max(picture.size) / 6, max(picture.size) / 12, 3):
        ground = ground.filter(ImageFilter.GaussianBlur(radius))
        ground.paste(picture.convert("RGB"), mask=whole)
    return ground
