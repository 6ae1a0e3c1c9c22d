"""Forms made from a model's JSON Schema, and the request bodies that they stand for.

A field is named by its path: `p.prompt`, `p.ext.domainHint`, `p.terminologies.0.src`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from modellix_server.base.errors import PlatformError
from modellix_server.catalogue import MediaInput, Model
from modellix_server.console.i18n import gettext as _
from modellix_server.console.i18n import model_text

PREFIX = "p."
_ABSENT: Any = object()
_SHAPE = re.compile(r"([1-9][0-9]{0,4})[*x:]([1-9][0-9]{0,4})", re.ASCII)
_ROW = re.compile(r"\.[0-9]+(?=\.)", re.ASCII)
_NAMED = re.compile(r"parameter '([^']+)'")
_MOST_PILLS = 6
_LONG_TEXT = 200
_MOST_RANGE = 100
_SHAPE_BOX_PX = 30
_USUAL_SIZES = (
    *("1024*1024", "1328*1328", "1280*1280", "2048*2048", "1280*720", "720*1280", "1664*928", "928*1664"),
    *("1472*1104", "1104*1472", "2560*1440", "1440*2560", "1152*864", "864*1152"),
)
_MOST_SHAPES = 7


@dataclass(frozen=True, slots=True)
class Choice:
    """One of the values that a field may have."""

    value: str
    text: str
    width: int = 0
    """Of its shape in pixels on the page; 0 without a shape."""
    height: int = 0


@dataclass(frozen=True, slots=True)
class Field:
    """One control of a form."""

    name: str
    path: str
    """The parameter, as refusals name it."""
    label: str
    help: str
    required: bool
    widget: str
    """Which macro of `playground/widgets.html` draws it."""
    value: str = ""
    values: Sequence[str] = ()
    """Of a field that takes several."""
    choices: Sequence[Choice] = ()
    limits: Mapping[str, Any] = field(default_factory=dict)
    """`minimum`, `maximum`, `step`, `longest` and the like, where the schema states them."""
    parts: Sequence[Field] = ()
    rows: Sequence[Sequence[Field]] = ()
    medium: MediaInput | None = None

    @property
    def id(self) -> str:
        """For its label."""
        return "f-" + self.path.replace(".", "-")


class Form:
    """The fields of a posted form, several of a name among them."""

    def __init__(self, fields: Iterable[tuple[str, str]]) -> None:
        self._fields: dict[str, list[str]] = {}
        for name, value in fields:
            if name.startswith(PREFIX):
                self._fields.setdefault(name, []).append(value.replace("\r\n", "\n"))

    def __bool__(self) -> bool:
        return bool(self._fields)

    def last(self, name: str) -> str:
        """The value of a field; where it was sent several times the last one that is not empty."""
        return next((value for value in reversed(self._fields.get(name, [])) if value), "")

    def all(self, name: str) -> list[str]:
        """Every value of a field that is not empty."""
        return [value for value in self._fields.get(name, ()) if value.strip()]

    def has_below(self, name: str) -> bool:
        """Whether a part of this field was filled in."""
        return any(one.startswith(name + ".") and any(value) for one, value in self._fields.items())


def body_of(model: Model, form: Form) -> dict[str, Any]:
    """The request body that a form stands for: what was left empty, or at its default, is left out.

    What is no number stays a text, so that the model's own refusal names it.
    """
    found = _object(model.schema, PREFIX[:-1], form, model)
    return {} if found is _ABSENT else found


def fields_of(model: Model, body: Mapping[str, Any]) -> list[Field]:
    """The form of a model, filled in with a request body."""
    required = model.schema["required"]
    return [
        _field(name, name, said, body.get(name, _ABSENT), required=name in required, model=model)
        for name, said in model.schema["properties"].items()
    ]


def fault_path(error: PlatformError) -> str | None:
    """The parameter that a refusal of the model is about; `images[2]` is about `images`."""
    found = _NAMED.search(error.detail)
    return re.sub(r"\[[0-9]+\]", "", found[1]) if found else None


def _medium_at(model: Model, path: str) -> MediaInput | None:
    """The media that a field carries; whatever row of a list it is in."""
    plain = _ROW.sub("", path.removeprefix(PREFIX))
    return next((medium for medium in model.media if medium.name == plain), None)


def _object(said: Mapping[str, Any], path: str, form: Form, model: Model) -> Any:
    found = {}
    for name, inner in said["properties"].items():
        value = _value(inner, f"{path}.{name}", form, model)
        if value is not _ABSENT and value != inner.get("default", _ABSENT):
            found[name] = value
    return found or _ABSENT


def _value(said: Mapping[str, Any], name: str, form: Form, model: Model) -> Any:
    kind = said["type"]
    if kind == "object":
        return _object(said, name, form, model)
    if kind == "array":
        return _list(said, name, form, model)
    text = form.last(name)
    if _medium_at(model, name):
        text = text.strip()
    if text == "" or (kind != "string" and not text.strip()):
        return _ABSENT
    if kind == "boolean":
        return {"true": True, "false": False}.get(text, text)
    return _number(text.strip(), whole=kind == "integer") if kind in ("integer", "number") else text


def _number(text: str, *, whole: bool) -> int | float | str:
    try:
        number = float(text)
        return int(number) if whole and number == int(number) else number
    except (ValueError, OverflowError):
        return text


def _list(said: Mapping[str, Any], name: str, form: Form, model: Model) -> Any:
    item = said["items"]
    if _medium_at(model, name):
        found: Any = [value.strip() for value in form.all(name)]
    elif item["type"] == "string":
        found = form.all(name) if "enum" in item else [line for line in form.last(name).split("\n") if line.strip()]
    elif item["type"] == "object":
        rows = range(said["maxItems"])
        found = [_object(item, f"{name}.{row}", form, model) for row in rows if form.has_below(f"{name}.{row}")]
        found = [one for one in found if one is not _ABSENT]
    else:
        text = form.last(name).strip()
        try:
            found = json.loads(text) if text else []
        except ValueError:
            found = text
    return found or _ABSENT


def _field(
    path: str,
    key: str,
    said: Mapping[str, Any],
    value: Any,
    *,
    required: bool,
    model: Model,
) -> Field:
    """The control of one property with its value."""
    about: dict[str, Any] = {
        "name": PREFIX + path,
        "path": path,
        "label": _label(key),
        "help": model_text(said.get("description", "")),
        "required": required,
    }
    kind = said["type"]
    shown = said.get("default") if value is _ABSENT else value
    if medium := _medium_at(model, path):
        many = kind == "array"
        values = shown if isinstance(shown, list) else [shown] if shown is not None else []
        limits = {"most": said["maxItems"] if many else 1, "least": said["minItems"] if many else int(required)}
        return Field(**about, widget="media", values=[str(one) for one in values], medium=medium, limits=limits)
    if kind == "object":
        given = shown if isinstance(shown, dict) else {}
        return Field(**about, widget="parts", parts=_parts(path, said, given, model))
    if kind == "array":
        return _list_field(about, said, shown, model)
    return _plain_field(about, key, said, shown, model)


def _label(key: str) -> str:
    """`negative_prompt` as `Negative prompt`."""
    words = key.replace("_", " ")
    return {"n": _("Count")}.get(key) or model_text(words[:1].upper() + words[1:])


def _parts(path: str, said: Mapping[str, Any], given: Mapping[str, Any], model: Model) -> list[Field]:
    return [
        _field(
            f"{path}.{name}",
            name,
            inner,
            given.get(name, _ABSENT),
            required=name in said["required"],
            model=model,
        )
        for name, inner in said["properties"].items()
    ]


def _list_field(about: dict[str, Any], said: Mapping[str, Any], shown: Any, model: Model) -> Field:
    item, given = said["items"], shown if isinstance(shown, list) else []
    limits = {"least": said["minItems"], "most": said["maxItems"]}
    if item["type"] == "object":
        rows = [one if isinstance(one, dict) else {} for one in given] or [{}]
        if len(rows) < min(said["maxItems"], max(said["minItems"], len(given) + 1)):
            rows.append({})
        parts = [_parts(f"{about['path']}.{row}", item, one, model) for row, one in enumerate(rows)]
        return Field(**about, widget="rows", rows=parts, limits=limits)
    if item["type"] == "string":
        texts = [str(one) for one in given]
        if "enum" in item:
            return Field(
                **about,
                widget="checks",
                values=texts,
                choices=[Choice(one, one) for one in item["enum"]],
                limits=limits,
            )
        return Field(**about, widget="lines", value="\n".join(texts), limits=limits)
    return Field(**about, widget="json", value=json.dumps(given) if given else "", limits=limits)


def _plain_field(about: dict[str, Any], key: str, said: Mapping[str, Any], shown: Any, model: Model) -> Field:
    kind, text = said["type"], _text(shown)
    if kind == "boolean":
        choice = "switch" if said.get("default") is not None else "either"
        return Field(**about, widget=choice, value=text)
    if "enum" in said or "pattern" in said:
        return _choice_field(about, said, text, model)
    if kind in ("integer", "number"):
        low, high = said.get("minimum"), said.get("maximum")
        limits = {"minimum": low, "maximum": high, "step": said.get("multipleOf", 1 if kind == "integer" else "any")}
        if key == "seed":
            return Field(**about, widget="seed", value=text, limits=limits)
        if low is None or high is None or not text or low == high or (kind == "integer" and high - low > _MOST_RANGE):
            return Field(**about, widget="number", value=text, limits=limits)
        if kind == "number":
            limits["step"] = 0.01 if high - low <= 1 else 0.1
        return Field(**about, widget="range", value=text, limits=limits)
    longest = said.get("maxLength", 0)
    widget = (
        "link" if said.get("format") == "uri" else "long" if longest > _LONG_TEXT and "negative" not in key else "text"
    )
    return Field(**about, widget=widget, value=text, limits={"longest": longest})


def _choice_field(about: dict[str, Any], said: Mapping[str, Any], text: str, model: Model) -> Field:
    options = [_text(one) for one in said.get("enum") or _sizes_of(model, about["path"])]
    free = "enum" not in said
    if text and text not in options:
        options.insert(0, text)
    choices = [_choice(one) for one in options]
    if choices and all(one.width for one in choices) and len(choices) <= _MOST_PILLS * 2:
        return Field(**about, widget="shapes", value=text, choices=choices, limits={"free": free})
    if free:
        return Field(**about, widget="text", value=text, choices=choices, limits={"longest": said["maxLength"]})
    widget = "pills" if len(choices) <= _MOST_PILLS and max(len(one.text) for one in choices) <= 12 else "select"
    return Field(**about, widget=widget, value=text, choices=choices)


@lru_cache(maxsize=512)
def _sizes_of(model: Model, path: str) -> tuple[str, ...]:
    """Usual sizes that a model takes where its schema has no list of them."""
    default = model.schema["properties"].get(path, {}).get("default")
    separator = "x" if isinstance(default, str) and "x" in default else "*"
    fit = [default] if isinstance(default, str) else []
    for size in (one.replace("*", separator) for one in _USUAL_SIZES):
        if size in fit:
            continue
        try:
            model.check({**model.example, path: size})
        except PlatformError:
            continue
        fit.append(size)
    return tuple(fit[:_MOST_SHAPES])


def _choice(text: str) -> Choice:
    found = _SHAPE.fullmatch(text)
    if found is None:
        return Choice(text, text)
    width, height = int(found[1]), int(found[2])
    scale = _SHAPE_BOX_PX / max(width, height)
    return Choice(
        text,
        f"{width} \N{MULTIPLICATION SIGN} {height}" if "*" in text else text,
        max(4, round(width * scale)),
        max(4, round(height * scale)),
    )


def _text(value: Any) -> str:
    """A value as a form sends it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
