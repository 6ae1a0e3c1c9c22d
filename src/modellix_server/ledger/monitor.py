"""The ledger monitor: what can be checked often and at little cost, and the accounts that it froze.

`audit` reads every transfer there is. A run of the monitor reads those since the run before, however long the history
(docs/adr/0014).
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime

from modellix_server.base import log
from modellix_server.base.database import DATABASE_ERRORS, Connection, Pool
from modellix_server.base.money import usd

ALL_TEAMS = 0
"""In place of a team: every team is frozen."""

_LOCK = 0x6D6C7862
_EVERY_S = 1.0
_LOG = log.get("ledger")

_BALANCES_DIFFER = """
    select coalesce(b.team_id, t.team_id) as team_id, coalesce(b.live, t.live) as live,
        coalesce(b.posted, 0) as posted, coalesce(b.held, 0) as held,
        coalesce(t.posted, 0)::bigint as posted_by_transfers, coalesce(t.held, 0)::bigint as held_by_transfers
    from ledger.balance b full join (
        select team_id, live, sum(posted) as posted, sum(held) as held from (
            select team_id, live, posted, held from ledger.total
            union all
            select team_id, live, posted, held from ledger.effect where id > (select up_to from ledger.checkpoint)) each
        group by team_id, live) t using (team_id, live)
    where coalesce(b.posted, 0) <> coalesce(t.posted, 0) or coalesce(b.held, 0) <> coalesce(t.held, 0)
"""


@dataclass(frozen=True, slots=True)
class Finding:
    """A discrepancy and the account it belongs to; `team_id` is ALL_TEAMS if it belongs to no single team."""

    team_id: int
    live: bool
    what: str


@dataclass(frozen=True, slots=True)
class FrozenAccount:
    """An account that takes no new tasks."""

    team_id: int
    live: bool
    since: datetime
    reason: str


async def begin(db: Connection, *, wait: bool = False) -> bool:
    """Take the monitor's lock for the transaction, as its first statement; False if another process holds it."""
    if wait:
        await db.execute("select pg_advisory_xact_lock($1)", _LOCK)
        return True
    first: bool = await db.fetchval("select pg_try_advisory_xact_lock($1)", _LOCK)
    return first


async def carry(db: Connection, most: int) -> tuple[int, int]:
    """Add up to `most` complete transfers to the stored totals, so that later runs need not read them.

    Returns how many were added and how many are newer. Must directly follow `begin`.
    """
    row = await db.fetchrow("select moved, newer from ledger.advance_checkpoint($1)", most)
    assert row is not None
    return row["moved"], row["newer"]


async def find_discrepancies(db: Pool | Connection) -> list[Finding]:
    """Compare balances with transfers. Each statement reads one snapshot, which is sufficient for a comparison."""
    found = [
        Finding(
            row["team_id"],
            row["live"],
            f"the balance says {usd(row['posted'])} USD posted and {usd(row['held'])} held, its transfers say "
            f"{usd(row['posted_by_transfers'])} and {usd(row['held_by_transfers'])}",
        )
        for row in await db.fetch(_BALANCES_DIFFER)
    ]
    lost = await db.fetchrow(
        "select up_to, (select max(id) from ledger.transfer) as newest from ledger.checkpoint "
        "where up_to > coalesce((select max(id) from ledger.transfer), 0)"
    )
    if lost is not None:
        what = f"transfers up to number {lost['up_to']} were seen, now they end with {lost['newest'] or 0}"
        found += [Finding(ALL_TEAMS, live, what) for live in (True, False)]
    return found


async def note_completion(db: Connection) -> None:
    """Record that a run has completed."""
    await db.execute("update ledger.checkpoint set looked_at = now()")


async def completed_at(db: Pool | Connection) -> datetime | None:
    """Time of the last completed run; None if there was none."""
    at: datetime | None = await db.fetchval("select looked_at from ledger.checkpoint")
    return at


async def freeze(db: Connection, finding: Finding) -> bool:
    """Freeze an account: it takes no new tasks. False if it was already frozen, whatever the reason."""
    added = await db.execute(
        "insert into ledger.frozen (team_id, live, reason) values ($1, $2, $3) on conflict do nothing",
        finding.team_id,
        finding.live,
        finding.what,
    )
    return added != "INSERT 0 0"


async def unfreeze(db: Connection, team_id: int, *, live: bool) -> bool:
    """Let an account take new tasks again; False if it was not frozen."""
    removed = await db.execute("delete from ledger.frozen where team_id = $1 and live = $2", team_id, live)
    return removed != "DELETE 0"


async def restate(db: Connection, team_id: int, *, live: bool) -> None:
    """Set an account's balance to the sum of its transfers; `begin` must come before.

    Raises asyncpg's CheckViolationError if the sum is negative.
    """
    await db.execute("select ledger.rebuild_balance($1, $2)", team_id, live)


async def list_frozen(db: Pool | Connection) -> list[FrozenAccount]:
    """All frozen accounts, oldest first."""
    rows = await db.fetch("select team_id, live, since, reason from ledger.frozen order by since, team_id, live")
    return [FrozenAccount(*row) for row in rows]


class FrozenAccounts:
    """The frozen accounts, cached in an API process; at most one second old while the database answers.

    In memory, so that a submission needs no query. An account is frozen up to minutes after the cause: one second
    more makes no difference.
    """

    def __init__(self, db: Pool) -> None:
        self._db = db
        self._accounts: frozenset[tuple[int, bool]] = frozenset()

    def holds(self, team_id: int, live: bool) -> bool:  # noqa: FBT001 - in the order of the table's key
        """Whether the account takes no new tasks."""
        known = self._accounts
        return bool(known) and ((team_id, live) in known or (ALL_TEAMS, live) in known)

    async def refresh(self) -> None:
        """Read them now."""
        self._accounts = frozenset((one.team_id, one.live) for one in await list_frozen(self._db))

    async def keep_fresh(self) -> None:
        """Refresh every second until cancelled; while the database is unreachable the last state is kept."""
        while True:
            await asyncio.sleep(_EVERY_S)
            try:
                await self.refresh()
            except DATABASE_ERRORS as error:
                _LOG.warning("frozen accounts could not be read again", error=type(error).__name__)
