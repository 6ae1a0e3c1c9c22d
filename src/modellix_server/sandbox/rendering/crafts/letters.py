"""WordArt: letters grown into other shapes, or filled with a texture."""

import hashlib
import io
import math
import random

from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageFont, ImageOps

from modellix_server.sandbox.rendering import caption
from modellix_server.sandbox.rendering.crafts.brief import Craft, Made
from modellix_server.sandbox.rendering.crafts.outline import svg
from modellix_server.sandbox.rendering.paint import UnusableMedia
from modellix_server.sandbox.rendering.scene import PALETTES, Scene

_RATIOS = {"1:1": (1, 1), "16:9": (16, 9), "9:16": (9, 16)}


def deform(order: Craft) -> Made:
    """White letters on black, distorted according to the number of steps; as an image and as SVG."""
    width, _, height = order.options["output_image_ratio"].partition("x")
    size = (int(width), int(height))
    chance = _chance(order)
    text = str(order.options.get("text") or order.prompt)
    letters = _bent(_written(order, text, size), chance, order.options["steps"])
    grown = _sprouting(letters, chance, order.options["steps"])
    return Made([Image.merge("RGB", (grown,) * 3)], [svg(grown)])


def texture(order: Craft) -> Made:
    """The letters, or the given image of letters, filled with a texture."""
    options = order.options
    given = order.picture("image.image_url")
    short = options["image_short_size"]
    if given is not None:
        factor = short / min(given.size)
        size = (round(given.width * factor), round(given.height * factor))
        letters = ImageOps.autocontrast(given.convert("L").resize(size, Image.Resampling.LANCZOS))
    else:
        wide, high = _RATIOS[options["text.output_image_ratio"]]
        size = (round(short * wide / min(wide, high)), round(short * high / min(wide, high)))
        letters = _written(order, str(options["text.text_content"]), size)
    guide = order.picture("ref_image_url")
    filling = ImageOps.fit(guide, size) if guide else _material(order, size)
    lifted = _lifted(filling, letters)
    if options["alpha_channel"]:
        lifted.putalpha(letters)
        return Made([lifted])
    ground = _ground(order, size)
    shade = letters.filter(ImageFilter.GaussianBlur(short / 60)).point([v * 3 // 5 for v in range(256)])
    ground.paste((12, 10, 22), (short // 60, short // 45), shade)
    ground.paste(lifted, mask=letters)
    return Made([ground])


def _chance(order: Craft) -> random.Random:
    return random.Random(hashlib.sha256(order.text.encode(errors="replace")).digest())  # noqa: S311  (a picture)


def _written(order: Craft, text: str, size: tuple[int, int]) -> Image.Image:
    """The text as large as fits, white on black, as L."""
    text = " ".join(text.split())[:12] or "?"
    unit = round(min(size[1] * 0.7, size[0] * 1.5 / len(text)))
    while True:
        face = _face(order, unit)
        left, top, right, bottom = face.getbbox(text, stroke_width=unit // 24)
        if (right - left <= size[0] * 0.84 and bottom - top <= size[1] * 0.8) or unit <= 12:
            break
        unit = round(unit * 0.92)
    image = Image.new("L", size)
    place = ((size[0] - right - left) / 2, (size[1] - bottom - top) / 2)
    ImageDraw.Draw(image).text(place, text, font=face, fill=255, stroke_width=unit // 24)
    return image


def _face(order: Craft, unit: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    if order.font is None:
        return caption.face(unit)
    try:
        return ImageFont.truetype(io.BytesIO(order.font), unit, layout_engine=ImageFont.Layout.BASIC)
    except OSError as error:
        raise UnusableMedia("format", "The font could not be read.") from error


def _bent(letters: Image.Image, chance: random.Random, steps: int) -> Image.Image:
    """Waves run through the letters."""
    width, height = letters.size
    swing = height * 0.0006 * steps
    phase, turns = chance.random() * math.tau, chance.uniform(1.2, 2.4)
    columns, rows = 24, 14

    def moved(column: int, row: int) -> tuple[float, float]:
        x, y = column * width / columns, row * height / rows
        return (
            x + swing * math.sin(y / height * math.tau * turns + phase),
            y + swing * math.sin(x / width * math.tau * turns + phase * 2),
        )

    mesh = []
    for column in range(columns):
        for row in range(rows):
            box = tuple(
                round(side)
                for side in (
                    column * width / columns,
                    row * height / rows,
                    (column + 1) * width / columns,
                    (row + 1) * height / rows,
                )
            )
            corners = (moved(column, row), moved(column, row + 1), moved(column + 1, row + 1), moved(column + 1, row))
            mesh.append((box, tuple(part for corner in corners for part in corner)))
    return letters.transform(letters.size, Image.Transform.MESH, mesh, Image.Resampling.BICUBIC)


def _sprouting(letters: Image.Image, chance: random.Random, steps: int) -> Image.Image:
    """Leaves on the letters' edges."""
    solid = letters.point([0] * 128 + [255] * 128)
    edge = ImageChops.subtract(solid.filter(ImageFilter.MaxFilter(3)), solid)
    small = edge.resize((160, max(1, 160 * edge.height // edge.width)), Image.Resampling.BOX)
    pixels = small.tobytes()
    spots = [at for at, value in enumerate(pixels) if value > 20]
    grown = solid.copy()
    draw = ImageDraw.Draw(grown)
    scale = letters.width / small.width
    for at in chance.sample(spots, min(len(spots), 12 + steps // 4)):
        x, y = at % small.width * scale, at // small.width * scale
        length, angle = letters.height * chance.uniform(0.02, 0.05) * (0.6 + steps / 200), chance.random() * math.tau
        points = []
        for step in range(17):
            turn = step / 16 * math.tau
            along, aside = length * (1 - math.cos(turn)) / 2 * 1.6, length * 0.4 * math.sin(turn)
            points.append(
                (
                    x + along * math.cos(angle) - aside * math.sin(angle),
                    y + along * math.sin(angle) + aside * math.cos(angle),
                )
            )
        draw.polygon(points, fill=255)
    return grown.filter(ImageFilter.GaussianBlur(2)).point([max(0, min(255, (v - 96) * 4)) for v in range(256)])


def _material(order: Craft, size: tuple[int, int]) -> Image.Image:
    """A texture derived from style and prompt."""
    style = order.options["texture_style"]
    scene = Scene(f"{style}\n{order.text}").frame(*size, 0.3)
    if style in ("material", "marble", "acrylic", "felt", "cartoon", "lego"):
        digest = hashlib.sha256(f"{style}\n{order.text}".encode(errors="replace")).digest()
        palette = PALETTES[digest[0] % len(PALETTES)]
        noise = Image.effect_noise((max(2, size[0] // 24), max(2, size[1] // 24)), 120).resize(
            size, Image.Resampling.BICUBIC
        )
        scene = ImageOps.colorize(ImageOps.autocontrast(noise), palette.near, palette.sun, palette.far)
    if style == "lego":
        block = max(8, min(size) // 24)
        scene = scene.resize((size[0] // block, size[1] // block), Image.Resampling.BOX).resize(
            size, Image.Resampling.NEAREST
        )
    return ImageOps.autocontrast(scene, cutoff=1)


def _lifted(filling: Image.Image, letters: Image.Image) -> Image.Image:
    """The filling with light from above left on the letters' edges."""
    depth = letters.filter(ImageFilter.GaussianBlur(max(letters.size) / 160))
    relief = ImageChops.offset(depth, -3, -3)
    light = ImageChops.add(
        ImageChops.subtract(depth, relief, scale=1, offset=0).point([v // 2 for v in range(256)]),
        Image.new("L", letters.size, 128),
    )
    light = ImageChops.subtract(light, ImageChops.subtract(relief, depth).point([v // 2 for v in range(256)]))
    return ImageChops.overlay(filling, light.convert("RGB"))


def _ground(order: Craft, size: tuple[int, int]) -> Image.Image:
    pale = Scene(order.text + "ground").frame(*size, 0.2).filter(ImageFilter.GaussianBlur(max(size) / 30))
    return Image.blend(pale, Image.new("RGB", size, "#f4f0e8"), 0.72)
