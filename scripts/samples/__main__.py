"""Draws the sample media that the examples of the catalogue use: `python scripts/samples`, from the top folder.

Everything is drawn here, so nothing has an owner but us. The files are committed; run this again after a change.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator
from pathlib import Path

import people
import things
from people import FINE, RED_TOP, Clothes, Figure
from PIL import Image, ImageDraw

from modellix_server.catalogue import samples
from modellix_server.sandbox.rendering import ffmpeg, sound
from modellix_server.sandbox.rendering.scene import Scene

WIDE, TALL, SQUARE, CLIP = (1024, 768), (768, 1024), (1024, 1024), (1280, 720)
FRAMES_PER_S = 24
CLIP_S = 3
MUSIC_S = 5
DARK_TROUSERS = "#27406e"


def main() -> None:
    """Draw them all."""
    folder = samples.FOLDER
    folder.mkdir(exist_ok=True)
    for path in folder.iterdir():
        path.unlink()
    own = Clothes()
    stills = {
        "person.png": people.standing(TALL, own),
        "portrait.jpg": people.portrait(SQUARE, own),
        "shirt.png": people.garment(
            TALL, Clothes("#c8324a", stripe="#f6d25a", long_sleeves=True, parts=frozenset({"top"}))
        ),
        "trousers.png": people.garment(TALL, Clothes(trousers=DARK_TROUSERS, parts=frozenset({"trousers"}))),
        "cat.jpg": things.cat(WIDE),
        "boat.jpg": things.boat(WIDE),
        "house.jpg": things.house(WIDE),
        "room.jpg": things.room(WIDE),
        "room-mask.png": things.room_mask(WIDE),
        "poster.png": things.poster(TALL),
        "bottle.png": things.bottle(SQUARE),
        "sketch.png": things.sketch(SQUARE),
        "bud.jpg": things.flower(WIDE, 0),
        "flower.jpg": things.flower(WIDE, 1),
        "marked.jpg": things.marked(things.boat(WIDE)),
        "grey.jpg": things.grey(things.house(WIDE)),
    }
    stills["walk-mask.png"] = things.sky_mask(CLIP)
    dressed = people.standing(TALL, RED_TOP).resize((TALL[0] // 3, TALL[1] // 3)).resize(TALL, Image.Resampling.BICUBIC)
    stills["dressed.jpg"] = dressed
    for name, picture in stills.items():
        _save(picture, folder / name)
    _film(folder / "walk.mp4", CLIP, _walk(CLIP))
    _film(folder / "dance.mp4", (720, 1280), _dance((720, 1280)))
    _record(folder / "music.mp3")


def _save(picture: Image.Image, path: Path) -> None:
    if path.suffix == ".jpg":
        picture.save(path, "JPEG", quality=84, optimize=True, progressive=True)
    elif picture.mode == "RGB":
        picture.quantize(128, dither=Image.Dither.NONE).convert("RGB").save(path, "PNG", optimize=True)
    else:
        picture.save(path, "PNG", optimize=True)


def _walk(size: tuple[int, int]) -> Iterator[Image.Image]:
    """She walks past hills."""
    scene, large = Scene("street 2"), (size[0] * FINE // 2, size[1] * FINE // 2)
    count = CLIP_S * FRAMES_PER_S
    for index in range(count):
        image = scene.frame(*large, index / count)
        draw = ImageDraw.Draw(image)
        draw.rectangle((0, large[1] * 0.9, *large), fill="#8d8577")
        x = large[0] * (0.2 + 0.6 * index / count)
        pose = people.walking(index / FRAMES_PER_S * 0.85)
        Figure(draw, (x, large[1] * 0.945), large[1] * 0.72, RED_TOP, pose).side()
        yield image.resize(size, Image.Resampling.LANCZOS)


def _dance(size: tuple[int, int]) -> Iterator[Image.Image]:
    """She dances before a plain wall."""
    large = (size[0] * FINE // 2, size[1] * FINE // 2)
    clothes = Clothes(top="#7a4fa3", trousers="#33324d")
    for index in range(CLIP_S * FRAMES_PER_S):
        image = Image.new("RGB", large, "#dfe6e4")
        draw = ImageDraw.Draw(image)
        sway = large[0] * 0.05 * math.sin(index / FRAMES_PER_S * math.tau / 1.5)
        shade = (large[0] * 0.3 + sway, large[1] * 0.885, large[0] * 0.7 + sway, large[1] * 0.915)
        draw.ellipse(shade, fill="#cdd6d3")
        pose = people.dancing(index / FRAMES_PER_S / 1.5)
        Figure(draw, (large[0] / 2 + sway, large[1] * 0.9), large[1] * 0.68, clothes, pose).front()
        yield image.resize(size, Image.Resampling.LANCZOS)


def _film(path: Path, size: tuple[int, int], frames: Iterator[Image.Image]) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        tune = Path(scratch, "tune.pcm")
        tune.write_bytes(sound.tune(path.name, CLIP_S))
        form = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{size[0]}x{size[1]}", "-r", str(FRAMES_PER_S)]
        form += ["-i", "pipe:0", "-f", "s16le", "-ar", str(sound.RATE_HZ), "-ac", "2", "-i", str(tune)]
        codec = ["-c:v", "libx264", "-preset", "veryslow", "-tune", "animation", "-crf", "27", "-pix_fmt", "yuv420p"]
        codec += ["-c:a", "aac", "-b:a", "64k", "-t", str(CLIP_S)]
        ffmpeg.run([*form, *codec, *ffmpeg.MP4, "-y", str(path)], (frame.tobytes() for frame in frames))


def _record(path: Path) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        tune = Path(scratch, "tune.pcm")
        tune.write_bytes(sound.tune("music", MUSIC_S))
        form = ["-f", "s16le", "-ar", str(sound.RATE_HZ), "-ac", "2", "-i", str(tune)]
        ffmpeg.run([*form, "-c:a", "libmp3lame", "-b:a", "80k", "-map_metadata", "-1", "-y", str(path)])


if __name__ == "__main__":
    main()
