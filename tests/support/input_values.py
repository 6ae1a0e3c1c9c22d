"""What the parameters of a model allow and refuse, value by value."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from modellix_server.catalogue.inputs import Array, Boolean, Integer, Media, Number, Object, Size, TextInput, pixels

TYPE, MISSING = "Invalid parameters", "Missing required parameter"
FORMAT, RANGE = "Invalid format", "Value out of range"
LINK = "https://example.com/a.png"
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGNgZGJmAQAAGQAL51pGpAAAAABJRU5ErkJggg=="
DATA = f"data:image/png;base64,{PIXEL}"
JSON_VALUES: tuple[Any, ...] = (None, True, 7, 2.5, "word", ["word"], {"word": 1})


def good(spec: Any) -> list[Any]:
    """Values at every end of what is allowed, and every one of a list."""
    match spec:
        case TextInput(format="url"):
            return [LINK, LINK + "?" + "q" * (min(spec.max_length or 0, 2048) - len(LINK) - 1)]
        case TextInput(enum=()):
            lengths = {spec.min_length, max(1, spec.min_length), spec.max_length}
            return [("x" * length, "🦊" * length)[odd] for length in sorted(lengths) for odd in (0, 1)]
        case Integer(enum=()):
            return [-(-spec.min // spec.multiple_of) * spec.multiple_of, spec.max - spec.max % spec.multiple_of]
        case Number():
            return [spec.min, spec.max, (spec.min + spec.max) / 2]
        case Boolean():
            return [True, False]
        case Size(enum=()):
            return [*spec.presets, *size_ends(spec)[0]]
        case Media():
            one = [LINK, *([DATA, DATA.partition(",")[2]] if "data" in spec.accepts else [])]
            one = [value for value in one if value.startswith(("https", "data")) or len(value) >= 32]
            return [[value] * count for value in one for count in span(spec)] if spec.many else one
        case Array():
            each = good(spec.items)
            return [
                [each[(first + place) % len(each)] for place in range(count)]
                for count in span(spec)
                for first in range(len(each) if count else 1)
            ]
        case Object():
            whole = {key: good(part)[0] for key, part in spec.properties.items()}
            least = {key: whole[key] for key, part in spec.properties.items() if part.required}
            return [least, *(whole | {key: one} for key, part in spec.properties.items() for one in good(part))]
        case _:
            return list(spec.enum)


def span(spec: Any) -> list[int]:
    return sorted({spec.min_items, max(1, spec.min_items), spec.max_items})


def bad(spec: Any) -> Iterator[tuple[Any, str]]:
    """Values one step outside, and of every other type, each with the category of its refusal."""
    # Null is as good as absent, where that is good.
    yield from (
        (value, TYPE) for value in JSON_VALUES if not has_type(spec, value) and (spec.required or value is not None)
    )
    match spec:
        case Integer() | Number():
            yield from bad_number(spec)
        case Media(many=True) | Array():
            yield from bad_list(spec)
        case Media():
            yield from bad_link(spec)
        case Object():
            yield from bad_object(spec)
        case Size() | TextInput():
            yield "a\0b", FORMAT
            yield "\ud800", FORMAT
            yield from bad_size(spec) if isinstance(spec, Size) else bad_text(spec)


def bad_number(spec: Integer | Number) -> Iterator[tuple[Any, str]]:
    if isinstance(spec, Number):
        yield from ((math.nextafter(end, way), RANGE) for end, way in ((spec.min, -1e300), (spec.max, 1e300)))
        return
    yield 4.5, TYPE
    numbers = sorted(spec.enum) or [spec.min, spec.max]
    yield from ((number, RANGE) for number in (numbers[0] - 1, numbers[-1] + 1))
    if spec.multiple_of > 1:
        yield good(spec)[0] + 1, RANGE


def bad_list(spec: Media | Array) -> Iterator[tuple[Any, str]]:
    item = good(spec)[-1][0]
    yield [item] * (spec.max_items + 1), RANGE
    if spec.min_items:
        yield [item] * (spec.min_items - 1), RANGE
    inner = bad_link(spec) if isinstance(spec, Media) else bad(spec.items)
    yield from (([*[item] * (max(1, spec.min_items) - 1), value], category) for value, category in inner)


def bad_object(spec: Object) -> Iterator[tuple[Any, str]]:
    whole = good(spec)[-1]
    yield {**whole, "surprise": 1}, TYPE
    for key, part in spec.properties.items():
        if part.required:
            yield {name: value for name, value in whole.items() if name != key}, MISSING
        yield from ((whole | {key: value}, category) for value, category in bad(part))


def has_type(spec: Any, value: Any) -> bool:
    match spec:
        case Boolean():
            return isinstance(value, bool)
        case Integer():
            return type(value) is int
        case Number():
            return type(value) in (int, float)
        case Array() | Media(many=True):
            return isinstance(value, list)
        case Object():
            return isinstance(value, dict)
        case _:
            return isinstance(value, str)


def bad_link(spec: Media) -> Iterator[tuple[Any, str]]:
    wrong = (value for value in JSON_VALUES if not isinstance(value, str) and (spec.required or value is not None))
    yield from ((value, TYPE) for value in wrong)
    yield "", RANGE
    for text in ("word", "ftp://example.com/a.png", "https://exämple.com/a.png", "https://example.com/a b", "https://"):
        yield text, FORMAT


def bad_text(spec: TextInput) -> Iterator[tuple[Any, str]]:
    if spec.enum:
        yield spec.enum[0] + "x", RANGE
        yield spec.enum[0].swapcase() + " ", RANGE
        return
    yield from ((mark * (spec.max_length + 1), RANGE) for mark in "x🦊")
    if spec.min_length:
        yield "x" * (spec.min_length - 1), RANGE
    if spec.format == "url":
        yield "word", FORMAT


def bad_size(spec: Size) -> Iterator[tuple[Any, str]]:
    other = "x" if spec.separator == "*" else "*"
    for text in (f"512{other}512", "512", f"512{spec.separator}", f" 512{spec.separator}512", "\uff1512*512", "-1*-1"):
        yield text, FORMAT
    if spec.enum:
        yield f"1{spec.separator}1", RANGE
    else:
        yield from ((size, RANGE) for size in size_ends(spec)[1])


def size_ends(spec: Size) -> tuple[list[str], list[str]]:
    """Sizes at the ends of sides, area and ratio, and those one pixel beyond that keep the other rules."""
    low = pixels(spec.min_area, spec.separator) if spec.min_area else spec.min_side**2
    high = pixels(spec.max_area, spec.separator) if spec.max_area else spec.max_side**2

    def fits(width: int, height: int, *, but: str = "") -> bool:
        short, long = sorted((width, height))
        return all(
            (
                but == "side" or (short >= spec.min_side and long <= (spec.max_side or long)),
                but == "area" or low <= width * height <= high,
                but == "ratio" or spec.max_ratio is None or long <= spec.max_ratio * short,
            )
        )

    inside, beyond = set(), set()
    for area in (low, high):
        for ratio in {1, spec.max_ratio or 1}:
            height = math.isqrt(area // ratio)
            for width, tall in ((ratio * (height + step), height + step) for step in (0, 1)):
                inside |= {(width, tall), (tall, width)}
                beyond |= {(width + 1, tall, "ratio"), (width + 1, tall, "area"), (width - 1, tall, "area")}
            for width in range(height, height + 80):  # the sharpest pair of sides near the square
                inside |= {(width, area // width)} if area % width == 0 else set()
                beyond |= {(width, high // width + 1, "area"), (width, (low - 1) // width, "area")}
    for side in filter(None, (spec.min_side, spec.max_side)):
        inside |= {(side, other) for other in (side, low // side, high // side)}
        others = (side, low // side + 1, high // side - 1)
        beyond |= {(side + step, other, "side") for step in (-1, 1) for other in others}
    good = {size for size in inside if min(size) > 0 and fits(*size)}
    bad = {(w, h) for w, h, rule in beyond if min(w, h) > 0 and fits(w, h, but=rule) and not fits(w, h)}
    return [f"{w}{spec.separator}{h}" for w, h in sorted(good)], [f"{w}{spec.separator}{h}" for w, h in sorted(bad)]
