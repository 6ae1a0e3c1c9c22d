"""Letters: none is a box, scripts are shaped and run their own way, what has no letter is written in words."""

from __future__ import annotations

import pytest
from PIL import Image, ImageChops, ImageStat

from modellix_server.sandbox.rendering import caption, directions, lettering

TEXTS = {
    "Chinese": "春眠不觉晓，处处闻啼鸟。喆堃镕淼",
    "traditional Chinese": "學習臺灣體驗網路憂鬱",
    "Japanese": "日本語の文字を訳して読む気がする図、カタカナ「鉄道」",
    "Korean": "안녕하세요, 그림을 그려 주세요.",
    "Vietnamese": "Đây là bản dịch của chữ trong hình: ữ ợ ặ ỹ",
    "Polish": "Zażółć gęślą jaźń",
    "Czech": "Příliš žluťoučký kůň",
    "Turkish": "İğneli ışık şöförü",
    "German, French, Spanish": "Größe, ça œuvre, ¿niño? €",
    "Russian": "Съешь ещё этих мягких французских булок",
    "Ukrainian": "Їжак ґава є",
    "Greek": "Ξεσκεπάζω την ψυχοφθόρα βδελυγμία",
    "Arabic": "نص عربي مترجم، مرحبا ١٢٣؟",
    "Persian": "می‌خواهم گچ پژ",
    "Hebrew": "שלום עולם, אִם",
    "Thai": "นี่คือคำแปลของข้อความ ปั้นน้ำ",
    "Hindi": "क्षत्रिय विद्यार्थी हिन्दी में श्री",
}


def ink(text: str, size: int = 60) -> Image.Image:
    return lettering.line(text, size).ink


def difference(one: Image.Image, other: Image.Image) -> float:
    return ImageStat.Stat(ImageChops.difference(one, other.resize(one.size))).mean[0]


@pytest.mark.parametrize("language", TEXTS)
def test_every_letter_has_a_shape(language):
    text = TEXTS[language]
    assert lettering.readable(text) == text.replace("אִ", "אִ")
    placed = lettering._lay_out(text, None)
    assert all(one.glyph != 0 for one in placed), "glyph 0 is the box"
    shapes = {char: ink(char).tobytes() for char in set(text) if char.isalpha()}
    assert len(set(shapes.values())) > 0.9 * len(shapes)  # boxes are all alike
    assert all(any(shape) for shape in shapes.values())


def test_the_samples_are_boxes_in_the_font_that_was_there_before():
    """The negative control: a check that cannot see boxes would pass everything."""
    alphabets = lettering.typefaces()[0]
    assert [one.glyph for one in alphabets.shaped("春", leftwards=False)] == [0, None]


def test_arabic_letters_join():
    joined, apart = lettering.width("ببب", 100), 3 * lettering.width("ب", 100)
    assert joined < 0.8 * apart
    columns = ink("ببب").resize((ink("ببب").width, 1), Image.Resampling.BOX).tobytes()
    assert min(columns) > 0
    assert 0 in ink("ررر").resize((ink("ررر").width, 1), Image.Resampling.BOX).tobytes()


def test_arabic_and_hebrew_run_from_right_to_left():
    for first, last in (("א", "ש"), ("د", "ر")):
        line = ink(first + last)
        half = ink(last)
        assert difference(half, line.crop((0, line.height - half.height, half.width, line.height))) < 25
    assert lettering.leftwards("שלום abc")
    assert not lettering.leftwards("12 abc שלום")


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("abc אבג def", "abc גבא def"),
        ("אבג abc דה", "הד abc גבא"),
        ("אבג 12.5% דה", "הד 12.5% גבא"),
        ("abc אבג 12 דה ef", "abc הד 12 גבא ef"),
        ("אבג 10-20", "10-20 גבא"),
        ("12:30 שלום!", "!םולש 12:30"),
        ("a: אב, גד.", "a: דג ,בא."),
        ("", ""),
    ],
)
def test_parts_of_a_line_are_seen_in_their_order(text, seen):
    """The right-hand sides are those of Unicode's reference implementation."""
    parts = [text[start:end][:: -1 if level % 2 else 1] for start, end, level in directions.runs(text)]
    assert "".join(parts) == seen


def test_hindi_vowels_stand_where_they_are_written():
    placed = [one for one in lettering._lay_out("कि", None) if one.glyph]
    alone = [one.glyph for one in lettering._lay_out("क", None) if one.glyph]
    assert placed[-1].glyph == alone[0]  # the vowel, spoken after it, is on its left
    assert lettering.width("क्ष", 100) < lettering.width("क", 100) + lettering.width("ष", 100)


def test_letters_in_two_pieces_are_those_in_one():
    for pieces, whole in (("e\u0301", "é"), ("a\u0302\u0301", "ấ"), ("\u1112\u1161\u11ab", "한")):
        assert ink(pieces).tobytes() == ink(whole).tobytes()


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("a 🐱 b", "a [cat face] b"),
        ("🐱🐱", "[cat face]"),
        ("বাংলা", "[Bengali]"),
        ("தமிழ்", "[Tamil]"),
        ("똠", "ddom"),
        ("\U00020000", "[U+20000]"),
        ("𝓗𝓲 ①", "Hi 1"),
        ("🇩🇪 👍🏽", "DE [thumbs up sign]"),
        ("a\ue000\ufe0fb", "ab"),
    ],
)
def test_what_has_no_letter_is_written_in_words(text, written):
    assert lettering.readable(text) == written
    assert all(one.glyph != 0 for one in lettering._lay_out(text, None))


def test_a_font_that_is_given_comes_first_and_ours_help_out():
    own = lettering.Typeface.of((lettering._FONTS / "thai.ttf").read_bytes())
    assert lettering.line("ก春", 40, own=own).advance == pytest.approx(lettering.width("ก春", 40), rel=0.01)
    assert {one.typeface for one in lettering._lay_out("ก春", own)} >= {own}
    for broken in (b"", b"nothing", (lettering._FONTS / "thai.ttf").read_bytes()[:200]):
        with pytest.raises(ValueError, match="no font"):
            lettering.Typeface.of(broken)


def test_captions_break_chinese_anywhere_and_begin_arabic_at_the_right():
    long = caption.strip(600, 600, "春眠不觉晓处处闻啼鸟" * 8, "x")
    short = caption.strip(600, 600, "春", "x")
    assert long.height > short.height
    rows = long.convert("L").crop((0, 0, 600, long.height // 2)).point([255 if v > 150 else 0 for v in range(256)])
    assert rows.getbbox()[2] > 560  # the line is full
    for text, side in (("hello", 0), ("مرحبا", 1)):
        strip = caption.strip(600, 600, text, "")
        left, _, right, _ = strip.convert("L").point([255 if v > 150 else 0 for v in range(256)]).getbbox()
        assert (left < 30, right > 570) == ((True, False), (False, True))[side]
