"""Reads one model file strictly and turns it into a `Model`. A wrong or incomplete file stops the start.

A model file that starts from another one: `like = "alibaba/wan2.2-t2v-plus"`. One level, no deeper.

| key | what is inherited |
| --- | --- |
| `type`, `deadline_s`, `submit_deadline_s`, `example`, `more` | as it is, unless the file has its own |
| `input` | every parameter but those named in `without`; the file's own are added, in its order, at the end |
| `rule` | the whole list, unless the file has its own (`rule = []` for none) |
| `route` | the first from the first, and so on: as many as the file has, or all if it has none |
| `price` | every key; `tier` is one list |
| `name`, `summary`, `docs_slug`, `featured`, `confidence`, `retires` | never: they are about one model |

Under `input`, `route` and `price` a table that has `type`, `upstream` or `unit` replaces the inherited one. A table
without it changes only the keys it names, and in a route only those of `wire`, `to`, `values`, `omit` and
`constants`. Inputs in `without` are removed from the routes too.
"""

import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import msgspec

from modellix_server.base.errors import PlatformError
from modellix_server.base.money import micros_from_usd
from modellix_server.catalogue import samples
from modellix_server.catalogue.check import Checker
from modellix_server.catalogue.inputs import Input, Integer, media_of
from modellix_server.catalogue.model import Confidence, Model, ModelType, Retirement, Route
from modellix_server.catalogue.price import PriceTable, Tier, Unit
from modellix_server.catalogue.rule import Rule

MOST_CELLS = 1000


class BadModel(ValueError):
    """A model file is wrong; the message names the file and the key."""


class TierFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A `[[price.tier]]`."""

    label: str = "standard"
    usd: str | None = None
    """A string, so that it stays an exact decimal."""
    unpriced: bool = False
    """Known to exist, price not known: refused in live mode until the operator sets one."""
    when: dict[str, Any] = {}
    """Parameter -> value or list of values that choose this tier."""
    given: dict[str, bool] = {}
    """Parameter -> whether the caller gives it."""
    units: str | None = None
    most: int | None = None
    also: int | None = None
    """These three as in `[price]`, for this tier alone."""

    def __post_init__(self) -> None:
        if (self.usd is None) != self.unpriced:
            raise ValueError("a price tier needs either usd or unpriced = true")
        if self.usd is not None and micros_from_usd(self.usd) < 0:
            raise ValueError("usd cannot be negative")


class PriceFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The `[price]` table."""

    unit: Unit
    tier: tuple[TierFile, ...]
    units: str | None = None
    """The parameter that says how many images or seconds are ordered."""
    most: int | None = None
    """The maximum where no parameter states the number, or where its value (0 or -1) leaves it to the input."""
    also: int = 0
    """The most that is charged in addition to what is delivered: seconds of input video."""


