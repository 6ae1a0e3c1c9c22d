"""Checks a request body against a model: first the compiled schema, then what a JSON Schema cannot express.

Most bodies pass a narrower schema, which admits only plain texts and links. Those need no further check.
"""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jsonschema_rs

from modellix_server.base.errors import (
    InvalidFormat,
    InvalidParameters,
    MissingParameter,
    OutOfRange,
    PlatformError,
)
from modellix_server.catalogue.inputs import Array, Input, Integer, Media, Object, Size, TextInput
from modellix_server.catalogue.media import MOST_URL_CHARACTERS, PLAIN_LINK, form, link_fault, looks_like_link
from modellix_server.catalogue.rule import Rule, Test
from modellix_server.catalogue.wording import bad_text, clip, is_visible, refusal, show

_MOST_ITEMS_EXPLAINED = 100
_RANK = {"type": 0, "pattern": 1}

_PLAIN_TEXT = {"pattern": r"^[^\x00]*$"}
_PROMPT = "prompt"
# With a letter of a common script or a sign that can be seen, or else it is looked at again.
_PLAIN_PROMPT = {
    "pattern": r"^[^\x00]*[!-~\u00c0-\u02af\u0391-\u0481\u3041-\u3096\u30a1-\u30fa\u4e00-\u9fff\uac00-\ud7a3][^\x00]*$"
}
_URL_WANTED = "must be an http(s) URL without spaces or non-ASCII characters"
_PLAIN_LINK = f"^{PLAIN_LINK}$"

Beyond = Callable[[str, Any], PlatformError | None]
PreparedRule = tuple[Rule, str | None, Sequence[object], Test | None, Test]
"""A rule with its condition and its violation."""


class Checker:
    """The compiled checks of one model's request body."""

    def __init__(self, schema: Mapping[str, Any], inputs: Mapping[str, Input], rules: tuple[Rule, ...]) -> None:
        self._schema = schema
        self._properties: Mapping[str, Mapping[str, Any]] = schema["properties"]
        plain = {name: _narrowed(name, inputs[name], said) for name, said in self._properties.items()}
        self._is_valid = jsonschema_rs.Draft202012Validator(dict(schema)).is_valid
        self._is_plain = jsonschema_rs.Draft202012Validator({**schema, "properties": plain}).is_valid
        self._required: tuple[str, ...] = tuple(schema["required"])
        self._defaults = {name: said["default"] for name, said in self._properties.items() if "default" in said}
        self._beyond = {name: test for name, spec in inputs.items() if (test := _beyond(name, spec))}
        self._beyond_plain = {name: test for name, spec in inputs.items() if (test := _beyond(name, spec, plain=True))}
        self._rules = [(rule, *rule.condition(), rule.violation()) for rule in rules]
        self.rules: tuple[str, ...] = tuple(rule.message for rule in rules if rule.message)
        """The messages of the rules between parameters."""
        self._decisive, self._rules_for = _sorted_out(self._rules, inputs)

    def check(self, body: object) -> dict[str, Any]:
        """The parameters with defaults filled in; raises the contract's 400 errors."""
        params = self._checked(body)
        if params is None and isinstance(body, dict):
            body = as_meant(self._schema, body)
            params = self._checked(body)
        if params is None:
            raise self._explain(body)  # which is about the first fault in the order of the schema
        return params

    def _checked(self, body: object) -> dict[str, Any] | None:
        """The parameters; None for a body that does not fit the schema. Raises for those that do not go together."""
        try:
            plain = self._is_plain(body)
            valid = plain or self._is_valid(body)
        except ValueError:  # a lone surrogate, or something that JSON cannot hold
            plain = valid = False
        if not valid or not isinstance(body, dict):
            return None
        tests = self._beyond_plain if plain else self._beyond
        for name, value in body.items():
            if (test := tests.get(name)) and test(name, value):
                return None
        params = self._defaults | body
        for rule, name, choices, applies, broken in self._rules_for.get(params.get(self._decisive), self._rules):
            if (name is None or params.get(name) in choices) and (applies is None or applies(params, body)):
                if rule.defaults:
                    params = params | rule.defaults | body
                if broken(params, body):
                    raise InvalidParameters(rule.message)
        return params

    def takes(self, name: str, value: object) -> bool:
        """Whether a parameter may have this value, as far as that depends on nothing else."""
        return name in self._properties and self._fault(name, value) is None

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
        if error := _fault(name, self._properties[name], value):
            return error
        test = self._beyond.get(name)
        return test(name, value) if test else None


