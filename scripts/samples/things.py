"""Animals, buildings, plants, a poster: what the samples show beside people."""

from __future__ import annotations

import math
import random

from PIL import Image, ImageDraw, ImageFilter, ImageOps

from modellix_server.sandbox.rendering import caption
from modellix_server.sandbox.rendering.scene import Scene

FINE = 2
Size = tuple[int, int]


def _canvas(size: Size, colour: str) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    image = Image.new("RGB", (size[0] * FINE, size[1] * FINE), colour)
    return image, ImageDraw.Draw(image)


def landscape(text: str, size: Size) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    """A scene of the emulators' painter to draw on."""
    image = Scene(text).frame(size[0] * FINE, size[1] * FINE, 0.3)
    return image, ImageDraw.Draw(image)


def finished(image: Image.Image, size: Size) -> Image.Image:
    """Scaled down to its size, so that edges are soft."""
    return image.resize(size, Image.Resampling.LANCZOS)


def cat(size: Size) -> Image.Image:
    """An orange cat that sits in a garden."""
    image, draw = _canvas(size, "#bfe0ee")
    wide, high = image.size
    meadow = Image.linear_gradient("L").resize((wide, round(high * 0.5)))
    image.paste(ImageOps.colorize(meadow, "#9ccf6c", "#4f8f3f"), (0, round(high * 0.5)))
    chance = random.Random(7)  # noqa: S311  (a picture)
    for _ in range(26):
        x, y = chance.random() * wide, high * (0.58 + 0.4 * chance.random())
        r = high * 0.012 * (0.5 + y / high)
        draw.line((x, y, x, y + 3 * r), fill="#3d7a35", width=max(2, round(r / 4)))
        for turn in range(5):
            px, py = x + r * math.cos(turn * 1.257), y + r * math.sin(turn * 1.257)
            colour = chance.choice(("#ffffff", "#ffd6ec", "#fff2a8"))
            draw.ellipse((px - r * 0.6, py - r * 0.6, px + r * 0.6, py + r * 0.6), fill=colour)
        draw.ellipse((x - r * 0.5, y - r * 0.5, x + r * 0.5, y + r * 0.5), fill="#f2b632")
    _cat(draw, wide * 0.5, high * 0.93, high * 0.78)
    return finished(image, size)


def _cat(draw: ImageDraw.ImageDraw, x: float, foot: float, h: float) -> None:
    coat, dark, light = "#e8893a", "#c46a24", "#fbe9d2"

    def oval(cx: float, cy: float, rx: float, ry: float, fill: str) -> None:
        draw.ellipse((x + (cx - rx) * h, foot + (cy - ry) * h, x + (cx + rx) * h, foot + (cy + ry) * h), fill=fill)

    tail = [
        (x + (0.2 + 0.2 * math.sin(t * 2.6)) * h, foot - (0.05 + 0.42 * t) * h) for t in (i / 20 for i in range(21))
    ]
    draw.line(tail, fill=dark, width=round(h * 0.07), joint="curve")
    oval(0.2 + 0.2 * math.sin(2.6), -0.47, 0.035, 0.035, light)
    oval(0, -0.27, 0.235, 0.28, coat)
    oval(0, -0.22, 0.12, 0.19, light)
    for out in (-1, 1):
        oval(out * 0.17, -0.1, 0.1, 0.12, coat)
        oval(out * 0.085, -0.13, 0.05, 0.15, coat)
        oval(out * 0.085, -0.015, 0.065, 0.035, light)
        ear = [(out * 0.19, -0.73), (out * 0.185, -1.0), (out * 0.05, -0.85)]
        draw.polygon([(x + px * h, foot + py * h) for px, py in ear], fill=coat)
        inner = [(out * 0.165, -0.77), (out * 0.165, -0.94), (out * 0.08, -0.84)]
        draw.polygon([(x + px * h, foot + py * h) for px, py in inner], fill="#f4b8a4")
    oval(0, -0.68, 0.215, 0.19, coat)
    oval(0, -0.6, 0.12, 0.085, light)
    for place in (-0.07, 0, 0.07):
        draw.line(
            (x + place * h, foot - 0.865 * h, x + place * 0.7 * h, foot - 0.78 * h), fill=dark, width=round(h * 0.022)
        )
    for out in (-1, 1):
        oval(out * 0.09, -0.71, 0.045, 0.05, "#f7f3c8")
        oval(out * 0.09, -0.71, 0.03, 0.046, "#5c8f3a")
        oval(out * 0.09, -0.71, 0.013, 0.042, "#1c1a14")
        oval(out * 0.1, -0.725, 0.009, 0.011, "#ffffff")
        for lift in (-0.03, 0.005, 0.04):
            start = (x + out * 0.08 * h, foot - (0.6 - lift * 0.4) * h)
            draw.line(
                (*start, x + out * 0.3 * h, foot - (0.61 - lift) * h), fill="#fff8ec", width=max(2, round(h * 0.006))
            )
        draw.arc(
            (x + (out * 0.03 - 0.03) * h, foot - 0.605 * h, x + (out * 0.03 + 0.03) * h, foot - 0.555 * h),
            10,
            170,
            fill="#5b3a26",
            width=max(2, round(h * 0.008)),
        )
    nose = [(-0.022, -0.63), (0.022, -0.63), (0, -0.6)]
    draw.polygon([(x + px * h, foot + py * h) for px, py in nose], fill="#d4706a")


