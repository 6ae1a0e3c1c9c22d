"""A model gallery as one picture: a cell for every example, inputs beside results, clips as strips of frames."""

import asyncio
import io
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import imageio_ffmpeg
from PIL import Image, ImageDraw, UnidentifiedImageError

from modellix_server.cli.model_gallery.runs import GalleryFile, GalleryRun
from modellix_server.sandbox.rendering import lettering

FRAMES = 4
HIGH = 170
"""Height of thumbnails."""
_COLUMNS, _CELL, _PAD, _LINE, _GAP = 4, 560, 14, 20, 6
_NARROW = "text-to-image"
"""The type whose cells need only half the width."""
_TINY = 0.6
_GROUND, _CARD, _INK, _PALE, BAD = "#eceff3", "#ffffff", "#1d2733", "#6b7785", "#b3261e"
_FFMPEG_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class Cell:
    """One example with its thumbnails."""

    run: GalleryRun
    inputs: list[Image.Image]
    results: list[Image.Image]


async def cell(run: GalleryRun) -> Cell:
    """The thumbnails of a run; what cannot be shown makes it a failure."""
    inputs = [thumb for media in run.inputs if (thumb := await thumbnail(media)) is not None]
    results = []
    for media in run.results:
        thumb = await thumbnail(media)
        if thumb is not None:
            results.append(thumb)
        elif run.error is None:
            run.error = f"{media.name} cannot be shown"
    return Cell(run, inputs, results)


async def thumbnail(media: GalleryFile) -> Image.Image | None:
    """A picture, a strip of a clip's frames, or a word for a sound; None for what is none of these."""
    if media.kind == "audio":
        return _word("sound")
    if media.kind == "video":
        return await _strip(media.data)
    if media.name.endswith(".svg"):
        return _word("SVG")
    try:
        with Image.open(io.BytesIO(media.data)) as image:
            return _framed(image)
    except (UnidentifiedImageError, OSError, Image.DecompressionBombError):
        return None


