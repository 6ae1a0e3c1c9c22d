"""Virtual try-on: garments laid on a person, results refined, people and garments taken apart."""

from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageOps

from modellix_server.sandbox.rendering import cutout, variation
from modellix_server.sandbox.rendering.crafts.brief import Craft, Made
from modellix_server.sandbox.rendering.cutout import Box
from modellix_server.sandbox.rendering.paint import UnusableMedia

_PARTS = {"upper": (0.175, 0.53), "lower": (0.47, 0.965), "dress": (0.175, 0.8)}
"""From where to where a garment goes on a standing person, as shares of the height."""
_MEASURED = {"upper": 0.0, "lower": 0.3, "dress": 0.0}
"""Below which share of a garment's height the body's width is taken."""
_HEAD = 0.15
_STANDS = 1.25
"""A figure that is this much higher than wide is a person."""
_TINTS = {"upper": "#e4572e", "lower": "#2e86ab", "dress": "#a23b72"}


def dress(order: Craft) -> Made:
    """The person in the given garments."""
    person = order.needed("person_image_url")
    top, bottom = order.picture("top_garment_url"), order.picture("bottom_garment_url")
    mask = cutout.figure(person)
    if bottom is not None:
        person = _wear(order, person, mask, bottom, "lower")
    if top is not None:
        person = _wear(order, person, mask, top, "upper" if bottom is not None or not _is_dress(top) else "dress")
    if not order.options["restore_face"]:
        person = _new_face(person, mask)
    asked = order.options["resolution"]
    if asked != -1:
        person = ImageOps.fit(person, {1024: (576, 1024), 1280: (720, 1280)}[asked], Image.Resampling.LANCZOS)
    return Made([person])


def refine(order: Craft) -> Made:
    """The first result sharper and clearer, with the person's own face."""
    coarse, person = order.needed("coarse_image_url"), order.needed("person_image_url")
    if coarse.size != person.size:
        raise UnusableMedia("parameter", "coarse_image_url must have the size of person_image_url.")
    mask = cutout.figure(person)
    clear = coarse.filter(ImageFilter.UnsharpMask(2.2, 130, 2))
    clear = Image.blend(clear, ImageOps.autocontrast(clear, cutoff=0.5), 0.4)
    refined = coarse.copy()
    refined.paste(variation.lit(clear, order.text, 3), mask=cutout.figure(coarse))
    head = _part(cutout.box(mask), (0.0, _HEAD))
    face = Image.new("L", person.size)
    ImageDraw.Draw(face).rectangle(head, fill=255)
    refined.paste(person, mask=ImageChops.darker(face.filter(ImageFilter.GaussianBlur(3)), mask))
    return Made([refined])


def parse(order: Craft) -> Made:
    """For each kind of garment its region marked, cut out, and its box."""
    image = order.needed("image_url")
    mask = cutout.figure(image)
    whole = cutout.box(mask)
    stands = (whole[3] - whole[1]) > _STANDS * (whole[2] - whole[0])
    marked: list[Image.Image] = []
    crops: list[Image.Image | str | None] = []
    boxes: list[Box] = []
    for kind in order.options["clothes_type"]:
        region = Image.new("L", image.size)
        ImageDraw.Draw(region).rectangle(_part(whole, _PARTS[kind]) if stands else whole, fill=255)
        region = ImageChops.darker(region, mask)
        box = cutout.box(region)
        shown = Image.blend(image, Image.new("RGB", image.size, "black"), 0.75)
        tinted = Image.blend(image, Image.new("RGB", image.size, _TINTS[kind]), 0.6)
        shown.paste(variation.lit(tinted, order.text, 6), mask=region)
        cut = Image.new("RGB", image.size, "white")
        cut.paste(image, mask=region)
        marked.append(shown)
        crops.append(cut.crop(box))
        boxes.append(box)
    return Made(marked, crops, tuple(boxes))


def _part(whole: Box, share: tuple[float, float]) -> Box:
    left, top, right, bottom = whole
    height = bottom - top
    return left, round(top + height * share[0]), right, round(top + height * share[1])


def _is_dress(garment: Image.Image) -> bool:
    left, top, right, bottom = cutout.box(cutout.figure(garment))
    return (bottom - top) > 1.6 * (right - left)


def _wear(order: Craft, person: Image.Image, mask: Image.Image, garment: Image.Image, kind: str) -> Image.Image:
    """The garment cut out and laid where it belongs, with the folds of what is below shining through a little."""
    cloth = cutout.figure(garment)
    piece = cutout.box(cloth)
    left, top, right, bottom = _part(cutout.box(mask), _PARTS[kind])
    measured = round(top + (bottom - top) * _MEASURED[kind])  # hands hang beside the hips
    body = cutout.box(mask.crop((left, measured, right, bottom)))
    wide, middle = (body[2] - body[0]) * 1.06, left + (body[0] + body[2]) / 2
    size = (max(8, round(wide)), max(8, bottom - top))
    worn, shape = (part.crop(piece).resize(size, Image.Resampling.LANCZOS) for part in (garment, cloth))
    place = (round(middle - size[0] / 2), top)
    under = ImageOps.autocontrast(person.crop((*place, place[0] + size[0], place[1] + size[1])).convert("L"), cutoff=2)
    folds = under.filter(ImageFilter.GaussianBlur(max(2, size[0] / 60))).point(
        [238 + v * 17 // 255 for v in range(256)]
    )
    shaded = variation.lit(ImageChops.multiply(worn, folds.convert("RGB")), order.text + kind, 6)
    dressed = person.copy()
    dressed.paste(shaded, place, shape)
    return dressed


def _new_face(person: Image.Image, mask: Image.Image) -> Image.Image:
    """Someone else: the head mirrored and of another complexion."""
    head = _part(cutout.box(mask), (0.0, _HEAD))
    face = ImageOps.mirror(person.crop(head))
    face = Image.blend(face, ImageOps.colorize(face.convert("L"), "#3a2018", "#ffdcb0", "#8a5630"), 0.8)
    changed = person.copy()
    changed.paste(face, head[:2], ImageOps.mirror(mask.crop(head)))
    return changed
