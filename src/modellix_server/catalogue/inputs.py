"""The kinds of parameters a model file may declare, and the JSON Schema of each.

The classes are the file format: `type = "integer"` under `[input.n]` is an `Integer`, and a key that
the class does not have is refused.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any, ClassVar, Literal

import msgspec

from modellix_server.catalogue.media import Limits, MediaInput, MediaKind
from modellix_server.catalogue.wording import size_pattern

MOST_SIZE_CHARACTERS = 16
MOST_CHOICES = 100
MOST_MEDIA_CHARACTERS = 64 * 1024 * 1024


class Parameter(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True, tag_field="type"):
    """What all kinds have in common."""

    json_type: ClassVar[str]

    description: str
    required: bool = False

    def schema(self) -> dict[str, Any]:
        """JSON Schema of the property."""
        said = {
            "type": self.json_type,
            "description": self.description,
            **self._limits(),
            "default": getattr(self, "default", None),
        }
        return {
            key: list(value) if isinstance(value, tuple) else value
            for key, value in said.items()
            if value is not None and value != ()
        }

    def choices(self) -> tuple[Any, ...]:
        """All allowed values where they are few and known, else empty."""
        return getattr(self, "enum", ())

    def always_there(self) -> bool:
        """Whether checked parameters always contain this one."""
        return self.required or getattr(self, "default", None) is not None

    def _limits(self) -> dict[str, Any]:
        return {}


class TextInput(Parameter, kw_only=True, frozen=True, forbid_unknown_fields=True, tag="string"):
    """Free text, or one of a list of words. Lengths are in characters (code points)."""

    json_type = "string"

    max_length: int | None = None
    min_length: int = 0
    enum: tuple[str, ...] = ()
    default: str | None = None
    format: Literal["url"] | None = None
    """`url`: an http(s) link that goes to the vendor as it is. Images, video and audio have kinds of their own."""

    def __post_init__(self) -> None:
        if bool(self.enum) == (self.max_length is not None):
            raise ValueError("a string needs either max_length or enum")

    def _limits(self) -> dict[str, Any]:
        uri = "uri" if self.format else None
        return {"format": uri, "minLength": self.min_length or None, "maxLength": self.max_length, "enum": self.enum}


class Integer(Parameter, kw_only=True, frozen=True, forbid_unknown_fields=True, tag="integer"):
    """A whole number between two limits, or one of a list."""

    json_type = "integer"

    min: int | None = None
    max: int | None = None
    enum: tuple[int, ...] = ()
    multiple_of: int = 1
    default: int | None = None

    def __post_init__(self) -> None:
        if bool(self.enum) == (self.min is not None and self.max is not None):
            raise ValueError("an integer needs either min and max or enum")

    def choices(self) -> tuple[int, ...]:
        """The list, or every number between two limits that are close together."""
        if self.min is None or self.max is None or self.max - self.min >= MOST_CHOICES:
            return self.enum
        return tuple(one for one in range(self.min, self.max + 1) if one % self.multiple_of == 0)

    def _limits(self) -> dict[str, Any]:
        step = None if self.multiple_of == 1 else self.multiple_of
        return {"minimum": self.min, "maximum": self.max, "multipleOf": step, "enum": self.enum}


class Number(Parameter, kw_only=True, frozen=True, forbid_unknown_fields=True, tag="number"):
    """A number between two limits, whole or not."""

    json_type = "number"

    min: float
    max: float
    default: float | None = None

    def _limits(self) -> dict[str, Any]:
        return {"minimum": self.min, "maximum": self.max}


class Boolean(Parameter, kw_only=True, frozen=True, forbid_unknown_fields=True, tag="boolean"):
    """Yes or no."""

    json_type = "boolean"

    default: bool | None = None

    def choices(self) -> tuple[Any, ...]:
        """Both."""
        return (False, True)


class Size(Parameter, kw_only=True, frozen=True, forbid_unknown_fields=True, tag="size"):
    """`width*height` in pixels: one of a list, or anything within limits that JSON Schema cannot say.

    Some vendors write `x` between the two numbers, and also accept words such as `2K`.
    """

    json_type = "string"

    enum: tuple[str, ...] = ()
    default: str | None = None
    min_side: int = 1
    max_side: int | None = None
    min_area: str | None = None
    """Smallest area, written as a size: `768*768`."""
    max_area: str | None = None
    max_ratio: int | None = None
    """Longest side over shortest side; 4 allows 1:4 to 4:1."""
    presets: tuple[str, ...] = ()
    separator: Literal["*", "x"] = "*"

    def __post_init__(self) -> None:
        if bool(self.enum) == bool(self.max_side or self.max_area):
            raise ValueError("a size needs either enum or max_side or max_area")
        for size in (self.min_area, self.max_area):
            if size is not None:
                pixels(size, self.separator)

    def test(self) -> Callable[[str], bool]:
        """A compiled check whether a text of the right form is allowed; cached for the usual ones."""
        presets, separator = frozenset((*self.presets, *self.enum)), self.separator
        least_side, most_side = self.min_side, self.max_side or math.inf
        low = pixels(self.min_area, separator) if self.min_area else 0
        high = pixels(self.max_area, separator) if self.max_area else math.inf
        ratio = self.max_ratio or math.inf

        @lru_cache(maxsize=64)
        def fits(text: str) -> bool:
            if text in presets:
                return True
            width, _, height = text.partition(separator)
            short, long = sorted((int(width), int(height)))
            return least_side <= short and long <= most_side and low <= short * long <= high and long <= ratio * short

        return fits

    def outside(self, text: str) -> str | None:
        """What a text of the right form fails to satisfy; None when it is allowed."""
        if self.enum or text in self.presets:
            return None
        width, height = map(int, text.split(self.separator))
        if min(width, height) < self.min_side or (self.max_side and max(width, height) > self.max_side):
            return f"must have sides {_between(self.min_side, self.max_side)} pixels"
        if (self.min_area and width * height < pixels(self.min_area, self.separator)) or (
            self.max_area and width * height > pixels(self.max_area, self.separator)
        ):
            return f"must have an area {_between(self.min_area, self.max_area)} pixels"
        if self.max_ratio and max(width, height) > self.max_ratio * min(width, height):
            return f"must have a ratio between 1:{self.max_ratio} and {self.max_ratio}:1"
        return None

    def _limits(self) -> dict[str, Any]:
        return {
            "pattern": size_pattern(self.separator, self.presets),
            "maxLength": MOST_SIZE_CHARACTERS,
            "enum": self.enum,
        }


class Media(Parameter, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Images, video or audio: by link, inline, or uploaded before; a list of them with `many`."""

    accepts: tuple[Literal["url", "data"], ...]
    """Forms that the vendor takes: links, data URIs. The caller may send either; the platform converts."""
    many: bool = False
    min_items: int = 1
    max_items: int = 1
    max_total_seconds: int | None = None
    """Total length of all video or audio in the list."""

    def __post_init__(self) -> None:
        if not self.accepts or (self.max_items > 1 and not self.many) or self.min_items > self.max_items:
            raise ValueError("a media parameter needs accepts, and min_items and max_items only with many")

    def schema(self) -> dict[str, Any]:
        """JSON Schema of the property; `form` checks the form of a media text."""
        one = {"type": "string", "minLength": 1, "maxLength": MOST_MEDIA_CHARACTERS}
        if not self.many:
            return {"description": self.description, **one}
        limits = {"items": one, "minItems": self.min_items, "maxItems": self.max_items}
        return {"description": self.description, "type": "array", **limits}

    def limits(self) -> dict[MediaKind, Limits]:
        """The kinds it takes, with the vendor's limits for each."""
        raise NotImplementedError

    def describe(self, name: str) -> MediaInput:
        """For the rooms that fetch, store and probe media; `name` is the path to it through objects."""
        return MediaInput(name, self.limits(), self.accepts, _ms(self.max_total_seconds))