def _framed(image: Image.Image) -> Image.Image:
    """At the gallery's height; chequered where it is transparent."""
    image = image.convert("RGBA")
    image.thumbnail((HIGH * 3, HIGH), Image.Resampling.LANCZOS)
    ground = Image.new("RGB", image.size, "#ffffff")
    draw = ImageDraw.Draw(ground)
    for x in range(0, image.width, 16):
        for y in range(x // 8 % 2 * 8, image.height, 16):
            draw.rectangle((x, y, x + 7, y + 7), fill="#d5dae1")
            draw.rectangle((x + 8, y + 8, x + 15, y + 15), fill="#d5dae1")
    ground.paste(image, mask=image.getchannel("A"))
    return ground


async def _strip(clip: bytes) -> Image.Image | None:
    """Frames from the beginning to the end of an MP4, side by side; ffmpeg reads no other file and no network."""
    with tempfile.TemporaryDirectory(prefix="gallery-") as folder:
        source = Path(folder, "clip.mp4")
        source.write_bytes(clip)
        frames: list[Image.Image] = []
        command = [imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-v", "error", "-protocol_whitelist", "file"]
        command += ["-f", "mov", "-i", str(source), "-vf", f"scale=-2:{HIGH}", "-y", str(Path(folder, "%05d.png"))]
        process = await asyncio.create_subprocess_exec(*command, stdin=asyncio.subprocess.DEVNULL)
        try:
            async with asyncio.timeout(_FFMPEG_TIMEOUT_S):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
        paths = sorted(Path(folder).glob("*.png"))
        if not paths:
            return None
        for index in range(FRAMES):
            with Image.open(paths[round(index * (len(paths) - 1) / (FRAMES - 1))]) as opened:
                frames.append(opened.convert("RGB"))
    wide = Image.new("RGB", (sum(frame.width for frame in frames) + 2 * (FRAMES - 1), HIGH), _INK)
    x = 0
    for frame in frames:
        wide.paste(frame, (x, 0))
        x += frame.width + 2
    return wide


def _word(text: str) -> Image.Image:
    image = Image.new("RGB", (HIGH // 2, HIGH), "#dfe5ec")
    lettering.write(image, ((image.width - lettering.width(text, 15)) / 2, HIGH / 2 - 9), text, 15, _INK)
    return image


def picture(cells: Sequence[Cell], title: str) -> Image.Image:
    """All cells in one picture, under headings for the types of models."""
    blocks = [(kind, _rows([one for one in cells if one.run.type == kind])) for kind in _kinds(cells)]
    height = 70 + sum(56 + sum(tall + _PAD for _, tall in rows) for _, rows in blocks)
    image = Image.new("RGB", (_COLUMNS * (_CELL + _PAD) + _PAD, height + _PAD), _GROUND)
    draw = ImageDraw.Draw(image)
    lettering.write(image, (_PAD, 16), title, 30, _INK)
    y = 70
    for kind, rows in blocks:
        lettering.write(image, (_PAD, y + 14), kind, 24, _INK)
        y += 56
        for row, tall in rows:
            for column, drawn in enumerate(row):
                x = _PAD + column * (_width(kind) + _PAD)
                draw.rounded_rectangle((x, y, x + _width(kind), y + tall), 8, fill=_CARD)
                image.paste(drawn, (x + 10, y + 8))
            y += tall + _PAD
    return image


def _kinds(cells: Sequence[Cell]) -> list[str]:
    return list(dict.fromkeys(one.run.type for one in cells))


def _rows(cells: Sequence[Cell]) -> list[tuple[list[Image.Image], int]]:
    drawn = [_draw(one, _width(one.run.type) - 20) for one in cells]
    across = _COLUMNS * 2 if cells[0].run.type == _NARROW else _COLUMNS
    rows = [drawn[start : start + across] for start in range(0, len(drawn), across)]
    return [(row, max(one.height for one in row) + 16) for row in rows]


def _width(kind: str) -> int:
    return (_CELL - _PAD) // 2 if kind == _NARROW else _CELL


def _draw(one: Cell, wide: int) -> Image.Image:
    """A cell's content: name, price and words above the thumbnails."""
    run = one.run
    lines = [(run.slug, 15, _INK)]
    lines += [(line, 13, _PALE) for line in _wrapped(facts(run), 13, wide, 2)]
    if run.words:
        lines += [(line, 13, _INK) for line in _wrapped(run.words, 13, wide, 2)]
    if run.error:
        lines += [(line, 14, BAD) for line in _wrapped(f"Failed: {run.error}", 14, wide, 4)]
    shelves = _shelves(one, wide)
    tall = sum(max((part.height for part in shelf), default=0) + _GAP for shelf in shelves)
    image = Image.new("RGB", (wide, len(lines) * _LINE + 8 + tall), _CARD)
    for index, (text, size, colour) in enumerate(lines):
        lettering.write(image, (0, index * _LINE), text, size, colour)
    y = len(lines) * _LINE + 8
    for shelf in shelves:
        x = 0
        for part in shelf:
            image.paste(part, (x, y))
            x += part.width + _GAP
        y += max((part.height for part in shelf), default=0) + _GAP
    return image


def _shelves(one: Cell, wide: int) -> list[list[Image.Image]]:
    """Thumbnails in one line, an arrow between inputs and results; in two where one would make them tiny."""
    arrow = [_arrow()] if one.inputs and one.results else []
    parts = [*one.inputs, *arrow, *one.results]
    if one.inputs and _factor(parts, wide) < _TINY:
        return [_fitted(one.inputs, wide), _fitted([*arrow, *one.results], wide)]
    return [_fitted(parts, wide)]


def _factor(parts: Sequence[Image.Image], wide: int) -> float:
    return min(1.0, (wide - _GAP * len(parts)) / max(1, sum(part.width for part in parts)))


def _fitted(parts: Sequence[Image.Image], wide: int) -> list[Image.Image]:
    factor = _factor(parts, wide)
    return [
        part.resize((max(1, round(part.width * factor)), max(1, round(part.height * factor))), Image.Resampling.LANCZOS)
        for part in parts
    ]


def _arrow() -> Image.Image:
    image = Image.new("RGB", (26, HIGH), _CARD)
    draw, middle = ImageDraw.Draw(image), HIGH // 2
    draw.line((3, middle, 20, middle), fill=_PALE, width=3)
    draw.polygon([(14, middle - 7), (24, middle), (14, middle + 7)], fill=_PALE)
    return image


def facts(run: GalleryRun) -> str:
    """Price, what this example cost and how long it took, in words."""
    cost = "" if run.amount_usd is None else f"  -  this one {run.amount_usd:g} USD"
    return f"{run.price}{cost}  -  {run.seconds:.1f} s"


def _wrapped(text: str, size: int, wide: int, most: int) -> list[str]:
    """Lines that fit, at most so many."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if lettering.width(longer, size) <= wide or not lines[-1]:
            lines[-1] = longer
        elif len(lines) == most:
            lines[-1] += " ..."
            break
        else:
            lines.append(word)
    return lines
