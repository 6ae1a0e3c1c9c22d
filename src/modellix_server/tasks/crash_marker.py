"""Which task was being handled when a worker died: a mark in a file that outlives the process.

The event loop runs one task at a time. Before each of its turns the task's id is written into a page of memory that a
file keeps, and taken out afterwards: two copies of 16 bytes. What kills the process, or makes it spin until it
is killed, leaves the id behind for the next worker that starts on this machine. Thousands of tasks that only waited
in the same process stay without blame.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import tempfile
from collections.abc import Coroutine, Generator
from pathlib import Path
from typing import Any
from uuid import UUID

_PREFIX = "modellix-crash-marker-"
_NOBODY = bytes(16)


class CrashMarker:
    """The mark of this process, in the spool directory; a lock that ends with the process tells that it lives."""

    def __init__(self, folder: str) -> None:
        self._file, fresh = tempfile.mkstemp(dir=folder)  # not under our prefix before it is locked
        fcntl.flock(self._file, fcntl.LOCK_EX)
        os.ftruncate(self._file, len(_NOBODY))
        self._mark = mmap.mmap(self._file, len(_NOBODY))
        self._path = Path(fresh).rename(Path(folder) / f"{_PREFIX}{Path(fresh).name}")

    def watch(self, task_id: UUID, run: Coroutine[Any, Any, None]) -> Coroutine[Any, Any, None]:
        """The same coroutine, with the task named while it runs."""
        return _Watched(self._mark, task_id.bytes, run)

    def close(self) -> None:
        """Nobody was being handled: this process ends in peace."""
        self._path.unlink(missing_ok=True)
        os.close(self._file)


def take_marks(folder: str) -> list[UUID]:
    """The tasks that processes died of since the last time; each mark is told once."""
    found = []
    for path in Path(folder).glob(f"{_PREFIX}*"):
        try:
            file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
        except OSError:  # somebody else was faster, or it is not ours
            continue
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            mark = os.read(file, len(_NOBODY))
            path.unlink(missing_ok=True)
            if len(mark) == len(_NOBODY) and mark != _NOBODY:
                found.append(UUID(bytes=mark))
        except OSError:  # that process lives
            continue
        finally:
            os.close(file)
    return found


class _Watched(Coroutine[Any, Any, None]):
    """A coroutine that is named in the mark during each of its steps."""

    __slots__ = ("_mark", "_name", "_run")

    def __init__(self, mark: mmap.mmap, name: bytes, run: Coroutine[Any, Any, None]) -> None:
        self._mark = mark
        self._name = name
        self._run = run

    def send(self, value: Any) -> Any:
        self._mark[:] = self._name
        try:
            return self._run.send(value)
        finally:
            self._mark[:] = _NOBODY

    def throw(self, *error: Any) -> Any:
        self._mark[:] = self._name
        try:
            return self._run.throw(*error)
        finally:
            self._mark[:] = _NOBODY

    def close(self) -> None:
        self._run.close()

    def __await__(self) -> Generator[Any, Any, None]:
        return self._run.__await__()
