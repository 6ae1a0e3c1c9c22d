"""Inputs and outputs of the special image tasks."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from PIL import Image

from modellix_server.sandbox.rendering.cutout import Box
from modellix_server.sandbox.rendering.paint import Source, open_layer, open_picture


@dataclass(frozen=True, slots=True)
class Craft:
    """A special task: `work` names it, `sources` are its pictures by field, `options` its other fields."""

    work: str
    prompt: str
    seed: int
    model: str
    sources: dict[str, tuple[Source, ...]]
    options: dict[str, Any]
    font: bytes | None = None
    index: int = 0
    mark: bool = False

    @property
    def text(self) -> str:
        """Seed of the random choices."""
        return f"{self.model}\n{self.seed}\n{self.index}\n{self.prompt}"

    def picture(self, name: str) -> Image.Image | None:
        """The picture of a field, as RGB. Raises BadMedia."""
        sources = self.sources.get(name)
        return open_picture(sources[0]) if sources else None

    def needed(self, name: str) -> Image.Image:
        """The picture of a field that the rules require. Raises BadMedia."""
        return open_picture(self.sources[name][0])

    def layers(self, name: str) -> list[Image.Image]:
        """The pictures of a field with their transparency, as RGBA. Raises BadMedia."""
        return [open_layer(source).convert("RGBA") for source in self.sources.get(name, ())]


@dataclass(frozen=True, slots=True)
class Made:
    """What a task made, not saved yet. Companions are pictures, or the text of an SVG."""

    pictures: list[Image.Image]
    companions: list[Image.Image | str | None] = field(default_factory=list)
    boxes: tuple[Box | None, ...] = ()
    message: str = ""
    form: Literal["PNG", "JPEG"] = "PNG"
    most_bytes: int | None = None
    """A larger PNG is saved as JPEG."""


@dataclass(frozen=True, slots=True)
class Crafted:
    """The finished files, the size of the first, and further output."""

    files: tuple[Path, ...]
    size: tuple[int, int]
    companions: tuple[Path | None, ...] = ()
    boxes: tuple[Box | None, ...] = ()
    message: str = ""
