"""The vendor's own rules per model, as data: `models.toml` beside this file."""

import tomllib
from importlib import resources
from typing import Literal

import msgspec


class PictureModel(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A model of the images endpoint."""

    images: tuple[int, int]
    size: str
    """The default; `adaptive` alone for a model that takes no other."""
    also: tuple[str, ...] = ()
    sizes: dict[str, int] = {}
    """Word -> side of the square it stands for, when the prompt asks for no other shape."""
    area: tuple[int, int] | None = None
    ratio: float = 16.0
    formats: tuple[str, ...] = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF")
    shape: float = 16.0
    seed: bool = False
    guidance: float | None = None
    sets: bool = False
    optimize: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    search: bool = False


class ClipModel(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A model of the task endpoint."""

    modes: tuple[Literal["text", "first", "last", "references"], ...]
    resolution: str
    shapes: dict[str, tuple[int, int]]
    seconds: tuple[int, int]
    also: tuple[str, ...] = ()
    references: tuple[int, int, int] = (0, 0, 0)
    chooses: bool = False
    frames: bool = False
    seed: bool = False
    camera: bool = False
    flex: bool = False
    sound: bool = False
    heic: bool = False
    draft: bool = False
    search: bool = False


class Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All models by name, the names of both clouds included."""

    picture: dict[str, PictureModel]
    clip: dict[str, ClipModel]


def load() -> Table:
    """All models the emulator knows."""
    text = resources.files(__package__).joinpath("models.toml").read_text("utf-8")
    table = msgspec.convert(tomllib.loads(text), Table)
    return Table(
        {name: model for first, model in table.picture.items() for name in (first, *model.also)},
        {name: model for first, model in table.clip.items() for name in (first, *model.also)},
    )
