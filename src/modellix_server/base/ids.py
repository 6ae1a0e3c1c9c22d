"""Identifiers: UUIDv7 (RFC 9562) and the public forms of the ids of tasks and uploaded files."""

import functools
import itertools
import os
import re
import time
from datetime import UTC, datetime
from uuid import UUID

_TASK_ID = re.compile(r"task-([0-9a-f]{32})", re.ASCII)
_TASK_NAME_LENGTH = len("task-") + 32
_FILE_ID = re.compile(r"file-([0-9a-f]{32})", re.ASCII)
_TIMED = re.compile(r"0[0-9a-f]{11}", re.ASCII)  # milliseconds, up to the year 2527


class _Randomness:
    """Random bytes, read from the system a page at a time: one read per id would be a tenth of a submission's cost."""

    _PAGE = 4096

    def __init__(self) -> None:
        self._page = b""
        self._used = 0

    def take(self, size: int) -> bytes:
        """Bytes that were not returned before. Processes that fork must not share this object."""
        if self._used + size > len(self._page):
            self._page = os.urandom(self._PAGE)
            self._used = 0
        taken = self._page[self._used : self._used + size]
        self._used += size
        return taken


_randomness = _Randomness()
_VERSION_AND_VARIANT = 0x7 << 76 | 0b10 << 62
_VERSION_4 = 0x4 << 76 | 0b10 << 62
_RANDOM_122 = (1 << 128) - 1 & ~(0xF << 76 | 0b11 << 62)
_RANDOM_BITS = (1 << 80) - 1 & ~(0xF << 76 | 0b11 << 62)


def uuid7() -> UUID:
    """A time-ordered UUID: 48 bits of Unix milliseconds, then 74 random bits."""
    milliseconds = time.time_ns() // 1_000_000
    return UUID(int=milliseconds << 80 | int.from_bytes(_randomness.take(10)) & _RANDOM_BITS | _VERSION_AND_VARIANT)


def uuid4_text() -> str:
    """A random UUID as it is written."""
    digits = f"{int.from_bytes(_randomness.take(16)) & _RANDOM_122 | _VERSION_4:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


_process = os.urandom(6).hex().encode()
_requests = itertools.count(1)


def request_name() -> bytes:
    """An id for one request, 32 hex digits: 12 of Unix milliseconds, 12 that name this process, its number there.

    As in a UUIDv7 the time comes first, so that the request log finds most calls without an index of ids.
    """
    return b"%012x%s%08x" % (time.time_ns() // 1_000_000, _process, next(_requests) & 0xFFFF_FFFF)


def request_time(name: str) -> datetime | None:
    """The time that a request's id begins with, if it begins as ours do, whoever made it."""
    found = _TIMED.match(name)
    return datetime.fromtimestamp(int(found[0], 16) / 1000, UTC) if found else None


def first_uuid7(moment: datetime) -> UUID:
    """The smallest UUID of the millisecond of `moment`: a lower bound for later ids."""
    milliseconds = -(-int(moment.timestamp() * 1_000_000) // 1000)
    return UUID(int=min(max(milliseconds, 0), 0xFFFF_FFFF_FFFF) << 80)


def made_at_ms(uuid: UUID) -> int:
    """The Unix milliseconds in a UUIDv7."""
    return uuid.int >> 80


def task_name(task_id: UUID) -> str:
    """The public form: `task-` and 32 hex digits."""
    return f"task-{task_id.hex}"


def parse_task_name(text: str) -> UUID | None:
    """The UUID of a public task id, or None when the text is not one."""
    return _task_id(text) if len(text) == _TASK_NAME_LENGTH else None


@functools.lru_cache(4096)  # whoever polls asks for the same task again and again
def _task_id(text: str) -> UUID | None:
    found = _TASK_ID.fullmatch(text)
    return UUID(int=int(found[1], 16)) if found else None


def file_name(file_id: UUID) -> str:
    """The public form: `file-` and 32 hex digits."""
    return f"file-{file_id.hex}"


def parse_file_name(text: str) -> UUID | None:
    """The UUID of an uploaded file's public id, or None when the text is not one."""
    found = _FILE_ID.fullmatch(text)
    return UUID(hex=found[1]) if found else None
