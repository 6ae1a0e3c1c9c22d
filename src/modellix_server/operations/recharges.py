"""Recharges: a team pays at the payment provider, and what the provider's record says moves its balance."""

from dataclasses import replace
from uuid import UUID

from modellix_server import audit, billing, ledger, tasks
from modellix_server.base.database import Connection
from modellix_server.base.errors import InvalidParameters, NotFound, Unavailable
from modellix_server.base.ids import uuid7
from modellix_server.base.money import usd
from modellix_server.base.outbound import Answer
from modellix_server.base.pages import Page
from modellix_server.base.team_mode import TeamMode
from modellix_server.billing import MICROS_PER_CENT, MOST_MICROS, PaymentEvent, PaymentProvider, Recharge, RechargeOrder
from modellix_server.ledger import Finding, monitor
from modellix_server.operations.context import Context
from modellix_server.operations.principal import Permission, Principal

LEAST_MICROS = 1_000_000
_MOST_LOOKS = 5


def possible(ctx: Context, who: Principal, of: TeamMode) -> bool:
    """Whether the team can be recharged in this mode."""
    who.require(Permission.READ_MONEY, of)
    return ctx.gateways.open(live=of.live)


async def start(ctx: Context, who: Principal, of: TeamMode, micros: int) -> Recharge:
    """Open a checkout for an amount; nothing is credited before it is paid.

    Raises InvalidParameters for an amount that is not fit, PaymentsOff, ProviderFailed.
    """
    who.require(Permission.RECHARGE, of)
    if micros % MICROS_PER_CENT or not LEAST_MICROS <= micros <= MOST_MICROS:
        raise InvalidParameters(f"an amount is between 1 and {MOST_MICROS // 1_000_000:,} USD, in whole cents")
    provider = ctx.gateways.of(live=of.live)
    async with ctx.transaction() as tx:  # committed first: then no event can come before its recharge
        made = await billing.add(tx, uuid7(), of, provider.name, micros, who.id)
        about = {"mode": of.mode, "micros": micros, "provider": provider.name}
        await audit.record(tx, who.actor, "recharge.start", f"recharge:{made.id}", team_id=of.team_id, **about)
    back = f"{ctx.settings.public_origin}/console/billing?scope={of.team_id}-{of.mode}&recharge={made.id}"
    wanted = RechargeOrder(made.id, micros, made.currency, f"Recharge {usd(micros)} USD", back, back)
    await billing.note_checkout(ctx.db, made.id, await provider.create_order(wanted))
    return await find(ctx, who, of, made.id)


async def find(ctx: Context, who: Principal, of: TeamMode, recharge_id: UUID) -> Recharge:
    """One recharge. Raises NotFound."""
    who.require(Permission.READ_MONEY, of)
    found = await billing.find(ctx.db, of, recharge_id)
    if found is None:
        raise NotFound("there is no such recharge")
    return found


async def list_all(
    ctx: Context, who: Principal, of: TeamMode, *, after: UUID | None, most: int
) -> Page[Recharge, UUID]:
    """Up to `most` recharges, the latest first; those before `after` when it is given."""
    who.require(Permission.READ_MONEY, of)
    return await billing.list_recharges(ctx.db, of, after=after, most=most)


async def look(ctx: Context, who: Principal, of: TeamMode, recharge_id: UUID) -> Recharge:
    """Ask the provider what became of a recharge, and act on it. Raises NotFound, PaymentsOff, ProviderFailed."""
    who.require(Permission.RECHARGE, of)
    known = await find(ctx, who, of, recharge_id)
    if known.checkout_id is not None:
        provider = ctx.gateways.of(live=of.live)
        await _bring_up_to_date(ctx, who, provider, known.checkout_id, None)
    return await find(ctx, who, of, recharge_id)


async def receive_event(ctx: Context, who: Principal, body: bytes, signature: str) -> None:
    """Act on what a payment provider says: that there is something new, no more is taken from it.

    Raises ForgedEvent, ProviderFailed.
    """
    who.require(Permission.PAY)
    provider, event = await ctx.gateways.read_event(body, signature)
    if event.checkout_id is not None:
        await _bring_up_to_date(ctx, who, provider, event.checkout_id, event)


async def emulated_page(ctx: Context, who: Principal, checkout_id: str, form: str | None) -> Answer:
    """The page of a checkout in test mode, or the answer to its form. Raises NotFound, ProviderFailed."""
    who.require(Permission.PAY)
    return await ctx.gateways.emulated_page(checkout_id, form)


