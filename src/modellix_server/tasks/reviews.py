"""What a person should look at, and what was decided about it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar
from uuid import UUID

from modellix_server.base.database import Connection, Pool, Row
from modellix_server.base.errors import NotFound, PlatformError

DECISIONS = ("as it should be", "put right", "taken up with the vendor")


class ReviewDecided(PlatformError):
    """Somebody else has decided meanwhile; the message says what."""

    status: ClassVar[int] = 409
    category: ClassVar[str] = "Conflict"
    code: ClassVar[str] = "review_decided"


@dataclass(frozen=True, slots=True)
class ReviewDecision:
    """Who decided what, and when."""

    at: datetime
    by: str
    """As the audit log names them: `user:3`, `admin:anna`."""
    decision: str
    """One of DECISIONS."""
    note: str


@dataclass(frozen=True, slots=True)
class Review:
    """Something a person should look at."""

    id: int
    at: datetime
    task_id: UUID | None
    reason: str
    detail: str
    decision: ReviewDecision | None


async def list_reviews(
    db: Pool | Connection, *, limit: int, before: int | None = None, decided: bool | None = None
) -> list[Review]:
    """The latest, newest first, or those before a number; `decided` None: decided or not."""
    rows = await db.fetch(
        """select r.id, r.at, r.task_id, r.reason, r.detail, d.at as decided_at, d.decided_by, d.decision, d.note
           from tasks.review r left join tasks.review_decision d on d.review_id = r.id
           where ($2::bigint is null or r.id < $2) and ($3::boolean is null or (d.review_id is not null) = $3)
           order by r.id desc limit $1""",
        limit,
        before,
        decided,
    )
    return [_review(row) for row in rows]


async def count_reviews(db: Pool | Connection) -> int:
    """How many nobody has decided about."""
    count: int = await db.fetchval(
        """select count(*) from tasks.review r
           where not exists (select from tasks.review_decision d where d.review_id = r.id)"""
    )
    return count


async def decide_review(tx: Connection, review_id: int, by: str, decision: str, note: str) -> UUID | None:
    """Record the one decision about it; returns the task that it is about. Raises NotFound or ReviewDecided."""
    about = await tx.fetchrow("select task_id from tasks.review where id = $1", review_id)
    if about is None:
        raise NotFound(f"there is no review {review_id}")
    made = await tx.fetchval(
        """insert into tasks.review_decision (review_id, decided_by, decision, note) values ($1, $2, $3, $4)
           on conflict do nothing returning true""",
        review_id,
        by,
        decision,
        note,
    )
    if not made:
        former = await tx.fetchrow(
            "select at, decided_by, decision from tasks.review_decision where review_id = $1", review_id
        )
        assert former is not None
        raise ReviewDecided(
            f"{former['decided_by']} decided about this at {former['at']:%Y-%m-%d %H:%M} UTC: {former['decision']}"
        )
    task_id: UUID | None = about["task_id"]
    return task_id


def _review(row: Row) -> Review:
    made = row["decided_at"], row["decided_by"], row["decision"], row["note"]
    decision = ReviewDecision(*made) if row["decided_at"] else None
    return Review(row["id"], row["at"], row["task_id"], row["reason"], row["detail"], decision)