class ModelFile(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """The whole file; its path gives provider and id."""

    name: str
    type: ModelType
    summary: str
    docs_slug: str
    featured: bool = False
    deadline_s: int
    submit_deadline_s: int
    retires: Retirement | None = None
    confidence: Confidence
    input: dict[str, Input]
    rule: tuple[Rule, ...] = ()
    route: tuple[Route, ...]
    price: PriceFile
    example: dict[str, Any]
    more: tuple[dict[str, Any], ...] = ()
    """Further examples: tables called `[[more]]`."""


Parse = Callable[[Path], dict[str, Any]]


def parse(path: Path) -> dict[str, Any]:
    """The tables of one file, unchecked. Raises ValueError or OSError."""
    return tomllib.loads(path.read_text(encoding="utf-8"))


def read(
    path: Path, provider: str, model_id: str, find: Callable[[object], Path], origin: str, parsed: Parse = parse
) -> Model:
    """The model of one file; `find` gives the file of the slug it is `like`, samples are linked under `origin`.

    `parsed` may be a cached `parse`: many files share one base, and parsing is most of the work of a start.
    Raises BadModel.
    """
    try:
        raw = parsed(path)
        if "like" in raw:
            raw = inherit(raw, parsed(find(raw["like"])))
        raw = raw | {key: samples.linked(raw[key], origin) for key in ("example", "more") if key in raw}
        return build(msgspec.convert(raw, ModelFile), provider, model_id)
    except (ValueError, msgspec.ValidationError, OSError) as error:
        raise BadModel(f"{path}: {error}") from error
    except (KeyError, TypeError, AttributeError) as error:  # only `inherit` reads unchecked files
        raise BadModel(f"{path}: like: the two files do not fit together: {error!r}") from error


def build(file: ModelFile, provider: str, model_id: str) -> Model:
    """The model of a parsed file; ValueError names the key that is wrong."""
    slug = f"{provider}/{model_id}"
    _positive("deadline_s", file.deadline_s)
    _positive("submit_deadline_s", file.submit_deadline_s)
    for example in (file.example, *file.more):
        _known("example", example, file.input)
    for rule in file.rule:
        rule.check(file.input)
    if not file.route:
        raise ValueError("route: at least one is needed")
    for route in file.route:
        _check_route(route, file.input)
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": file.name,
        "description": file.summary,
        "type": "object",
        "properties": {name: spec.schema() for name, spec in file.input.items()},
        "required": [name for name, spec in file.input.items() if spec.required],
        "additionalProperties": False,
        "examples": [file.example, *file.more],
    }
    media = tuple(media_of(file.input))
    _known("same_size_as", [one.same_size_as for one in media if one.same_size_as], file.input)
    model = Model(
        slug=slug,
        provider=provider,
        id=model_id,
        docs_slug=file.docs_slug,
        featured=file.featured,
        type=file.type,
        name=file.name,
        summary=file.summary,
        schema=schema,
        media=media,
        routes=file.route,
        price=_price_table(slug, file.price, file.input),
        deadline_s=file.deadline_s,
        submit_deadline_s=file.submit_deadline_s,
        retires=file.retires,
        example=file.example,
        more=file.more,
        confidence=file.confidence,
        checker=Checker(schema, file.input, file.rule),
    )
    _check_defaults(model, file.input)
    return model


def _check_defaults(model: Model, inputs: Mapping[str, Input]) -> None:
    """The examples and every default must be accepted by the model itself."""
    defaults = {name: value for name, spec in inputs.items() if (value := getattr(spec, "default", None)) is not None}
    try:
        for example in (model.example, *model.more):
            model.quote(model.check(example), None, live=False)
        model.check({**model.example, **defaults})
    except PlatformError as error:
        raise ValueError(f"example or default: {error.message}") from error


def _check_route(route: Route, inputs: Mapping[str, Input]) -> None:
    if not route.models:
        raise ValueError("route.models: at least one region is needed")
    for key in ("to", "values", "omit"):
        _known(f"route.{key}", getattr(route, key), inputs)
    if lost := [name for name in inputs if name not in route.to]:
        raise ValueError(f"route.to: {lost[0]} is missing, so it would never reach the vendor")


def _price_table(slug: str, price: PriceFile, inputs: Mapping[str, Input]) -> PriceTable:
    labels = [tier.label for tier in price.tier]
    if not labels or len(set(labels)) != len(labels):
        raise ValueError("price.tier: at least one is needed, each with its own label")
    for tier in price.tier:
        _known("price.tier.when", tier.when, inputs)
        _known("price.tier.given", tier.given, inputs)
    by = tuple(name for name in inputs if any(name in tier.when for tier in price.tier))
    given = tuple(name for name in inputs if any(name in tier.given for tier in price.tier))
    for name in by:
        if not inputs[name].choices() or not inputs[name].always_there():
            raise ValueError(f"price.tier.when: {name} needs an enum, and a default or required = true")
    tiers = {tier.label: _tier(tier, price, inputs) for tier in price.tier}
    choices = [*[inputs[name].choices() for name in by], *[(False, True)] * len(given)]
    cells = {}
    for count, values in enumerate(product(*choices)):
        if count >= MOST_CELLS:
            raise ValueError(f"price.tier: more than {MOST_CELLS} combinations")
        fitting = [tier for tier in price.tier if _fits(tier, dict(zip(by + given, values, strict=True)))]
        if len(fitting) != 1:
            cell = dict(zip(by + given, values, strict=True))
            raise ValueError(f"price.tier: {cell} has {len(fitting)} prices, not one")
        cells[values] = tiers[fitting[0].label]
    if unused := [tier.label for tier in tiers.values() if tier not in cells.values()]:
        raise ValueError(f"price.tier: no input ever costs '{unused[0]}'")
    return PriceTable(slug=slug, unit=price.unit, by=by, given=given, tiers=tuple(tiers.values()), cells=cells)


