"""A model file that starts from another one: `like = "alibaba/wan2.2-t2v-plus"`. One level, no deeper.

| key | what is inherited |
| --- | --- |
| `type`, `deadline_s`, `submit_deadline_s`, `example`, `more` | as it is, unless the file has its own |
| `input` | every parameter but those named in `without`; the file's own are added, in its order, at the end |
| `rule` | the whole list, unless the file has its own (`rule = []` for none) |
| `route` | the first from the first, and so on: as many as the file has, or all if it has none |
| `price` | every key; `tier` is one list |
| `name`, `summary`, `docs_slug`, `confidence`, `retires` | never: they are about one model |

Under `input`, `route` and `price` a table that has `type`, `upstream` or `unit` replaces the inherited one. A table
without it changes only the keys it names, and in a route only those of `wire`, `to`, `values`, `omit` and
`constants`. Inputs in `without` are removed from the routes too.
"""

from collections.abc import Mapping, Sequence
from typing import Any

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
