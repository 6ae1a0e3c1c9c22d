"""Single fields of a submission against their rules."""

import re
from typing import Any

from modellix_server.sandbox.protocols.dashscope.table import Param

_SIZE = re.compile(r"(\d{2,5})\*(\d{2,5})", re.ASCII)
_TOLERATED: dict[str, dict[str, tuple[object, ...]]] = {
    "input": {"extend_prompt": (True, False), "function": ("video-synthesis",)},
    "parameters": {"is_async": (True, False)},
}
"""Fields that the vendor's Python client 1.x always sends and the service ignores."""


class DashScopeRefusal(Exception):
    """An answer with an error code: the submission is not accepted."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


def invalid(message: str) -> DashScopeRefusal:
    """The vendor's word for a bad or missing field."""
    return DashScopeRefusal(400, "InvalidParameter", message)


def only(given: dict[str, Any], known: set[str], where: str) -> None:
    """Raises Refusal where a field is not known."""
    unknown = sorted(given.keys() - known)
    if unknown:
        raise invalid(f"Unknown field: {where}{unknown[0]}")


def read(given: dict[str, Any], rules: dict[str, Param], where: str, *, taken: set[str]) -> dict[str, Any]:
    """The values of the fields in `rules`, defaults filled in. Raises Refusal for a bad, missing or unknown one."""
    tolerated = {name: values for name, values in _TOLERATED[where].items() if name not in rules}
    for name in given.keys() & tolerated.keys():
        if given[name] not in tolerated[name]:
            raise invalid(f"{where}.{name} is not supported")
    only(given, rules.keys() | taken | tolerated.keys(), f"{where}.")
    values: dict[str, Any] = {}
    for name, rule in rules.items():
        if name in given:
            _check(given[name], rule, f"{where}.{name}")
            values[name] = given[name]
        elif rule.required:
            raise invalid(f"Field required: {where}.{name}")
        elif rule.default is not None:
            values[name] = rule.default
    return values


def _check(value: Any, rule: Param, where: str) -> None:
    if not _has_type(value, rule):
        raise invalid(f"{where} must be {'W*H' if rule.type == 'size' else rule.type}")
    values = value if rule.type == "texts" else [value]
    if rule.any_of and any(item not in rule.any_of for item in values):
        raise invalid(f"{where} must be one of {', '.join(map(str, rule.any_of))}")
    if (rule.min is not None and value < rule.min) or (rule.max is not None and value > rule.max):
        raise invalid(f"{where} must be between {rule.min} and {rule.max}")
    if rule.step is not None and value % rule.step:
        raise invalid(f"{where} must be a multiple of {rule.step}")
    if isinstance(value, str | list) and not rule.least <= len(value) <= (rule.longest or len(value)):
        raise invalid(f"{where}: its length must be between {rule.least} and {rule.longest}")
    if rule.type == "size" and value not in rule.presets:
        _check_size(*sides(value), rule, where)


def _has_type(value: Any, rule: Param) -> bool:
    match rule.type:
        case "integer":
            return isinstance(value, int) and not isinstance(value, bool)
        case "number":
            return isinstance(value, int | float) and not isinstance(value, bool)
        case "boolean":
            return isinstance(value, bool)
        case "text":
            return isinstance(value, str)
        case "texts":
            return isinstance(value, list) and all(isinstance(item, str) for item in value)
        case "list":
            return isinstance(value, list)
        case "size":
            return isinstance(value, str) and (value in rule.presets or _SIZE.fullmatch(value) is not None)


def sides(size: str) -> tuple[int, int]:
    """Width and height of "W*H"."""
    width, _, height = size.partition("*")
    return int(width), int(height)


def _check_size(width: int, height: int, rule: Param, where: str) -> None:
    if rule.sides and not (rule.sides[0] <= min(width, height) and max(width, height) <= rule.sides[1]):
        raise invalid(f"{where}: each side must be between {rule.sides[0]} and {rule.sides[1]}")
    if rule.area and not rule.area[0] <= width * height <= rule.area[1]:
        raise invalid(f"{where}: total pixels must be between {rule.area[0]} and {rule.area[1]}")
    if rule.ratio and max(width, height) > rule.ratio * min(width, height):
        raise invalid(f"{where}: the aspect ratio must be between 1:{rule.ratio:g} and {rule.ratio:g}:1")
