"""Paths into JSON, as model files write them: `a.b`, and lists in brackets."""

import re
from functools import cache
from typing import Any

_STEP = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(\[(?:0|type=[a-z_]+)?\])?", re.ASCII)


def put(target: dict[str, Any], path: str, value: Any) -> None:
    """Set `a.b`, the first item of a list at `a[0].b`, or append an item at `a[].b` or, with a type, `a[type=x].b`."""
    *way, (last, _) = steps(path)
    for key, index in way:
        if index == "[0]":
            target = target.setdefault(key, [{}])[0]
        elif index:
            items = target.setdefault(key, [])
            items.append({"type": index[6:-1]} if "=" in index else {})
            target = items[-1]
        else:
            target = target.setdefault(key, {})
    target[last] = value


@cache  # of the model files' paths alone
def steps(path: str) -> tuple[tuple[str, str], ...]:
    """Each key of a path and what stands in brackets after it, the brackets too. ValueError for what is no path."""
    parts = [_STEP.fullmatch(part) for part in path.split(".")]
    found = tuple((part[1], part[2] or "") for part in parts if part)
    if len(found) != len(parts):
        raise ValueError(f"not a path: {path!r}")
    return found
