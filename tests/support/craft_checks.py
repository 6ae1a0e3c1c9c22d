"""The special picture tasks, done here, and what their pictures are measured by."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image, ImageChops, ImageStat
from tests.support.media_files import png

from modellix_server.sandbox.rendering import crafts
from modellix_server.sandbox.rendering.crafts.brief import Craft
from modellix_server.sandbox.rendering.paint import Source

RED, GREEN = (200, 30, 40), (20, 120, 60)
EDIT = {f"{side}_scale": 1.0 for side in ("top", "bottom", "left", "right")}
EDIT |= {"strength": 0.5, "upscale_factor": 1, "is_sketch": False}


def worker(folder: Path) -> Callable[..., tuple[Any, Image.Image]]:
    """A function that does a task; it gives its finished files, and the first picture."""

    def do(name: str, prompt: str = "", options: dict[str, Any] | None = None, **pictures: Image.Image):
        sources = {field.replace("__", "."): source(picture) for field, picture in pictures.items()}
        made = crafts.craft(Craft(name, prompt, 7, "m", sources, options or {}), folder / "x")
        image = Image.open(made.files[0])
        assert image.size == made.size
        return made, image if image.mode == "RGBA" else image.convert("RGB")

    return do


def source(image: Image.Image) -> tuple[Source, ...]:
    return (Source(png(image), 100 << 20, (1, 9000)),)


def difference(one: Image.Image, other: Image.Image) -> float:
    return sum(ImageStat.Stat(ImageChops.difference(one.convert("RGB"), other.convert("RGB"))).mean) / 3


def share_of(image: Image.Image, colour: tuple[int, int, int], box) -> float:
    """How much of a region has about this colour's hue: its strongest channel far above the others."""
    part = image.crop(box)
    strongest = colour.index(max(colour))
    channels = part.split()
    others = ImageChops.lighter(*(channels[index] for index in range(3) if index != strongest))
    above = ImageChops.subtract(channels[strongest], others).point([255 if value > 40 else 0 for value in range(256)])
    return above.histogram()[255] / (part.width * part.height)


def edited(work, function: str, image: Image.Image, prompt: str = "a castle", mask=None, **options: Any) -> Image.Image:
    pictures = {"base_image_url": image} | ({} if mask is None else {"mask_image_url": mask})
    return work("imageedit", prompt, {**EDIT, "function": function, **options}, **pictures)[1]
