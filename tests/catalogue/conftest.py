"""What a model's file allows and refuses, value by value, and the emulators in this process to try it on."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import math
import tomllib
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest

from modellix_server.base.errors import InvalidParameters
from modellix_server.base.multipart import encode_form
from modellix_server.catalogue import Model
from modellix_server.catalogue.inherit import inherit
from modellix_server.catalogue.inputs import Array, Boolean, Integer, Media, Number, Object, Size, TextInput, pixels
from modellix_server.catalogue.modelfile import ModelFile
from modellix_server.catalogue.registry import BUILT_IN
from modellix_server.catalogue.rule import Rule
from modellix_server.sandbox import load_all as load_emulators
from modellix_server.sandbox.rendering.paint import UnusableMedia
from modellix_server.upstreams import load_all
from modellix_server.upstreams.contract import Answer, Part

TYPE, MISSING = "Invalid parameters", "Missing required parameter"
FORMAT, RANGE = "Invalid format", "Value out of range"
LINK = "https://example.com/a.png"
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGNgZGJmAQAAGQAL51pGpAAAAABJRU5ErkJggg=="
DATA = f"data:image/png;base64,{PIXEL}"
JSON_VALUES: tuple[Any, ...] = (None, True, 7, 2.5, "word", ["word"], {"word": 1})
MOST_MENDS = 6


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
    yield from ((value, TYPE) for value in JSON_VALUES if not has_type(spec, value))
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
    yield 4.0, TYPE
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
    yield from ((value, TYPE) for value in JSON_VALUES if not isinstance(value, str))
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


@cache
def file_of(slug: str) -> ModelFile:
    """The model's file, complete: what it is like is filled in."""

    def raw(name: str) -> dict[str, Any]:
        return tomllib.loads((BUILT_IN / f"{name}.toml").read_text(encoding="utf-8"))

    own = raw(slug)
    return msgspec.convert(inherit(own, raw(own["like"])) if "like" in own else own, ModelFile)


