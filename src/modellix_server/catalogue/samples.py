"""Sample media that come with the package, for the examples of models: images, video, audio.

`sample:cat.jpg` in a model file's example stands for the file; clients see and send `<public origin>/samples/cat.jpg`.
`scripts/samples` draws them.
"""

import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "samples"
PATH = "/samples/"

_MARKED = re.compile(r"sample:([!-~]+)", re.ASCII)


@cache
def names() -> frozenset[str]:
    """The names of all sample files."""
    return frozenset(path.name for path in FOLDER.iterdir())


def find(name: str) -> Path | None:
    """The file of this name; None for any other text, such as a path that leads elsewhere."""
    return FOLDER / name if name in names() else None


def link(origin: str, name: str) -> str:
    """The public URL of a sample: unsigned, valid as long as this version of the package serves it."""
    return f"{origin}{PATH}{name}"


def linked(example: Any, origin: str) -> Any:
    """The example with links where its file says `sample:…`, at any depth. ValueError names an unknown sample."""
    return _replaced(example, lambda name: link(origin, name))


def _replaced(value: Any, to: Callable[[str], str]) -> Any:
    if isinstance(value, dict):
        return {key: _replaced(part, to) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_replaced(part, to) for part in value]
    if isinstance(value, str) and (found := _MARKED.fullmatch(value)):
        if found[1] not in names():
            raise ValueError(f"there is no sample {found[1]}; there are {', '.join(sorted(names()))}")
        return to(found[1])
    return value
