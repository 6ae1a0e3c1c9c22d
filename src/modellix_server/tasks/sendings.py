"""Requests that their clients send again by themselves, without an idempotency key (docs/adr/0031)."""

from __future__ import annotations

from typing import Literal
from uuid import uuid4

import msgspec

from modellix_server.base.database import Pool
from modellix_server.base.team_mode import TeamMode

SENT_AGAIN_WITHIN_S = 900
"""For how long an attempt may belong to an earlier request."""

SendingOutcome = Literal["lost", "refused", "answered"]
"""How an attempt ended: without an answer, refused for now, with an answer."""


class Sending(msgspec.Struct, frozen=True):
    """One attempt of a client to send a request."""

    digest: bytes
    """SHA-256 of all that makes two requests equal."""
    key: str
    """The idempotency key that all attempts of the request share."""
    tries: int


async def begin_sending(db: Pool, of: TeamMode, digest: bytes, tried: int | None) -> Sending:
    """An attempt, of a new request or of an earlier one; `tried` is how often the client says it was sent before."""
    row = await db.fetchrow(
        "select key, tries from tasks.begin_sending($1, $2, $3, $4, $5)",
        of.team_id,
        of.live,
        digest,
        f"sending-{uuid4().hex}",
        tried,
    )
    assert row is not None
    return Sending(digest, row["key"], row["tries"])


async def end_sending(db: Pool, of: TeamMode, sending: Sending, outcome: SendingOutcome | None) -> None:
    """Note how an attempt ended, unless a later one of the same request goes on; None forgets the request."""
    await db.execute(
        """with gone as (
               delete from tasks.sending where team_id = $1 and live = $2 and digest = $3 and key = $4 and tries = $5
                   and $6::text is null)
           update tasks.sending set state = $6, changed_at = now()
           where team_id = $1 and live = $2 and digest = $3 and key = $4 and tries = $5 and $6::text is not null""",
        of.team_id,
        of.live,
        sending.digest,
        sending.key,
        sending.tries,
        outcome,
    )


async def forget_sendings(db: Pool, limit: int = 5_000) -> int:
    """Drop up to `limit` requests that no attempt can belong to any more; returns how many."""
    done = await db.execute(
        """delete from tasks.sending s using (
               select team_id, live, digest, key from tasks.sending
               where changed_at < now() - make_interval(secs => $1) order by changed_at limit $2) old
           where (s.team_id, s.live, s.digest, s.key) = (old.team_id, old.live, old.digest, old.key)""",
        2.0 * SENT_AGAIN_WITHIN_S,
        limit,
    )
    return int(done.rpartition(" ")[2])
