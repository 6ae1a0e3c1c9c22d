"""WordArt: letters grown into other shapes, or filled with a texture."""

import math
import random

from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageOps

from modellix_server.sandbox.rendering import lettering, variation
from modellix_server.sandbox.rendering.crafts import stuff
from modellix_server.sandbox.rendering.crafts.brief import Craft, Made
from modellix_server.sandbox.rendering.crafts.outline import svg
from modellix_server.sandbox.rendering.paint import UnusableMedia
from modellix_server.sandbox.rendering.scene import PALETTES, Scene

_DRAFT_PX = 200
_BOLD = 0.035
_RATIOS = {"1:1": (1, 1), "16:9": (16, 9), "9:16": (9, 16)}


def deform(order: Craft) -> Made:
    """White letters on black, distorted according to the number of steps; as an image and as SVG."""
    width, _, height = order.options["output_image_ratio"].partition("x")
    size = (int(width), int(height))
    chance = variation.chance(order.text)
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
    filling = variation.lit(ImageOps.fit(guide, size), order.text, 6) if guide else _material(order, size)
    lifted = _lifted(filling, letters)
    if options["alpha_channel"]:
        lifted.putalpha(letters)
        return Made([lifted])
    ground = _ground(order, size)
    shade = letters.filter(ImageFilter.GaussianBlur(short / 60)).point([v * 3 // 5 for v in range(256)])
    ground.paste((12, 10, 22), (short // 60, short // 45), shade)
    ground.paste(lifted, mask=letters)
    return Made([ground])


def _written(order: Craft, text: str, size: tuple[int, int]) -> Image.Image:
    """The text as large as fits, white on black, as L."""
    text = " ".join(text.split())[:12] or "?"
    own = _own_typeface(order)
    drawn = lettering.line(text, _DRAFT_PX, own=own, bold=_BOLD)
    fit = min(size[0] * 0.84 / drawn.ink.width, size[1] * 0.8 / drawn.ink.height, size[1] * 0.9 / _DRAFT_PX)
    drawn = lettering.line(text, max(12, _DRAFT_PX * fit), own=own, bold=_BOLD)
    image = Image.new("L", size)
    image.paste(drawn.ink, ((size[0] - drawn.ink.width) // 2, (size[1] - drawn.ink.height) // 2))
    return image


def _own_typeface(order: Craft) -> lettering.Typeface | None:
    if order.font is None:
        return None
    try:
        return lettering.Typeface.of(order.font)
    except ValueError as error:
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
    """A texture of what the prompt names, as the style has it."""
    style = order.options["texture_style"]
    chance = variation.chance(f"{style}\n{order.text}")
    plain = chance.choice(PALETTES)
    made = stuff.woven(chance, size, order.prompt, (plain.near, plain.far, plain.sun))
    match style:
        case "lego":
            made = _blocks(made)
        case "cartoon":
            made = ImageOps.posterize(made.filter(ImageFilter.ModeFilter(7)), 3)
        case "felt":
            made = ImageChops.soft_light(made, stuff.grains(chance, size).convert("RGB"))
        case "acrylic" | "marble":
            made = ImageChops.soft_light(made, stuff.veins(chance, size).convert("RGB"))
        case "waterfall" | "material":
            made = ImageChops.soft_light(made, stuff.sheen(chance, size).convert("RGB"))
        case "scene" | "sky" | "pavilion" | "forest":
            made = Image.blend(made, Scene(order.text).frame(*size, 0.3), 0.3)
    return made


def _blocks(image: Image.Image) -> Image.Image:
    """The picture in plastic bricks."""
    block = max(8, min(image.size) // 24)
    cells = (max(1, image.width // block), max(1, image.height // block))
    large = image.resize(cells, Image.Resampling.BOX).resize(image.size, Image.Resampling.NEAREST)
    draw = ImageDraw.Draw(large, "RGBA")
    for x in range(cells[0] + 1):
        for y in range(cells[1] + 1):
            left, top = x * image.width / cells[0], y * image.height / cells[1]
            draw.rectangle((left, top, left + block, top + block), outline=(0, 0, 0, 60))
            draw.ellipse((left + block * 0.25, top + block * 0.25, left + block * 0.75, top + block * 0.75),
                         fill=(255, 255, 255, 60), outline=(0, 0, 0, 50))  # fmt: skip
    return large


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