class Allowed:
    """Bodies of one model."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.file = file_of(model.slug)
        self.inputs = self.file.input
        self.ends = {name: good(spec) for name, spec in self.inputs.items()}
        self.values = dict(self.ends)
        for rule in self.file.rule:  # a rule without a condition is a list of all there is
            self.values |= {} if rule.when or rule.given else rule.needs
        self.messages = {f"{TYPE}: {rule.message}": rule for rule in self.file.rule if rule.message}

    def bad(self, name: str) -> list[tuple[Any, str]]:
        return list(bad(self.inputs[name]))

    def telling(self, name: str) -> Any:
        """A value that counts as given."""
        return next(value for value in reversed(self.values[name]) if value not in ("", []))

    def broken_rule(self, body: Mapping[str, Any]) -> Rule | None:
        """The cross-field rule that refuses the body; None when it is accepted. Any other refusal is raised."""
        try:
            self.model.check(dict(body))
        except InvalidParameters as error:
            if error.message not in self.messages:
                raise
            return self.messages[error.message]
        return None

    def settle(self, body: Mapping[str, Any], keep: set[str], *, broken: Rule | None = None) -> dict[str, Any] | None:
        """The body with other parameters changed until it is accepted, or `broken` is the rule that refuses it."""
        seen: set[str] = set()
        edge = [dict(body)]
        for _ in range(MOST_MENDS):
            following = []
            for one in edge:
                rule = self.broken_rule(one)
                if rule is broken:
                    return one
                if rule is not None:
                    following += [found for found in self._mended(rule, one, keep) if new(found, seen)]
            edge = following[:400]
        return None

    def _mended(self, rule: Rule, body: dict[str, Any], keep: set[str]) -> Iterator[dict[str, Any]]:
        free = {name for name in (*rule.needs, *rule.when) if name not in keep}
        free |= {name for name in (*rule.given, *rule.excludes) if name not in keep and not self.inputs[name].required}
        for name, wanted in rule.needs.items():
            if name in free:
                yield from (body | {name: one} for one in (wanted if isinstance(wanted, list) else [wanted]))
        absent = [name for name in (*rule.requires, *rule.one_of) if not body.get(name) and name not in keep]
        if rule.requires and absent:
            yield body | {name: self.telling(name) for name in absent}
        yield from (body | {name: self.telling(name)} for name in absent)
        yield from (without(body, name) for name in (*rule.excludes, *rule.given) if name in free)
        for name in rule.when:
            choices = self.inputs[name].choices() if name in free else ()
            yield from (body | {name: one} for one in choices)
        lists = [*rule.same_length, *(name for names in rule.together for name in names.split("+"))]
        for name in {*lists} - keep:
            if name in body and not self.inputs[name].required:
                yield without(body, name)
            lengths = {1, *(len(body[other]) for other in lists if other in body)}
            yield from (body | {name: self.telling(name)[:1] * length} for length in lengths)


def new(body: dict[str, Any], seen: set[str]) -> bool:
    key = json.dumps(body, sort_keys=True)
    found = key not in seen
    seen.add(key)
    return found


def without(body: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {key: value for key, value in body.items() if key not in names}


class NoStudio:
    """In place of the render processes: takes every order and makes nothing."""

    waiting = 0
    spool = None

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        raise UnusableMedia("parameter", "nothing is made here")
        yield


async def no_web(url: str, *_: object) -> bytes:
    raise UnusableMedia("parameter", f"{url}: nothing is reached from here")


@dataclass
class Emulator:
    """A vendor's emulator without a network: what an adapter sends it, and whether it was accepted."""

    name: str
    app: Any
    base: str
    fetch: Any
    sent: Any = None
    answer: Answer | None = None

    async def call(self, method, path, *, json=None, form=None, headers=None) -> Answer:
        """For the adapter. A form is kept as an object whose values are lists."""
        self.sent = json if form is None else shown_form(form)
        kind, body = "application/json", b"" if json is None else msgspec.json.encode(json)
        if form is not None:
            kind, body = await encode_form(form)
        self.answer = await self._ask(method, self.base + path, body, {"Content-Type": kind, **(headers or {})})
        return self.answer

    async def line(self, attempt: str) -> dict[str, Any]:
        """The bill's line of an attempt."""
        answer = await self._ask("GET", f"/_bill?attempt={attempt}", b"", {})
        (line,) = msgspec.json.decode(answer.body)["lines"]
        return line

    async def _ask(self, method, target, body, headers) -> Answer:
        path, _, query = target.partition("?")
        sent: list[dict[str, Any]] = []
        scope = {
            "type": "http", "method": method, "scheme": "http", "server": ("sandbox", 80), "extensions": {},
            "path": f"/{self.name}{path}", "root_path": f"/{self.name}", "query_string": query.encode(),
            "headers": [(b"host", b"sandbox")]
            + [(key.lower().encode(), value.encode()) for key, value in headers.items()],
        }  # fmt: skip

        unread = [body]

        async def receive() -> dict[str, Any]:
            if not unread:
                await asyncio.Event().wait()  # the client stays
            return {"type": "http.request", "body": unread.pop()}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        await self.app(scope, receive, send)
        found = {key.decode().lower(): value.decode() for key, value in sent[0]["headers"]}
        return Answer(sent[0]["status"], b"".join(part.get("body", b"") for part in sent[1:]), found)


def shown_form(parts: list[Part]) -> dict[str, list[Any]]:
    """Fields as the values they stand for, files as data URIs."""
    shown: dict[str, list[Any]] = {}
    for part in parts:
        value: Any = part.data
        if isinstance(value, bytes):
            value = f"data:{part.content_type};base64,{base64.b64encode(value).decode()}"
        else:
            with contextlib.suppress(ValueError):
                value = json.loads(value)
        shown.setdefault(part.name, []).append(value)
    return shown


def emulator(name: str, studio: Any, fetch: Any) -> Emulator:
    base = urlsplit(next(iter(load_all()[name].traits.origins.values()))).path
    return Emulator(name, load_emulators()[name](studio, fetch, no_web), base, fetch)


@pytest.fixture
def allowed():
    return Allowed


@pytest.fixture(scope="session")
def emulators() -> dict[str, Emulator]:
    """Every emulator by its vendor's name; they accept or refuse, and make nothing."""
    return {name: emulator(name, NoStudio(), no_web) for name in load_emulators()}


@pytest.fixture
def emulated():
    """`emulated(name, studio, fetch)`: an emulator over other parts."""
    return emulator
