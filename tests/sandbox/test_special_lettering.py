"""Special picture tasks with letters: translated, taken off, and grown or filled as WordArt. Checked on pixels."""

from __future__ import annotations

import time
import xml.etree.ElementTree as ET

import pytest
from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageStat
from tests.support.craft_checks import RED, difference, edited, share_of

from modellix_server.catalogue.samples import FOLDER as SAMPLES
from modellix_server.sandbox.rendering import caption, lettering
from modellix_server.sandbox.rendering.crafts.translate import SENTENCES
from modellix_server.sandbox.rendering.paint import Picture, UnusableMedia, paint


@pytest.mark.parametrize("target", ["zh", "Japanese", "ko", "ru", "th", "ar", "fr"])
def test_the_caption_of_our_own_pictures_is_translated_in_place(work, scenery, target):
    made, translated = work("translate", options={"source_lang": "en", "target_lang": target}, image_url=scenery)
    assert (made.message, made.size, made.files[0].suffix) == ("", scenery.size, ".jpg")
    old = caption.found(scenery)
    new = caption.found(translated)
    assert old is not None
    assert new is not None
    left, top, right, _ = old.lines[-1]
    assert difference(translated.crop(old.lines[-1]), scenery.crop(old.lines[-1])) > 15
    inner = (new.lines[-1][0] - left, right - new.lines[-1][2])
    assert abs(inner[target == "ar"]) < 12  # where reading begins
    assert inner[target != "ar"] > -6
    above = (0, 0, 800, top - 80)
    assert difference(translated.crop(above), scenery.crop(above)) < 3


def test_every_target_has_a_sentence_with_its_letters():
    assert set(SENTENCES) == {"zh", "en", "ko", "ja", "ru", "es", "fr", "pt", "it", "vi", "ms", "th", "id", "ar"}
    for language, letters in {"vi": "đâảịủữ", "es": "íáó", "fr": "àéù", "pt": "éçã", "it": "èù"}.items():
        assert set(letters) <= set(SENTENCES[language].lower()), language


