"""Image translation: lines of text found, taken away, and others in the target language written in their places.

There is no OCR: text is what stands out in lines from a plain background, or anywhere by its thin strokes, or the
caption of our own images. What is written says, in its language, that it is the translation.
"""

from itertools import cycle

from PIL import Image, ImageChops, ImageDraw, ImageStat

from modellix_server.sandbox.rendering import caption, filling, lettering, variation
from modellix_server.sandbox.rendering.crafts import writing
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
SENTENCES = {
    "zh": "这是 图片 文字 的 译文",
    "en": "This is the translated text of the picture",
    "ko": "그림 속 글을 우리말로 옮긴 것입니다",
    "ja": "これは 画像の 文字の 翻訳です",
    "ru": "Это перевод текста на этой картинке",
    "es": "Aquí está la traducción del texto según la imagen",
    "fr": "Voilà le texte traduit de l'image où il était écrit",
    "pt": "Esta é a tradução do texto que está na imagem",
    "it": "Questa è la traduzione del testo: così è più chiaro",
    "vi": "Đây là bản dịch của chữ trong hình",
    "ms": "Inilah terjemahan teks dalam gambar",
    "th": "นี่คือ คำแปล ของ ข้อความ ในภาพ",
    "id": "Ini adalah terjemahan teks pada gambar",
    "ar": "هذه ترجمة النص المكتوب في الصورة",
}
"""What is written, by language; its words are between spaces, which some languages do not write."""
_TOGETHER = ("zh", "ja", "th")
_PIVOTS = {"zh", "en", "auto"}
_APART = 70
_WORK_PX = 900
_CENTRED = 0.03
_EDGE_PX = 3
"""Around a line, where its letters may still have left a shade."""


def translate(order: Craft) -> Made:
    """The picture with its lines of text in the target language; a message where there are none."""
    target = _languages(order)
    image = order.needed("image_url")
    if max(image.size) > 10 * min(image.size):
        raise UnusableMedia("resolution", "The image's aspect ratio must be between 1:10 and 10:1.")
    strip = caption.found(image)
    lines = strip.lines if strip else _lines(image) or writing.lines(image)
    hole = Image.new("L", image.size)
    for left, top, right, bottom in lines:
        edge = max(_EDGE_PX, (bottom - top) // 10)
        ImageDraw.Draw(hole).rectangle((left - edge, top - edge, right + edge - 1, bottom + edge - 1), fill=255)
    made = image
    if lines:
        made = filling.filled(image, hole)
    chance = variation.chance(order.text)
    words = cycle(SENTENCES[target].split())
    word = next(words)
    for box in lines:
        text = word
        while lettering.width(_joined(text, word := next(words), target), box[3] - box[1]) <= box[2] - box[0]:
            text = _joined(text, word, target)
        _write(made, box, text, _ink(image, made, box), chance.uniform(0.9, 1))
    return Made([made], message="" if lines else NO_TEXT, form="JPEG")


def _joined(text: str, word: str, target: str) -> str:
    return text + ("" if target in _TOGETHER else " ") + word


def _languages(order: Craft) -> str:
    source, target = (str(order.options[name]).lower() for name in ("source_lang", "target_lang"))
    source, target = _NAMES.get(source, source), _NAMES.get(target, target)
    if source not in _SOURCES | {"auto"} or target not in SENTENCES:
        raise UnusableMedia("parameter", "This pair of languages is not supported.")
    if source == target or not ({source, target} & _PIVOTS):
        raise UnusableMedia("parameter", "The languages must differ and one of them must be Chinese or English.")
    return target


def _lines(image: Image.Image) -> tuple[Box, ...]:
    """Lines of text on a plain ground: rows with ink, from the first to the last ink of each."""
    small = image.copy()
    small.thumbnail((_WORK_PX, _WORK_PX), Image.Resampling.BICUBIC)
    ground = _ground(small)
    if ground is None:
        return ()
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
    return tuple(found)


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


def _ink(image: Image.Image, cleared: Image.Image, box: Box) -> tuple[int, ...]:
    """The colour of the letters that were in a box: of what differs most from the ground there."""
    old = image.crop(box)
    red, green, blue = ImageChops.difference(old, cleared.crop(box)).split()
    apart = ImageChops.lighter(ImageChops.lighter(red, green), blue)
    most = apart.getextrema()[1]
    assert isinstance(most, (int, float))
    letters = apart.point([255 if value >= most * 0.8 else 0 for value in range(256)])
    return tuple(round(value) for value in ImageStat.Stat(old, letters).mean)


def _write(image: Image.Image, box: Box, text: str, colour: tuple[int, ...], share: float) -> None:
    """The text at a line's place, with a share of its size; in the middle where that was, or where reading begins."""
    left, top, right, bottom = box
    drawn = lettering.line(text, bottom - top)
    fit = min(share, (right - left) / max(1, drawn.ink.width), (bottom - top) * 1.1 / max(1, drawn.ink.height))
    drawn = lettering.line(text, (bottom - top) * fit)
    x = right - drawn.ink.width if lettering.leftwards(text) else left
    if abs(left + right - image.width) < image.width * _CENTRED:
        x = (left + right - drawn.ink.width) // 2
    y = (top + bottom - drawn.ink.height) // 2
    image.paste(Image.new("RGB", drawn.ink.size, colour), (x, y), drawn.ink)
