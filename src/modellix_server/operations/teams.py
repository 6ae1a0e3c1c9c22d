"""A team and its purse come into being together."""

from __future__ import annotations

from modellix_server import identity
from modellix_server.base.database import Connection


async def create_team(db: Connection, name: str) -> identity.Team:
    """Create a team with empty balances and free slots in both modes, or nothing at all.

    Raises InvalidParameters for a name that is taken or not fit.
    """
    async with db.transaction():
        team = await identity.create_team(db, name)
        await db.execute("select ledger.open_team($1), tasks.open_team($1)", team.id)
    return team
