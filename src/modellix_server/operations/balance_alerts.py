"""Alerts about a team's balance: to members by mail, to endpoints by webhook."""

from modellix_server import audit, billing, identity, mail, webhooks
from modellix_server.base.errors import InvalidParameters, NotFound
from modellix_server.base.money import usd, usd_number
from modellix_server.base.team_mode import TeamMode, mode_word
from modellix_server.billing import BalanceAlert
from modellix_server.operations.context import Context
from modellix_server.operations.principal import ROLE_PERMISSIONS, Permission, Principal
from modellix_server.webhooks import BALANCE_LOW, Alert, LowBalance

_MOST_MICROS = 10**12
_AT_ONCE = 100


async def list_own(ctx: Context, who: Principal, of: TeamMode) -> list[BalanceAlert]:
    """The user's own alerts, the highest threshold first."""
    who.require(Permission.READ_MONEY, of)
    return [] if who.user_id is None else await billing.alerts_of(ctx.db, of, who.user_id)


async def add(ctx: Context, who: Principal, of: TeamMode, micros: int) -> None:
    """Tell this user when less than an amount is available. Raises InvalidParameters."""
    who.require(Permission.READ_MONEY, of)
    if who.user_id is None or not 0 < micros <= _MOST_MICROS:
        raise InvalidParameters("an amount is more than 0 and at most a million USD")
    async with ctx.transaction() as tx:
        await billing.add_alert(tx, of, who.user_id, micros)
        about = {"mode": of.mode, "micros": micros}
        await audit.record(tx, who.actor, "alert.add", f"team:{of.team_id}", team_id=of.team_id, **about)


async def remove(ctx: Context, who: Principal, of: TeamMode, alert_id: int) -> None:
    """End one of the user's own alerts. Raises NotFound."""
    who.require(Permission.READ_MONEY, of)
    if who.user_id is None:
        raise NotFound("there is no such alert")
    async with ctx.transaction() as tx:
        await billing.delete_alert(tx, of, who.user_id, alert_id)
        await audit.record(tx, who.actor, "alert.remove", f"team:{of.team_id}", team_id=of.team_id, mode=of.mode)


async def tell_once(ctx: Context, who: Principal) -> int:
    """Send what has to be told now: a message for each alert that was crossed. Returns how many were crossed."""
    who.require(Permission.OPERATE)
    async with ctx.transaction() as tx:
        low = await webhooks.take_low(tx, _AT_ONCE)
        await webhooks.send_alerts(tx, [Alert(one.endpoint_id, BALANCE_LOW, _public(one)) for one in low])
        crossed = await billing.take_crossed(tx, _AT_ONCE)
        for alert, available in crossed:
            role = await identity.role_of(tx, alert.team_id, alert.user_id)
            if role is None or Permission.READ_MONEY not in ROLE_PERMISSIONS[role]:
                of = TeamMode(alert.team_id, alert.live)
                await billing.delete_alert(tx, of, alert.user_id, alert.id)
                continue
            user = await identity.find_user(tx, alert.user_id)
            names = {one.team.id: one.team.name for one in await identity.memberships(tx, user.id)}
            mode = mode_word(live=alert.live)
            values = {
                "team": mail.harmless(names[alert.team_id]),
                "mode": mode,
                "available": usd(available),
                "threshold": usd(alert.threshold),
                "link": f"{ctx.settings.public_origin}/console/billing?scope={alert.team_id}-{mode}",
            }
            await mail.enqueue(tx, user.email, "balance_low", values, language=user.language)
    return len(low) + len(crossed)


def _public(one: LowBalance) -> dict[str, object]:
    mode, available, below = mode_word(live=one.live), usd_number(one.available), usd_number(one.below)
    return {"mode": mode, "available": available, "threshold": below}
