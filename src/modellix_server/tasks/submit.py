"""Accepting a submission: hold, slot, task and idempotency key in one shared transaction.

Ids are made before the call. That is what lets an ambiguous failure of the database be resolved: a task
that is there was accepted, one that is not can be offered again under the same id without a second one
ever appearing.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from uuid import UUID

import msgspec

from modellix_server import budgets
from modellix_server.base import faults, log, time_budget
from modellix_server.base.batcher import Again, Batcher
from modellix_server.base.database import DATABASE_ERRORS, Pool, refused
from modellix_server.base.errors import PlatformError, Unauthorized, Unavailable
from modellix_server.base.metrics import SIZES, Counter, Histogram
from modellix_server.ledger import InsufficientBalance, balances
from modellix_server.tasks.errors import ConcurrencyExceeded, IdempotencyMismatch
from modellix_server.webhooks import TaskLink

_CALL_S = 5.0
_RESOLVE_S = time_budget.REQUEST_S - _CALL_S  # for finding out what a call did that was not answered
_LOOK_UPS = 4
_BETWEEN_LOOK_UPS_S = 0.5
_LOG = log.get("tasks")
_as_json = msgspec.json.Encoder().encode
_VERDICTS = Counter("modellix_submissions_total", "Submissions offered to the database, by its verdict.", ("verdict",))
_BATCHES = Histogram("modellix_submission_batch_size", "Submissions that shared a transaction.", SIZES)


# A struct, not a dataclass: one is made for every request, and a frozen dataclass of this size takes 4 us.
class Submission(msgspec.Struct, frozen=True, gc=False):
    """One validated request. `params` and `price` are JSON texts; `quote` is in micro-dollars.

    Its fields are the columns of the SQL type `tasks.submission_batch`.
    """

    task_id: UUID
    team_id: int
    live: bool
    key_id: int | None
    """None: a signed-in user submits, whose session the caller has checked."""
    model: str
    params: str
    price: str
    quote: int
    deadline_s: int
    slots: int | None
    """Unfinished tasks that the team may have; None: as its limits say now."""
    idempotency_key: str | None = None
    fingerprint: bytes | None = None
    wait: bool = False
    """Accept it too when the team has no free slot, to be started when it has."""
    request_id: str | None = None
    """Of the call that makes it (X-Request-Id)."""
    actor: str | None = None
    """Who submits where no key does: `user:7`."""
    webhook: TaskLink | None = None
    """Where its end is told. A replay is told where the first request with its key wished."""


class Accepted(msgspec.Struct, frozen=True, gc=False):
    """The task that now stands for the request; `replayed` when an earlier request made it."""

    task_id: UUID
    replayed: bool = False
    queue_position: int | None = None
    """Of a task that waits for a slot: 1 is the next to start."""


AcceptOutcome = Accepted | PlatformError | Again


class Submissions:
    """Accepts submissions; those that arrive together share a transaction."""

    def __init__(self, db: Pool, hint: asyncio.Event) -> None:
        self._db = db
        self._hint = hint
        self._accept = Batcher(self._accept_batch, flushers=1, most=200, gathering=True)

    async def accept(self, submission: Submission) -> Accepted:
        """Durably accept one request.

        Raises Unauthorized (key revoked), IdempotencyMismatch, InsufficientBalance, BudgetExceeded,
        ConcurrencyExceeded, or Unavailable when the database could not be asked, or has not answered in time.
        """
        try:
            return await self._accept(submission)
        except TimeoutError:
            raise _unreachable() from None

    async def replayed(self, submission: Submission) -> Accepted | None:
        """`made` for a request that could not be accepted anew."""
        return await self.made(submission.team_id, submission.live, submission.idempotency_key, submission.fingerprint)

    async def made(
        self,
        team_id: int,
        live: bool,  # noqa: FBT001 - in the order of the table's key
        idempotency_key: str | None,
        fingerprint: bytes | None,
    ) -> Accepted | None:
        """The task that an earlier request with the same Idempotency-Key made, if there is one.

        Raises IdempotencyMismatch, Unavailable.
        """
        if idempotency_key is None:
            return None
        try:
            row = await self._db.fetchrow(
                "select task_id, fingerprint from tasks.idempotency where team_id = $1 and live = $2 and key = $3",
                team_id,
                live,
                idempotency_key,
            )
        except DATABASE_ERRORS:
            raise _unreachable() from None
        if row is None:
            return None
        if row["fingerprint"] != fingerprint:
            raise _mismatch()
        return Accepted(row["task_id"], replayed=True)

    async def _accept_batch(self, batch: list[Submission]) -> Sequence[AcceptOutcome]:
        try:
            async with asyncio.timeout(_CALL_S):
                return await self._call(batch)
        except DATABASE_ERRORS as error:
            _LOG.warning("accept failed, resolving", error=type(error).__name__, size=len(batch))
            return await self._resolve(batch)

    async def _call(self, batch: list[Submission]) -> list[AcceptOutcome]:
        await faults.point("before_accept")
        row = await self._db.fetchrow("select * from tasks.accept($1)", as_columns(batch))
        assert row is not None
        await faults.point("accepted")
        self._hint.set()
        _BATCHES.observe(len(batch), ())
        for word in row["verdicts"]:
            _VERDICTS[word,] += 1
        answers = zip(batch, row["verdicts"], row["task_ids"], row["queue_positions"], strict=True)
        outcomes = [_verdict(*answer) for answer in answers]
        if "insufficient" in row["verdicts"]:
            short = [n for n, word in enumerate(row["verdicts"]) if word == "insufficient"]
            for n, outcome in zip(short, await self._shortages([batch[n] for n in short]), strict=True):
                outcomes[n] = outcome
        return outcomes

    async def _shortages(self, refused: list[Submission]) -> list[AcceptOutcome]:
        """What each of these did not fit into: a balance, or a budget, which is named."""
        teams = list({s.team_id for s in refused})
        of_key = await budgets.of_keys(self._db, [s.key_id for s in refused if s.key_id is not None])
        of_team = await budgets.of_teams(self._db, teams)
        if not of_key and not of_team:
            return [_insufficient() for _ in refused]
        available = await balances(self._db, teams)
        outcomes, exceeded = [], {}
        for s in refused:
            own = None if s.key_id is None else of_key.get(s.key_id)
            outcome, budget = _shortage(s, available.get((s.team_id, s.live), 0), own, of_team.get((s.team_id, s.live)))
            outcomes.append(outcome)
            if budget is not None:
                exceeded[budget.id] = budget
        with contextlib.suppress(*DATABASE_ERRORS):  # a refusal is one, whether or not it can be told of
            for budget in exceeded.values():
                await budgets.note_refusal(self._db, budget)
        return outcomes

    async def _resolve(self, batch: list[Submission]) -> list[AcceptOutcome]:
        """The call raised: find out which tasks exist, and, while there is time, offer each missing one alone."""
        found: list[AcceptOutcome] = []
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_RESOLVE_S):
                present = await self._present([s.task_id for s in batch])
                if present is None:
                    return [_unreachable() for _ in batch]
                for s in batch:
                    known = s.task_id in present
                    found.append(Accepted(s.task_id) if known else await self._offer_alone(s))
        return [*found, *(_unreachable() for _ in batch[len(found) :])]

    async def _offer_alone(self, submission: Submission) -> AcceptOutcome:
        verdict: AcceptOutcome | None = None
        try:
            verdict = (await self._call([submission]))[0]
        except DATABASE_ERRORS as error:
            if refused(error):
                _LOG.error("a submission cannot be stored", error=repr(error), model=submission.model)
                verdict = PlatformError("please retry later")
        if isinstance(verdict, Accepted):
            return verdict
        # No refusal yet: the first call may have gone through meanwhile, and this very task be what took
        # the money, the slot or the id.
        present = await self._present([submission.task_id])
        if present:
            return Accepted(submission.task_id)
        return verdict if verdict is not None and present is not None else _unreachable()

    async def _present(self, ids: list[UUID]) -> set[UUID] | None:
        """Which of the tasks exist; None when the database cannot be asked."""
        for _ in range(_LOOK_UPS):
            try:
                return {row["id"] for row in await self._db.fetch("select id from tasks.task where id = any ($1)", ids)}
            except DATABASE_ERRORS:
                await asyncio.sleep(_BETWEEN_LOOK_UPS_S)
        return None


def as_columns(batch: Sequence[Submission]) -> str:
    """JSON as `tasks.accept` takes it: of each field its values in all submissions."""
    columns = zip(*map(msgspec.structs.astuple, batch), strict=True)
    return _as_json(dict(zip(Submission.__struct_fields__, columns, strict=True))).decode()


def _verdict(submission: Submission, word: str, task_id: UUID, queue_position: int | None) -> AcceptOutcome:
    match word:
        case "accepted":
            return Accepted(task_id)
        case "waiting":
            return Accepted(task_id, queue_position=queue_position)
        case "replayed":
            return Accepted(task_id, replayed=True)
        case "again":
            return Again()
        case "mismatch":
            return _mismatch()
        case "revoked":
            return Unauthorized("invalid or missing API key")
        case "insufficient":
            return _insufficient()
        case "concurrency":
            # When a slot frees is not known; five seconds is the published advice.
            return ConcurrencyExceeded(f"team limit of {_limit(submission)}running tasks", retry_after_s=5)
        case "full":
            return ConcurrencyExceeded("as many tasks of this team wait for a slot as may", retry_after_s=5)
    raise AssertionError(f"tasks.accept said {word!r}")


def _limit(submission: Submission) -> str:
    return "" if submission.slots is None else f"{submission.slots} "


def _insufficient() -> InsufficientBalance:
    return InsufficientBalance("the available balance does not cover this task; top up or lower the cost")


def _shortage(
    refused: Submission, available: int, of_key: budgets.Budget | None, of_team: budgets.Budget | None
) -> tuple[AcceptOutcome, budgets.Budget | None]:
    """Read after the refusal: where all would cover it by now, it is offered again. With the budget that did not."""
    if refused.quote > available:
        return _insufficient(), None
    for budget, owner in ((of_key, "this API key"), (of_team, "the team")):
        if budget is not None and refused.quote > budget.left:
            return budgets.BudgetExceeded(budget.refusal(owner)), budget
    return Again(), None


def _mismatch() -> IdempotencyMismatch:
    return IdempotencyMismatch("this Idempotency-Key was used with a different request")


def _unreachable() -> Unavailable:
    return Unavailable(
        "the request could not be recorded; send it again with the same Idempotency-Key", retry_after_s=2
    )