async def _bring_up_to_date(
    ctx: Context, who: Principal, provider: PaymentProvider, checkout_id: str, event: PaymentEvent | None
) -> None:
    """Make the recharge of a checkout what the provider's record says.

    The record is read without a lock, so what is read may be old when it is acted on: then it is read again.
    """
    recharge_id = (await provider.look(checkout_id)).recharge_id
    for _ in range(_MOST_LOOKS):
        known = None if recharge_id is None else await billing.find_at(ctx.db, recharge_id, provider.name)
        if known is None:
            return  # a checkout of somebody else's, with the same account
        payment = await provider.look(checkout_id)
        of = TeamMode(known.team_id, known.live)
        async with ctx.transaction() as tx:
            await ledger.lock_balance(tx, of.team_id, live=of.live)  # always before recharges
            locked = await billing.lock(tx, known.id, provider.name)
            if locked is None or locked.version != known.version:
                continue
            await _act(tx, who, of, locked, billing.bring_up_to_date(locked, payment))
            if event is not None:
                await billing.note_event(tx, provider.name, event, known.id)
            return
    raise Unavailable("this recharge changes too often", retry_after_s=5)


async def _act(tx: Connection, who: Principal, of: TeamMode, known: Recharge, change: billing.RechargeChange) -> None:
    if change.refused is not None:
        await tasks.review(tx, None, "recharge refused", f"recharge {known.id} of team {of.team_id}: {change.refused}")
    if change.recharge == known:
        return
    recharge = change.recharge
    actor, note = known.created_by, f"recharge {known.id}"
    if change.credit:
        available = await ledger.credit(tx, of.team_id, change.credit, live=of.live, actor=actor, note=note)
        about = {"mode": of.mode, "micros": change.credit, "available_micros": available}
        await audit.record(tx, who.actor, "recharge.paid", f"recharge:{known.id}", team_id=of.team_id, **about)
    if change.correction:
        recharge = replace(recharge, owed=await _correct(tx, who, of, recharge, change.correction))
    await billing.save(tx, recharge)
    if change.credit or change.correction > 0:
        await collect(tx, who, of)


async def _correct(tx: Connection, who: Principal, of: TeamMode, recharge: Recharge, micros: int) -> int:
    """Take back what was refunded or disputed, as far as it is there. What is not is owed, and freezes the account."""
    owed = recharge.owed
    if micros > 0:
        forgiven = min(owed, micros)
        owed, moved = owed - forgiven, micros - forgiven
    else:
        available = (await ledger.balance(tx, of.team_id, live=of.live)).available
        moved = -min(available, -micros)
        owed += moved - micros
    note = f"recharge {recharge.id}: {'given back' if micros > 0 else 'refunded or disputed'}"
    if moved:
        await ledger.adjust(tx, of.team_id, moved, live=of.live, actor=recharge.created_by, note=note)
    about = {"mode": of.mode, "micros": micros, "moved_micros": moved, "owed_micros": owed}
    await audit.record(tx, who.actor, "recharge.correct", f"recharge:{recharge.id}", team_id=of.team_id, **about)
    if micros < 0 and owed:
        why = f"{usd(owed)} USD of recharge {recharge.id} were refunded or disputed after they were spent"
        await monitor.freeze(tx, Finding(of.team_id, of.live, why))
        await tasks.review(tx, None, "recharge owed", f"team {of.team_id} ({of.mode}): {why}")
    return owed


async def collect(tx: Connection, who: Principal, of: TeamMode) -> None:
    """Take what is owed out of money that has come in; the balance was locked before."""
    for recharge in await billing.with_debt(tx, of):
        available = (await ledger.balance(tx, of.team_id, live=of.live)).available
        taken = min(available, recharge.owed)
        if not taken:
            return
        note = f"recharge {recharge.id}: what was owed"
        await ledger.adjust(tx, of.team_id, -taken, live=of.live, actor=recharge.created_by, note=note)
        await billing.save(tx, replace(recharge, owed=recharge.owed - taken))
        about = {"mode": of.mode, "micros": taken, "owed_micros": recharge.owed - taken}
        await audit.record(tx, who.actor, "recharge.collect", f"recharge:{recharge.id}", team_id=of.team_id, **about)