def _tier(tier: TierFile, price: PriceFile, inputs: Mapping[str, Input]) -> Tier:
    units = tier.units or price.units
    most = tier.most or price.most
    also = price.also if tier.also is None else tier.also
    if also < 0 or (most is not None and most < 1):
        raise ValueError("price: most must be at least 1 and also at least 0")
    if units is not None:
        _check_units(units, most, inputs)
    elif most is None and price.unit == "second":
        raise ValueError("price.units: a price per second needs the parameter that says how many, or most")
    micros = None if tier.usd is None else micros_from_usd(tier.usd)
    return Tier(tier.label, micros, units=units, most=most or 1, also=also)


def _check_units(units: str, most: int | None, inputs: Mapping[str, Input]) -> None:
    spec = inputs.get(units)
    if not isinstance(spec, Integer) or not spec.always_there():
        raise ValueError(f"price.units: {units} must be an integer input with a default or required = true")
    lowest = min(spec.enum) if spec.enum else spec.min
    if lowest is None or (lowest < 1 and most is None):
        raise ValueError(f"price.units: {units} must be at least 1, or most must say how many it can mean")


def _fits(tier: TierFile, values: Mapping[str, Any]) -> bool:
    return all(
        values[name] in wanted if isinstance(wanted, list) else values[name] == wanted
        for name, wanted in (tier.when | tier.given).items()
    )


def _known(key: str, names: Iterable[str], inputs: Mapping[str, Input]) -> None:
    for name in names:
        if name not in inputs:
            raise ValueError(f"{key}: {name} is not an input")


def _positive(key: str, value: int) -> None:
    if value < 1:
        raise ValueError(f"{key}: must be at least 1")


Table = Mapping[str, Any]

_AS_IT_IS = ("type", "deadline_s", "submit_deadline_s", "example", "more", "rule")
_OF_A_ROUTE = ("wire", "to", "values", "omit", "constants")
_BY_PARAMETER = ("to", "values", "omit")


def inherit(own: Table, base: Table) -> dict[str, Any]:
    """The complete file; ValueError when the one it starts from starts from a third, or `without` names nothing."""
    if "like" in base:
        raise ValueError(f"like: {own['like']} is itself like {base['like']}, and one level is the limit")
    without = own.get("without", [])
    if lost := [name for name in without if name not in base["input"]]:
        raise ValueError(f"without: {lost[0]} is not an input of {own['like']}")
    merged = {key: base[key] for key in _AS_IT_IS if key in base}
    merged |= {key: value for key, value in own.items() if key not in ("like", "without")}
    merged["input"] = _inputs(own.get("input", {}), {k: v for k, v in base["input"].items() if k not in without})
    merged["route"] = _routes(own.get("route"), [_less(route, without) for route in base["route"]])
    merged["price"] = _over(own.get("price", {}), base["price"], "unit")
    return merged


def _over(own: Table, base: Table, kind: str) -> dict[str, Any]:
    return dict(own) if kind in own else {**base, **own}


def _inputs(own: Table, base: Table) -> dict[str, Any]:
    return {**base, **{name: _over(table, base.get(name, {}), "type") for name, table in own.items()}}


def _routes(own: Sequence[Table] | None, base: Sequence[Table]) -> list[dict[str, Any]]:
    if own is None:
        return [dict(route) for route in base]
    return [_route(route, base[place] if place < len(base) else {}) for place, route in enumerate(own)]


def _route(own: Table, base: Table) -> dict[str, Any]:
    if "upstream" in own:
        return dict(own)
    return {**base, **own, **{key: {**base.get(key, {}), **own.get(key, {})} for key in _OF_A_ROUTE}}


def _less(route: Table, without: Sequence[str]) -> dict[str, Any]:
    fewer = {
        key: {name: value for name, value in route[key].items() if name not in without}
        for key in _BY_PARAMETER
        if key in route
    }
    return {**route, **fewer}