def boat(size: Size) -> Image.Image:
    """A sailing boat on a calm bay."""
    image, draw = landscape("bay 11", size)
    wide, high = image.size
    x, y, h = wide * 0.47, high * 0.8, high * 0.52
    draw.polygon(
        [(x + a * h, y + b * h) for a, b in ((-0.36, -0.06), (0.4, -0.06), (0.3, 0.08), (-0.28, 0.08))], fill="#a63c32"
    )
    draw.polygon(
        [(x + a * h, y + b * h) for a, b in ((-0.37, -0.075), (0.42, -0.075), (0.4, -0.05), (-0.36, -0.05))],
        fill="#f3e6cf",
    )
    draw.line((x, y - 0.06 * h, x, y - h), fill="#5a3b28", width=round(h * 0.02))
    draw.polygon([(x + a * h, y + b * h) for a, b in ((0.02, -0.96), (0.02, -0.13), (0.4, -0.13))], fill="#fffdf6")
    draw.polygon([(x + a * h, y + b * h) for a, b in ((-0.02, -0.9), (-0.02, -0.13), (-0.3, -0.13))], fill="#f0e3cd")
    draw.polygon([(x + a * h, y + b * h) for a, b in ((0, -1.0), (0.12, -0.96), (0, -0.92))], fill="#d9433a")
    for step in range(5):
        span = (0.42 - 0.06 * step) * h
        draw.line(
            (x - span, y + (0.1 + 0.03 * step) * h, x + span * 0.8, y + (0.1 + 0.03 * step) * h),
            fill="#f6efe2",
            width=max(2, round(h * 0.006)),
        )
    return finished(image, size)


def house(size: Size) -> Image.Image:
    """A white house with a red roof before hills."""
    image, draw = landscape("hills 4", size)
    wide, high = image.size
    x, y, h = wide * 0.42, high * 0.86, high * 0.42
    draw.rectangle((x - 0.62 * h, y - 0.72 * h, x + 0.62 * h, y), fill="#f7f0e3")
    draw.rectangle((x + 0.28 * h, y - 1.32 * h, x + 0.44 * h, y - 0.9 * h), fill="#8f5a48")
    draw.polygon([(x - 0.76 * h, y - 0.7 * h), (x, y - 1.32 * h), (x + 0.76 * h, y - 0.7 * h)], fill="#b8483a")
    draw.rectangle((x - 0.11 * h, y - 0.4 * h, x + 0.13 * h, y), fill="#2f5d62")
    for left in (-0.5, 0.26):
        box = (x + left * h, y - 0.52 * h, x + (left + 0.25) * h, y - 0.26 * h)
        draw.rectangle(box, fill="#ffe08a")
        draw.rectangle(box, outline="#7b5b45", width=round(h * 0.022))
        draw.line(
            (x + (left + 0.125) * h, box[1], x + (left + 0.125) * h, box[3]), fill="#7b5b45", width=round(h * 0.018)
        )
    for px, r in ((1.02, 0.34), (-0.98, 0.26)):
        draw.rectangle((x + (px - 0.03) * h, y - 0.5 * h, x + (px + 0.03) * h, y), fill="#5b4332")
        for dx, dy in ((0, -0.75), (-0.16, -0.56), (0.16, -0.56)):
            cx, cy = x + (px + dx * r / 0.3) * h, y + dy * h
            draw.ellipse((cx - r * h * 0.7, cy - r * h * 0.7, cx + r * h * 0.7, cy + r * h * 0.7), fill="#3f7a4a")
    draw.rectangle((0, y - 0.01 * h, wide, high), fill="#5b8b4e")
    draw.polygon([(x - 0.1 * h, y), (x + 0.12 * h, y), (x + 0.5 * h, high), (x - 0.5 * h, high)], fill="#d8c7a2")
    return finished(image, size)


