"""What a batch has done so far, on disk before it counts: a crash at any moment pays nothing twice.

The file has a line of JSON for each step, written and flushed to the disk before the next step: the intent before a
submission, then the task, then the end. A submission whose answer was lost is sent again with the same
Idempotency-Key and the same body, which is the same task.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from modellix.errors import ModellixError

KEYS_LAST_S = 71 * 3600
"""The API keeps Idempotency-Keys for 72 hours at least. Later a repetition could be a second task."""


@dataclass(frozen=True, slots=True)
class BatchLine:
    """One line of the input: a task to make."""

    number: int
    model: str
    input: dict[str, Any]
    digest: str


@dataclass(slots=True)
class LineState:
    """How far a line has got."""

    digest: str
    attempt: int
    at: float
    """When the intent was written, in Unix seconds."""
    body: dict[str, Any]
    """The parameters as sent, local files uploaded."""
    quote: float | None
    task_id: str | None = None
    result: dict[str, Any] | None = None

    @property
    def spent(self) -> float:
        """What it has cost, or can cost still, in USD."""
        return float(self.quote or 0) if self.result is None else float(self.result.get("cost") or 0)


def read_lines(file: Path, model: str | None) -> list[BatchLine]:
    """The lines of an input file; empty ones are left out. Raises ModellixError that names the first wrong one."""
    found = []
    for number, text in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        if not text.strip():
            continue
        try:
            given = json.loads(text)
            name = given.pop("model", model)
        except (ValueError, AttributeError, TypeError):
            raise ModellixError(f"{file}, line {number}: not a JSON object") from None
        if not isinstance(name, str):
            raise ModellixError(f'{file}, line {number}: no "model", and no --model either')
        found.append(BatchLine(number, name, given, hashlib.sha256(f"{name}\n{text}".encode()).hexdigest()))
    return found


@dataclass(slots=True)
class BatchState:
    """The file, open and locked. Use as a context manager."""

    path: Path
    run: str = ""
    lines: dict[int, LineState] = field(default_factory=dict)
    _handle: int = -1

    def __enter__(self) -> BatchState:
        """Open or begin it. Raises ModellixError if another process has it."""
        self._handle = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._handle)
            raise ModellixError(f"{self.path} is in use by another process") from None
        for entry in self._entries():
            self._apply(entry)
        if not self.run:
            self._write({"run": uuid.uuid4().hex})
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._handle)

    def key(self, line: BatchLine) -> str:
        """The Idempotency-Key of a line's present attempt."""
        return f"batch-{self.run}-{line.number}-{self.lines[line.number].attempt}"

    def check(self, lines: list[BatchLine]) -> None:
        """Raise ModellixError if a line that was begun says something else now."""
        for line in lines:
            known = self.lines.get(line.number)
            if known and known.digest != line.digest:
                raise ModellixError(
                    f"line {line.number} has changed since it was submitted; "
                    f"put new lines at the end, or begin anew: remove {self.path}"
                )

    def intend(self, line: BatchLine, body: dict[str, Any], quote: float | None) -> None:
        """Before a submission: what will be sent."""
        known = self.lines.get(line.number)
        attempt = known.attempt + 1 if known else 0
        told = {"digest": line.digest, "attempt": attempt, "at": time.time(), "body": body, "quote": quote}
        self._write({"line": line.number, "intent": told})

    def accepted(self, line: BatchLine, task_id: str) -> None:
        """After it: the task."""
        self._write({"line": line.number, "task": task_id})

    def ended(self, line: BatchLine, result: dict[str, Any]) -> None:
        """At the end, with its files on disk."""
        self._write({"line": line.number, "result": result})

    @property
    def spent(self) -> float:
        """What all lines have cost or can cost still, in USD."""
        return sum(line.spent for line in self.lines.values())

    def _entries(self) -> Iterator[dict[str, Any]]:
        """What is written; a last line that a crash cut off is removed, as nothing followed from it."""
        with open(self._handle, "rb", closefd=False) as opened:
            content = opened.read()
        whole = content.rfind(b"\n") + 1
        os.ftruncate(self._handle, whole)
        os.lseek(self._handle, 0, os.SEEK_END)
        for text in content[:whole].splitlines():
            try:
                yield json.loads(text)
            except ValueError:
                raise ModellixError(f"{self.path} is damaged; it is no file of a batch") from None

    def _write(self, entry: dict[str, Any]) -> None:
        text = json.dumps(entry, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
        left = memoryview(text)
        while left:
            left = left[os.write(self._handle, left) :]
        os.fsync(self._handle)
        self._apply(entry)

    def _apply(self, entry: dict[str, Any]) -> None:
        match entry:
            case {"run": str(run)}:
                self.run = run
            case {"line": int(number), "intent": intent}:
                self.lines[number] = LineState(**intent)
            case {"line": int(number), "task": str(task)}:
                self.lines[number].task_id = task
            case {"line": int(number), "result": result}:
                self.lines[number].result = result
            case _:
                raise ModellixError(f"{self.path} is of another version, or no file of a batch")
