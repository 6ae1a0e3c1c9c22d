"""Log files of the child processes."""

from pathlib import Path
from typing import BinaryIO

ROTATE_AT = 10 * 1024 * 1024
_TAIL_BYTES = 4096
_SEARCHED_BYTES = 256 * 1024


def open_log(path: Path) -> BinaryIO:
    """Open the file for appending; a large one is renamed to `<name>.1` first, replacing an older one."""
    if path.exists() and path.stat().st_size > ROTATE_AT:
        path.replace(path.with_name(f"{path.name}.1"))
    return path.open("ab")


def tail(path: Path, after: int = 0, lines: int = 8) -> str:
    """Return the last lines written after the position `after` (bytes)."""
    return "\n".join(_end_of(path, after, _TAIL_BYTES).strip().splitlines()[-lines:])


def mentions(path: Path, text: str, after: int = 0) -> bool:
    """Whether a text is in the last part of what was written after the position `after`."""
    return text in _end_of(path, after, _SEARCHED_BYTES)


def _end_of(path: Path, after: int, most: int) -> str:
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(min(after, size), size - most))
        return file.read().decode(errors="replace")
