"""Log files of the child processes."""

import contextlib
import shutil
from pathlib import Path
from typing import BinaryIO

ROTATE_AT = 10 * 1024 * 1024
_TAIL_BYTES = 4096
_SEARCHED_BYTES = 256 * 1024


def open_log(path: Path) -> BinaryIO:
    """Open the file for appending, in a folder that may have been removed; a large one is rotated first."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    rotate(path)
    return path.open("ab")


def rotate(path: Path) -> None:
    """Move what a large file holds to `<name>.1`, in place of older logs there.

    It is copied and cut, not renamed, as a program that is writing to it goes on with the same file. What the program
    writes between the two is lost. Raises OSError.
    """
    with contextlib.suppress(FileNotFoundError):
        if path.stat().st_size > ROTATE_AT:
            shutil.copyfile(path, path.with_name(f"{path.name}.1"))
            with path.open("r+b") as file:
                file.truncate()


def tail(path: Path, after: int = 0, lines: int = 8) -> str:
    """Return the last lines written after the position `after` (bytes); none of a file that is gone."""
    return "\n".join(_end_of(path, after, _TAIL_BYTES).strip().splitlines()[-lines:])


def mentions(path: Path, text: str, after: int = 0) -> bool:
    """Whether a text is in the last part of what was written after the position `after`."""
    return text in _end_of(path, after, _SEARCHED_BYTES)


def _end_of(path: Path, after: int, most: int) -> str:
    with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
        size = file.seek(0, 2)
        begin = after if after <= size else 0  # it has been cut since
        file.seek(max(begin, size - most))
        return file.read().decode(errors="replace")
    return ""
