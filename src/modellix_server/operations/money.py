"""A team's money in one mode."""

from __future__ import annotations

from modellix_server import ledger
from modellix_server.base.pages import Page
from modellix_server.base.team_mode import TeamMode
from modellix_server.ledger import Balance, Transfer, TransferFilter
from modellix_server.operations.context import Context
from modellix_server.operations.principal import Permission, Principal


async def balance(ctx: Context, who: Principal, of: TeamMode) -> Balance:
    """What there is, and what is held."""
    who.require(Permission.READ_MONEY, of)
    return await ledger.balance(ctx.db, of.team_id, live=of.live)


async def list_transfers(
    ctx: Context, who: Principal, of: TeamMode, wanted: TransferFilter, *, after: int | None, most: int
) -> Page[Transfer, int]:
    """Up to `most` transfers, the latest first; those before number `after` when it is given."""
    who.require(Permission.READ_MONEY, of)
    async with ctx.reading() as db:
        return await ledger.list_transfers(db, of, wanted, after=after, most=most)
