"""A user's own account: what its browser shows, and its sessions."""

from modellix_server import audit, identity
from modellix_server.operations.context import Context
from modellix_server.operations.principal import Permission, Principal


async def show(ctx: Context, who: Principal) -> None:
    """Let the pages of this session show the team and mode of the principal where they name none."""
    who.require(Permission.USE_ACCOUNT)
    assert who.session_id is not None
    await identity.show(ctx.db, who.session_id, who.team.team_id, live=who.team.live)


async def end_session(ctx: Context, who: Principal, session_id: int) -> None:
    """Sign one of the user's browsers out, this one or another. Raises NotFound."""
    who.require(Permission.USE_ACCOUNT)
    assert who.user_id is not None
    async with ctx.transaction() as tx:
        await identity.end_session(tx, who.user_id, session_id)
        await audit.record(tx, who.actor, "session.end", f"session:{session_id}")
