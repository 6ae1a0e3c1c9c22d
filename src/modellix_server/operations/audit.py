"""The audit log: who did what, and whether it is as it was written."""

from collections.abc import Sequence

from modellix_server import audit, identity
from modellix_server.audit import AuditEntry, Head
from modellix_server.operations.context import Context
from modellix_server.operations.principal import Permission, Principal


async def list_entries(
    ctx: Context, who: Principal, *, limit: int, before: int | None = None, team_id: int | None = None
) -> list[AuditEntry]:
    """The newest entries, or those before a number; of one team only when it is named."""
    who.require(Permission.OPERATE)
    return await audit.list_entries(ctx.db, limit=limit, before=before, team_id=team_id)


async def list_of_team(
    ctx: Context, who: Principal, *, limit: int, before: int | None = None
) -> tuple[list[AuditEntry], dict[str, str]]:
    """The newest entries of the principal's team, or those before a number; and the names of the users in them."""
    who.require(Permission.READ_MEMBERS)
    found = await audit.list_entries(ctx.db, limit=limit, before=before, team_id=who.team.team_id)
    named = {text for entry in found for text in (entry.actor, entry.subject) if text.startswith("user:")}
    names = await identity.user_names(ctx.db, [int(text.removeprefix("user:")) for text in named])
    return found, {f"user:{number}": name for number, name in names.items()}


async def head(ctx: Context, who: Principal) -> Head:
    """The end of the chain, to be noted where nobody who can write to the database can write."""
    who.require(Permission.OPERATE)
    return await audit.head(ctx.db)


async def verify(ctx: Context, who: Principal, noted: Sequence[Head]) -> list[str]:
    """Everything that is wrong with the log, in words; that its end is there shows only with heads noted before."""
    who.require(Permission.OPERATE)
    async with ctx.connection("audit") as db, db.transaction(isolation="repeatable_read", readonly=True):
        return await audit.verify(db, noted)
