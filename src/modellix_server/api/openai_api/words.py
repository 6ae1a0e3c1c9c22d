"""Words of OpenAI's API as parameters of a model: read off its schema, else off `models.toml`."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from modellix_server.base.errors import InvalidFormat, InvalidParameters, OutOfRange, PlatformError
from modellix_server.catalogue import Model, show

ABOUT_THE_CALLER = frozenset(
    {"model", "moderation", "partial_images", "response_format", "safety_identifier", "stream", "user"}
)
"""Fields that are no wish about the picture: answered by the route, or without effect here."""

_SIZE = re.compile(r"([1-9][0-9]{0,4}) ?[xX*\u00d7] ?([1-9][0-9]{0,4})", re.ASCII)
_RATIO = re.compile(r"([1-9][0-9]{0,3}):([1-9][0-9]{0,3})", re.ASCII)
_LINES = re.compile(r"([0-9]+)p", re.ASCII | re.IGNORECASE)
_STEPS = sorted((2 ** (n / 32) for n in range(-96, 97)), key=lambda step: abs(math.log(step)))
_MULTIPLE = 16
_QUALITIES = {"standard": "medium", "hd": "high"}
_ANY_QUALITY = ("auto", "standard", "medium")
_FORMATS = {"jpg": "jpeg"}
_USUAL_AREA = 1024 * 1024
_USUAL = {
    "background": ("opaque",),
    "input_fidelity": ("low",),
    "output_compression": ("100",),
    "output_format": (),
    "style": (),
}
"""Words for what only some models leave to the client, and what is so with all others."""
_SECONDS = re.compile(r"([0-9]{1,4})(?:\.0{1,6})?", re.ASCII)


class WordsEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One table of `models.toml`: of a model, or of what all models of a provider have in common."""

    prompt: str = "prompt"
    size: str = "size"
    pictures: tuple[str, ...] | None = None
    """Parameters that the pictures go into, in this order; None: those of the schema that take images."""
    given: dict[str, Any] = {}
    """Parameters that have these values, unless the client gives others."""
    given_with_mask: dict[str, Any] = {}
    edit: str | None = None
    """The model of the family that takes pictures."""
    delivers: str | None = None
    """The format of its pictures, where it leaves no choice; None: not known here."""


