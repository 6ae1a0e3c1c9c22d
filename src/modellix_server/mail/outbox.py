"""Messages on their way. All SQL of mail."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from modellix_server.base.database import Connection, Pool
from modellix_server.mail.templates import render

CHANNEL = "modellix_mail"


@dataclass(frozen=True, slots=True)
class OutgoingMail:
    """A leased message. Its worker reports before the lease ends, or another one sends it again."""

    id: UUID
    lease: int
    recipient: str
    subject: str
    body: str
    code: str | None
    created_at: datetime
    tries: int


@dataclass(frozen=True, slots=True)
class Backlog:
    """What has not been sent."""

    waiting: int
    oldest_s: float
    error: str | None
    """Of the last try of the oldest."""


async def enqueue(
    tx: Connection,
    to: str,
    kind: str,
    values: Mapping[str, str],
    *,
    language: str | None = None,
    useless_after_s: float = 3 * 86_400,
    send: bool = True,
) -> None:
    """Have a message sent if the transaction commits; `kind` is a template, a `code` among the values a secret.

    Names that people chose must be made `harmless` first. `send=False` does the same work for nothing, so that the
    time taken does not tell whether there is anybody at an address.
    """
    subject, body = render(kind, language, values)
    await tx.execute(
        """insert into mail.outbox (recipient, kind, subject, body, code, useless_at, state, ended_at)
           select $1, $2, $3, case when $7 then $4 end, case when $7 then $5 end, now() + make_interval(secs => $6),
                  case when $7 then 'waiting' else 'failed' end, case when not $7 then now() end""",
        to,
        kind,
        subject,
        body,
        values.get("code"),
        useless_after_s,
        send,
    )
    await tx.execute("select pg_notify($1, '')", CHANNEL)


async def lease(db: Pool, limit: int, lease_s: float) -> list[OutgoingMail]:
    """Up to `limit` due messages, for this process alone to send within `lease_s`. Those too late to send end."""
    await db.execute(
        """update mail.outbox set state = 'failed', ended_at = now(), body = null, code = null,
               error = coalesce(error, 'it could not be sent in time')
           where state = 'waiting' and useless_at < now() and due_at <= now()"""
    )
    rows = await db.fetch(
        """update mail.outbox m set lease = m.lease + 1, due_at = now() + make_interval(secs => $2)
           where m.id in (select id from mail.outbox where state = 'waiting' and due_at <= now()
                          order by due_at limit $1 for update skip locked)
           returning m.id, m.lease, m.recipient, m.subject, m.body, m.code, m.created_at, m.tries""",
        limit,
        lease_s,
    )
    return sorted((OutgoingMail(*row) for row in rows), key=lambda one: one.created_at)


async def sent(db: Pool, mail: OutgoingMail) -> None:
    """A message has been taken by the server: what it said is deleted."""
    await _end(db, mail, "sent", None)


async def refused(db: Pool, mail: OutgoingMail, error: str) -> None:
    """A message was refused for good."""
    await _end(db, mail, "failed", error)


async def _end(db: Pool, mail: OutgoingMail, state: str, error: str | None) -> None:
    await db.execute(
        """update mail.outbox set state = $3, ended_at = now(), body = null, code = null, tries = tries + 1, error = $4
           where id = $1 and lease = $2 and state = 'waiting'""",
        mail.id,
        mail.lease,
        state,
        error,
    )


async def again(db: Pool, mail: OutgoingMail, in_s: float, error: str) -> None:
    """A message is to be sent later."""
    await db.execute(
        """update mail.outbox set due_at = now() + make_interval(secs => $3), error = $4, tries = tries + 1
           where id = $1 and lease = $2 and state = 'waiting'""",
        mail.id,
        mail.lease,
        in_s,
        error,
    )


async def backlog(db: Pool | Connection) -> Backlog:
    """What waits to be sent."""
    row = await db.fetchrow(
        """select count(*), coalesce(extract(epoch from now() - min(created_at)), 0)::float8,
               (array_agg(error order by created_at))[1] from mail.outbox where state = 'waiting'"""
    )
    assert row is not None
    return Backlog(*row)


async def drop_old(db: Pool, keep_s: float, limit: int = 5_000) -> int:
    """Forget messages that ended so long ago; returns how many."""
    dropped: int = await db.fetchval(
        """with old as (
               delete from mail.outbox where id in (
                   select id from mail.outbox where state <> 'waiting' and ended_at < now() - make_interval(secs => $1)
                   order by ended_at limit $2 for update skip locked)
               returning 1)
           select count(*) from old""",
        keep_s,
        limit,
    )
    return dropped
