"""The vendor's own rules per model, as data: `models.toml` beside this file."""

import tomllib
from importlib import resources
from typing import Literal

import msgspec

Mode = Literal["text", "first", "last", "subject"]


class MiniMaxModel(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One model name."""

    makes: Literal["picture", "clip"]
    mode: dict[Mode, dict[str, tuple[int, ...]]] = {}
    """What a clip may be made from -> resolution -> lengths in seconds; the first of each is the default."""
    rewriting: bool = False
    wide: bool = False
    sides: bool = False
    subjects: int = 0


def load() -> dict[str, MiniMaxModel]:
    """All models the emulator knows."""
    text = resources.files(__package__).joinpath("models.toml").read_text("utf-8")
    return {name: msgspec.convert(entry, MiniMaxModel) for name, entry in tomllib.loads(text).items()}
