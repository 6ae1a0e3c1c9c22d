"""Pictures from words, or from pictures and words: within a mask, on a transparent ground, in a chosen format.

Runs in a render process.
"""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageOps

from modellix_server.sandbox.rendering import caption, paint, staging
from modellix_server.sandbox.rendering.scene import Scene

Format = Literal["png", "jpeg", "webp"]


@dataclass(frozen=True, slots=True)
class Canvas:
    """A picture to make. With images it is an edit of the first one, and the others are to be seen in it."""

    prompt: str
    model: str
    seed: int
    size: tuple[int, int]
    index: int = 0
    images: tuple[bytes, ...] = ()
    mask: bytes | None = None
    """A picture of the first one's size: only where it is transparent something changes."""
    transparent: bool = False
    """Whether the ground shall be transparent."""
    format: Format = "png"
    quality: int = 100


def draw(order: Canvas, path: Path) -> None:
    """Make the picture at `path`. Raises BadMedia."""
    text = f"{order.model}\n{order.seed}\n{order.index}\n{order.prompt}"
    layers = [_layer(data) for data in order.images]
    made = _edited(order, layers, text) if layers else Scene(text).frame(*order.size, 0.3)
    if order.mask is None:
        note = f"seed {order.seed}  -  {order.model}  -  {order.index + 1}  -  sandbox"
        strip = caption.strip(*order.size, order.prompt, note)
        made.paste(strip, (0, made.height - strip.height), strip)
    if order.transparent:
        made.putalpha(_subject(layers[0] if layers else None, order.size))
    if order.format == "png":
        made.save(path, "PNG", compress_level=1)
    else:
        made.save(path, order.format.upper(), quality=max(1, order.quality))


def _edited(order: Canvas, layers: list[Image.Image], text: str) -> Image.Image:
    """The first picture in other colours, with small ones of the others."""
    first = ImageOps.fit(layers[0], order.size, Image.Resampling.BICUBIC)
    made = paint.tone(first.convert("RGB"), text, None, 0.6)
    if len(layers) > 1:
        row = staging.guides([layer.convert("RGB") for layer in layers[1:]], order.size)
        made.paste(row, (0, 0), row)
    if order.mask is not None:
        keep = ImageOps.fit(_layer(order.mask), order.size, Image.Resampling.NEAREST).getchannel("A")
        made.paste(first.convert("RGB"), mask=keep.point([0] + [255] * 255))
    return made


def _layer(data: bytes) -> Image.Image:
    try:
        return ImageOps.exif_transpose(Image.open(io.BytesIO(data), formats=paint.FORMATS)).convert("RGBA")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise paint.UnusableMedia("format", "The image could not be decoded.") from error


def _subject(given: Image.Image | None, size: tuple[int, int]) -> Image.Image:
    """What is not background: an oval, and of a picture with transparency only what is to be seen in it."""
    width, height = size
    oval = Image.new("L", size)
    ImageDraw.Draw(oval).ellipse((width // 10, height // 10, width * 9 // 10, height * 9 // 10), fill=255)
    oval = oval.filter(ImageFilter.GaussianBlur(1))
    if given is None:
        return oval
    return ImageChops.multiply(oval, ImageOps.fit(given.getchannel("A"), size))
