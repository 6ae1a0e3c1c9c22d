"""All SQL of the audit log except its verification (`verify`)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from modellix_server.audit.verify import Head
from modellix_server.base.database import Connection, Pool
from modellix_server.base.pages import ALWAYS, Span, Where
from modellix_server.base.redaction import redact_text


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts, and from where."""

    name: str
    """`admin:anna`, `key:7`, `member:3`."""
    origin: str
    """Host of a command, address of a client."""


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One line of the log."""

    seq: int
    at: datetime
    actor: str
    origin: str
    action: str
    subject: str
    team_id: int | None
    details: str
    """JSON."""


async def record(
    db: Connection, actor: Actor, action: str, subject: str, *, team_id: int | None = None, **details: Any
) -> int:
    """Add an entry and return its number. Call it last in the transaction of the change it tells about.

    Writers wait for each other until they commit, so this is for actions of people and rare events, never for
    tasks. Details are small plain values: no prompts, and no secrets or parts of them; what looks like a secret in a
    note or a name is redacted in any case.
    """
    assert db.is_in_transaction(), "an entry belongs to the transaction of its change"
    number: int = await db.fetchval(
        "select audit.record($1, $2, $3, $4, $5, $6)",
        _clean(actor.name),
        _clean(actor.origin),
        action,
        _clean(subject),
        team_id,
        redact_text(json.dumps(details, ensure_ascii=False, sort_keys=True).replace("\\u0000", "")),
    )
    return number


async def list_entries(
    db: Pool | Connection,
    *,
    limit: int = 50,
    before: int | None = None,
    team_id: int | None = None,
    actor: str | None = None,
    action: str | None = None,
    subject: str | None = None,
    span: Span = ALWAYS,
) -> list[AuditEntry]:
    """The newest entries, or those before a number; of what is named only. `action` may be the first part of one."""
    where = Where([limit])
    where.add_given("seq < {}", before)
    where.add_given("team_id = {}", team_id)
    where.add_given("actor = {}", actor)
    where.add_given("subject = {}", subject)
    where.add_given("at >= {}", span.since)
    where.add_given("at < {}", span.until)
    if action is not None:
        where.add("(action = {} or starts_with(action, {}))", action, f"{action}.")
    rows = await db.fetch(
        f"""select seq, at, actor, origin, action, subject, team_id, details::text from audit.audit_entry
            where {where} order by seq desc limit $1""",  # noqa: S608 - of constant texts
        *where.arguments,
    )
    return [AuditEntry(*row) for row in rows]


async def entries_of(db: Pool | Connection, action: str) -> list[AuditEntry]:
    """All entries of one action, the oldest first."""
    rows = await db.fetch(
        """select seq, at, actor, origin, action, subject, team_id, details::text from audit.audit_entry
           where action = $1 order by seq""",
        action,
    )
    return [AuditEntry(*row) for row in rows]


async def head(db: Pool | Connection) -> Head:
    """The end of the chain, to be kept where writers of this database have no access."""
    row = await db.fetchrow("select seq, hash from audit.head")
    assert row is not None
    return Head(row["seq"], row["hash"])


def _clean(text: str) -> str:
    return redact_text(text.replace("\0", ""))[:200] or "-"
