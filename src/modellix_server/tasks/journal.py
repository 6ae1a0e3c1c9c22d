"""Every change of a task's state: by compare-and-set on state, epoch and owner, in shared transactions."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar
from uuid import UUID

import msgspec

from modellix_server.base import log
from modellix_server.base.batcher import Batcher
from modellix_server.base.database import DATABASE_ERRORS, Pool, refused
from modellix_server.tasks.signals import PROGRESS_CHANNEL

_MOST_IN_A_NOTICE = 200  # of at most 37 characters each; a notice takes 7,999
_RETRY_S = 0.5
_LOG = log.get("tasks")

Result = TypeVar("Result")


class Fence(Protocol):
    """What a task must still be for a change to be written."""

    @property
    def id(self) -> UUID:
        """The task."""
        ...

    @property
    def team_id(self) -> int:
        """Whose it is."""
        ...

    @property
    def live(self) -> bool:
        """In which mode."""
        ...

    @property
    def state(self) -> str:
        """The state it is in."""
        ...

    @property
    def epoch(self) -> int:
        """The number of its claim."""
        ...


@dataclass(frozen=True, slots=True)
class TaskFence:
    """A fence around a task that nobody has claimed."""

    id: UUID
    team_id: int
    live: bool
    state: str
    epoch: int


@dataclass(frozen=True, slots=True)
class Job:
    """A claimed task, as a worker holds it. `age_s` and `left_s` are as of the claim, by the database's clock."""

    id: UUID
    team_id: int
    live: bool
    model: str
    params: str
    price: str
    state: str
    epoch: int
    attempt: int
    ticket: str | None
    verdict: str | None
    age_s: float
    left_s: float
    cancel: str | None = None
    deaths: int = 0
    """How many workers died of handling it since its last move."""
    request_id: str | None = None
    """Of the call that made it; None for a task of an older version."""

    def decoded_params(self) -> dict[str, Any]:
        """The validated parameters."""
        params: dict[str, Any] = msgspec.json.decode(self.params)
        return params


@dataclass(frozen=True, slots=True)
class AttemptRecord:
    """What the row of an attempt shall say of the vendor's answer to its submission."""

    outcome: str | None = None
    status: int | None = None
    """HTTP status."""
    answer: str | None = None
    """The vendor's words."""


NO_RECORD = AttemptRecord()


@dataclass(frozen=True, slots=True)
class Move:
    """The task goes on in another unfinished state; `due_in_s` gives it back to the queue until then."""

    becomes: str
    due_in_s: float | None = None
    upstream: str | None = None
    ticket: str | None = None
    verdict: str | None = None
    note: str | None = None
    record: AttemptRecord = NO_RECORD
    too_late: str | None = None
    """What the operator must be told if the task has been judged by somebody else meanwhile."""


@dataclass(frozen=True, slots=True)
class Finish:
    """The task ends: with `capture` and `resources`, or with an error."""

    capture: int = 0
    resources: str | None = None
    bytes: int | None = None
    error_code: str | None = None
    error_message: str | None = None
    record: AttemptRecord = NO_RECORD
    review: str | None = None
    """For a person to look at, in the same transaction."""
    left_out: Sequence[str] = ()
    """Files that could not be had although the task went well."""
    look_later: bool = False
    """The vendor may still deliver, and charge, what ends here without it."""
    discard_files: bool = False
    """What was stored of the result is no use to anybody."""


Change = TypeVar("Change", Move, Finish)


class Journal:
    """Every state move of one worker, written in shared transactions."""

    def __init__(self, db: Pool, worker: int | None, result_ttl_s: int) -> None:
        self._db = db
        self._worker = worker
        self._ttl_s = result_ttl_s
        self.advance = Batcher(_each_alone_if_refused(self._advance), flushers=2, most=500)
        self.progress = Batcher(self._tell_progress, flushers=1, most=_MOST_IN_A_NOTICE)
        self.settle = Batcher(_each_alone_if_refused(self._settle), flushers=2, most=200)

    async def _advance(self, batch: list[tuple[Fence, Move]]) -> Sequence[bool]:
        moves = [move for _, move in batch]
        moved = await self._db.fetchval(
            "select tasks.advance($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
            [fence.id for fence, _ in batch],
            [fence.epoch for fence, _ in batch],
            [fence.state for fence, _ in batch],
            [m.becomes for m in moves],
            self._worker,
            [m.due_in_s for m in moves],
            [m.upstream for m in moves],
            [m.ticket for m in moves],
            [m.verdict for m in moves],
            [m.record.outcome for m in moves],
            [m.record.status for m in moves],
            [storable(m.record.answer) for m in moves],
            [storable(m.note) for m in moves],
        )
        return _answers(moved, len(moves))

    async def _tell_progress(self, news: list[tuple[UUID, float]]) -> Sequence[None]:
        """Tell those who listen; `news` are tasks and shares from 0 to 1."""
        payload = " ".join(f"{task.hex}:{100 * share:.0f}" for task, share in news)
        await self._db.execute("select pg_notify($1, $2)", PROGRESS_CHANNEL, payload)
        return [None] * len(news)

    async def _settle(self, batch: list[tuple[Fence, Finish]]) -> Sequence[bool]:
        endings = [ending for _, ending in batch]
        ended = await self._db.fetchval(
            "select tasks.settle($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)",
            [fence.id for fence, _ in batch],
            [fence.epoch for fence, _ in batch],
            [fence.state for fence, _ in batch],
            [fence.team_id for fence, _ in batch],
            [fence.live for fence, _ in batch],
            self._worker,
            [e.capture for e in endings],
            [e.resources for e in endings],
            [e.bytes for e in endings],
            self._ttl_s,
            [e.error_code for e in endings],
            [storable(e.error_message, 500) for e in endings],
            [e.record.outcome for e in endings],
            [e.record.status for e in endings],
            [storable(e.record.answer) for e in endings],
            [storable(e.review) for e in endings],
        )
        return _answers(ended, len(endings))


async def until_answered(task_id: UUID, ask: Callable[..., Awaitable[Result]], *about: Any) -> Result:
    """Ask until the database has answered; a move that went through unseen is known again by its epoch.

    Raises what the database says when it refuses.
    """
    while True:
        try:
            return await ask(*about)
        except DATABASE_ERRORS as error:
            if refused(error):
                raise
            _LOG.warning("the database does not answer", task=str(task_id), error=type(error).__name__)
        await asyncio.sleep(_RETRY_S)


def _each_alone_if_refused(
    write: Callable[[list[tuple[Fence, Change]]], Awaitable[Sequence[bool]]],
) -> Callable[[list[tuple[Fence, Change]]], Awaitable[Sequence[bool | BaseException]]]:
    """Write a batch; when the database refuses it, item by item, so that an odd one harms no neighbour."""

    async def flush(batch: list[tuple[Fence, Change]]) -> Sequence[bool | BaseException]:
        try:
            return await write(batch)
        except DATABASE_ERRORS as error:
            if not refused(error):
                raise
            return [error] if len(batch) == 1 else [one for item in batch for one in await flush([item])]

    return flush


def storable(text: str | None, most: int | None = None) -> str | None:
    """Words from outside as PostgreSQL takes them: no NUL, no half of a surrogate pair."""
    if text is None:
        return None
    return text[:most].replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()


def _answers(ordinals: list[int], size: int) -> list[bool]:
    done = set(ordinals)
    return [ordinal in done for ordinal in range(1, size + 1)]
