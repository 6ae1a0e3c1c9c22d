"""Checks a request body against a model: first the compiled schema, then what a schema cannot say."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jsonschema_rs
import msgspec

from modellix_server.base.errors import (
    InvalidFormat,
    InvalidParameters,
    MissingParameter,
    OutOfRange,
    PlatformError,
)
from modellix_server.catalogue.inputs import Boolean, Input, Integer, Media, Size, Text
from modellix_server.catalogue.wording import bad_text, clip, refusal, show

_MOST_ITEMS_EXPLAINED = 100
_RANK = {"type": 0, "pattern": 1}

Beyond = Callable[[Any], PlatformError | None]


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Fields that do not go together: where all of `when` holds, all of `needs` must hold too."""

    when: dict[str, Any]
    needs: dict[str, Any]
    message: str

    def broken(self, params: Mapping[str, Any]) -> bool:
        """Whether the parameters, defaults included, go against the rule."""
        return _holds(self.when, params) and not _holds(self.needs, params)


def _holds(wanted: Mapping[str, Any], params: Mapping[str, Any]) -> bool:
    return all(params.get(name) == value for name, value in wanted.items())


class Checker:
    """Everything about one model's body that can be prepared, prepared."""

    def __init__(self, schema: Mapping[str, Any], inputs: Mapping[str, Input], rules: tuple[Rule, ...]) -> None:
        self._is_valid = jsonschema_rs.Draft202012Validator(dict(schema)).is_valid
        self._properties: Mapping[str, Mapping[str, Any]] = schema["properties"]
        self._validators = {
            name: jsonschema_rs.Draft202012Validator(property_) for name, property_ in self._properties.items()
        }
        self._required: tuple[str, ...] = tuple(schema["required"])
        self._defaults = {name: said["default"] for name, said in self._properties.items() if "default" in said}
        self._beyond = {name: test for name, spec in inputs.items() if (test := _beyond(name, spec))}
        self._rules = rules

    def check(self, body: object) -> dict[str, Any]:
        """The parameters with defaults filled in; raises the contract's 400 errors."""
        try:
            valid = self._is_valid(body)
        except ValueError:  # a lone surrogate, or something that JSON cannot hold
            valid = False
        if not valid or not isinstance(body, dict):
            raise self._explain(body)
        for name, test in self._beyond.items():
            if name in body and (error := test(body[name])):
                raise error
        params = self._defaults | body
        for rule in self._rules:
            if rule.broken(params):
                raise InvalidParameters(rule.message)
        return params

    def _explain(self, body: object) -> PlatformError:
        """The first fault: absent fields, then bad ones in the schema's order, then unknown ones."""
        if not isinstance(body, dict):
            return InvalidFormat("the request body must be a JSON object")
        for name in self._required:
            if name not in body:
                return MissingParameter(f"parameter '{name}' is required")
        for name in self._properties:
            if name in body and (error := self._fault(name, body[name])):
                return error
        unknown = sorted(str(name) for name in body if name not in self._properties)
        return InvalidParameters(
            f"unknown parameter {show(unknown[0])}; allowed: {', '.join(self._properties)}"
            if unknown
            else "the request body does not fit the model's schema"
        )

    def _fault(self, name: str, value: object) -> PlatformError | None:
        if unclean := _clean(name, value):
            return unclean
        said = self._properties[name]
        # JSON Schema calls 4.0 an integer; vendors do not.
        if said["type"] == "integer" and isinstance(value, float):
            return refusal(name, "type", said, value)
        # Containers are emptied first: the depth and size of what the caller sent is no longer our concern.
        plain = [_flat(item) for item in value[:_MOST_ITEMS_EXPLAINED]] if isinstance(value, list) else _flat(value)
        errors = list(self._validators[name].iter_errors(plain))
        if not errors:
            test = self._beyond.get(name)
            return test(value) if test else None
        worst = min(errors, key=lambda error: (len(error.instance_path), _RANK.get(error.kind.name, 2)))
        if isinstance(value, list) and worst.instance_path:
            index = int(worst.instance_path[0])
            return refusal(f"{name}[{index}]", worst.kind.name, said["items"], value[index])
        return refusal(name, worst.kind.name, said, value)


def _flat(value: Any) -> Any:
    return type(value)() if isinstance(value, list | dict) else value


def _beyond(name: str, spec: Input) -> Beyond | None:
    """A test for values that passed the schema; None when the schema says it all."""
    match spec:
        case Integer():
            return lambda value: _whole(name, value)
        case Size(enum=()):
            return lambda value: _inside(name, spec, value)
        case Text(enum=()):
            return lambda value: _clean(name, value)
        case Media():
            return _media(name, spec)
        case Text() | Size() | Boolean():
            return None


def _whole(name: str, value: Any) -> PlatformError | None:
    return None if type(value) is int else refusal(name, "type", {"type": "integer"}, value)


def _clean(name: str, value: object) -> PlatformError | None:
    why = bad_text(value)
    return InvalidFormat(f"parameter '{name}' {why}") if why else None


def _inside(name: str, spec: Size, value: str) -> PlatformError | None:
    outside = spec.outside(value)
    return OutOfRange(f"parameter '{name}' {outside}, got {show(value)}") if outside else None


def _media(name: str, spec: Media) -> Beyond:
    described = spec.describe(name)
    data = "data" in spec.accepts
    wanted = f"must be an http(s) URL{', a data URI or base64' if data else ''} without spaces or non-ASCII characters"

    def one(where: str, text: str) -> PlatformError | None:
        if described.allows(text):
            return None
        return InvalidFormat(f"parameter '{where}' {wanted}, got '{clip(text)}'")

    def all_of(texts: list[str]) -> PlatformError | None:
        return next((error for i, text in enumerate(texts) if (error := one(f"{name}[{i}]", text))), None)

    return all_of if spec.many else lambda text: one(name, text)
