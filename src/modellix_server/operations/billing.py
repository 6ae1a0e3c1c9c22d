"""How a team's money comes in."""

from modellix_server import audit, billing, ledger
from modellix_server.base.team_mode import TeamMode
from modellix_server.billing import RedeemedCode
from modellix_server.operations import recharges
from modellix_server.operations.context import Context
from modellix_server.operations.principal import Permission, Principal


async def redeem(ctx: Context, who: Principal, of: TeamMode, code: str) -> RedeemedCode:
    """Exchange a code for money, once.

    Raises CodeRefused, which says why, and TooManyGuesses after ten wrong codes of a team in ten minutes.
    """
    who.require(Permission.RECHARGE, of)
    await billing.count_guess(ctx.db, of.team_id)  # committed by itself: a refusal must not take it back
    async with ctx.transaction() as tx:
        await ledger.lock_balance(tx, of.team_id, live=of.live)
        redeemed = await billing.redeem(tx, ctx.settings.secret, of, code, who.id)
        note = f"redemption code …{redeemed.ending}"
        available = await ledger.credit(tx, of.team_id, redeemed.amount, live=of.live, actor=who.id, note=note)
        await recharges.collect(tx, who, of)
        about = {"mode": of.mode, "micros": redeemed.amount, "available_micros": available, "batch": redeemed.batch_id}
        await audit.record(tx, who.actor, "code.redeem", f"code:{redeemed.id}", team_id=of.team_id, **about)
    return redeemed
