"""Pictures from sketches, and portraits in another style."""

from PIL import Image, ImageChops, ImageFilter, ImageOps

from modellix_server.sandbox.rendering import caption, variation
from modellix_server.sandbox.rendering.crafts import strokes
from modellix_server.sandbox.rendering.crafts.brief import Craft, Made
from modellix_server.sandbox.rendering.paint import UnusableMedia
from modellix_server.sandbox.rendering.scene import PALETTES

_SHORT_PX = 1536
"""Short side of a repainted portrait."""
_SIZE = (768, 768)


def paint_sketch(order: Craft) -> Made:
    """A painting that follows the lines of a sketch, in the asked style."""
    image = order.needed("sketch_image_url")
    options = order.options
    image = ImageOps.pad(image, _SIZE, Image.Resampling.LANCZOS, color=_corner(image))
    lines = strokes.traced(image) if options["sketch_extraction"] else strokes.drawn(image, _pens(options))
    if options["sketch_weight"] < 10:
        lines = lines.point([255 - (255 - v) * (options["sketch_weight"] + 2) // 12 for v in range(256)])
    painted = _styled(strokes.coloured(lines, order.text + options["style"]), lines, options["style"])
    strip = caption.strip(*_SIZE, order.prompt, f"{options['style']}  -  {order.model}  -  sandbox")
    painted.paste(strip, (0, _SIZE[1] - strip.height), strip)
    return Made([painted])


def _corner(image: Image.Image) -> tuple[int, ...]:
    pixel = image.getpixel((0, 0))
    return pixel if isinstance(pixel, tuple) else (255, 255, 255)


def _pens(options: dict[str, object]) -> list[tuple[int, int, int]]:
    colours = options.get("sketch_color") or []
    pens: list[tuple[int, int, int]] = []
    for colour in colours if isinstance(colours, list) else []:
        fits = isinstance(colour, list) and len(colour) == 3 and all(isinstance(part, int) for part in colour)
        if not fits or not all(0 <= part <= 255 for part in colour):
            raise UnusableMedia("parameter", "sketch_color must have lists of three integers from 0 to 255.")
        pens.append((colour[0], colour[1], colour[2]))
    return pens


def _styled(picture: Image.Image, lines: Image.Image, style: str) -> Image.Image:
    match style:
        case "<sketch>":
            return Image.merge(
                "RGB", (ImageChops.multiply(ImageOps.grayscale(picture).point(lambda v: 150 + v * 0.41), lines),) * 3
            )
        case "<watercolor>":
            return Image.blend(
                picture.filter(ImageFilter.GaussianBlur(2)), Image.new("RGB", picture.size, "#fbf7ee"), 0.35
            )
        case "<oil painting>":
            return picture.filter(ImageFilter.ModeFilter(9)).filter(ImageFilter.UnsharpMask(4, 200, 2))
        case "<chinese painting>":
            return ImageOps.colorize(ImageOps.autocontrast(picture.convert("L")), "#1c1a18", "#f3ead6", "#8d8676")
        case "<flat illustration>" | "<anime>":
            return picture.quantize(9 if style == "<flat illustration>" else 28, dither=Image.Dither.NONE).convert(
                "RGB"
            )
        case "<3d cartoon>":
            return ImageChops.soft_light(picture, picture.filter(ImageFilter.EMBOSS))
    return picture


def repaint(order: Craft) -> Made:
    """The portrait in the style of a number, or in the colours of a given picture."""
    image = order.needed("image_url")
    if max(image.size) > 2 * min(image.size):
        raise UnusableMedia("resolution", "The image's longer side must be at most twice the shorter one.")
    factor = _SHORT_PX / min(image.size)
    width, height = (max(_SHORT_PX, round(side * factor / 2) * 2) for side in image.size)
    soft = strokes.flattened(image.resize((width // 2, height // 2), Image.Resampling.LANCZOS))
    index = order.options["style_index"]
    guide = order.picture("style_ref_url")
    if index == -1 and guide is not None:
        styled = _in_colours_of(guide, soft)
    else:
        palette = PALETTES[index % len(PALETTES)]
        grey = ImageOps.autocontrast(soft.convert("L"), cutoff=1)
        if index // len(PALETTES) % 2:
            grey = ImageOps.posterize(grey, 3)
        toned = ImageOps.colorize(grey, palette.near, palette.sun, palette.far)
        styled = Image.blend(ImageOps.posterize(soft, 4), toned, 0.6)
    ink = strokes.traced(soft).point([min(255, 110 + v * 145 // 255) for v in range(256)])
    styled = ImageChops.multiply(styled, ink.convert("RGB"))
    return Made([variation.lit(styled.resize((width, height), Image.Resampling.BICUBIC), order.text, 6)])


def _in_colours_of(guide: Image.Image, image: Image.Image) -> Image.Image:
    """The picture with the guide's colours from dark to light."""
    small = guide.resize((24, 24), Image.Resampling.BOX).tobytes()
    colours = sorted((tuple(small[at : at + 3]) for at in range(0, len(small), 3)), key=sum)
    dark, middle, light = (colours[len(colours) * share // 100] for share in (5, 50, 95))
    grey = ImageOps.autocontrast(image.convert("L"), cutoff=1)
    return Image.blend(image, ImageOps.colorize(grey, dark, light, middle), 0.75)
