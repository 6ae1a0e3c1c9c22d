"""Texts at named paths in parsed JSON: finds or replaces them.

A path is a key, or keys joined by dots. Lists on the path are traversed and not named: `subjects.image`
is every `image` in the objects of the list `subjects`, and every text where `image` is a list itself.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Found:
    """One text."""

    place: str
    where: str
    """Its name in messages: `images[1]`, `subjects[0].image`."""
    text: str


def find(params: Mapping[str, Any], places: Collection[str]) -> list[Found]:
    """Every text at the paths, in their order. Values of other types are skipped."""
    found: list[Found] = []
    replace(params, places, found.append)
    return found


def replace(params: Mapping[str, Any], places: Collection[str], by: Callable[[Found], object]) -> dict[str, Any]:
    """A copy of the parameters with every text at the paths replaced."""
    changed: dict[str, Any] = dict(params)
    for place in places:
        changed = _step(changed, place, place.split("."), "", by)
    return changed


def _step(value: Any, place: str, way: list[str], where: str, by: Callable[[Found], object]) -> Any:
    if not way:
        return by(Found(place, where, value)) if isinstance(value, str) else value
    key = way[0]
    if not isinstance(value, dict) or key not in value:
        return value
    inner, there = value[key], f"{where}.{key}" if where else key
    if isinstance(inner, list):
        stepped: Any = [_step(one, place, way[1:], f"{there}[{i}]", by) for i, one in enumerate(inner)]
    else:
        stepped = _step(inner, place, way[1:], there, by)
    return {**value, key: stepped}