WINDOW = (0.1, 0.14, 0.42, 0.58)
"""Where the window of the room is, in shares of its sides; the mask shows the picture beside it."""
PICTURE = (0.56, 0.16, 0.84, 0.44)


def room(size: Size) -> Image.Image:
    """A living room: window, picture, sofa, lamp."""
    image, draw = _canvas(size, "#e7dcc8")
    wide, high = image.size

    def box(left: float, top: float, right: float, bottom: float) -> tuple[float, float, float, float]:
        return left * wide, top * high, right * wide, bottom * high

    draw.rectangle(box(0, 0.76, 1, 1), fill="#b98a5f")
    for step in range(7):
        draw.line((*box(step / 6 - 0.1, 1, step / 6 * 0.8 + 0.1, 0.76),), fill="#a67a52", width=4)
    draw.rectangle(box(0, 0.745, 1, 0.765), fill="#f6efe3")
    left, top, right, bottom = (round(side) for side in box(*WINDOW))
    image.paste(Scene("garden 3").frame(right - left, bottom - top, 0.3), (left, top))
    draw.rectangle((left, top, right, bottom), outline="#fbf8f2", width=round(high * 0.022))
    draw.line(((left + right) / 2, top, (left + right) / 2, bottom), fill="#fbf8f2", width=round(high * 0.014))
    left, top, right, bottom = (round(side) for side in box(*PICTURE))
    image.paste(boat(((right - left) // 2, (bottom - top) // 2)).resize((right - left, bottom - top)), (left, top))
    draw.rectangle((left, top, right, bottom), outline="#4a3527", width=round(high * 0.016))
    draw.rounded_rectangle(box(0.42, 0.56, 0.92, 0.8), high * 0.04, fill="#3f6f8c")
    draw.rounded_rectangle(box(0.38, 0.66, 0.96, 0.88), high * 0.04, fill="#4c83a3")
    draw.rounded_rectangle(box(0.44, 0.64, 0.67, 0.78), high * 0.03, fill="#5b95b6")
    draw.rounded_rectangle(box(0.68, 0.64, 0.9, 0.78), high * 0.03, fill="#5b95b6")
    draw.rounded_rectangle(box(0.46, 0.6, 0.57, 0.75), high * 0.02, fill="#f0b94d")
    for foot in (0.42, 0.9):
        draw.rectangle(box(foot, 0.88, foot + 0.02, 0.92), fill="#4a3527")
    draw.line(box(0.29, 0.44, 0.29, 0.9), fill="#4a3527", width=round(high * 0.012))
    draw.ellipse(box(0.24, 0.885, 0.34, 0.915), fill="#4a3527")
    draw.polygon(
        [(0.25 * wide, 0.46 * high), (0.33 * wide, 0.46 * high), (0.36 * wide, 0.6 * high), (0.22 * wide, 0.6 * high)],
        fill="#f4d58d",
    )
    return finished(image, size)


def room_mask(size: Size) -> Image.Image:
    """White where the room's picture hangs."""
    image = Image.new("L", size)
    box = tuple(round(share * size[index % 2]) for index, share in enumerate(PICTURE))
    ImageDraw.Draw(image).rectangle(box, fill=255)
    return image


def sky_mask(size: Size) -> Image.Image:
    """White over the upper part, soft below, for a clip of the same size."""
    slope = Image.linear_gradient("L").resize(size)
    return slope.point([max(0, min(255, (118 - value) * 12)) for value in range(256)])


def poster(size: Size) -> Image.Image:
    """A bakery's poster with four lines of text."""
    image, draw = _canvas(size, "#fff4dc")
    wide, high = image.size
    for y, unit, text, colour in (
        (0.08, 0.14, "SUNDAY MARKET", "#a8322d"),
        (0.245, 0.062, "Bread, cheese and flowers", "#3a2a20"),
        (0.83, 0.062, "Every week from 8 to 14", "#3a2a20"),
        (0.91, 0.045, "Old Harbour, Hall 3", "#6b5646"),
    ):
        face = caption.face(round(wide * unit * 0.78))
        draw.text((wide / 2 - face.getlength(text) / 2, high * y), text, font=face, fill=colour)
    middle, y, r = wide / 2, high * 0.56, wide * 0.22
    draw.ellipse((middle - r * 1.5, y + r * 0.72, middle + r * 1.5, y + r * 0.96), fill="#e9d6ae")
    draw.rounded_rectangle((middle - r * 1.35, y - r * 0.35, middle + r * 1.35, y + r * 0.85), r * 0.55, fill="#c98645")
    for cut in (-0.75, -0.25, 0.25, 0.75):
        draw.line(
            (middle + (cut - 0.12) * r, y + r * 0.1, middle + (cut + 0.16) * r, y - r * 0.24),
            fill="#f3cf94",
            width=round(r * 0.11),
        )
    return finished(image, size)


def bottle(size: Size) -> Image.Image:
    """A bottle of scent before nothing, as RGBA."""
    wide, high = size[0] * FINE, size[1] * FINE
    image = Image.new("RGBA", (wide, high), (255, 255, 255, 0))
    draw = ImageDraw.Draw(image)
    x, h = wide / 2, high
    draw.rounded_rectangle((x - 0.17 * h, 0.36 * h, x + 0.17 * h, 0.8 * h), 0.05 * h, fill="#7fb7a6")
    draw.rounded_rectangle((x - 0.15 * h, 0.46 * h, x + 0.15 * h, 0.78 * h), 0.04 * h, fill="#4d9483")
    draw.rectangle((x - 0.06 * h, 0.3 * h, x + 0.06 * h, 0.37 * h), fill="#d9b25f")
    draw.rounded_rectangle((x - 0.075 * h, 0.16 * h, x + 0.075 * h, 0.31 * h), 0.02 * h, fill="#2f2a33")
    draw.rounded_rectangle((x - 0.14 * h, 0.4 * h, x - 0.105 * h, 0.74 * h), 0.017 * h, fill="#c9e8de")
    draw.rectangle((x - 0.085 * h, 0.53 * h, x + 0.13 * h, 0.69 * h), fill="#fdf6e6")
    face = caption.face(round(0.05 * h))
    draw.text((x + 0.022 * h - face.getlength("FJORD") / 2, 0.575 * h), "FJORD", font=face, fill="#2f4f48")
    return image.resize(size, Image.Resampling.LANCZOS)


def sketch(size: Size) -> Image.Image:
    """A castle on a hill in black lines."""
    image, draw = _canvas(size, "white")
    wide, high = image.size
    pen = max(3, round(high * 0.008))

    def line(*points: tuple[float, float]) -> None:
        draw.line([(x * wide, y * high) for x, y in points], fill="#161616", width=pen, joint="curve")

    line((0.02, 0.86), (0.2, 0.72), (0.34, 0.66), (0.7, 0.66), (0.84, 0.73), (0.98, 0.87))
    line((0.3, 0.67), (0.3, 0.44), (0.7, 0.44), (0.7, 0.67))
    for left in (0.3, 0.38, 0.46, 0.54, 0.62):
        line((left, 0.44), (left, 0.41), (left + 0.04, 0.41), (left + 0.04, 0.44))
    for left, top in ((0.22, 0.34), (0.44, 0.24), (0.68, 0.34)):
        line((left, 0.67), (left, top), (left + 0.1, top), (left + 0.1, 0.67))
        line((left - 0.02, top), (left + 0.05, top - 0.16), (left + 0.12, top), (left - 0.02, top))
        line(
            (left + 0.035, top + 0.1),
            (left + 0.035, top + 0.05),
            (left + 0.065, top + 0.05),
            (left + 0.065, top + 0.1),
            (left + 0.035, top + 0.1),
        )
    draw.arc((0.45 * wide, 0.52 * high, 0.55 * wide, 0.72 * high), 180, 360, fill="#161616", width=pen)
    line((0.45, 0.62), (0.45, 0.67))
    line((0.55, 0.62), (0.55, 0.67))
    line((0.47, 0.68), (0.4, 0.8), (0.5, 0.9), (0.46, 0.99))
    line((0.54, 0.68), (0.5, 0.8), (0.62, 0.9), (0.6, 0.99))
    draw.ellipse((0.8 * wide, 0.08 * high, 0.92 * wide, 0.08 * high + 0.12 * wide), outline="#161616", width=pen)
    return finished(image, size)


def flower(size: Size, opened: float) -> Image.Image:
    """A tulip, from a bud (0) to wide open (1)."""
    image, draw = _canvas(size, "#dfeaf2")
    wide, high = image.size
    sky = Image.linear_gradient("L").resize(image.size)
    image.paste(ImageOps.colorize(sky, "#bcd7e8", "#f6f1de"))
    draw.rectangle((0, 0.9 * high, wide, high), fill="#7a5a3f")
    x, y, r = wide / 2, high * (0.52 - 0.1 * opened), high * (0.1 + 0.06 * opened)
    draw.line((x, y, x, 0.92 * high), fill="#4b8a45", width=round(high * 0.024))
    for out in (-1, 1):
        leaf = [(x, 0.92 * high), (x + out * r * 1.6, high * 0.58), (x + out * r * 0.5, high * 0.8), (x, 0.92 * high)]
        draw.polygon(leaf, fill="#5c9e52")
    for place, colour in ((-1, "#c93a5e"), (1, "#c93a5e"), (-0.5, "#dd4c70"), (0.5, "#dd4c70"), (0, "#f06a8a")):
        turn = place * (0.28 + 0.75 * opened)
        tip = (x + math.sin(turn) * r * 2.3, y - math.cos(turn) * r * 2.3)
        side = (math.cos(turn) * r * 0.62, math.sin(turn) * r * 0.62)
        middle = (x + math.sin(turn) * r, y - math.cos(turn) * r)
        draw.polygon(
            [
                (x, y + r * 0.3),
                (middle[0] - side[0], middle[1] - side[1]),
                tip,
                (middle[0] + side[0], middle[1] + side[1]),
            ],
            fill=colour,
        )
    draw.ellipse((x - r * 0.5, y - r * 0.25, x + r * 0.5, y + r * 0.4), fill="#5c9e52")
    if opened > 0.5:
        draw.ellipse((x - r * 0.22, y - r * 1.2, x + r * 0.22, y - r * 0.76), fill="#f5c84c")
    return finished(image, size)


def marked(picture: Image.Image) -> Image.Image:
    """The picture with a pale inscription across it."""
    layer = Image.new("RGBA", picture.size)
    draw = ImageDraw.Draw(layer)
    face = caption.face(round(picture.height * 0.052))
    for row in range(4):
        for column in range(3):
            place = (picture.width * (column * 0.36 + row % 2 * 0.14 - 0.02), picture.height * (0.1 + row * 0.23))
            draw.text(place, "SAMPLE PHOTO", font=face, fill=(255, 255, 255, 205))
    made = picture.copy()
    made.paste(layer, mask=layer)
    return made


def grey(picture: Image.Image) -> Image.Image:
    """The picture as an old photograph without colours."""
    return ImageOps.autocontrast(picture.convert("L").filter(ImageFilter.GaussianBlur(0.6))).convert("RGB")
