"""Pictures from words and from pictures: exact, repeatable, like what they were made of, transparent where asked."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image, ImageChops, ImageDraw, ImageStat

from modellix_server.sandbox.rendering.canvas import Canvas, draw
from modellix_server.sandbox.rendering.paint import UnusableMedia

WORDS = Canvas("a paper boat", "m", 7, (320, 192))


@pytest.fixture
def make(tmp_path: Path):
    def make(order: Canvas) -> Image.Image:
        path = tmp_path / "made"
        draw(order, path)
        image = Image.open(io.BytesIO(path.read_bytes()))
        image.load()
        return image

    return make


def png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def scenery(left: str, right: str) -> Image.Image:
    image = Image.new("RGB", (320, 192), left)
    ImageDraw.Draw(image).rectangle((160, 0, 320, 192), fill=right)
    return image


def difference(one: Image.Image, other: Image.Image, box: tuple[int, int, int, int] | None = None) -> float:
    apart = ImageChops.difference(one.convert("RGB"), other.convert("RGB"))
    return sum(ImageStat.Stat(apart.crop(box) if box else apart).mean)


def light(image: Image.Image, box: tuple[int, int, int, int]) -> float:
    return ImageStat.Stat(image.convert("L").crop(box)).mean[0]


@pytest.mark.parametrize("kind", ["png", "jpeg", "webp"])
def test_from_words(make, kind: str) -> None:
    first = make(replace(WORDS, format=kind))
    assert (first.size, first.format) == ((320, 192), kind.upper())
    assert difference(first, make(replace(WORDS, format=kind))) == 0
    for other in (
        replace(WORDS, prompt="a tin boat"),
        replace(WORDS, index=1),
        replace(WORDS, seed=8),
        replace(WORDS, model="n"),
    ):
        assert difference(first, make(replace(other, format=kind))) > 5


def test_less_quality_is_fewer_bytes(tmp_path: Path) -> None:
    for quality in (90, 10):
        draw(replace(WORDS, format="jpeg", quality=quality), tmp_path / str(quality))
    assert (tmp_path / "10").stat().st_size < (tmp_path / "90").stat().st_size / 2


def test_an_edit_resembles_its_picture(make) -> None:
    dark_left, dark_right = scenery("#101010", "#f0f0f0"), scenery("#f0f0f0", "#101010")
    left, right = (10, 10, 150, 120), (170, 10, 310, 120)
    for given, darker, lighter in ((dark_left, left, right), (dark_right, right, left)):
        made = make(replace(WORDS, images=(png(given),)))
        assert light(made, lighter) - light(made, darker) > 60
        assert difference(made, given) > 10


def test_every_picture_is_to_be_seen_in_it(make) -> None:
    given, red = png(scenery("#808080", "#909090")), png(Image.new("RGB", (64, 64), "#ff0000"))
    alone = make(replace(WORDS, images=(given,)))
    both = make(replace(WORDS, images=(given, red)))
    seen = [pixel for pixel in both.convert("RGB").get_flattened_data() if pixel[0] > 240 and max(pixel[1:]) < 20]
    assert len(seen) > 100
    assert not [pixel for pixel in alone.convert("RGB").get_flattened_data() if pixel[0] > 240 and max(pixel[1:]) < 20]


def test_only_where_the_mask_is_transparent(make) -> None:
    given = scenery("#303030", "#d0d0d0")
    mask = Image.new("RGBA", given.size, "#ffffffff")
    hole = (40, 30, 280, 120)
    mask.paste((0, 0, 0, 0), hole)
    made = make(replace(WORDS, images=(png(given),), mask=png(mask)))
    assert difference(made, given, hole) > 10
    for kept in ((0, 0, 320, 30), (0, 120, 320, 192), (0, 0, 40, 192), (280, 0, 320, 192)):
        assert difference(made, given, kept) == 0


@pytest.mark.parametrize("kind", ["png", "webp"])
@pytest.mark.parametrize("images", [(), (png(scenery("#303030", "#d0d0d0")),)])
def test_a_transparent_ground(make, kind: str, images) -> None:
    alpha = make(replace(WORDS, images=images, transparent=True, format=kind)).getchannel("A")
    assert [alpha.getpixel(place) for place in ((0, 0), (319, 0), (0, 191), (319, 191))] == [0] * 4
    assert alpha.getpixel((160, 96)) == 255
    assert make(replace(WORDS, images=images, format=kind)).mode == "RGB"


def test_what_was_transparent_stays_so(make) -> None:
    given = scenery("#303030", "#d0d0d0").convert("RGBA")
    given.putalpha(Image.linear_gradient("L").rotate(90).resize(given.size).point([0] * 128 + [255] * 128))
    alpha = make(replace(WORDS, images=(png(given),), transparent=True)).getchannel("A")
    assert {alpha.getpixel((60, 96)), alpha.getpixel((260, 96))} == {0, 255}


def test_a_broken_picture(make) -> None:
    with pytest.raises(UnusableMedia):
        make(replace(WORDS, images=(png(scenery("#303030", "#d0d0d0"))[:200],)))
