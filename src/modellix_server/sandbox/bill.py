"""What an emulator received and charged: the independent record for every fault test.

Each POST has one line, written before its answer is sent. A line is charged in the same step that makes the
result visible, never later. The totals include lines that were dropped for age.
"""

import hashlib
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from modellix_server.sandbox.store import MemoryStore

PROMPT_HEAD = 200


@dataclass(slots=True)
class Totals:
    """Sums over lines."""

    posts: int = 0
    accepted: int = 0
    images: int = 0
    seconds: float = 0.0


@dataclass(slots=True)
class BillLine:
    """One POST."""

    totals: Totals
    """The totals it belongs to: after a reset an old line does not change the new totals."""

    attempt: str
    """The client's correlation id (`X-Request-Id`); empty when it sent none."""
    received_at: float
    model: str = ""
    prompt: str = ""
    prompt_sha256: str = ""
    accepted: bool = False
    task_id: str = ""
    state: str = "refused"
    code: str = ""
    """The vendor's error code, when refused or failed."""
    images: int = 0
    seconds: float = 0.0
    """Charged so far: images, and seconds of video."""
    finished_at: float | None = None
    told_at: float | None = None
    """When a status query first returned the final state."""

    def describe(self, model: str, prompt: str) -> None:
        """Record what was asked for."""
        self.model = model[:PROMPT_HEAD]
        self.prompt = prompt[:PROMPT_HEAD]
        self.prompt_sha256 = hashlib.sha256(prompt.encode(errors="replace")).hexdigest()


class Bill:
    """All lines of one emulator."""

    def __init__(self) -> None:
        self._lines: MemoryStore[BillLine] = MemoryStore()
        self._by_attempt: MemoryStore[list[BillLine]] = MemoryStore()
        self._totals = Totals()
        self._next = 0

    def post(self, attempt: str | None) -> BillLine:
        """Record a POST."""
        line = BillLine(self._totals, attempt=(attempt or "")[:100], received_at=time.time())
        self._totals.posts += 1
        self._next += 1
        self._lines.put(str(self._next), line)
        if line.attempt:
            known = self._by_attempt.get(line.attempt)
            if known is None:
                self._by_attempt.put(line.attempt, [line])
            else:
                known.append(line)
        return line

    def accept(self, line: BillLine, task_id: str, state: str) -> None:
        """Record that the POST started a generation."""
        line.accepted = True
        line.task_id = task_id
        line.state = state
        line.totals.accepted += 1

    def charge(self, line: BillLine, *, images: int = 0, seconds: float = 0.0) -> None:
        """Record that the generation was delivered."""
        line.images += images
        line.seconds += seconds
        line.totals.images += images
        line.totals.seconds += seconds

    def reset(self) -> None:
        """Start a new bill."""
        self._lines.clear()
        self._by_attempt.clear()
        self._totals = Totals()

    def read(self, *, attempt: str | None = None, task: str | None = None) -> dict[str, object]:
        """Lines, oldest first, and their sums: of one attempt, of one task's attempts, or of everything."""
        if attempt is not None:
            lines = self._by_attempt.get(attempt) or []
        else:
            lines = [line for line in self._lines.newest() if task is None or _task_of(line.attempt) == task]
            lines.reverse()
        totals = self._totals if attempt is None and task is None else _sum(lines)
        return {"totals": totals, "lines": [_shown(line) for line in lines]}


def _task_of(attempt: str) -> str:
    return attempt.rpartition("-")[0]


def _sum(lines: Iterable[BillLine]) -> Totals:
    totals = Totals()
    for line in lines:
        totals.posts += 1
        totals.accepted += line.accepted
        totals.images += line.images
        totals.seconds += line.seconds
    return totals


def _shown(line: BillLine) -> dict[str, object]:
    return {
        "attempt": line.attempt,
        "model": line.model,
        "prompt": line.prompt,
        "prompt_sha256": line.prompt_sha256,
        "accepted": line.accepted,
        "task_id": line.task_id,
        "state": line.state,
        "code": line.code,
        "images": line.images,
        "seconds": line.seconds,
        "received_at": _utc(line.received_at),
        "finished_at": None if line.finished_at is None else _utc(line.finished_at),
        "told_at": None if line.told_at is None else _utc(line.told_at),
    }


def _utc(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
