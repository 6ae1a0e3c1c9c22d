"""Makes the library for another process, which asks for it (`docsite/making.py`).

Started as `python -m modellix_server.docsite.maker <parent pid> <folder>`: reads what pages are made of from standard
input, writes the library into the folder, and ends.
"""

from __future__ import annotations

import os
import pickle
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from modellix_server.base.process import die_with_parent
from modellix_server.docsite.index import SearchIndex
from modellix_server.docsite.making import INDEX, PAGES
from modellix_server.docsite.site import Library, make_library

_GIVE_WAY_BY = 2
_AT_ONCE = 40
"""Pages that are read in one go: the interpreter of who reads does nothing else for some milliseconds."""


def _write(library: Library, folder: Path) -> None:
    parts = list(_parts(library))
    with (folder / PAGES).open("wb") as file:
        pickle.dump(len(parts), file)
        for part in parts:
            pickle.dump(part, file)


def _parts(library: Library) -> Iterator[list[Any]]:
    # Words of the pieces are in the index; what is left is shown.
    pages = [
        (page, [replace(piece, text="", ids="") for piece in library.pieces_of(page)])
        for page in library.pages.values()
    ]
    for begin in range(0, len(pages), _AT_ONCE):
        yield pages[begin : begin + _AT_ONCE]


def main() -> None:
    """Make it."""
    die_with_parent(int(sys.argv[1]))
    os.nice(_GIVE_WAY_BY)
    details, where = pickle.load(sys.stdin.buffer)  # noqa: S301 - of the process that started this one
    folder = Path(sys.argv[2])
    library = make_library(details, where)
    SearchIndex.made(library.chunks, folder / INDEX)
    _write(library, folder)


if __name__ == "__main__":
    main()
