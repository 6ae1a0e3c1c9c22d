"""Cells of a model gallery: strips of clips, failures in words, one picture of everything."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from modellix_server.catalogue import samples
from modellix_server.cli.model_gallery import draw
from modellix_server.cli.model_gallery.page import page
from modellix_server.cli.model_gallery.runs import GalleryFile, GalleryRun


def example(kind: str = "video-to-video", **about) -> GalleryRun:
    given = {"prompt": "a <script> walk", "video": "https://a.example/a.mp4"}
    return GalleryRun("acme/<b>", kind, "0.1 $/sec", "", given, **about)


def walk() -> GalleryFile:
    return GalleryFile("walk.mp4", "video", (samples.FOLDER / "walk.mp4").read_bytes())


async def test_a_clip_is_a_strip_from_its_beginning_to_its_end() -> None:
    strip = await draw.thumbnail(walk())
    assert strip is not None
    assert strip.height == draw.HIGH
    wide = (strip.width + 2) // draw.FRAMES
    assert abs(wide / draw.HIGH - 16 / 9) < 0.05
    found = []
    for index in range(draw.FRAMES):  # she wears red and walks to the right
        frame = strip.crop((index * wide, 0, (index + 1) * wide - 2, strip.height)).convert("RGB")
        red = [
            x
            for x in range(frame.width)
            for y in range(frame.height)
            if (pixel := frame.getpixel((x, y)))[0] > 150 and pixel[1] < 80
        ]
        found.append(sum(red) / len(red) / wide)
    assert found == sorted(found)
    assert found[-1] - found[0] > 0.4


@pytest.mark.parametrize(("name", "kind"), [("a.mp4", "video"), ("a.png", "image")])
async def test_what_cannot_be_shown_is_a_failure(name: str, kind: str) -> None:
    cell = await draw.cell(example(results=[GalleryFile(name, kind, b"no such thing")]))
    assert cell.run.error == f"{name} cannot be shown"
    assert cell.results == []


async def test_failures_stand_out_and_nothing_is_markup() -> None:
    good = await draw.cell(example(inputs=[walk()], results=[walk()]))
    bad = await draw.cell(example("text-to-image", error="Value out of range: <i>"))
    html = page([bad, good], "two <u>")
    assert '<p class="bad">Failed: Value out of range: &lt;i&gt;</p>' in html
    assert html.count("<img") == 2
    assert not any(tag in html for tag in ("<script", "<b>", "<i>", "<u>"))
    red = Image.new("RGB", (1, 1), draw.BAD).getpixel((0, 0))

    def colours(cells: list[draw.Cell]) -> set:
        return {colour for _, colour in draw.picture(cells, "two").getcolors(1 << 20)}

    assert red in colours([bad, good])
    assert red not in colours([good])


async def test_transparency_shows() -> None:
    thumb = await draw.thumbnail(GalleryFile("bottle.png", "image", (samples.FOLDER / "bottle.png").read_bytes()))
    assert thumb is not None
    assert len(thumb.crop((0, 0, 16, 16)).getcolors() or []) == 2
    file = io.BytesIO()
    Image.new("RGB", (40, 20), "red").save(file, "PNG")
    plain = await draw.thumbnail(GalleryFile("a.png", "image", file.getvalue()))
    assert plain is not None
    assert plain.size == (40, 20)