class OneKind(Media, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Media of one kind, with the vendor's limits. Sides and pixels apply to images and video."""

    kind: ClassVar[MediaKind]

    min_bytes: int | None = None
    max_bytes: int | None = None
    formats: tuple[str, ...] = ()
    min_side: int | None = None
    max_side: int | None = None
    max_pixels: int | None = None
    max_ratio: float | None = None
    """Longer side over shorter side; 4 allows 1:4 to 4:1."""
    min_seconds: int | None = None
    max_seconds: int | None = None
    alpha: bool = False
    """Whether it must have transparency, as a mask."""
    same_size_as: str | None = None
    """The parameter whose first picture it must be as large as."""

    def describe(self, name: str) -> MediaInput:
        """As every kind, and what a mask must be."""
        return replace(super().describe(name), alpha=self.alpha, same_size_as=self.same_size_as)

    def limits(self) -> dict[MediaKind, Limits]:
        """Its one kind."""
        limits = Limits(
            min_bytes=self.min_bytes,
            max_bytes=self.max_bytes,
            formats=self.formats,
            min_side_px=self.min_side,
            max_side_px=self.max_side,
            max_pixels=self.max_pixels,
            max_ratio=self.max_ratio,
            min_ms=_ms(self.min_seconds),
            max_ms=_ms(self.max_seconds),
        )
        return {self.kind: limits}


class Image(OneKind, kw_only=True, frozen=True, forbid_unknown_fields=True, tag="image"):
    """A picture."""

    kind = "image"


class Video(OneKind, kw_only=True, frozen=True, forbid_unknown_fields=True, tag="video"):
    """A clip."""

    kind = "video"


class Audio(OneKind, kw_only=True, frozen=True, forbid_unknown_fields=True, tag="audio"):
    """A sound."""

    kind = "audio"


class AnyMedia(Media, kw_only=True, frozen=True, forbid_unknown_fields=True, tag="media"):
    """Media of several kinds in one parameter; the limits of each kind as in a parameter of that kind."""

    kinds: dict[MediaKind, dict[str, Any]]

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.limits()) < 2:
            raise ValueError("media needs at least two kinds; there are types for one")

    def limits(self) -> dict[MediaKind, Limits]:
        """Each of its kinds. Raises ValueError for a limit that its kind does not have."""
        found: dict[MediaKind, Limits] = {}
        for kind, table in self.kinds.items():
            whole = {"type": kind, "description": self.description, "accepts": self.accepts, **table}
            found |= msgspec.convert(whole, Image | Video | Audio).limits()
        return found


