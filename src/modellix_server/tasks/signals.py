"""Words to the worker that has a task, sent to all of them: hints, which may get lost without harm."""

from __future__ import annotations

import re
from dataclasses import dataclass
from uuid import UUID

CHANNEL = "modellix_nudges"
PROGRESS_CHANNEL = "modellix_progress"
"""What vendors tell of unfinished tasks, for those who follow them: `<task in hex>:<percent>`, several apart by spaces.

It is written nowhere: a row for each poll would say next to nothing (docs/adr/0002)."""

_PAYLOAD = re.compile(r"([0-9a-f]{32}) ([0-9]{1,9}|cancel)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Signal:
    """Look at this task now: the vendor has called about one attempt, or (None) its team wants it canceled."""

    task_id: UUID
    attempt: int | None

    @property
    def payload(self) -> str:
        """As it travels in a NOTIFY."""
        return f"{self.task_id.hex} {'cancel' if self.attempt is None else self.attempt}"

    @classmethod
    def read(cls, payload: str) -> Signal | None:
        """None for words of another version of the program."""
        found = _PAYLOAD.fullmatch(payload)
        if found is None:
            return None
        return cls(UUID(hex=found[1]), None if found[2] == "cancel" else int(found[2]))
