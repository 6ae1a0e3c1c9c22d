"""The vendor's own rules per model, as data: the TOML files beside this one."""

import tomllib
from importlib import resources
from typing import Any, Literal

import msgspec

FILES = ("models.toml", "models-clips.toml", "models-special.toml")


class DashScopeText(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A prompt. The vendor cuts what is longer than `longest` characters."""

    longest: int
    required: bool = False
    name: str = ""
    """The field of `input`, where it is not called as in this table."""


class Param(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A field of `parameters` or of `input`. A field of an object in there is written `object.field`."""

    type: Literal["integer", "number", "boolean", "text", "size", "texts", "list"]
    required: bool = False
    min: float | None = None
    max: float | None = None
    step: int | None = None
    longest: int | None = None
    """Characters of a text, elements of a list."""
    least: int = 0
    any_of: tuple[int | str, ...] = ()
    default: int | float | str | bool | None = None
    sides: tuple[int, int] | None = None
    area: tuple[int, int] | None = None
    ratio: float | None = None
    """The longer side over the shorter one, at most."""
    presets: dict[str, int] = {}
    """Words a size may be given as -> the side of the square of that area."""


class DashScopeMedia(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An input file, or up to `most` of them. `either` is a picture or a clip."""

    kind: Literal["picture", "sound", "clip", "either", "font"]
    most_mb: int
    required: bool = False
    most: int = 1
    many: bool = False
    """Always a list in the flat form, even of one."""
    sides: tuple[int, int] = (1, 16_384)
    seconds: tuple[float, float] = (0, 3600)
    alpha: bool = True
    data_uri: bool = False


class Need(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A rule across fields. Without `field` it always holds; otherwise where that field has one of the values `is`."""

    field: str = ""
    values: tuple[int | str | bool, ...] = msgspec.field(name="is", default=())
    one_of: tuple[str, ...] = ()
    """At least one of these must be given."""
    none_of: tuple[str, ...] = ()
    """None of these may be given."""
    at_most: dict[str, int] = {}
    """Field (or several joined by `+`) -> its largest value, or how many files."""


class DashScopeRoute(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a model is called at one endpoint, and what that answers."""

    mode: Literal["async", "sync"]
    body: Literal["flat", "messages", "media"]
    gives: Literal[
        "results", "choices", "parts", "video", "results-video", "image", "output-image", "wordart", "parsing"
    ]
    usage: tuple[str, ...]


class DashScopeModel(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One model name."""

    makes: Literal["picture", "clip", "craft"]
    route: dict[str, DashScopeRoute]
    prompt: DashScopeText | None = None
    negative_prompt: DashScopeText | None = None
    parameters: dict[str, Param] = {}
    input: dict[str, Param] = {}
    media: dict[str, DashScopeMedia] = {}
    needs: tuple[Need, ...] = ()
    sets: tuple[tuple[str, ...], ...] = ()
    """The combinations of input files that are taken, where not all are."""
    work: str = ""
    """The special task of a craft, or how a clip is made of its inputs."""
    sound: bool = False
    """Whether its clips have a sound track."""
    counted_s: float = 0
    """Seconds of input clips that are billed, at most."""


def load() -> dict[str, DashScopeModel]:
    """All models the emulator knows."""
    raw: dict[str, dict[str, Any]] = {}
    for name in FILES:
        raw |= tomllib.loads(resources.files(__package__).joinpath(name).read_text("utf-8"))
    return {name: msgspec.convert(_whole(raw, entry), DashScopeModel) for name, entry in raw.items()}


def _whole(raw: dict[str, dict[str, Any]], entry: dict[str, Any]) -> dict[str, Any]:
    """An entry with what it leaves out taken from the one it is `like`, table by table; `false` takes a field away."""
    if "like" not in entry:
        return entry
    whole = dict(_whole(raw, raw[entry["like"]]))
    for key, value in entry.items():
        if key == "like":
            continue
        if isinstance(value, dict):
            joined = {**whole.get(key, {}), **value}
            whole[key] = {name: field for name, field in joined.items() if field is not False}
        else:
            whole[key] = value
    return whole
