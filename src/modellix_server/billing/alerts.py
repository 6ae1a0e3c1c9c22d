"""Alerts about balances: told once when a balance falls below a threshold, again only after it has recovered."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from modellix_server.base.database import Connection, Pool
from modellix_server.base.errors import InvalidParameters, NotFound
from modellix_server.base.team_mode import TeamMode

_MOST_ALERTS = 5


@dataclass(frozen=True, slots=True)
class BalanceAlert:
    """A threshold in micro-dollars, and the user who is told."""

    id: int
    team_id: int
    live: bool
    user_id: int
    threshold: int
    crossed_at: datetime | None


_COLUMNS = "id, team_id, live, user_id, threshold, crossed_at"


async def alerts_of(db: Pool | Connection, of: TeamMode, user_id: int) -> list[BalanceAlert]:
    """A user's alerts in a team, the highest threshold first."""
    rows = await db.fetch(
        f"""select {_COLUMNS} from billing.alert where team_id = $1 and live = $2 and user_id = $3
            order by threshold desc""",  # noqa: S608
        *(of.team_id, of.live, user_id),
    )
    return [BalanceAlert(*row) for row in rows]


async def add_alert(tx: Connection, of: TeamMode, user_id: int, threshold: int) -> None:
    """One more alert; the same again is none. Raises InvalidParameters where there are too many."""
    if len(await alerts_of(tx, of, user_id)) >= _MOST_ALERTS:
        raise InvalidParameters(f"you have {_MOST_ALERTS} alerts: remove one first")
    await tx.execute(
        """insert into billing.alert (team_id, live, user_id, threshold) values ($1, $2, $3, $4)
           on conflict do nothing""",
        *(of.team_id, of.live, user_id, threshold),
    )


async def delete_alert(tx: Connection, of: TeamMode, user_id: int, alert_id: int) -> None:
    """Raises NotFound."""
    done = await tx.execute(
        "delete from billing.alert where id = $1 and team_id = $2 and live = $3 and user_id = $4",
        *(alert_id, of.team_id, of.live, user_id),
    )
    if done == "DELETE 0":
        raise NotFound("there is no such alert")


async def take_crossed(tx: Connection, most: int) -> list[tuple[BalanceAlert, int]]:
    """Alerts whose balance is below the threshold and that were not told since, with what is available.

    They are marked as told in this transaction, which must tell them. Those that have recovered are armed again.
    """
    await tx.execute(
        """update billing.alert a set crossed_at = null where crossed_at is not null
           and (select available from ledger.available(a.team_id, a.live)) >= threshold"""
    )
    rows = await tx.fetch(
        f"""update billing.alert a set crossed_at = now() from (
               select c.id as due_id, b.available from billing.alert c
               cross join lateral ledger.available(c.team_id, c.live) b
               where c.crossed_at is null and b.available < c.threshold
               order by c.id limit $1 for update of c skip locked) due
           where a.id = due.due_id returning {_COLUMNS}, due.available""",  # noqa: S608
        most,
    )
    return [(BalanceAlert(*list(row)[:-1]), row["available"]) for row in rows]


async def is_told_of_budgets(db: Pool | Connection, of: TeamMode, user_id: int) -> bool:
    """Whether a user is told by mail of a team's budgets."""
    found: bool = await db.fetchval(
        "select exists (select from billing.budget_alert where team_id = $1 and live = $2 and user_id = $3)",
        *(of.team_id, of.live, user_id),
    )
    return found


async def tell_of_budgets(tx: Connection, of: TeamMode, user_id: int, *, told: bool) -> None:
    """Whether a user is told by mail of a team's budgets from now on."""
    change = (
        "insert into billing.budget_alert (team_id, live, user_id) values ($1, $2, $3) on conflict do nothing"
        if told
        else "delete from billing.budget_alert where team_id = $1 and live = $2 and user_id = $3"
    )
    await tx.execute(change, of.team_id, of.live, user_id)


async def members_told_of_budgets(tx: Connection, of: TeamMode) -> list[int]:
    """The users who are told by mail of a team's budgets."""
    rows = await tx.fetch(
        "select user_id from billing.budget_alert where team_id = $1 and live = $2 order by user_id",
        *(of.team_id, of.live),
    )
    return [row["user_id"] for row in rows]
