"""Short constructors of JSON Schema (2020-12) for the schemas of the document."""

from collections.abc import Collection
from typing import Any

Schema = dict[str, Any]

ANYTHING: Schema = {}


def obj(about: str = "", /, *, maybe: Schema | None = None, **always: Schema) -> Schema:
    """An object with these properties, and optional ones (`maybe`). Later versions may add properties."""
    said: Schema = {"type": "object", "required": list(always), "properties": {**always, **(maybe or {})}}
    return _about(said, about)


def array(items: Schema, about: str = "", **limits: Any) -> Schema:
    """A list."""
    return _about({"type": "array", "items": items, **limits}, about)


def text(about: str = "", **limits: Any) -> Schema:
    """Text."""
    return _about({"type": "string", **limits}, about)


def whole(about: str = "", **limits: Any) -> Schema:
    """A whole number."""
    return _about({"type": "integer", **limits}, about)


def number(about: str = "", **limits: Any) -> Schema:
    """A number."""
    return _about({"type": "number", **limits}, about)


def flag(about: str = "") -> Schema:
    """True or false."""
    return _about({"type": "boolean"}, about)


def word(choices: Collection[str], about: str = "") -> Schema:
    """One of some words."""
    return _about({"type": "string", "enum": list(choices)}, about)


def only(value: Any, about: str = "") -> Schema:
    """A constant."""
    return _about({"const": value}, about)


def moment(about: str = "") -> Schema:
    """A time."""
    return text(about, format="date-time")


def link(about: str = "") -> Schema:
    """An absolute URL."""
    return text(about, format="uri")


def usd(about: str = "", **limits: Any) -> Schema:
    """An amount of money."""
    return number(about or "USD, at most six decimals", **limits)


def or_null(schema: Schema) -> Schema:
    """The same, or null. For schemas with a `type`."""
    found = {**schema, "type": [schema["type"], "null"]}
    return found if "enum" not in schema else {**found, "enum": [*schema["enum"], None]}


def ref(name: str, kind: str = "schemas") -> Schema:
    """A component of the document."""
    return {"$ref": f"#/components/{kind}/{name}"}


def _about(schema: Schema, about: str) -> Schema:
    return {**schema, "description": about} if about else schema
