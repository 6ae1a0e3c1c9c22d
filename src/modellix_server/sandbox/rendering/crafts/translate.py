"""Image translation: lines of text found and replaced by a word in the target language, at the same places.

There is no OCR: text is what stands out from a plain background in lines, or the caption of our own images.
"""

from PIL import Image, ImageChops, ImageFilter, ImageStat

from modellix_server.sandbox.rendering import caption
from modellix_server.sandbox.rendering.crafts import scripts
from modellix_server.sandbox.rendering.crafts.brief import Craft, Made
from modellix_server.sandbox.rendering.cutout import Box
from modellix_server.sandbox.rendering.paint import UnusableMedia

NO_TEXT = "No text detected for translation"
_NAMES = {
    "chinese": "zh",
    "english": "en",
    "korean": "ko",
    "japanese": "ja",
    "russian": "ru",
    "spanish": "es",
    "french": "fr",
    "portuguese": "pt",
    "italian": "it",
    "german": "de",
    "vietnamese": "vi",
    "malay": "ms",
    "thai": "th",
    "indonesian": "id",
    "arabic": "ar",
}
_SOURCES = {"zh", "en", "ko", "ja", "ru", "es", "fr", "pt", "it", "de", "vi"}
_TARGETS = {"zh", "en", "ko", "ja", "ru", "es", "fr", "pt", "it", "vi", "ms", "th", "id", "ar"}
_PIVOTS = {"zh", "en", "auto"}
_APART = 70
_WORK_PX = 900


def translate(order: Craft) -> Made:
    """The picture with its lines of text in the target language; a message where there are none."""
    target = _languages(order)
    image = order.needed("image_url")
    if max(image.size) > 10 * min(image.size):
        raise UnusableMedia("resolution", "The image's aspect ratio must be between 1:10 and 10:1.")
    boxes = caption.found(image)
    lines = boxes.lines if boxes else tuple(_lines(image))
    made = image.copy()
    for box in lines:
        _rewrite(made, box, target)
    return Made([made], message="" if lines else NO_TEXT, form="JPEG")


def _languages(order: Craft) -> str:
    source, target = (str(order.options[name]).lower() for name in ("source_lang", "target_lang"))
    source, target = _NAMES.get(source, source), _NAMES.get(target, target)
    if source not in _SOURCES | {"auto"} or target not in _TARGETS:
        raise UnusableMedia("parameter", "This pair of languages is not supported.")
    if source == target or not ({source, target} & _PIVOTS):
        raise UnusableMedia("parameter", "The languages must differ and one of them must be Chinese or English.")
    return target


def _lines(image: Image.Image) -> list[Box]:
    """Lines of text on a plain ground: rows with ink, from the first to the last ink of each."""
    small = image.copy()
    small.thumbnail((_WORK_PX, _WORK_PX), Image.Resampling.BICUBIC)
    ground = _ground(small)
    if ground is None:
        return []
    red, green, blue = ImageChops.difference(small, Image.new("RGB", small.size, ground)).split()
    apart = ImageChops.lighter(ImageChops.lighter(red, green), blue)
    ink = apart.point([255 if value > _APART else 0 for value in range(256)])
    rows = ink.resize((1, ink.height), Image.Resampling.BOX).tobytes()
    factor = image.width / small.width
    found: list[Box] = []
    start: int | None = None
    for y, amount in enumerate((*rows, 0)):
        if amount and start is None:
            start = y
        elif not amount and start is not None:
            inside = ink.crop((0, start, ink.width, y)).getbbox()
            if inside and 6 <= y - start <= small.height * 0.3 and _written(ink.crop((inside[0], start, inside[2], y))):
                box = (inside[0], start, inside[2], y)
                left, top, right, bottom = (round(side * factor) for side in box)
                found.append((left, top, right, bottom))
            start = None
    return found


def _written(ink: Image.Image) -> bool:
    """Whether it is a line of letters and no drawing: letters that large would have gaps between them."""
    columns = ink.resize((ink.width, 1), Image.Resampling.BOX).tobytes()
    return ink.width < 2 * ink.height or ink.height < 24 or 0 in columns


def _ground(image: Image.Image) -> tuple[int, int, int] | None:
    """The colour most of the picture has, if there is one."""
    coarse = image.quantize(16)
    amount, index = max((amount, index) for amount, index in coarse.getcolors() or [] if isinstance(index, int))
    if amount < 0.5 * image.width * image.height:
        return None
    red, green, blue = (coarse.getpalette() or [])[index * 3 : index * 3 + 3]
    return red, green, blue


def _rewrite(image: Image.Image, box: Box, target: str) -> None:
    """The word again and again over the length of the old line, in its colour on its ground."""
    left, top, right, bottom = box
    pad = max(2, (bottom - top) // 8)
    area = (max(0, left - pad), max(0, top - pad), min(image.width, right + pad), min(image.height, bottom + pad))
    old = image.crop(area)
    edge = old.resize((1, old.height), Image.Resampling.BOX, (0, 0, max(1, pad), old.height))
    ground = edge.resize(old.size).filter(ImageFilter.GaussianBlur(2))
    apart = ImageChops.difference(old, ground).convert("L").point([255 if value > 60 else 0 for value in range(256)])
    ink = tuple(round(value) for value in ImageStat.Stat(old, apart).mean) if apart.getbbox() else (255, 255, 255)
    height = max(8, bottom - top)
    word = scripts.word(target, height)
    width = right - left
    if word.width > width:
        word = word.resize(
            (max(1, width), max(6, round(height * max(0.5, width / word.width)))), Image.Resampling.LANCZOS
        )
    text = Image.new("L", (max(1, width), height))
    step = word.width + height // 2
    for x in range(0, max(1, width - word.width + 1), step):
        text.paste(word, (x, (height - word.height) // 2))
    image.paste(ground, area[:2])
    image.paste(Image.new("RGB", text.size, ink), (left, top), text)
