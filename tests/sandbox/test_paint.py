"""Pictures, checked on their pixels."""

from __future__ import annotations

import io

import pytest
from PIL import Image, ImageChops, ImageStat

from modellix_server.sandbox.rendering import caption
from modellix_server.sandbox.rendering.paint import Picture, Source, UnusableMedia, paint


def make(path, *args, **kwargs) -> Image.Image:
    size = paint(Picture(*args, **kwargs), path)
    image = Image.open(io.BytesIO(path.read_bytes()))
    assert (image.format, image.mode, image.size) == ("PNG", "RGB", size)
    return image


def difference(one: Image.Image, other: Image.Image) -> float:
    """Mean difference of the channels, 0..255."""
    return sum(ImageStat.Stat(ImageChops.difference(one.convert("RGB"), other.convert("RGB"))).mean) / 3


def correlation(one: Image.Image, other: Image.Image) -> float:
    """Pearson's, of the brightness at 64x64."""
    x, y = (list(image.convert("L").resize((64, 64)).tobytes()) for image in (one, other))
    mean_x, mean_y = sum(x) / len(x), sum(y) / len(y)
    above = sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True))
    below = (sum((a - mean_x) ** 2 for a in x) * sum((b - mean_y) ** 2 for b in y)) ** 0.5
    return above / below


@pytest.mark.parametrize("size", [(1328, 1328), (1664, 928), (720, 2880), (513, 777), (64, 64)])
def test_the_size_is_exact(tmp_path, size):
    image = make(tmp_path / "a.png", "a cat", 1, "m", size)
    assert image.size == size
    assert sum(ImageStat.Stat(image).stddev) > 20


def test_the_same_order_gives_the_same_picture_and_any_other_another(tmp_path):
    def bytes_of(prompt="a cat", seed=1, model="m", index=0):
        paint(Picture(prompt, seed, model, (256, 256), index), tmp_path / "a.png")
        return (tmp_path / "a.png").read_bytes()

    assert bytes_of() == bytes_of()
    others = {bytes_of(prompt="a dog"), bytes_of(seed=2), bytes_of(model="n"), bytes_of(index=1)}
    assert len(others | {bytes_of()}) == 5


@pytest.mark.parametrize(
    "prompt", ["", "\u4e2d\u6587 \U0001f600 \u0627\u0644", "x" * 5000, "a\nb\x00c\u202e", "\ud800"]
)
def test_any_text_can_be_a_caption(tmp_path, prompt):
    make(tmp_path / "a.png", prompt, 1, "m", (512, 512))


def test_prompt_and_seed_are_written_on_the_picture():
    plain = caption.strip(800, 600, "", "")
    written = caption.strip(800, 600, "a fox in the snow", "seed 7")
    assert ImageStat.Stat(written.convert("L")).stddev[0] > 5 * ImageStat.Stat(plain.convert("L")).stddev[0]
    assert caption.strip(800, 600, "word " * 400, "seed 7").height < 600 / 4


def test_an_edit_resembles_its_input_and_differs_from_it(tmp_path, material):
    photo = material.photo(900, 600)
    source = Source(material.png(photo), 10 << 20, (384, 3072))
    made = [make(tmp_path / "a.png", "make it night", 1, "m", None, index, sources=(source,)) for index in range(2)]
    for image in made:
        assert abs(image.width * image.height - 1024 * 1024) < 40_000
        assert abs(image.width / image.height - 1.5) < 0.05
        assert correlation(image, photo) > 0.7
        assert difference(image, photo.resize(image.size)) > 12
    assert difference(*made) > 2
    unrelated = make(tmp_path / "b.png", "make it night", 1, "m", (1248, 832))
    assert abs(correlation(unrelated, photo)) < 0.6
    assert make(tmp_path / "c.png", "x", 1, "m", (512, 800), 0, sources=(source, source)).size == (512, 800)


def test_a_see_through_or_turned_picture_is_laid_flat(tmp_path, material):
    glass = material.png(Image.new("RGBA", (400, 400), (0, 0, 0, 0)))
    make(tmp_path / "a.png", "x", 1, "m", None, 0, sources=(Source(glass, 1 << 20, (384, 3072)),))
    turned = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6  # lies on its side
    Image.new("RGB", (800, 400), "red").save(turned, "JPEG", exif=exif)
    image = make(tmp_path / "b.png", "x", 1, "m", None, 0, sources=(Source(turned.getvalue(), 1 << 20, (384, 3072)),))
    assert image.height > image.width


@pytest.mark.parametrize(
    ("source", "what"),
    [
        (lambda m: Source(b"GIF89a nonsense", 1 << 20, (1, 100)), "format"),
        (lambda m: Source(m.png(m.photo(400, 400))[:5000], 1 << 20, (1, 1000)), "format"),
        (lambda m: Source(m.png(m.photo(400, 400)), 100, (1, 1000)), "size"),
        (lambda m: Source(m.png(m.photo(400, 400)), 1 << 20, (401, 1000)), "resolution"),
        (lambda m: Source(m.png(m.photo(400, 400)), 1 << 20, (1, 399)), "resolution"),
        (lambda m: Source(m.png(Image.new("RGBA", (9, 9))), 1 << 20, (1, 99), alpha=False), "alpha"),
    ],
)
def test_a_source_that_breaks_a_limit(tmp_path, material, source, what):
    with pytest.raises(UnusableMedia) as bad:
        paint(Picture("x", 1, "m", None, sources=(source(material),)), tmp_path / "a.png")
    assert bad.value.what == what
