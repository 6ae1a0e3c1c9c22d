"""Holds on a team's balance, as accepted tasks of one API key make them."""

from __future__ import annotations

from uuid import UUID, uuid4

from modellix_server.base.database import Connection, Pool


async def hold(db: Pool | Connection, team: int, amount: int, task: UUID | None = None) -> UUID:
    """Hold micro-dollars of the live balance for a task; which one."""
    task = task or uuid4()
    await db.execute(
        "select ledger.hold($1, $2, $3, $4, $5, array[null]::text[], array[true])",
        [team], [True], [amount], [task], [1],
    )  # fmt: skip
    return task
