"""The kinds of parameters a model file may declare, and the JSON Schema of each.

The classes are the file format: `type = "integer"` under `[input.n]` is an `Integer`, and a key that
the class does not have is refused.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import msgspec

from modellix_server.catalogue.media import MediaInput, MediaKind

SIZE = r"^[0-9]+\*[0-9]+$"
MOST_SIZE_CHARACTERS = 16
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
        """Whether checked parameters hold this one for certain."""
        return self.required or getattr(self, "default", None) is not None

    def _limits(self) -> dict[str, Any]:
        return {}


class Text(Parameter, kw_only=True, frozen=True, forbid_unknown_fields=True, tag="string"):
    """Free text, or one of a list of words. Lengths are in characters (code points)."""

    json_type = "string"

    max_length: int | None = None
    min_length: int = 0
    enum: tuple[str, ...] = ()
    default: str | None = None

    def __post_init__(self) -> None:
        if bool(self.enum) == (self.max_length is not None):
            raise ValueError("a string needs either max_length or enum")

    def _limits(self) -> dict[str, Any]:
        return {"minLength": self.min_length or None, "maxLength": self.max_length, "enum": self.enum}


class Integer(Parameter, kw_only=True, frozen=True, forbid_unknown_fields=True, tag="integer"):
    """A whole number between two limits, or one of a list."""

    json_type = "integer"

    min: int | None = None
    max: int | None = None
    enum: tuple[int, ...] = ()
    default: int | None = None

    def __post_init__(self) -> None:
        if bool(self.enum) == (self.min is not None and self.max is not None):
            raise ValueError("an integer needs either min and max or enum")

    def _limits(self) -> dict[str, Any]:
        return {"minimum": self.min, "maximum": self.max, "enum": self.enum}


class Boolean(Parameter, kw_only=True, frozen=True, forbid_unknown_fields=True, tag="boolean"):
    """Yes or no."""

    json_type = "boolean"

    default: bool | None = None

    def choices(self) -> tuple[Any, ...]:
        """Both."""
        return (False, True)


class Size(Parameter, kw_only=True, frozen=True, forbid_unknown_fields=True, tag="size"):
    """`width*height` in pixels: one of a list, or anything within limits that JSON Schema cannot say."""

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

    def __post_init__(self) -> None:
        if bool(self.enum) == bool(self.max_side or self.max_area):
            raise ValueError("a size needs either enum or max_side or max_area")
        for size in (self.min_area, self.max_area):
            if size is not None:
                pixels(size)

    def outside(self, text: str) -> str | None:
        """What a text of the right shape must be and is not; None when it fits."""
        if self.enum:
            return None
        width, height = map(int, text.split("*"))
        if min(width, height) < self.min_side or (self.max_side and max(width, height) > self.max_side):
            return f"must have sides {_between(self.min_side, self.max_side)} pixels"
        if (self.min_area and width * height < pixels(self.min_area)) or (
            self.max_area and width * height > pixels(self.max_area)
        ):
            return f"must have an area {_between(self.min_area, self.max_area)} pixels"
        if self.max_ratio and max(width, height) > self.max_ratio * min(width, height):
            return f"must have a ratio between 1:{self.max_ratio} and {self.max_ratio}:1"
        return None

    def _limits(self) -> dict[str, Any]:
        return {"pattern": SIZE, "maxLength": MOST_SIZE_CHARACTERS, "enum": self.enum}


class Media(Parameter, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """A picture, a clip or a sound, by link or inline; a list of them with `many`."""

    kind: ClassVar[MediaKind]

    accepts: tuple[Literal["url", "data"], ...]
    many: bool = False
    min_items: int = 1
    max_items: int = 1
    max_bytes: int | None = None
    formats: tuple[str, ...] = ()
    min_side: int | None = None
    max_side: int | None = None
    min_seconds: int | None = None
    max_seconds: int | None = None

    def __post_init__(self) -> None:
        if not self.accepts or (self.max_items > 1 and not self.many) or self.min_items > self.max_items:
            raise ValueError("a media parameter needs accepts, and min_items and max_items only with many")

    def schema(self) -> dict[str, Any]:
        """JSON Schema of the property; the shapes a media text may have are for `MediaInput` to say."""
        one = {"type": "string", "minLength": 1, "maxLength": MOST_MEDIA_CHARACTERS}
        if not self.many:
            return {"description": self.description, **one}
        limits = {"items": one, "minItems": self.min_items, "maxItems": self.max_items}
        return {"description": self.description, "type": "array", **limits}

    def describe(self, name: str) -> MediaInput:
        """For the rooms that fetch, store and probe media."""
        return MediaInput(
            name=name,
            kind=self.kind,
            many=self.many,
            accepts=self.accepts,
            max_bytes=self.max_bytes,
            formats=self.formats,
            min_side_px=self.min_side,
            max_side_px=self.max_side,
            min_ms=None if self.min_seconds is None else self.min_seconds * 1000,
            max_ms=None if self.max_seconds is None else self.max_seconds * 1000,
        )


class Image(Media, kw_only=True, frozen=True, forbid_unknown_fields=True, tag="image"):
    """A picture."""

    kind = "image"


class Video(Media, kw_only=True, frozen=True, forbid_unknown_fields=True, tag="video"):
    """A clip."""

    kind = "video"


class Audio(Media, kw_only=True, frozen=True, forbid_unknown_fields=True, tag="audio"):
    """A sound."""

    kind = "audio"


Input = Text | Integer | Boolean | Size | Image | Video | Audio


def pixels(size: str) -> int:
    """Area of `768*768`; ValueError when it is not written like that."""
    width, height = map(int, size.split("*"))
    return width * height


def _between(low: object, high: object) -> str:
    if high is None:
        return f"of at least {low}"
    return f"of at most {high}" if low is None else f"between {low} and {high}"
