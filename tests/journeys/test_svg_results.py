"""A model that delivers SVG beside its pictures: both are stored, alike, and inert when served."""

from __future__ import annotations

import io
import re
from xml.etree import ElementTree as ET

from PIL import Image, ImageChops, ImageDraw

PATH = "{http://www.w3.org/2000/svg}path"


def rendered(svg: bytes) -> Image.Image:
    """The light areas of an outline drawing, by the even-odd rule."""
    root = ET.fromstring(svg)
    image = Image.new("1", (int(root.get("width", "0")), int(root.get("height", "0"))))
    for line in re.findall("M([^Z]*)Z", root.find(PATH).get("d")):
        points = [tuple(map(float, point.split())) for point in line.split("L")]
        area = Image.new("1", image.size)
        ImageDraw.Draw(area).polygon(points, fill=1)
        image = ImageChops.logical_xor(image, area)
    return image


async def test_letters_as_png_and_as_svg(platform, team) -> None:
    data = await team.run("alibaba/wordart-semantic", text="TEA", prompt="blossom", n=1)
    assert data["status"] == "success", data
    picture, drawing = data["result"]["resources"]
    assert (picture["format"], picture["role"]) == ("png", "primary")
    assert (drawing["type"], drawing["format"], drawing["role"]) == ("image", "svg", "alternative")
    assert (drawing["width"], drawing["height"]) == (picture["width"], picture["height"]) == (1280, 720)
    assert data["result"]["metadata"]["image_count"] == 1
    async with team.http.get(drawing["url"]) as answer:
        svg = await answer.read()
        assert (answer.status, answer.content_type) == (200, "image/svg+xml")
        assert answer.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert len(svg) == drawing["size"]
    async with team.http.get(picture["url"]) as answer:
        png = Image.open(io.BytesIO(await answer.read()))
    apart = ImageChops.logical_xor(rendered(svg), png.convert("L").point([0] * 128 + [255] * 128).convert("1"))
    body = apart.crop((0, 0, 1280, 620))  # a caption of the sandbox is below
    assert body.histogram()[255] / (1280 * 620) < 0.03
    assert 0.03 < rendered(svg).crop((0, 0, 1280, 620)).histogram()[255] / (1280 * 620) < 0.7
    (line,) = await platform.bill(data["task_id"])
    assert line["images"] == 1
    assert await platform.reviews(data["task_id"]) == []
