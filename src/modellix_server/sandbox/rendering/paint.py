"""Pictures: pleasant, deterministic, of exact size, with prompt and seed legible. Runs in a render process.

A picture made from a prompt is a landscape; one made from an input picture is that picture in other colours, so
that it resembles its input and differs from it.
"""

import hashlib
import io
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageChops, ImageFilter, ImageOps, ImageStat, UnidentifiedImageError

from modellix_server.sandbox.rendering import caption, heic, variation
from modellix_server.sandbox.rendering.scene import PALETTES, Scene

FORMATS = ("JPEG", "PNG", "BMP", "TIFF", "WEBP", "GIF", heic.NAME)
heic.register()
_MOST_INSETS = 4
STEP_PX = 16
"""Sides that the vendor chooses itself are multiples of this."""
Image.MAX_IMAGE_PIXELS = 80_000_000


class UnusableMedia(Exception):
    """An input file breaks a limit. `what` is one word: format, size, resolution, alpha, duration."""

    def __init__(self, what: str, message: str) -> None:
        super().__init__(what, message)
        self.what = what
        self.message = message


@dataclass(frozen=True, slots=True)
class Source:
    """An input picture and the limits it must keep."""

    data: bytes
    most_bytes: int
    sides: tuple[int, int]
    alpha: bool = True


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture to make. With sources it is an edit of the last one, the others small in its corner.

    Without `size` it keeps the last one's shape.
    """

    prompt: str
    seed: int
    model: str
    size: tuple[int, int] | None
    index: int = 0
    area: int = 1024 * 1024
    """Pixels, where the size follows the source."""
    sources: tuple[Source, ...] = ()
    mark: bool = False
    """Whether it bears the vendor's mark."""
    boxes: tuple[tuple[int, int, int, int], ...] = ()
    """The regions of the last source to edit (left, top, right, bottom, in its pixels); all of it without any."""
    palette: tuple[str, ...] = ()
    """Colours (#rrggbb) to tone it with."""


def paint(order: Picture, path: Path) -> tuple[int, int]:
    """Make the picture at `path`, as PNG or by its ending as JPEG; its size. Raises BadMedia."""
    if order.sources:
        image = _edit(order)
    else:
        assert order.size is not None
        image = _landscape(order, *order.size)
    note = f"seed {order.seed}  -  {order.model}  -  {order.index + 1}  -  sandbox"
    strip = caption.overlay(*image.size, order.prompt, note, mark=order.mark)
    image.paste(strip, (0, image.height - strip.height), strip)
    if path.suffix == ".jpg":
        image.save(path, "JPEG", quality=90)
    else:
        image.save(path, "PNG", compress_level=1)
    return image.size


def _landscape(order: Picture, width: int, height: int) -> Image.Image:
    scene = Scene(f"{order.model}\n{order.seed}\n{order.index}\n{order.prompt}")
    return scene.frame(width, height, 0.3)


def _edit(order: Picture) -> Image.Image:
    pictures = [open_picture(source) for source in order.sources]
    shape = order.size or shape_like(pictures[-1].size, order.area)
    image = ImageOps.fit(pictures[-1], shape, Image.Resampling.BICUBIC)
    changed = ImageChops.multiply(tone(image, f"{order.seed}\n{order.prompt}", order), _vignette(shape))
    _inset(changed, pictures[:-1])
    if not order.boxes:
        return changed
    across, down = shape[0] / pictures[-1].width, shape[1] / pictures[-1].height
    for left, top, right, bottom in order.boxes:
        box = (round(left * across), round(top * down), round(right * across), round(bottom * down))
        image.paste(changed.crop(box), box[:2])
    return image


def _inset(image: Image.Image, pictures: list[Image.Image]) -> None:
    """Small framed versions of pictures in a row at the top left."""
    edge = max(2, min(image.size) // 160)
    x = y = 4 * edge
    for picture in pictures[:_MOST_INSETS]:
        small = picture.copy()
        small.thumbnail((image.width // (_MOST_INSETS + 1), image.height // 4), Image.Resampling.BICUBIC)
        image.paste("#fffaf0", (x - edge, y - edge, x + small.width + edge, y + small.height + edge))
        image.paste(small, (x, y))
        x += small.width + 4 * edge


def tone(image: Image.Image, text: str, order: Picture | None = None, strength: float = 0.45) -> Image.Image:
    """The picture in the colours of a palette that follows from `text`, or in those the order gives."""
    digest = hashlib.sha256(text.encode(errors="replace")).digest()
    palette = PALETTES[(digest[0] + (order.index if order else 0)) % len(PALETTES)]
    near, middle, light = palette.near, palette.far, palette.sun
    if order and order.palette:
        ordered = sorted(order.palette, key=lambda colour: ImageStat.Stat(Image.new("RGB", (1, 1), colour)).sum)
        near, middle, light = ordered[0], ordered[len(ordered) // 2], ordered[-1]
    grey = ImageOps.autocontrast(image.convert("L"), cutoff=1)
    toned = ImageOps.colorize(grey, near, light, middle)
    return variation.lit(Image.blend(ImageOps.posterize(image.filter(ImageFilter.SMOOTH), 5), toned, strength), text, 8)


def _vignette(size: tuple[int, int]) -> Image.Image:
    shade = Image.radial_gradient("L").point([255 - int((v / 255) ** 2.2 * 70) for v in range(256)])
    return shade.resize(size, Image.Resampling.BILINEAR).convert("RGB")


def open_picture(source: Source) -> Image.Image:
    """Decode an input picture to RGB, the first frame of several. Raises BadMedia."""
    return _on_white(open_layer(source))


def open_layer(source: Source) -> Image.Image:
    """Decode an input picture as it is, transparency included. Raises BadMedia."""
    if len(source.data) > source.most_bytes:
        raise UnusableMedia("size", f"The image file must not be larger than {source.most_bytes // 1024**2} MB.")
    try:
        image: Image.Image = Image.open(io.BytesIO(source.data), formats=FORMATS)
        low, high = source.sides
        if min(image.size) < low or max(image.size) > high:
            raise UnusableMedia("resolution", f"The image's sides must be between {low} and {high} pixels.")
        image.load()
        turned = ImageOps.exif_transpose(image)
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise UnusableMedia("format", "The image could not be decoded.") from error
    if not source.alpha and turned.has_transparency_data:
        raise UnusableMedia("alpha", "Images with an alpha channel are not supported.")
    return turned


def _on_white(image: Image.Image) -> Image.Image:
    if not image.has_transparency_data:
        return image.convert("RGB")
    image = image.convert("RGBA")
    ground = Image.new("RGB", image.size, "white")
    ground.paste(image, mask=image.getchannel("A"))
    return ground


def shape_like(size: tuple[int, int], area: int) -> tuple[int, int]:
    """A size of about `area` pixels in the shape of `size`."""
    factor = (area / (size[0] * size[1])) ** 0.5
    width, height = (max(STEP_PX, round(side * factor / STEP_PX) * STEP_PX) for side in size)
    return width, height
