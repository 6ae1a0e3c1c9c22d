"""Line drawings: found in pictures, taken from drawings, and filled with colour."""

import hashlib

from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageOps

from modellix_server.sandbox.rendering.scene import PALETTES, Scene

_WORK_PX = 560


def traced(image: Image.Image) -> Image.Image:
    """Dark lines on white where the picture's brightness changes."""
    grey = ImageOps.autocontrast(image.convert("L").filter(ImageFilter.GaussianBlur(1.6)), cutoff=1)
    wide = grey.filter(ImageFilter.MaxFilter(5))
    narrow = grey.filter(ImageFilter.MinFilter(5))
    change = ImageChops.subtract(wide, narrow)
    return change.point([max(0, min(255, 255 - (value - 26) * 6)) for value in range(256)])


def flattened(image: Image.Image) -> Image.Image:
    """The picture in flat patches, as laid on with a broad brush."""
    small = image.copy()
    small.thumbnail((_WORK_PX, _WORK_PX), Image.Resampling.BICUBIC)
    return small.filter(ImageFilter.ModeFilter(7)).resize(image.size, Image.Resampling.BICUBIC)


def drawn(image: Image.Image, pens: list[tuple[int, int, int]] | None = None) -> Image.Image:
    """The lines of a drawing, dark on white: what is dark, or what has the colour of one of the pens."""
    if not pens:
        return ImageOps.autocontrast(image.convert("L"), cutoff=1)
    lines = Image.new("L", image.size, 255)
    for pen in pens:
        red, green, blue = ImageChops.difference(image, Image.new("RGB", image.size, pen)).split()
        apart = ImageChops.lighter(ImageChops.lighter(red, green), blue)
        lines = ImageChops.darker(lines, apart.point([min(255, max(0, (value - 30) * 4)) for value in range(256)]))
    return lines


def coloured(lines: Image.Image, text: str) -> Image.Image:
    """A soft painting whose areas follow the lines, with the lines on top, in colours that follow from `text`."""
    palette = PALETTES[hashlib.sha256(text.encode(errors="replace")).digest()[0] % len(PALETTES)]
    scene = Scene(text).frame(*lines.size, 0.3).filter(ImageFilter.GaussianBlur(max(lines.size) / 90))
    ink = ImageOps.invert(lines)
    inside = _enclosed(lines)
    light = ImageOps.colorize(
        inside.filter(ImageFilter.GaussianBlur(max(lines.size) / 30)), palette.near, palette.sun, palette.far
    )
    painted = scene.copy()
    painted.paste(light, mask=inside.point([int(value * 0.8) for value in range(256)]))
    glow = ink.filter(ImageFilter.GaussianBlur(max(lines.size) / 120))
    painted = Image.composite(
        Image.new("RGB", lines.size, palette.near), painted, glow.point([v * 2 // 5 for v in range(256)])
    )
    painted.paste(Image.new("RGB", lines.size, palette.near), mask=ink)
    return painted


def _enclosed(lines: Image.Image) -> Image.Image:
    """Where the lines enclose something (white), found at a small size."""
    small = lines.resize((192, 192), Image.Resampling.BOX).point([0 if value < 190 else 255 for value in range(256)])
    small = small.filter(ImageFilter.MinFilter(3))
    wide = Image.new("L", (194, 194), 255)
    wide.paste(small, (1, 1))

    ImageDraw.floodfill(wide, (0, 0), 128)
    outside = wide.point([0 if value == 128 else 255 for value in range(256)]).crop((1, 1, 193, 193))
    return outside.filter(ImageFilter.GaussianBlur(1)).resize(lines.size, Image.Resampling.BICUBIC)
