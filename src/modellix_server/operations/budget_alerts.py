"""Alerts about budgets that are nearly or wholly used: to members by mail, to endpoints by webhook."""

from __future__ import annotations

from typing import Any

from modellix_server import audit, billing, budgets, identity, mail, webhooks
from modellix_server.base.database import Connection
from modellix_server.base.exports import iso
from modellix_server.base.money import usd, usd_number
from modellix_server.base.team_mode import TeamMode, mode_word
from modellix_server.budgets import ReachedBudget
from modellix_server.identity import KeyLabel
from modellix_server.operations.context import Context
from modellix_server.operations.principal import ROLE_PERMISSIONS, Forbidden, Permission, Principal
from modellix_server.webhooks import BUDGET_THRESHOLD, Alert

PERCENTS = (80, 100)


async def is_told(ctx: Context, who: Principal, of: TeamMode) -> bool:
    """Whether this user is told by mail."""
    who.require(Permission.READ_MONEY, of)
    return who.user_id is not None and await billing.is_told_of_budgets(ctx.db, of, who.user_id)


async def change(ctx: Context, who: Principal, of: TeamMode, *, told: bool) -> None:
    """Tell this user by mail, or no more. Raises Forbidden for who is no user."""
    who.require(Permission.READ_MONEY, of)
    if who.user_id is None:
        raise Forbidden("this needs a signed-in user")
    async with ctx.transaction() as tx:
        await billing.tell_of_budgets(tx, of, who.user_id, told=told)
        about = {"mode": of.mode, "enabled": told}
        await audit.record(tx, who.actor, "alert.budgets", f"team:{of.team_id}", team_id=of.team_id, **about)


async def tell_once(ctx: Context, who: Principal) -> int:
    """Tell of budgets that have reached one of PERCENTS: once a period, and again after the amount was raised.

    Returns how many there were.
    """
    who.require(Permission.OPERATE)
    async with ctx.transaction() as tx:
        reached = await budgets.take_reached(tx, PERCENTS)
        endpoints = await webhooks.told_of_budgets(tx, [one.team_id for one in reached])
        for one in reached:
            of = TeamMode(one.team_id, one.live)
            keys = {} if one.key_id is None else await identity.key_labels(tx, one.team_id)
            key = keys.get(one.key_id or 0)
            data = _public(one, key)
            await webhooks.send_alerts(tx, [Alert(id_, BUDGET_THRESHOLD, data) for id_ in endpoints.get(of, ())])
            await _mail(tx, ctx, one, of, key)
    return len(reached)


def _public(one: ReachedBudget, key: KeyLabel | None) -> dict[str, Any]:
    return {
        "mode": mode_word(live=one.live),
        "percent": one.percent,
        "budget": {
            "of": "team" if one.key_id is None else "key",
            "key_id": one.key_id,
            "key_name": key.name if key else None,
            "tag": key.tag if key else None,
            "amount": usd_number(one.amount),
            "period": one.period,
            "used": usd_number(one.used),
            "held": usd_number(one.held),
            "resets_at": iso(one.resets_at) if one.resets_at else None,
        },
    }


async def _mail(tx: Connection, ctx: Context, one: ReachedBudget, of: TeamMode, key: KeyLabel | None) -> None:
    for user_id in await billing.members_told_of_budgets(tx, of):
        role = await identity.role_of(tx, of.team_id, user_id)
        if role is None or Permission.READ_MONEY not in ROLE_PERMISSIONS[role]:
            await billing.tell_of_budgets(tx, of, user_id, told=False)
            continue
        user = await identity.find_user(tx, user_id)
        names = {member.team.id: member.team.name for member in await identity.memberships(tx, user.id)}
        values = {
            "team": mail.harmless(names[of.team_id]),
            "mode": of.mode,
            "key": mail.harmless(key.name) if key else "",
            "percent": str(one.percent),
            "amount": usd(one.amount),
            "taken": usd(one.held + one.used),
            "resets_at": one.resets_at.strftime("%Y-%m-%d") if one.resets_at else "",
            "link": f"{ctx.settings.public_origin}/console/{'api-key' if key else 'team'}?scope={of.team_id}-{of.mode}",
        }
        await mail.enqueue(tx, user.email, "budget_threshold", values, language=user.language)
