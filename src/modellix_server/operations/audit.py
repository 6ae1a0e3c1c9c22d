"""The audit log: who did what, and whether it is as it was written."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from modellix_server import audit, identity
from modellix_server.audit import AuditEntry, Head
from modellix_server.base.database import Connection, Pool
from modellix_server.base.pages import ALWAYS, Span
from modellix_server.operations.context import Context
from modellix_server.operations.principal import Permission, Principal

_USER = re.compile(r"user:([0-9]{1,18})", re.ASCII)


async def list_entries(
    ctx: Context, who: Principal, *, limit: int, before: int | None = None, team_id: int | None = None
) -> list[AuditEntry]:
    """The newest entries, or those before a number; of one team only when it is named."""
    who.require(Permission.OPERATE)
    return await audit.list_entries(ctx.db, limit=limit, before=before, team_id=team_id)


async def search(
    ctx: Context,
    who: Principal,
    *,
    limit: int,
    before: int | None = None,
    team_id: int | None = None,
    actor: str | None = None,
    action: str | None = None,
    span: Span = ALWAYS,
) -> tuple[list[AuditEntry], dict[str, str]]:
    """The newest entries, or those before a number, of what is named only; and the names of the users in them.

    An action may be the first part of one: `team` is all that begins with `team.`.
    """
    who.require(Permission.OPERATE)
    async with ctx.reading() as db:
        found = await audit.list_entries(
            db, limit=limit, before=before, team_id=team_id, actor=actor, action=action, span=span
        )
        return found, await _user_names(db, found)


async def names(ctx: Context, who: Principal, actors: Collection[str]) -> dict[str, str]:
    """The names of the users among those who acted: `user:3`."""
    who.require(Permission.OPERATE)
    return await _names(ctx.db, actors)


async def list_of_team(
    ctx: Context, who: Principal, *, limit: int, before: int | None = None
) -> tuple[list[AuditEntry], dict[str, str]]:
    """The newest entries of the principal's team, or those before a number; and the names of the users in them."""
    who.require(Permission.READ_MEMBERS)
    found = await audit.list_entries(ctx.db, limit=limit, before=before, team_id=who.team.team_id)
    return found, await _user_names(ctx.db, found)


async def head(ctx: Context, who: Principal) -> Head:
    """The end of the chain, to be noted where nobody who can write to the database can write."""
    who.require(Permission.OPERATE)
    return await audit.head(ctx.db)


async def verify(ctx: Context, who: Principal, noted: Sequence[Head]) -> list[str]:
    """Everything that is wrong with the log, in words; that its end is there shows only with heads noted before."""
    who.require(Permission.OPERATE)
    async with ctx.connection("audit") as db, db.transaction(isolation="repeatable_read", readonly=True):
        return await audit.verify(db, noted)


async def _user_names(db: Pool | Connection, entries: Sequence[AuditEntry]) -> dict[str, str]:
    return await _names(db, {text for entry in entries for text in (entry.actor, entry.subject)})


async def _names(db: Pool | Connection, named: Collection[str]) -> dict[str, str]:
    numbers = {int(found[1]) for text in named if (found := _USER.fullmatch(text))}
    return {f"user:{number}": name for number, name in (await identity.user_names(db, numbers)).items()}