@pytest.mark.parametrize("target", ["zh", "vi", "ar", "th"])
def test_a_translation_leaves_nothing_of_the_old_letters_and_no_smear(work, target):
    """On a slope of colours: where the old line was and no new letter is, the slope goes on."""
    slope = Image.linear_gradient("L").resize((700, 400)).point([120 + v // 4 for v in range(256)])
    plain = Image.merge("RGB", (slope, slope.point([v + 40 for v in range(256)]), slope))
    poster = plain.copy()
    lettering.write(poster, (40, 120), "MMMM MMMM MMMM", 44, (20, 20, 150))
    made, translated = work("translate", options={"source_lang": "en", "target_lang": target}, image_url=poster)
    assert made.message == ""
    red, green, _ = ImageChops.difference(translated, plain).split()
    letters = green.point([255 if v > 12 else 0 for v in range(256)]).filter(ImageFilter.MaxFilter(5))
    assert 0.02 < letters.histogram()[255] / (700 * 400) < 0.3
    beside = ImageStat.Stat(red, ImageChops.invert(letters))
    assert beside.mean[0] < 2.5
    assert beside.extrema[0][1] <= 40  # those of JPEG at the new letters


def test_text_on_a_plain_ground_is_translated_and_no_text_is_told(work):
    poster = Image.new("RGB", (800, 600), (245, 240, 225))
    lettering.write(poster, (60, 60), "Grand opening", 70, (150, 30, 30))
    ImageDraw.Draw(poster).rectangle((60, 330, 740, 560), fill=(200, 190, 160))
    made, translated = work("translate", options={"source_lang": "auto", "target_lang": "zh"}, image_url=poster)
    assert made.message == ""
    assert difference(translated.crop((60, 60, 500, 140)), poster.crop((60, 60, 500, 140))) > 5
    assert share_of(translated, RED, (60, 60, 500, 140)) > 0.05
    below = (0, 200, 800, 600)
    assert difference(translated.crop(below), poster.crop(below)) < 2
    made, _ = work(
        "translate", options={"source_lang": "auto", "target_lang": "zh"}, image_url=Image.new("RGB", (300, 300), "tan")
    )
    assert made.message == "No text detected for translation"


@pytest.mark.parametrize(("source_lang", "target_lang"), [("en", "en"), ("fr", "it"), ("en", "de"), ("xx", "en")])
def test_pairs_of_languages_the_vendor_does_not_have(work, source_lang, target_lang):
    with pytest.raises(UnusableMedia):
        work(
            "translate",
            options={"source_lang": source_lang, "target_lang": target_lang},
            image_url=Image.new("RGB", (500, 500), RED),
        )


def test_a_watermark_all_over_a_picture_is_removed_within_seconds(work):
    with Image.open(SAMPLES / "boat.jpg") as opened, Image.open(SAMPLES / "marked.jpg") as marked:
        plain, written = opened.convert("RGB"), marked.convert("RGB")
    began = time.process_time()  # the machine has other work too
    made = edited(work, "remove_watermark", written)
    assert time.process_time() - began < 5  # half a second on a quick machine
    letters = ImageChops.difference(written, plain).convert("L").point([255 if v > 24 else 0 for v in range(256)])
    left, before = (
        ImageStat.Stat(ImageChops.difference(image, plain).convert("L"), letters).mean[0] for image in (made, written)
    )
    assert left < 0.07 * before
    for place in ((340, 255, 475, 300), (490, 440, 640, 470)):  # sun and sail, nearly as light as the letters
        assert ImageChops.difference(made, plain).crop(place).convert("L").getextrema()[1] < 27
    far = ImageChops.invert(letters.filter(ImageFilter.MaxFilter(15)))
    assert ImageStat.Stat(ImageChops.difference(made, written).convert("L"), far).mean[0] < 0.2


def test_a_watermark_is_removed(work, tmp_path):
    paths = [tmp_path / "marked.png", tmp_path / "plain.png"]
    for path, marked in zip(paths, (True, False), strict=True):
        paint(Picture("", 3, "m", (800, 600), mark=marked), path)
    marked, plain = (Image.open(path).convert("RGB") for path in paths)
    place = (640, 480, 800, 560)
    made = edited(work, "remove_watermark", marked)
    assert difference(made.crop(place), plain.crop(place)) < difference(marked.crop(place), plain.crop(place)) * 0.7
    top = (0, 0, 800, 300)
    assert difference(made.crop(top), marked.crop(top)) < 2


def test_letters_are_deformed_as_a_picture_and_as_svg(work):
    options = {"text": "TEA", "steps": 30, "output_image_ratio": "1280x720"}
    made, image = work("wordart", "blossom", options)
    assert made.size == (1280, 720)
    light = image.convert("L").histogram()[255] / (1280 * 720)
    assert 0.05 < light < 0.6
    (outline,) = made.companions
    assert outline is not None
    root = ET.fromstring(outline.read_text())
    assert root.get("viewBox") == "0 0 1280 720"
    assert root[1].get("d", "").count("M") >= 3
    bent = work("wordart", "blossom", {**options, "steps": 100})[1]
    assert difference(bent, image) > 5


def test_letters_are_filled_with_a_texture(work, scenery):
    options = {"image_short_size": 512, "alpha_channel": False, "texture_style": "forest"}
    options |= {"text.text_content": "WAVE", "text.output_image_ratio": "16:9"}
    made, image = work("texture", "green", options)
    assert made.size == (910, 512)
    assert ImageStat.Stat(image.convert("HSV").split()[1]).stddev[0] > 8
    assert work("texture", "green", {**options, "texture_style": "lego"})[1].tobytes() != image.tobytes()
    _, clear = work("texture", "green", {**options, "alpha_channel": True}, ref_image_url=scenery)
    assert (clear.mode, clear.getpixel((2, 2))[3], clear.getchannel("A").getextrema()) == ("RGBA", 0, (0, 255))
    glyph = Image.new("RGB", (400, 300), "black")
    ImageDraw.Draw(glyph).rectangle((100, 100, 300, 200), fill="white")
    made, _ = work(
        "texture",
        "green",
        {"image_short_size": 512, "alpha_channel": False, "texture_style": "sky"},
        image__image_url=glyph,
    )
    assert made.size == (683, 512)


@pytest.mark.parametrize(
    ("prompt", "hue"),
    [
        ("Moss", 70), ("fire and sparks", 15), ("the sea", 148), ("海浪", 148), ("gold", 30), ("violet", 200),
        ("樱花", 235), ("jade", 112), ("水果、菠萝、西瓜", 35), ("水晶", 140), ("old rusty metal", 16),
        ("a sunset over the sea", 245), ("strawberries", 35),
    ],
)  # fmt: skip
def test_a_texture_is_of_what_the_prompt_names(work, prompt, hue):
    options = {"image_short_size": 512, "alpha_channel": True, "texture_style": "material"}
    options |= {"text.text_content": "春", "text.output_image_ratio": "1:1"}
    _, image = work("texture", prompt, options)
    clear = image.getchannel("A").point([0] * 250 + [255] * 6)
    hues, strong, _ = image.convert("RGB").convert("HSV").split()
    seen = ImageChops.darker(clear, strong.point([0] * 60 + [255] * 196))
    near = {(hue + step) % 256 for step in range(-30, 31)}
    histogram = hues.histogram(seen)
    assert sum(histogram[value] for value in near) > 0.6 * sum(histogram) > 0


def test_word_art_has_the_letters_that_were_asked_for(work):
    options = {"image_short_size": 512, "alpha_channel": True, "texture_style": "material"}
    for text in ("春", "봄", "Весна", "ربيع", "वसंत"):
        asked = options | {"text.text_content": text, "text.output_image_ratio": "1:1"}
        _, image = work("texture", "moss", asked)
        alpha = image.getchannel("A")
        ink = lettering.line(text, 200, bold=0.035).ink
        drawn = alpha.crop(alpha.getbbox()).resize(ink.size, Image.Resampling.BOX)
        assert ImageStat.Stat(ImageChops.difference(drawn, ink)).mean[0] < 8