class Words:
    """How one model takes the words."""

    def __init__(self, model: Model, entry: WordsEntry) -> None:
        """Raises ValueError for an entry that names what the model does not have."""
        self.model = model
        self.edit = entry.edit
        self._said: Mapping[str, Mapping[str, Any]] = model.schema["properties"]
        self._entry = entry
        images = [medium.name for medium in model.media if "image" in medium.limits and "." not in medium.name]
        self._mask = next((name for name in ("mask", "mask_image_url") if name in images), None)
        self._pictures = entry.pictures or tuple(name for name in images if name != self._mask)
        self._videos = tuple(medium.name for medium in model.media if set(medium.limits) == {"video"})
        named = {*(entry.pictures or ()), *entry.given, *entry.given_with_mask}
        named |= {name for name in (entry.prompt, entry.size) if name not in ("prompt", "size")}
        if lost := sorted(named - set(self._said)):
            raise ValueError(f"{model.slug} has no parameter '{lost[0]}'")

    def parameters(
        self, given: Mapping[str, Any], pictures: Sequence[str], mask: str | None, *, pictures_wanted: int | None
    ) -> dict[str, Any]:
        """The model's own parameters. `pictures_wanted` is `n`, None where there is no such word.

        Raises InvalidFormat, InvalidParameters or OutOfRange, in the client's words.
        """
        rest = {name: value for name, value in given.items() if name not in ABOUT_THE_CALLER}
        params: dict[str, Any] = {}
        self._say(params, rest.pop("prompt", None))
        if pictures_wanted is not None:
            self._count(params, pictures_wanted)
        self._shape(params, rest.pop("size", None), rest)
        self._quality(params, rest.pop("quality", None))
        self._length(params, rest.pop("seconds", None))
        self._show(params, pictures, mask)
        for name, value in rest.items():
            wanted = _FORMATS.get(value, value) if name == "output_format" and isinstance(value, str) else value
            if self._is_a_wish(name, wanted):
                params[name] = _typed(self._said.get(name, {}), wanted)
        usual = self._entry.given | (self._entry.given_with_mask if mask else {})
        return self._agreed(usual | params, given)

    def with_video(self, params: dict[str, Any], url: str) -> dict[str, Any]:
        """The parameters with a video to work on. Raises InvalidParameters."""
        if not self._videos:
            raise InvalidParameters(f"model '{self.model.slug}' takes no video")
        name = self._videos[0]
        return params | {name: [url] if self._said[name]["type"] == "array" else url}

    def _takes(self, name: str, value: object) -> bool:
        return self.model.checker.takes(name, value)

    def has(self, name: str) -> bool:
        """Whether the model has a parameter of that name."""
        return name in self._said

    def _is_a_wish(self, name: str, value: object) -> bool:
        """Whether a word asks for something that the model would not do anyway."""
        if name == "output_format" and name not in self._said and (delivers := self._entry.delivers):
            if value not in (delivers, "auto"):
                raise InvalidParameters(f"model '{self.model.slug}' delivers {delivers}: leave parameter '{name}' out")
            return False
        if name not in self._said and name in _USUAL and value != "auto":
            if str(value) not in _USUAL[name]:
                raise InvalidParameters(
                    f"model '{self.model.slug}' leaves no choice there: leave parameter '{name}' out"
                )
            return False
        return value != "auto" or self._takes(name, "auto")

    def _say(self, params: dict[str, Any], prompt: object) -> None:
        if self._entry.prompt in self._said:
            if prompt is not None:
                params[self._entry.prompt] = prompt
        elif prompt:
            raise InvalidParameters(f"model '{self.model.slug}' takes no prompt: parameter 'prompt' must be empty")

    def _count(self, params: dict[str, Any], wanted: int) -> None:
        most = self._said["n"]["maximum"] if "n" in self._said else 1
        if most == 1 < wanted:
            raise OutOfRange(
                f"model '{self.model.slug}' makes one picture at a time: parameter 'n' must be 1, got {wanted}"
            )
        if wanted < 1 == most:
            raise OutOfRange(f"parameter 'n' must be 1, got {wanted}")
        if not 1 <= wanted <= most:
            raise OutOfRange(f"parameter 'n' must be between 1 and {most} for model '{self.model.slug}', got {wanted}")
        if "n" in self._said:
            params["n"] = wanted  # also 1: some models make four by default

    def _shape(self, params: dict[str, Any], size: object, rest: dict[str, Any]) -> None:
        """Size, or ratio and resolution: exact where the model has it, else the closest shape, then area."""
        word = "size"
        if size is None and not self.has("aspect_ratio"):
            word, size = "aspect_ratio", rest.pop("aspect_ratio", None)  # as other APIs have it in place of `size`
        if size is None or size == "auto":
            return
        text = size if isinstance(size, str) else ""
        found, ratio = _SIZE.fullmatch(text), _RATIO.fullmatch(text)
        own = self._entry.size
        if not found and (not ratio or self._takes(own, size)):
            if own not in self._said:
                raise InvalidFormat(f"parameter '{word}' must be in format 'widthxheight', got {show(size)}")
            params[own] = size  # a word of the model's own, such as 2K
            return
        width, height = _sides(text)
        if ratio:
            scale = math.sqrt(_USUAL_AREA / (width * height))
            width, height = round(width * scale), round(height * scale)
        if own in self._said:
            params[own] = self._closest_size(f"{width}x{height}" if ratio else text, width, height)
            return
        resolutions = [] if ratio else self._closest_resolutions(min(width, height))
        shapes = self._closest_ratio(width, height) | ({"resolution": resolutions[0]} if resolutions else {})
        if not shapes:
            raise self._shapeless(word)
        params |= {name: value for name, value in shapes.items() if name not in rest}

    def _shapeless(self, word: str = "size") -> InvalidParameters:
        return InvalidParameters(f"model '{self.model.slug}' takes no size: leave parameter '{word}' out")

    def _closest_size(self, size: Any, width: int, height: int) -> Any:
        name = self._entry.size
        if "enum" in self._said[name]:
            choices = [one for one in self._said[name]["enum"] if _SIZE.fullmatch(one)]
            if not choices:
                raise self._shapeless()
            return min(choices, key=lambda one: _distance(_sides(one), (width, height)))
        if self._takes(name, size):
            return size
        times = "*" if self._takes(name, "1024*1024") or "*" in str(self._said[name].get("pattern")) else "x"
        for step in _STEPS:
            sides = [max(_MULTIPLE, round(side * step / _MULTIPLE) * _MULTIPLE) for side in (width, height)]
            exact = f"{width}{times}{height}" if step == 1 else f"{sides[0]}{times}{sides[1]}"
            if self._takes(name, exact):
                return exact
        return size  # which the model refuses in its own words

    def _closest_ratio(self, width: int, height: int) -> dict[str, Any]:
        for name in ("ratio", "aspect_ratio"):
            choices = [one for one in self._said.get(name, {}).get("enum", ()) if _RATIO.fullmatch(one)]
            if choices:
                return {name: min(choices, key=lambda one: _distance(_sides(one), (width, height), area=False))}
        return {}

    def _closest_resolutions(self, short_side: int) -> list[str]:
        lines = {one: _lines(one) for one in self._said.get("resolution", {}).get("enum", ()) if isinstance(one, str)}
        return sorted(lines, key=lambda one: abs(math.log(lines[one] / short_side)))

    def _agreed(self, params: dict[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
        """The parameters with the closest resolution that goes together with the length."""
        found = _SIZE.fullmatch(str(given.get("size")))
        if found is None or "resolution" in given or "resolution" not in params:
            return params
        for resolution in self._closest_resolutions(min(int(found[1]), int(found[2]))):
            tried = params | {"resolution": resolution}
            try:
                self.model.check(tried)
            except PlatformError:
                continue
            return tried
        return params

    def _quality(self, params: dict[str, Any], quality: object) -> None:
        if quality is None:
            return
        if "quality" in self._said:
            if self._takes("quality", quality):
                params["quality"] = quality
            elif quality != "auto":
                params["quality"] = _QUALITIES.get(str(quality), quality)
        elif quality not in _ANY_QUALITY:
            raise InvalidParameters(f"model '{self.model.slug}' has one quality only: leave parameter 'quality' out")

    def _length(self, params: dict[str, Any], seconds: object) -> None:
        """The closest length that the model has; of two the shorter one."""
        if seconds is None:
            return
        whole = _SECONDS.fullmatch(str(seconds))
        if whole is None:
            raise InvalidFormat(f"parameter 'seconds' must be a whole number, got {show(seconds)}")
        wanted, said = int(whole[1]), self._said.get("duration")
        if said is None:
            raise InvalidParameters(f"model '{self.model.slug}' takes no length: leave parameter 'seconds' out")
        if "enum" in said:
            params["duration"] = min(said["enum"], key=lambda one: (abs(one - wanted), one))
        else:
            params["duration"] = min(max(wanted, said["minimum"]), said["maximum"])

    def _show(self, params: dict[str, Any], pictures: Sequence[str], mask: str | None) -> None:
        left = list(pictures)
        for name in self._pictures:
            if left and self._said[name]["type"] == "array":
                most = self._said[name].get("maxItems", len(left))
                params[name], left = left[:most], left[most:]
            elif left:
                params[name] = left.pop(0)
        if left:
            most = len(pictures) - len(left)
            raise OutOfRange(f"model '{self.model.slug}' takes at most {most} pictures, got {len(pictures)}")
        if mask is not None:
            if self._mask is None:
                raise InvalidParameters(f"model '{self.model.slug}' takes no mask: leave parameter 'mask' out")
            params[self._mask] = mask


def size_of(params: Mapping[str, Any]) -> str | None:
    """Width and height, as OpenAI's API writes them, that parameters ask for; None where they leave it open."""
    if isinstance(size := params.get("size"), str) and (found := _SIZE.fullmatch(size)):
        return f"{found[1]}x{found[2]}"
    resolution, ratio = params.get("resolution"), params.get("ratio")
    if not isinstance(resolution, str) or not isinstance(ratio, str) or not (shape := _RATIO.fullmatch(ratio)):
        return None
    short, one, other = _lines(resolution), int(shape[1]), int(shape[2])
    wide, high = short * one / min(one, other), short * other / min(one, other)
    return f"{round(wide / 2) * 2}x{round(high / 2) * 2}"


def _sides(text: str) -> tuple[int, int]:
    found = _SIZE.fullmatch(text) or _RATIO.fullmatch(text)
    assert found is not None
    return int(found[1]), int(found[2])


def _distance(one: tuple[int, int], other: tuple[int, int], *, area: bool = True) -> tuple[float, float]:
    shape = abs(math.log(one[0] * other[1] / (one[1] * other[0])))
    return round(shape, 2), abs(math.log(one[0] * one[1] / (other[0] * other[1]))) if area else 0


def _lines(resolution: str) -> int:
    """`720P` is 720, `4k` is 2160."""
    found = _LINES.fullmatch(resolution)
    return int(found[1]) if found else 2160


def _typed(said: Mapping[str, Any], value: Any) -> Any:
    """A value of a form, which has texts only, as the schema wants it; what does not fit the model refuses."""
    if isinstance(value, list):
        return [_typed(said.get("items", {}), one) for one in value]
    if not isinstance(value, str) or said.get("type", "string") == "string":
        return value
    if said["type"] == "array" and not value.startswith("["):
        return [_typed(said.get("items", {}), value)]
    try:
        return json.loads(value)
    except ValueError:
        return value


def all_words(models: Iterable[Model], entries: Mapping[str, WordsEntry]) -> dict[str, Words]:
    """The words of every model, by slug. Raises ValueError."""
    return {model.slug: Words(model, _entry(model, entries)) for model in models}


def _entry(model: Model, entries: Mapping[str, WordsEntry]) -> WordsEntry:
    """A model's own entry, with what its provider's says of all."""
    own, common = entries.get(model.slug, WordsEntry()), entries.get(model.provider, WordsEntry())
    return own if own.delivers is not None else msgspec.structs.replace(own, delivers=common.delivers)
