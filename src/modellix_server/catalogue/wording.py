"""Messages about refused parameters, in the words of the public contract."""

import re
import unicodedata
from collections.abc import Mapping
from typing import Any

from modellix_server.base.errors import InvalidFormat, InvalidParameters, OutOfRange, PlatformError

MOST_ECHOED = 80

_BLANK_LETTERS = "\u115f\u1160\u2800\u3164\uffa0"  # fillers of Hangul, the empty cell of Braille
_SURROGATE = re.compile("[\ud800-\udfff]")
_TYPES = {
    "string": "a string",
    "integer": "an integer",
    "number": "a number",
    "boolean": "true or false",
    "array": "an array",
    "object": "an object",
}


def size_pattern(separator: str, presets: tuple[str, ...] = ()) -> str:
    """The regular expression of a size; the message of its refusal is derived from it."""
    return f"^({'|'.join([*presets, f'[0-9]+[{separator}][0-9]+'])})$"


def show(value: object) -> str:
    """A caller's value for an error message: printable, short, text in quotes, containers without their contents."""
    match value:
        case str():
            return f"'{clip(value)}'"
        case bool():
            return "true" if value else "false"
        case None:
            return "null"
        case int() | float():
            return clip(_number(value))
        case list():
            return "an array"
        case _:
            return "an object"


def clip(text: str) -> str:
    """At most 80 printable characters."""
    short = text if len(text) <= MOST_ECHOED else text[: MOST_ECHOED - 1] + "…"
    return "".join([char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in short])


def bad_text(value: object) -> str | None:
    """Why a text, or a text in a list, cannot be stored or sent; None when it can."""
    for text in value if isinstance(value, list) else (value,):
        if isinstance(text, str):
            if "\0" in text:
                return "must not contain NUL characters"
            if not text.isascii() and _SURROGATE.search(text):
                return "must be valid Unicode"
    return None


def is_visible(char: str) -> bool:
    """Whether a character leaves anything on the page: a letter, a digit, a sign or a symbol."""
    return unicodedata.category(char)[0] in "LNPS" and char not in _BLANK_LETTERS


def refusal(name: str, keyword: str, schema: Mapping[str, Any], value: object) -> PlatformError:
    """The error for a value that breaks one keyword of its property's schema."""
    where = f"parameter '{name}'"
    if keyword == "type":
        return InvalidParameters(f"{where} must be {_TYPES[schema['type']]}, got {show(value)}")
    if keyword == "pattern":
        return InvalidFormat(f"{where} must be {_shape(schema['pattern'])}, got {show(value)}")
    return OutOfRange(f"{where} must {_limits(keyword, schema)}, got {_measure(keyword, value)}")


def _shape(pattern: str) -> str:
    *presets, free = pattern[2:-2].split("|")
    words = f"in format 'width{'x' if '[x]' in free else '*'}height'"
    return f"{', '.join(presets)} or {words}" if presets else words


def _limits(keyword: str, schema: Mapping[str, Any]) -> str:
    if keyword == "enum":
        first, *more = schema["enum"]
        return f"be one of {', '.join(map(str, schema['enum']))}" if more else f"be {first}"
    if keyword in ("minimum", "maximum"):
        return _between("be", schema["minimum"], schema["maximum"])
    if keyword == "multipleOf":
        return f"be a multiple of {schema['multipleOf']}"
    if keyword in ("minItems", "maxItems"):
        return _between("have", schema["minItems"], schema["maxItems"]) + " items"
    return _between("have", schema.get("minLength", 0), schema["maxLength"]) + " characters"


def _between(verb: str, low: float, high: float) -> str:
    if verb == "be":
        return f"be {low}" if low == high else f"be between {low} and {high}"
    return f"have exactly {low}" if low == high else f"have between {low} and {high}"


def _measure(keyword: str, value: object) -> str:
    if isinstance(value, str | list) and keyword != "enum":
        return str(len(value))
    return show(value)


def _number(value: float) -> str:
    try:
        return repr(value)
    except ValueError:  # Python refuses to print integers of more than some thousand digits
        return "a very large number"
