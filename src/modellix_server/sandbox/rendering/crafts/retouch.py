"""Edits by function: styles, objects added and removed, watermarks, expansion, enlargement, colour, drawings."""

from collections.abc import Callable

from PIL import Image, ImageFilter, ImageOps

from modellix_server.sandbox.rendering import caption, cutout, filling, paint, staging, variation
from modellix_server.sandbox.rendering.crafts import outpaint, strokes, writing
from modellix_server.sandbox.rendering.crafts.brief import Craft, Made
from modellix_server.sandbox.rendering.cutout import Box
from modellix_server.sandbox.rendering.paint import UnusableMedia
from modellix_server.sandbox.rendering.scene import Scene

_REMOVING = ("remove", "erase", "delete", "without", "clear", "去除", "去掉", "删除", "移除", "擦除")


def edit(order: Craft) -> Made:
    """Apply `function` to the base image."""
    image = order.needed("base_image_url")
    return Made([_FUNCTIONS[order.options["function"]](order, image)])


def _style_all(order: Craft, image: Image.Image) -> Image.Image:
    strength = order.options["strength"]
    return Image.blend(image, _painterly(order, image), 0.25 + 0.75 * strength)


def _style_part(order: Craft, image: Image.Image) -> Image.Image:
    """The figure in another style, what is behind it untouched."""
    styled = image.copy()
    styled.paste(_painterly(order, image), mask=cutout.figure(image))
    return styled


def _describe(order: Craft, image: Image.Image) -> Image.Image:
    """Remove something from the middle, or add something, as the prompt says; the image stays recognisable."""
    width, height = image.size
    place = (round(width * 0.6), round(height * 0.18), round(width * 0.9), round(height * 0.48))
    toned = paint.tone(image, order.text, None, 0.15 + 0.35 * order.options["strength"])
    if _wants_removal(order):
        return _without(toned, place, order.text)
    return _with(order, toned, place)


def _describe_in_mask(order: Craft, image: Image.Image) -> Image.Image:
    """The same, only where the mask is white."""
    given = order.needed("mask_image_url")
    if given.size != image.size:
        raise UnusableMedia("parameter", "mask_image_url must have the size of base_image_url.")
    mask = given.convert("L").point([0] * 128 + [255] * 128)
    place = mask.getbbox()
    if place is None:
        return image
    changed = _without(image, place, order.text) if _wants_removal(order) else _with(order, image, place, fill=True)
    made = image.copy()
    made.paste(changed, mask=mask)
    return made


def _unmark(order: Craft, image: Image.Image) -> Image.Image:
    """Without lettering laid over it: what is around flows into the letters."""
    strip = caption.found(image)
    if strip is not None:
        image = outpaint.around(image.crop((0, 0, image.width, strip.top)), (0, 0), image.size, order.text)
    made, marks = writing.erased(image)
    return variation.lit(made, order.text, 1, marks)  # more would show their shape


def _expand(order: Craft, image: Image.Image) -> Image.Image:
    left, right, top, bottom = (order.options[f"{side}_scale"] - 1 for side in ("left", "right", "top", "bottom"))
    size = (round(image.width * (1 + left + right)), round(image.height * (1 + top + bottom)))
    return outpaint.around(image, (round(image.width * left), round(image.height * top)), size, order.text)


def _enlarge(order: Craft, image: Image.Image) -> Image.Image:
    factor = order.options["upscale_factor"]
    large = image.resize((image.width * factor, image.height * factor), Image.Resampling.LANCZOS)
    return variation.lit(large.filter(ImageFilter.UnsharpMask(1.4 * factor, 120, 1)), order.text, 3)


def _colour(order: Craft, image: Image.Image) -> Image.Image:
    """Colours by brightness and height: earth below, sky above, light skin tones between."""
    grey = ImageOps.autocontrast(image.convert("L"), cutoff=0.5)
    warm = ImageOps.colorize(grey, "#2a1a12", "#ffeccf", "#b5713c")
    green = ImageOps.colorize(grey, "#10240f", "#f3f7d0", "#5f8f3e")
    blue = ImageOps.colorize(grey, "#0d1f3c", "#eef7ff", "#4f8fd0")
    slope = Image.linear_gradient("L").resize(image.size)
    low = Image.composite(green, warm, slope.point([max(0, min(255, (v - 150) * 3)) for v in range(256)]))
    made = Image.composite(low, blue, slope.point([max(0, min(255, (v - 40) * 3)) for v in range(256)]))
    figure = cutout.found(image)
    if figure is not None:
        made.paste(warm, mask=figure.point([int(v * 0.85) for v in range(256)]))
    return variation.lit(made, order.text, 8)


def _doodle(order: Craft, image: Image.Image) -> Image.Image:
    """A painting that follows the lines of a drawing."""
    lines = strokes.drawn(image) if order.options["is_sketch"] else strokes.traced(image)
    return strokes.coloured(lines, order.text)


def _cartoon(order: Craft, image: Image.Image) -> Image.Image:
    flat = strokes.flattened(image)
    flat = ImageOps.posterize(ImageOps.autocontrast(flat, cutoff=1), 3)
    flat = Image.blend(flat, paint.tone(flat, order.text, None, 0.6), 0.35)
    made = flat.copy()
    made.paste((24, 18, 34), mask=ImageOps.invert(strokes.traced(image)))
    return made


_FUNCTIONS: dict[str, Callable[[Craft, Image.Image], Image.Image]] = {
    "stylization_all": _style_all,
    "stylization_local": _style_part,
    "description_edit": _describe,
    "description_edit_with_mask": _describe_in_mask,
    "remove_watermark": _unmark,
    "expand": _expand,
    "super_resolution": _enlarge,
    "colorization": _colour,
    "doodle": _doodle,
    "control_cartoon_feature": _cartoon,
}


def _painterly(order: Craft, image: Image.Image) -> Image.Image:
    """Flat strokes in the colours of a palette that follows from the prompt."""
    return paint.tone(strokes.flattened(image).filter(ImageFilter.UnsharpMask(3, 180, 2)), order.text, None, 0.5)


def _wants_removal(order: Craft) -> bool:
    return any(word in order.prompt.lower() for word in _REMOVING)


def _without(image: Image.Image, place: Box, text: str) -> Image.Image:
    """The place filled from what is around it."""
    hole = Image.new("L", image.size)
    hole.paste(255, place)
    return variation.lit(filling.filled(image, hole), text, 3, hole)


def _with(order: Craft, image: Image.Image, place: Box, *, fill: bool = False) -> Image.Image:
    """Something new at the place: a small scene that follows from the prompt, framed or filling it."""
    size = (max(8, place[2] - place[0]), max(8, place[3] - place[1]))
    scene = Scene(order.text).frame(max(64, size[0]), max(64, size[1]), 0.4).resize(size, Image.Resampling.BICUBIC)
    strip = caption.strip(*size, order.prompt, "added")
    if strip.height < size[1] // 2:
        scene.paste(strip, (0, size[1] - strip.height), strip)
    made = image.copy()
    if fill:
        made.paste(scene, place[:2])
    else:
        card = staging.figure(scene, size[1], widest=size[0])
        made.paste(card, place[:2], card)
    return made
