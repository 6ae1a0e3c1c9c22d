"""Every change of a task's state: by compare-and-set on state, epoch and owner, in shared transactions."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar
from uuid import UUID

import msgspec

from modellix_server.base import log
from modellix_server.base.batcher import Batcher
from modellix_server.base.database import DATABASE_ERRORS, Pool, refused
from modellix_server.catalogue import Route
from modellix_server.tasks.routing import Destination
from modellix_server.tasks.signals import PROGRESS_CHANNEL

_MOST_IN_A_NOTICE = 200  # of at most 37 characters each; a notice takes 7,999
_RETRY_S = 0.5
_NUL = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")  # in JSON; a backslash before it would be one of the text's own
_LOG = log.get("tasks")
_encode = msgspec.json.Encoder().encode

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


class Job(msgspec.Struct, frozen=True):
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
    destination: Destination | None = None
    """Where its newest attempt went; None before the first, and where a version made it that did not record this."""
    tried: tuple[str, ...] = ()
    """Addresses of the accounts that its attempts so far have gone to."""

    def decoded_params(self) -> dict[str, Any]:
        """The validated parameters."""
        params: dict[str, Any] = msgspec.json.decode(self.params)
        return params


class AttemptRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """What an attempt's row shall say of the answer to its submission. In SQL it is a `tasks.attempt_record`."""

    outcome: str | None = None
    status: int | None = None
    """HTTP status."""
    answer: str | None = None
    """The vendor's words."""


NO_RECORD = AttemptRecord()


class Move(msgspec.Struct, frozen=True, omit_defaults=True):
    """The task goes on in another unfinished state; `due_in_s` gives it back to the queue until then.

    What SQL shall know of it are the attributes of `tasks.wanted_move`.
    """

    becomes: str
    due_in_s: float | None = None
    upstream: str | None = None
    account: str | None = None
    region: str | None = None
    vendor_model: str | None = None
    route: str | None = None
    """SHA-256 of its text, as PostgreSQL reads bytes. It and the four above are a new attempt's."""
    ticket: str | None = None
    verdict: str | None = None
    note: str | None = None
    record: AttemptRecord = NO_RECORD
    too_late: str | None = None
    """What the operator must be told if the task has been judged by somebody else meanwhile."""


class Finish(msgspec.Struct, frozen=True, omit_defaults=True):
    """The task ends: with `capture` and `resources`, or with an error. In SQL it is a `tasks.wanted_ending`."""

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
        self._routes: dict[int, tuple[Route, str]] = {}
        self.advance = Batcher(_each_alone_if_refused(self._advance), flushers=2, most=500)
        self.progress = Batcher(self._tell_progress, flushers=1, most=_MOST_IN_A_NOTICE)
        # Two at a time would wait for each other's lock on a team's balance.
        self.settle = Batcher(_each_alone_if_refused(self._settle), flushers=1, most=200)

    async def _advance(self, batch: list[tuple[Fence, Move]]) -> Sequence[bool]:
        moved = await self._db.fetchval(
            "select tasks.advance($1, $2, $3, $4, $5)",
            self._worker,
            [fence.id for fence, _ in batch],
            [fence.epoch for fence, _ in batch],
            [fence.state for fence, _ in batch],
            _as_json([move for _, move in batch]),
        )
        return _answers(moved, len(batch))

    async def intent(self, to: Destination) -> Move:
        """The move to a new attempt, whose route the database has."""
        known = self._routes.get(id(to.route))
        if known is None or known[0] is not to.route:
            text = msgspec.json.encode(to.route, order="deterministic")
            digest = hashlib.sha256(text).digest()
            await self._db.execute(
                "insert into tasks.route (digest, route) values ($1, $2) on conflict do nothing", digest, text.decode()
            )
            known = self._routes[id(to.route)] = (to.route, f"\\x{digest.hex()}")
        return Move(
            "submitting",
            upstream=to.route.upstream,
            account=to.account,
            region=to.region,
            vendor_model=to.vendor_model,
            route=known[1],
        )

    async def _tell_progress(self, news: list[tuple[UUID, float]]) -> Sequence[None]:
        """Tell those who listen; `news` are tasks and shares from 0 to 1."""
        payload = " ".join(f"{task.hex}:{100 * share:.0f}" for task, share in news)
        await self._db.execute("select pg_notify($1, $2)", PROGRESS_CHANNEL, payload)
        return [None] * len(news)

    async def _settle(self, batch: list[tuple[Fence, Finish]]) -> Sequence[bool]:
        ended = await self._db.fetchval(
            "select tasks.settle($1, $2, $3, $4, $5, $6, $7, $8)",
            self._worker,
            [fence.id for fence, _ in batch],
            [fence.epoch for fence, _ in batch],
            [fence.state for fence, _ in batch],
            [fence.team_id for fence, _ in batch],
            [fence.live for fence, _ in batch],
            _as_json([ending for _, ending in batch]),
            self._ttl_s,
        )
        return _answers(ended, len(batch))


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


def storable(text: str) -> str:
    """Words from outside as PostgreSQL takes them: no NUL, no half of a surrogate pair."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()


def _as_json(changes: Sequence[Move | Finish]) -> str:
    """JSON whose texts PostgreSQL takes, as `storable` makes them."""
    try:
        text = _encode(changes).decode()
    except UnicodeEncodeError:
        text = storable(json.dumps(msgspec.to_builtins(changes), ensure_ascii=False))
    return _NUL.sub(r"\1\\ufffd", text) if "\\u0000" in text else text


def _answers(ordinals: list[int], size: int) -> list[bool]:
    done = set(ordinals)
    return [ordinal in done for ordinal in range(1, size + 1)]
