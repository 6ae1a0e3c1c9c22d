"""The vendor's own rules per model, as data: `models.toml` beside this file."""

from __future__ import annotations

import tomllib
from importlib import resources
from typing import Any, Literal

import msgspec


class Text(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A prompt. The vendor cuts what is longer than `longest` characters."""

    longest: int
    required: bool = False


class Param(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A field of `parameters` (or, for a few, of `input`)."""

    type: Literal["integer", "boolean", "text", "size"]
    min: int | None = None
    max: int | None = None
    any_of: tuple[int | str, ...] = ()
    default: int | str | bool | None = None
    sides: tuple[int, int] | None = None
    area: tuple[int, int] | None = None
    ratio: float | None = None
    """The longer side over the shorter one, at most."""


class Media(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An input file, or up to `most` of them."""

    kind: Literal["picture", "sound"]
    most_mb: int
    required: bool = False
    most: int = 1
    sides: tuple[int, int] = (1, 16_384)
    seconds: tuple[float, float] = (0, 3600)
    alpha: bool = True
    data_uri: bool = False


class Route(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a model is called at one endpoint, and what that answers."""

    mode: Literal["async", "sync"]
    body: Literal["flat", "messages"]
    gives: Literal["results", "choices", "parts", "video"]
    usage: tuple[str, ...]


class Model(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One model name."""

    makes: Literal["picture", "clip"]
    prompt: Text
    negative_prompt: Text
    route: dict[str, Route]
    parameters: dict[str, Param]
    input: dict[str, Param] = {}
    media: dict[str, Media] = {}
    sound: bool = False
    """Whether its clips have a sound track."""


def load() -> dict[str, Model]:
    """All models the emulator knows."""
    text = resources.files(__package__).joinpath("models.toml").read_text("utf-8")
    raw: dict[str, dict[str, Any]] = tomllib.loads(text)
    return {name: msgspec.convert(_whole(raw, entry), Model) for name, entry in raw.items()}


def _whole(raw: dict[str, dict[str, Any]], entry: dict[str, Any]) -> dict[str, Any]:
    """An entry with what it leaves out taken from the one it is `like`, table by table."""
    if "like" not in entry:
        return entry
    whole = dict(raw[entry["like"]])
    for key, value in entry.items():
        if key != "like":
            whole[key] = {**whole.get(key, {}), **value} if isinstance(value, dict) else value
    return whole