class Array(Parameter, kw_only=True, frozen=True, forbid_unknown_fields=True, tag="array"):
    """A list of plain values or objects. A list of media alone is a media parameter with `many`."""

    json_type = "array"

    items: Nested
    min_items: int = 0
    max_items: int

    def _limits(self) -> dict[str, Any]:
        return {"items": self.items.schema(), "minItems": self.min_items, "maxItems": self.max_items}


class Object(Parameter, kw_only=True, frozen=True, forbid_unknown_fields=True, tag="object"):
    """A value with named parts. Their defaults are published, not filled in."""

    json_type = "object"

    properties: dict[str, Nested]

    def _limits(self) -> dict[str, Any]:
        return {
            "properties": {name: spec.schema() for name, spec in self.properties.items()},
            "required": [name for name, spec in self.properties.items() if spec.required],
            "additionalProperties": False,
        }


Nested = TextInput | Integer | Number | Boolean | Image | Video | Audio | AnyMedia | Array | Object
Input = TextInput | Integer | Number | Boolean | Size | Image | Video | Audio | AnyMedia | Array | Object


def media_of(inputs: Mapping[str, Input] | Mapping[str, Nested], before: str = "") -> Iterator[MediaInput]:
    """Every path below these parameters that carries media."""
    for name, spec in inputs.items():
        yield from _media_in(spec, before + name)


def _media_in(spec: Input | Nested, name: str) -> Iterator[MediaInput]:
    match spec:
        case Media():
            yield spec.describe(name)
        case Array(items=items):
            # `base.json_paths` goes through one list at each key.
            if isinstance(items, Array) or (isinstance(items, Media) and items.many):
                if any(_media_in(items, name)):
                    raise ValueError(f"{name}: media in a list of lists would not be found")
            else:
                yield from _media_in(items, name)
        case Object():
            yield from media_of(spec.properties, f"{name}.")


NOTHING: tuple[Any, ...] = (None, "", [])
"""Values that are equivalent to an absent one."""


def given(params: Mapping[str, Any], name: str) -> bool:
    """Whether the parameter is given: an empty text or list is not."""
    return params.get(name) not in NOTHING


def pixels(size: str, separator: str = "*") -> int:
    """Area of `768*768`; ValueError when it is not written like that."""
    width, height = map(int, size.split(separator))
    return width * height


def _ms(seconds: int | None) -> int | None:
    return None if seconds is None else seconds * 1000


def _between(low: object, high: object) -> str:
    if high is None:
        return f"of at least {low}"
    return f"of at most {high}" if low is None else f"between {low} and {high}"
