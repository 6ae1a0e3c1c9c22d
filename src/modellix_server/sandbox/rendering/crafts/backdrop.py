"""Background generation: a cut-out thing before a new background."""

from PIL import Image, ImageDraw, ImageFilter, ImageOps

from modellix_server.sandbox.rendering import lettering, staging, variation
from modellix_server.sandbox.rendering.crafts.brief import Craft, Made
from modellix_server.sandbox.rendering.paint import UnusableMedia
from modellix_server.sandbox.rendering.scene import Scene

_NOISE = 1000
_MOST_EDGES = 10


def place(order: Craft) -> Made:
    """The thing untouched, with a shadow, before a background that follows the text or the guide picture."""
    thing = order.layers("base_image_url")[0]
    alpha = thing.getchannel("A")
    if alpha.getextrema() == (255, 255):
        raise UnusableMedia("alpha", "base_image_url must have a transparent background.")
    behind, before = (order.layers(f"reference_edge.{name}_edge") for name in ("background", "foreground"))
    if len(behind) + len(before) > _MOST_EDGES:
        raise UnusableMedia("parameter", f"There must be at most {_MOST_EDGES} reference edges.")
    made = _background(order, thing.size)
    for layer in behind:
        made.paste(layer.resize(thing.size, Image.Resampling.BICUBIC), mask=_alpha(layer, thing.size))
    shade = staging.shadow(alpha, max(thing.size) / 40)
    drop = max(2, thing.height // 50)
    made.paste((10, 10, 20), (drop // 2, drop), shade)
    made.paste(thing.convert("RGB"), mask=alpha)
    for layer in before:
        made.paste(layer.resize(thing.size, Image.Resampling.BICUBIC), mask=_alpha(layer, thing.size))
    return Made([_titled(order, made)])


def _alpha(layer: Image.Image, size: tuple[int, int]) -> Image.Image:
    return layer.getchannel("A").resize(size, Image.Resampling.BICUBIC)


def _background(order: Craft, size: tuple[int, int]) -> Image.Image:
    scene = Scene(order.text).frame(*size, 0.3)
    guide = order.picture("ref_image_url")
    if guide is not None:
        guide = ImageOps.fit(guide, size, Image.Resampling.BICUBIC)
        own = order.options["noise_level"] / _NOISE
        if order.prompt:
            own = max(own, order.options["ref_prompt_weight"])
        guide = guide.filter(ImageFilter.GaussianBlur(max(size) * 0.01))
        scene = Image.blend(guide, scene, own)
    table = round(size[1] * 0.8)
    ground = Image.new("L", size)
    ImageDraw.Draw(ground).rectangle((0, table, *size), fill=70)
    scene.paste((255, 250, 240), mask=ground.filter(ImageFilter.GaussianBlur(max(size) / 60)))
    return variation.lit(scene, order.text, 6)


def _titled(order: Craft, picture: Image.Image) -> Image.Image:
    for name, share, place_y in (("title", 0.085, 0.05), ("sub_title", 0.05, 0.155)):
        text = order.options.get(name)
        if text:
            unit = max(10, round(picture.width * share))
            place = ((picture.width - lettering.width(text, unit)) / 2, picture.height * place_y)
            lettering.write(picture, place, text, unit, "#20304a", bold=0.14)
            lettering.write(picture, place, text, unit, "white")
    return picture
