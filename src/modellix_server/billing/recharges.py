"""Recharges and the events about them: all SQL of both."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from modellix_server.base.database import Connection, Pool, Row
from modellix_server.base.pages import Page
from modellix_server.base.team_mode import TeamMode
from modellix_server.billing.provider import Checkout, PaymentEvent

MOST_MICROS = 10_000 * 1_000_000
"""The most that one recharge may bring: 10,000 USD."""
_COLUMNS = """id, team_id, live, provider, amount, currency, state, checkout_id, payment_id, pay_url, created_at,
    created_by, paid_at, taken_back, owed, version"""


@dataclass(frozen=True, slots=True)
class Recharge:
    """One attempt of a team to put money in. Amounts in micro-dollars."""

    id: UUID
    team_id: int
    live: bool
    provider: str
    amount: int
    currency: str
    state: str
    checkout_id: str | None
    payment_id: str | None
    pay_url: str | None
    created_at: datetime
    created_by: str
    paid_at: datetime | None
    taken_back: int
    owed: int
    version: int
    """Counts its changes: what the provider said before another change is old."""


def _recharge(row: Row) -> Recharge:
    return Recharge(*row)


async def add(
    db: Pool | Connection, new_id: UUID, of: TeamMode, provider: str, amount: int, created_by: str
) -> Recharge:
    """A new recharge in US dollars; committed before the provider hears of it, so that no event can be earlier."""
    row = await db.fetchrow(
        f"""insert into billing.recharge (id, team_id, live, provider, amount, currency, created_by)
            values ($1, $2, $3, $4, $5, 'usd', $6) returning {_COLUMNS}""",  # noqa: S608
        *(new_id, of.team_id, of.live, provider, amount, created_by),
    )
    assert row is not None
    return _recharge(row)


async def note_checkout(db: Pool | Connection, recharge_id: UUID, checkout: Checkout) -> None:
    """Record where it is paid."""
    await db.execute(
        """update billing.recharge set checkout_id = coalesce(checkout_id, $2), pay_url = $3, changed_at = now()
           where id = $1""",
        *(recharge_id, checkout.id, checkout.url),
    )


async def lock(db: Connection, recharge_id: UUID, provider: str) -> Recharge | None:
    """A recharge, which nobody else changes before this transaction ends."""
    row = await db.fetchrow(
        f"select {_COLUMNS} from billing.recharge where id = $1 and provider = $2 for update",  # noqa: S608
        *(recharge_id, provider),
    )
    return None if row is None else _recharge(row)


async def save(db: Connection, changed: Recharge) -> None:
    """Write a locked recharge back."""
    await db.execute(
        """update billing.recharge set state = $2, checkout_id = $3, payment_id = $4, taken_back = $5,
               owed = $6, paid_at = case when $2 = 'paid' then coalesce(paid_at, now()) end,
               version = version + 1, changed_at = now()
           where id = $1""",
        *(changed.id, changed.state, changed.checkout_id, changed.payment_id, changed.taken_back, changed.owed),
    )


async def find(db: Pool | Connection, of: TeamMode, recharge_id: UUID) -> Recharge | None:
    """One recharge of a team."""
    row = await db.fetchrow(
        f"select {_COLUMNS} from billing.recharge where id = $1 and team_id = $2 and live = $3",  # noqa: S608
        *(recharge_id, of.team_id, of.live),
    )
    return None if row is None else _recharge(row)


async def list_recharges(db: Pool | Connection, of: TeamMode, *, after: UUID | None, most: int) -> Page[Recharge, UUID]:
    """Up to `most` recharges, the latest first; those before `after` when it is given."""
    rows = await db.fetch(
        f"""select {_COLUMNS} from billing.recharge where team_id = $1 and live = $2 and ($3::uuid is null or id < $3)
            order by id desc limit $4""",  # noqa: S608
        *(of.team_id, of.live, after, most),
    )
    return Page([_recharge(row) for row in rows], rows[-1]["id"] if len(rows) == most else None)


async def with_debt(db: Connection, of: TeamMode) -> list[Recharge]:
    """Recharges of which something is owed, the oldest first, locked."""
    rows = await db.fetch(
        f"""select {_COLUMNS} from billing.recharge where team_id = $1 and live = $2 and owed > 0
            order by id for update""",  # noqa: S608
        *(of.team_id, of.live),
    )
    return [_recharge(row) for row in rows]


async def note_event(db: Connection, provider: str, event: PaymentEvent, recharge_id: UUID) -> None:
    """Record an event that was acted on, once."""
    await db.execute(
        """insert into billing.payment_event (provider, id, type, recharge_id) values ($1, $2, $3, $4)
           on conflict do nothing""",
        *(provider, event.id, event.type, recharge_id),
    )


async def find_at(db: Pool | Connection, recharge_id: UUID, provider: str) -> Recharge | None:
    """A recharge of any team at this provider."""
    row = await db.fetchrow(
        f"select {_COLUMNS} from billing.recharge where id = $1 and provider = $2",  # noqa: S608
        *(recharge_id, provider),
    )
    return None if row is None else _recharge(row)