def as_meant(said: Mapping[str, Any], value: Any) -> Any:
    """The value without optional members that are null, and with whole numbers where a point ends them.

    JSON Schema's `integer` includes 5.0, as JavaScript and spreadsheets write 5; vendors want 5.
    """
    if said["type"] == "object" and isinstance(value, dict):
        parts, required = said["properties"], said["required"]
        return {
            key: as_meant(parts[key], one) if key in parts else one
            for key, one in value.items()
            if one is not None or key in required or key not in parts
        }
    if said["type"] == "array" and isinstance(value, list):
        return [as_meant(said["items"], one) for one in value]
    if said["type"] == "integer" and isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def _fault(name: str, said: Mapping[str, Any], value: Any) -> PlatformError | None:
    """The schema's error for a value, or for its first bad part. Recursion is bounded by the depth of the schema."""
    kind = said["type"]
    if unclean := _clean(name, value):
        return unclean
    # Numbers that are not finite JSON Schema cannot check at all.
    if isinstance(value, float) and (kind == "integer" or not math.isfinite(value)):
        return refusal(name, "type", said, value)
    # Containers are emptied first, so that depth and size of the caller's value do not matter.
    plain = [None] * len(value) if isinstance(value, list) else _flat(value)
    shallow = {key: rule for key, rule in said.items() if key not in ("items", "properties", "required")}
    if kind == "object":
        shallow.pop("additionalProperties")
    if errors := list(jsonschema_rs.Draft202012Validator(shallow).iter_errors(plain)):
        return refusal(
            name, min((error.kind.name for error in errors), key=lambda word: _RANK.get(word, 2)), said, value
        )
    if kind == "array":
        parts = [(f"{name}[{i}]", said["items"], item) for i, item in enumerate(value[:_MOST_ITEMS_EXPLAINED])]
        return next((error for part in parts if (error := _fault(*part))), None)
    return _fault_in_object(name, said, value) if kind == "object" else None


def _fault_in_object(name: str, said: Mapping[str, Any], value: Mapping[str, Any]) -> PlatformError | None:
    for key in said["required"]:
        if key not in value:
            return MissingParameter(f"parameter '{name}.{key}' is required")
    for key, inner in said["properties"].items():
        if key in value and (error := _fault(f"{name}.{key}", inner, value[key])):
            return error
    unknown = sorted(str(key) for key in value if key not in said["properties"])
    if not unknown:
        return None
    return InvalidParameters(
        f"unknown parameter {show(unknown[0])} in '{name}'; allowed: {', '.join(said['properties'])}"
    )


def _flat(value: Any) -> Any:
    return type(value)() if isinstance(value, list | dict) else value


def _sorted_out(
    rules: list[PreparedRule], inputs: Mapping[str, Input]
) -> tuple[str | None, Mapping[Any, list[PreparedRule]]]:
    """The parameter that selects most of the rules, and the rules that remain for each of its values.

    A parameter whose default a rule replaces does not qualify: its value may change while the rules are applied.
    """
    changed = {name for rule, *_ in rules for name in rule.defaults}
    asked = Counter(name for _, name, *_ in rules if name and name not in changed and inputs[name].choices())
    if not asked:
        return None, {}
    decisive = max(asked, key=lambda name: asked[name])
    values = inputs[decisive].choices()
    return decisive, {value: [rule for rule in rules if rule[1] != decisive or value in rule[2]] for value in values}


