"""Where an emulator keeps its tasks: memory, bounded by age and number."""

import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

Record = TypeVar("Record")
DAY_S = 24 * 3600.0


class MemoryStore(Generic[Record]):
    """Records by id, oldest first; each is dropped after `keep_s`, the oldest also when there are too many."""

    def __init__(
        self, *, keep_s: float = DAY_S, most: int = 100_000, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._keep_s = keep_s
        self._most = most
        self._clock = clock
        self._records: OrderedDict[str, tuple[float, Record]] = OrderedDict()

    def put(self, key: str, record: Record) -> None:
        """Add a record under a new key."""
        self._records[key] = (self._clock(), record)
        self._forget()

    def get(self, key: str) -> Record | None:
        """The record; None if it is unknown or was dropped."""
        found = self._records.get(key)
        if found is None or found[0] < self._clock() - self._keep_s:
            return None
        return found[1]

    def newest(self) -> Iterator[Record]:
        """All records, the newest first."""
        self._forget()
        for _, record in reversed(self._records.values()):
            yield record

    def clear(self) -> None:
        """Drop all records."""
        self._records.clear()

    def __len__(self) -> int:
        return len(self._records)

    def _forget(self) -> None:
        horizon = self._clock() - self._keep_s
        while self._records:
            key, (born, _) = next(iter(self._records.items()))
            if born >= horizon and len(self._records) <= self._most:
                return
            del self._records[key]
