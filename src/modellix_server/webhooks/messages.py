"""Messages and their attempts. All SQL of both except the functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from modellix_server.base.database import Connection, Pool, Row
from modellix_server.base.errors import NotFound
from modellix_server.base.pages import Where
from modellix_server.base.team_mode import TeamMode
from modellix_server.webhooks.endpoints import locked
from modellix_server.webhooks.rules import Outcome

_COMMIT_LAG = timedelta(seconds=10)  # both times are of one transaction, except of tasks of earlier versions


@dataclass(frozen=True, slots=True)
class Message:
    """A leased message. Its worker reports before the lease ends, or another one sends it again."""

    id: UUID
    lease: int
    task_id: UUID | None
    """None: an alert."""
    team_id: int
    live: bool
    endpoint_id: UUID | None
    url: str
    lane: str
    event: str
    payload: str | None
    """The body of earlier attempts, or of an alert; None before the first."""
    tries: int
    attempts: int
    failing_for_s: float | None
    """Seconds since the endpoint's first failure in a row; None if it is not failing."""


@dataclass(frozen=True, slots=True)
class Report:
    """The outcome of one attempt, and what follows."""

    message: Message
    body: str | None
    outcome: Outcome
    again_in_s: float | None
    disable: str | None


@dataclass(frozen=True, slots=True)
class Disabled:
    """An endpoint that has just been disabled."""

    id: UUID
    team_id: int
    live: bool
    why: str


@dataclass(frozen=True, slots=True)
class Attempt:
    """One entry of the delivery log."""

    at: datetime
    status: int | None
    error: str | None
    took_ms: int


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message with all its attempts, as its team sees it."""

    id: UUID
    task_id: UUID | None
    """None: an alert."""
    endpoint_id: UUID | None
    url: str
    event: str
    state: str
    """waiting, delivered or failed."""
    created_at: datetime
    due_at: datetime | None
    """Time of the next try."""
    attempts: tuple[Attempt, ...]


async def lease(
    db: Pool, rooms: dict[str, int], usual_room: int, full_teams: Sequence[int], limit: int, lease_s: float
) -> list[Message]:
    """Up to `limit` due messages, for this process alone to send within `lease_s`."""
    rows = await db.fetch(
        """select m.id, m.lease, m.task_id, m.team_id, m.live, m.endpoint_id, coalesce(p.url, m.url), m.lane, m.event,
               m.payload, m.tries, m.attempts, extract(epoch from now() - p.failing_since)::float8
           from webhooks.lease($1, $2, $3, $4, $5, $6) m left join webhooks.endpoint p on p.id = m.endpoint_id""",
        list(rooms),
        list(rooms.values()),
        usual_room,
        full_teams,
        limit,
        lease_s,
    )
    return [Message(*row) for row in rows]


async def report(db: Pool, reports: Sequence[Report]) -> list[Disabled]:
    """Record attempts; returns the endpoints that are disabled because of them."""
    rows = await db.fetch(
        "select id, team_id, live, disabled_why from webhooks.report($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        [r.message.id for r in reports],
        [r.message.lease for r in reports],
        [r.outcome.delivered for r in reports],
        [r.again_in_s for r in reports],
        [r.outcome.status for r in reports],
        [r.outcome.error for r in reports],
        [r.outcome.took_ms for r in reports],
        [r.body for r in reports],
        [r.disable for r in reports],
    )
    return [Disabled(*row) for row in rows]


_DELIVERIES = """
    select m.id, m.task_id, m.endpoint_id, coalesce(m.url, p.url) as url, m.event, m.state, m.created_at,
        case when m.state = 'waiting' then m.due_at end as due_at,
        (select array_agg((a.at, a.status, a.error, a.took_ms) order by a.n)
         from webhooks.delivery_attempt a where a.message_id = m.id) as attempts
    from webhooks.message m left join webhooks.endpoint p on p.id = m.endpoint_id
"""


async def deliveries(
    db: Pool | Connection,
    team: TeamMode,
    endpoint_id: UUID | None,
    limit: int,
    *,
    after: UUID | None = None,
    failed: bool = False,
) -> list[Delivery]:
    """The latest messages of an endpoint, or of the whole team, newest first.

    With `after` those older than that message, with `failed` only those that were given up.
    """
    where = Where([])
    where.add("m.team_id = {} and m.live = {}", team.team_id, team.live)
    where.add_given("m.endpoint_id = {}", endpoint_id)
    if failed:
        where.add("m.state = 'failed'")
    where.add_given("(m.created_at, m.id) < (select c.created_at, c.id from webhooks.message c where c.id = {})", after)
    rows = await db.fetch(
        f"{_DELIVERIES} where {where} order by m.created_at desc, m.id desc limit {where.place(limit)}",
        *where.arguments,
    )
    return [_delivery(row) for row in rows]


async def deliveries_of_task(db: Connection, team: TeamMode, task_id: UUID, ended_at: datetime) -> list[Delivery]:
    """The messages about one task, which are written in the transaction that ends it."""
    rows = await db.fetch(
        f"""{_DELIVERIES} where m.team_id = $1 and m.live = $2 and m.task_id = $3
               and m.created_at between $4 and $5 order by m.id""",
        team.team_id,
        team.live,
        task_id,
        ended_at - _COMMIT_LAG,
        ended_at + _COMMIT_LAG,
    )
    return [_delivery(row) for row in rows]


def _delivery(row: Row) -> Delivery:
    return Delivery(**{**row, "attempts": tuple(Attempt(*one) for one in row["attempts"] or ())})


_AGAIN = "state = 'waiting', ended_at = null, due_at = now(), tries = 0"


async def replay(db: Pool | Connection, team: TeamMode, message_id: UUID) -> None:
    """Send a message again, under its own id, with the whole retry schedule. Raises NotFound."""
    again = await db.fetchval(
        f"update webhooks.message set {_AGAIN} where id = $1 and team_id = $2 and live = $3 returning true",  # noqa: S608
        message_id,
        team.team_id,
        team.live,
    )
    if not again:
        raise NotFound("no such delivery")
    await _hint(db)


async def replay_failed(db: Pool | Connection, team: TeamMode, endpoint_id: UUID, since: datetime) -> int:
    """Send all failed messages of an endpoint again that were created since then; returns how many."""
    async with locked(db, team, endpoint_id) as connection:
        count: int = await connection.fetchval(
            f"""with again as (
                    update webhooks.message set {_AGAIN}
                    where endpoint_id = $1 and team_id = $2 and live = $3 and state = 'failed' and created_at >= $4
                    returning 1)
                select count(*) from again""",  # noqa: S608
            endpoint_id,
            team.team_id,
            team.live,
            since,
        )
    await _hint(db)
    return count


async def _hint(db: Pool | Connection) -> None:
    await db.execute("select pg_notify('modellix_webhooks', '')")


async def drop_old(db: Pool, keep_s: float, limit: int = 5_000) -> int:
    """Forget messages that ended so long ago; returns how many."""
    dropped: int = await db.fetchval(
        """with old as (
               delete from webhooks.message where id in (
                   select id from webhooks.message where ended_at < now() - make_interval(secs => $1)
                   order by ended_at limit $2 for update skip locked)
               returning 1)
           select count(*) from old""",
        keep_s,
        limit,
    )
    return dropped
