"""A team's money in one mode."""

from dataclasses import dataclass, replace
from typing import ClassVar

from modellix_server import audit, identity, ledger
from modellix_server.base.database import Connection
from modellix_server.base.errors import InvalidParameters, PlatformError
from modellix_server.base.money import usd
from modellix_server.base.pages import Page
from modellix_server.base.team_mode import TeamMode
from modellix_server.ledger import Balance, InsufficientBalance, Transfer, TransferFilter
from modellix_server.operations.context import Context
from modellix_server.operations.principal import Permission, Principal

_MOST_MICROS = 10**15  # a billion USD


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """A transfer as people read it."""

    transfer: Transfer
    after: Balance
    by: str | None
    """The name of the key or user that caused it, or what the ledger has in its place."""


async def balance(ctx: Context, who: Principal, of: TeamMode) -> Balance:
    """Posted and held."""
    who.require(Permission.READ_MONEY, of)
    return await ledger.balance(ctx.db, of.team_id, live=of.live)


async def list_transfers(
    ctx: Context, who: Principal, of: TeamMode, wanted: TransferFilter, *, after: int | None, most: int
) -> Page[Transfer, int]:
    """Up to `most` transfers, the latest first; those before number `after` when it is given."""
    who.require(Permission.READ_MONEY, of)
    async with ctx.reading() as db:
        return await ledger.list_transfers(db, of, wanted, after=after, most=most)


async def list_entries(
    ctx: Context, who: Principal, of: TeamMode, wanted: TransferFilter, *, after: int | None, most: int
) -> Page[LedgerEntry, int]:
    """The same with the balance after each transfer, and who caused it."""
    who.require(Permission.READ_MONEY, of)
    async with ctx.reading() as db:
        page = await ledger.list_transfers(db, of, wanted, after=after, most=most)
        balances = await ledger.balances_after(db, of, [one.id for one in page.rows])
    keys = await identity.key_names(ctx.db, of.team_id)
    users = {int(one.actor[5:]) for one in page.rows if one.actor and one.actor.startswith("user:")}
    names = {f"user:{number}": name for number, name in (await identity.user_names(ctx.db, users)).items()}
    rows = [
        LedgerEntry(one, balances[one.id], keys.get(one.key_id or 0) or names.get(one.actor or "", one.actor))
        for one in page.rows
    ]
    return Page(rows, page.next)


async def charges_of(
    ctx: Context, who: Principal, of: TeamMode, wanted: TransferFilter, *, key_id: int | None, tag: str | None
) -> TransferFilter:
    """A filter that passes what a key, or keys with a tag, were charged, when one of them is given."""
    who.require(Permission.READ_MONEY, of)
    if key_id is None and tag is None:
        return wanted
    keys = [key_id]
    if tag is not None:
        labels = await identity.key_labels(ctx.db, of.team_id)
        keys = [one for one, label in labels.items() if label.tag == tag and key_id in (None, one)]
    return replace(wanted, kind="capture", key_ids=[one for one in keys if one is not None])


class CreditedMeanwhile(PlatformError):
    """Money has come in, or was corrected, since the form was shown."""

    status: ClassVar[int] = 409
    category: ClassVar[str] = "Conflict"
    code: ClassVar[str] = "credited_meanwhile"


async def credit(
    ctx: Context, who: Principal, of: TeamMode, micros: int, note: str | None, *, seen: int | None = None
) -> int:
    """Put money in, or take a correction out when negative; returns what is available then, in micro-dollars.

    With `seen`, the number of a transfer (`last_funding`), raises CreditedMeanwhile if there was another one since:
    a form that is sent twice credits once.

    Raises InvalidParameters for an amount that cannot be meant, InsufficientBalance for a correction that exceeds
    what is available, SignInTooOld.
    """
    who.require(Permission.OPERATE)
    who.require_fresh()
    if not 0 < abs(micros) <= _MOST_MICROS:
        raise InvalidParameters("the amount must not be 0, nor beyond a billion USD")
    try:
        async with ctx.transaction() as tx:
            if seen is not None:
                await ledger.lock_balance(tx, of.team_id, live=of.live)
                if seen != await ledger.last_funding(tx, of.team_id, live=of.live):
                    raise CreditedMeanwhile("money has come in or was corrected meanwhile: look, then send this again")
            return await credit_in(tx, who, of, micros, note)
    except InsufficientBalance:
        have = (await ledger.balance(ctx.db, of.team_id, live=of.live)).available
        raise InsufficientBalance(f"{usd(have)} USD available, {usd(-micros)} USD asked") from None


async def last_funding(ctx: Context, who: Principal, of: TeamMode) -> int:
    """The number of the latest transfer that brought money in or corrected it; 0 without one."""
    who.require(Permission.OPERATE)
    return await ledger.last_funding(ctx.db, of.team_id, live=of.live)


async def credit_in(tx: Connection, who: Principal, of: TeamMode, micros: int, note: str | None) -> int:
    """The same within a transaction that does more."""
    available = await ledger.credit(tx, of.team_id, micros, live=of.live, actor=who.id, note=note)
    about = {"mode": of.mode, "micros": micros, "available_micros": available, "note": note}
    await audit.record(tx, who.actor, "team.credit", f"team:{of.team_id}", team_id=of.team_id, **about)
    return available