def _narrowed(name: str, spec: Input, said: Mapping[str, Any]) -> Mapping[str, Any]:
    """The schema of a parameter, narrowed to texts that need no further check."""
    match spec:
        case Media(many=True):
            return {**said, "items": _plain_link(said["items"])}
        case Media() | TextInput(format="url"):
            return _plain_link(said)
        case TextInput(enum=()):
            return {**said, **(_PLAIN_PROMPT if name == _PROMPT else _PLAIN_TEXT)}
        case Array():
            return {**said, "items": _narrowed(name, spec.items, said["items"])}
        case Object():
            parts = {key: _narrowed(key, part, said["properties"][key]) for key, part in spec.properties.items()}
            return {**said, "properties": parts}
        case _:
            return said


def _plain_link(said: Mapping[str, Any]) -> Mapping[str, Any]:
    return {**said, "pattern": _PLAIN_LINK, "maxLength": min(said["maxLength"], MOST_URL_CHARACTERS)}


def _beyond(name: str, spec: Input, *, plain: bool = False) -> Beyond | None:
    """A check for values that passed the schema, or the narrower one (`plain`); None when none is needed."""
    match spec:
        case Integer():
            return _whole
        case Size(enum=()):
            return _size(spec)
        case Array():
            inner = _beyond(name, spec.items, plain=plain)
            return _each(inner) if inner else None
        case Object():
            parts = {key: _beyond(key, part, plain=plain) for key, part in spec.properties.items()}
            tests = {key: test for key, test in parts.items() if test}
            return _parts(tests) if tests else None
        case _:
            return None if plain else _second_look(name, spec)


def _second_look(name: str, spec: Input) -> Beyond | None:
    """The check of a text that did not pass the narrower schema."""
    match spec:
        case TextInput(format="url"):
            return _link
        case TextInput(enum=()):
            return _prompt if name == _PROMPT else _text
        case Media():
            return _each(_medium) if spec.many else _medium
        case _:
            return None


def _each(test: Beyond) -> Beyond:
    def all_of(name: str, values: list[Any]) -> PlatformError | None:
        for place, value in enumerate(values):
            if test(name, value):
                return test(f"{name}[{place}]", value)
        return None

    return all_of


def _parts(tests: Mapping[str, Beyond]) -> Beyond:
    def all_of(name: str, value: Mapping[str, Any]) -> PlatformError | None:
        return next(
            (error for key, test in tests.items() if key in value and (error := test(f"{name}.{key}", value[key]))),
            None,
        )

    return all_of


def _whole(name: str, value: Any) -> PlatformError | None:
    return None if type(value) is int else refusal(name, "type", {"type": "integer"}, value)


def _link(name: str, value: str) -> PlatformError | None:
    if form(value) == "url":
        return None
    return _no_link(name, value) or InvalidFormat(f"parameter '{name}' {_URL_WANTED}, got '{clip(value)}'")


def _no_link(name: str, value: str) -> PlatformError | None:
    """What is wrong with a text that looks like a link; it is not shown, as it may hold a password."""
    fault = link_fault(value) if looks_like_link(value) else None
    return InvalidFormat(f"parameter '{name}' {fault}") if fault else None


def _prompt(name: str, value: str) -> PlatformError | None:
    if error := _text(name, value):
        return error
    seen = not value or any(is_visible(char) for char in value)
    return None if seen else InvalidParameters(f"parameter '{name}' must contain something that can be seen")


def _text(name: str, value: str) -> PlatformError | None:
    return None if value.isascii() and "\0" not in value else _clean(name, value)


def _clean(name: str, value: object) -> PlatformError | None:
    why = bad_text(value)
    return InvalidFormat(f"parameter '{name}' {why}") if why else None


def _size(spec: Size) -> Beyond:
    fits = spec.test()

    def one(name: str, value: str) -> PlatformError | None:
        return None if fits(value) else OutOfRange(f"parameter '{name}' {spec.outside(value)}, got {show(value)}")

    return one


def _medium(name: str, text: str) -> PlatformError | None:
    if form(text) is not None:
        return None
    wanted = f"{_URL_WANTED}, a data URI, base64 or the id of an upload"
    return _no_link(name, text) or InvalidFormat(f"parameter '{name}' {wanted}, got '{clip(text)}'")
