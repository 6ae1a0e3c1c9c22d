"""Telling a figure from what is behind it: everything unlike the colour of the picture's edge, tidied up."""

from PIL import Image, ImageChops, ImageDraw, ImageFilter

Box = tuple[int, int, int, int]
"""Left, top, right, bottom."""

_WORK_PX = 320
"""Masks are found at this length of the longer side."""
_APART = 34
"""Difference of a channel that makes a colour another one."""


def figure(image: Image.Image) -> Image.Image:
    """A mask (L) of the figure, soft at its edge; an oval in the middle where there is no plain ground behind it."""
    mask = found(image)
    if mask is None:
        mask = Image.new("L", image.size)
        x, y = image.size
        ImageDraw.Draw(mask).ellipse((x * 0.22, y * 0.04, x * 0.78, y * 0.98), fill=255)
    return mask


def found(image: Image.Image) -> Image.Image | None:
    """A mask (L) of the figure before a plain ground, soft at its edge; None where the ground is not plain."""
    small = image.convert("RGB")
    small.thumbnail((_WORK_PX, _WORK_PX), Image.Resampling.BICUBIC)
    ground = Image.new("RGB", small.size, _edge_colour(small))
    red, green, blue = ImageChops.difference(small, ground).split()
    apart = ImageChops.lighter(ImageChops.lighter(red, green), blue)
    mask = apart.point([255 if value > _APART else 0 for value in range(256)])
    mask = mask.filter(ImageFilter.MedianFilter(5)).filter(ImageFilter.MaxFilter(5)).filter(ImageFilter.MinFilter(5))
    covered = mask.histogram()[255] / (small.width * small.height)
    across = mask.getbbox()
    if not 0.03 < covered < 0.9 or across is None or across[2] - across[0] == small.width:
        return None
    return _filled(mask).filter(ImageFilter.GaussianBlur(0.8)).resize(image.size, Image.Resampling.BICUBIC)


def box(mask: Image.Image) -> Box:
    """Where the figure is."""
    found = mask.point([0] * 128 + [255] * 128).getbbox()
    return found or (0, 0, *mask.size)


def without(image: Image.Image, mask: Image.Image) -> Image.Image:
    """The picture with its plain ground where the figure was: between what is at the left edge and at the right."""
    edge = max(2, image.width // 60)
    sides = [image.crop((x, 0, x + edge, image.height)).resize((1, image.height)) for x in (0, image.width - edge)]
    left, right = (side.resize(image.size, Image.Resampling.NEAREST) for side in sides)
    slope = Image.linear_gradient("L").rotate(90).resize(image.size)
    hole = mask.filter(ImageFilter.GaussianBlur(image.width / 100)).point([min(255, v * 16) for v in range(256)])
    return Image.composite(Image.composite(right, left, slope), image, hole)


def _edge_colour(image: Image.Image) -> tuple[int, int, int]:
    """The middle colour of the picture's rim."""
    width, height = image.size
    rim = [image.getpixel((x, y)) for x in range(width) for y in (0, height - 1)]
    rim += [image.getpixel((x, y)) for y in range(height) for x in (0, width - 1)]
    colours = [pixel for pixel in rim if isinstance(pixel, tuple)]
    red, green, blue = (sorted(pixel[channel] for pixel in colours)[len(colours) // 2] for channel in range(3))
    return red, green, blue


def _filled(mask: Image.Image) -> Image.Image:
    """Without holes: what the ground cannot flow into belongs to the figure."""
    wide = Image.new("L", (mask.width + 2, mask.height + 2))
    wide.paste(mask, (1, 1))
    ImageDraw.floodfill(wide, (0, 0), 128)
    return wide.point([255 if value != 128 else 0 for value in range(256)]).crop(
        (1, 1, mask.width + 1, mask.height + 1)
    )
