"""Alerts to endpoints: what each wants to be told beside ended tasks, and the messages. All SQL of alerts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec

from modellix_server.base.database import Connection
from modellix_server.base.errors import OutOfRange
from modellix_server.base.team_mode import TeamMode

BALANCE_LOW, BUDGET_THRESHOLD = "balance.low", "budget.threshold"
_MOST_MICROS = 10**12


@dataclass(frozen=True, slots=True)
class AlertChoice:
    """What an endpoint is told beside ended tasks."""

    balance_below: int | None = None
    """That less is available, in micro-dollars; None: nothing about the balance."""
    budgets: bool = False
    """That a budget of the team or of one of its keys reaches a threshold."""

    def check(self) -> None:
        """Raises OutOfRange."""
        if self.balance_below is not None and not 0 < self.balance_below <= _MOST_MICROS:
            raise OutOfRange("an alert's amount is more than 0 and at most a million USD")


@dataclass(frozen=True, slots=True)
class Alert:
    """One message to one endpoint."""

    endpoint_id: UUID
    event: str
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class LowBalance:
    """An endpoint that is to be told that the balance is low. Money in micro-dollars."""

    endpoint_id: UUID
    live: bool
    below: int
    available: int


async def choose_alerts(tx: Connection, endpoint_id: UUID, choice: AlertChoice) -> None:
    """What an endpoint is told from now on; with another amount it is told again of a balance that is low."""
    await tx.execute(
        """insert into webhooks.alert_choice as a (endpoint_id, balance_below, budgets) values ($1, $2, $3)
           on conflict (endpoint_id) do update set balance_below = excluded.balance_below, budgets = excluded.budgets,
               low_since = case when a.balance_below = excluded.balance_below then a.low_since end""",
        *(endpoint_id, choice.balance_below, choice.budgets),
    )


async def take_low(tx: Connection, most: int) -> list[LowBalance]:
    """Endpoints to be told that the balance is low: told when this transaction, which must tell them, commits.

    Those whose balance has recovered are armed again.
    """
    await tx.execute(
        """update webhooks.alert_choice a set low_since = null from webhooks.endpoint p
           where p.id = a.endpoint_id and a.low_since is not null
               and (select available from ledger.available(p.team_id, p.live)) >= a.balance_below"""
    )
    rows = await tx.fetch(
        """update webhooks.alert_choice a set low_since = now() from (
               select c.endpoint_id as id, p.live, b.available
               from webhooks.alert_choice c join webhooks.endpoint p on p.id = c.endpoint_id and p.disabled_at is null
               cross join lateral ledger.available(p.team_id, p.live) b
               where c.low_since is null and b.available < c.balance_below
               order by c.endpoint_id limit $1 for update of c skip locked) due
           where a.endpoint_id = due.id returning a.endpoint_id, due.live, a.balance_below, due.available""",
        most,
    )
    return [LowBalance(*row) for row in rows]


async def told_of_budgets(tx: Connection, teams: Sequence[int]) -> dict[TeamMode, list[UUID]]:
    """The endpoints of these teams that are told of budgets."""
    rows = await tx.fetch(
        """select p.team_id, p.live, p.id from webhooks.endpoint p join webhooks.alert_choice a on a.endpoint_id = p.id
           where p.team_id = any ($1::bigint[]) and a.budgets and p.disabled_at is null order by p.id""",
        teams,
    )
    found: dict[TeamMode, list[UUID]] = {}
    for team_id, live, endpoint_id in rows:
        found.setdefault(TeamMode(team_id, live), []).append(endpoint_id)
    return found


async def send_alerts(tx: Connection, alerts: Sequence[Alert]) -> None:
    """Put up the messages, in the form of Standard Webhooks: `type`, `timestamp`, `data`."""
    if not alerts:
        return
    at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    await tx.execute(
        """insert into webhooks.message (team_id, live, endpoint_id, lane, event, payload)
           select p.team_id, p.live, p.id, p.lane, a.event, a.payload
           from unnest($1::uuid[], $2::text[], $3::text[]) a (id, event, payload)
           join webhooks.endpoint p on p.id = a.id and p.disabled_at is null""",
        [one.endpoint_id for one in alerts],
        [one.event for one in alerts],
        [msgspec.json.encode({"type": one.event, "timestamp": at, "data": one.data}).decode() for one in alerts],
    )
    await tx.execute("select pg_notify('modellix_webhooks', '')")
