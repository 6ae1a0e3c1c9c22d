"""Webhook endpoints and signing secrets of teams. All SQL of endpoints and secrets."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg

from modellix_server.base import log
from modellix_server.base.addresses import Network
from modellix_server.base.database import Connection, Pool, Row
from modellix_server.base.envelope import CannotOpen, Keyring
from modellix_server.base.errors import InvalidParameters, NotFound
from modellix_server.base.ids import uuid7
from modellix_server.base.sealed import SealedColumn
from modellix_server.base.team_mode import TeamMode
from modellix_server.webhooks import signing
from modellix_server.webhooks.alerts import AlertChoice, choose_alerts
from modellix_server.webhooks.target import check_url, lane

BOTH_SIGN_S = 86_400
"""How long the former secret signs too, after a rotation."""

SEALED = (SealedColumn("webhooks.secret", "sealed", row=("id",), bound=("id", "team_id", "live")),)

NO_ALERTS = AlertChoice()
"""An endpoint that is told of ended tasks alone."""

_MOST_OF_TEAM = 20
_LOG = log.get("webhooks")
_CHOICE = "from webhooks.alert_choice a where a.endpoint_id = endpoint.id"
_COLUMNS = f"""id, team_id, live, url, created_at, failing_since, disabled_at, disabled_why,
    (select a.balance_below {_CHOICE}) as balance_below, coalesce((select a.budgets {_CHOICE}), false) as budgets"""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A URL that gets a message about every ended task of a team, in one mode."""

    id: UUID
    team_id: int
    live: bool
    url: str
    created_at: datetime
    failing_since: datetime | None
    """Time of the first failure since the last success."""
    disabled_at: datetime | None
    disabled_why: str | None
    alerts: AlertChoice


async def create(
    db: Pool | Connection,
    keys: Keyring,
    team: TeamMode,
    url: str,
    opened: Sequence[Network],
    alerts: AlertChoice = NO_ALERTS,
) -> tuple[Endpoint, str]:
    """A new endpoint and its signing secret, which is not shown again. Raises InvalidParameters, OutOfRange."""
    alerts.check()
    url = check_url(url, opened, "parameter 'url'")
    async with _transaction(db) as connection:
        # Two concurrent calls would each see room for one more.
        await connection.execute(
            "select pg_advisory_xact_lock(hashtextextended('webhooks.endpoint', $1))", team.team_id
        )
        count = await connection.fetchval(
            "select count(*) from webhooks.endpoint where team_id = $1 and live = $2", team.team_id, team.live
        )
        if count >= _MOST_OF_TEAM:
            raise InvalidParameters(f"a team has at most {_MOST_OF_TEAM} endpoints in each mode")
        row = await connection.fetchrow(
            f"""insert into webhooks.endpoint (id, team_id, live, url, lane) values ($1, $2, $3, $4, $5)
                returning {_COLUMNS}""",  # noqa: S608 - a constant
            uuid7(),
            team.team_id,
            team.live,
            url,
            lane(url, team.team_id, live=team.live),
        )
        assert row is not None
        if alerts != NO_ALERTS:
            await choose_alerts(connection, row["id"], alerts)
        secret = await _new_secret(connection, keys, team, row["id"])
        return await find(connection, team, row["id"]), secret


async def list_all(db: Pool | Connection, team: TeamMode) -> list[Endpoint]:
    """Every endpoint, oldest first."""
    rows = await db.fetch(
        f"select {_COLUMNS} from webhooks.endpoint where team_id = $1 and live = $2 order by id",  # noqa: S608
        team.team_id,
        team.live,
    )
    return [_endpoint(row) for row in rows]


async def find(db: Pool | Connection, team: TeamMode, endpoint_id: UUID) -> Endpoint:
    """One endpoint; raises NotFound."""
    return _found(
        await db.fetchrow(
            f"select {_COLUMNS} from webhooks.endpoint where id = $1 and team_id = $2 and live = $3",  # noqa: S608
            endpoint_id,
            team.team_id,
            team.live,
        )
    )


async def change(
    db: Pool | Connection,
    team: TeamMode,
    endpoint_id: UUID,
    opened: Sequence[Network],
    *,
    url: str | None,
    enabled: bool | None,
    alerts: AlertChoice | None = None,
) -> Endpoint:
    """Change the URL or the alerts, disable or enable the endpoint. Raises InvalidParameters, OutOfRange, NotFound.

    Waiting messages go to the new URL, or fail when the endpoint is disabled. Enabling resets its failures.
    """
    if url is not None:
        url = check_url(url, opened, "parameter 'url'")
    if alerts is not None:
        alerts.check()
    place = None if url is None else lane(url, team.team_id, live=team.live)
    async with locked(db, team, endpoint_id) as connection:
        if alerts is not None:
            await find(connection, team, endpoint_id)
            await choose_alerts(connection, endpoint_id, alerts)
        changed = await connection.fetchrow(
            f"""with moved as (
                   update webhooks.message m set lane = coalesce($5, m.lane),
                       state = case when $6 is false then 'failed' else m.state end,
                       ended_at = case when $6 is false then now() end
                   where ($5::text is not null or $6 is false) and m.endpoint_id = $1 and m.team_id = $2 and m.live = $3
                       and m.state = 'waiting'
               )
               update webhooks.endpoint set
                   url = coalesce($4, url), lane = coalesce($5, lane),
                   failing_since = case when $6 then null else failing_since end,
                   disabled_at = case when $6 then null else coalesce(disabled_at, case when not $6 then now() end) end,
                   disabled_why = case when $6 then null
                       else coalesce(disabled_why, case when not $6 then 'by its team' end) end
               where id = $1 and team_id = $2 and live = $3 returning {_COLUMNS}""",  # noqa: S608
            endpoint_id,
            team.team_id,
            team.live,
            url,
            place,
            enabled,
        )
    return _found(changed)


async def delete(db: Pool | Connection, team: TeamMode, endpoint_id: UUID) -> None:
    """Delete it with all its messages; raises NotFound."""
    gone = await db.fetchval(
        "delete from webhooks.endpoint where id = $1 and team_id = $2 and live = $3 returning true",
        endpoint_id,
        team.team_id,
        team.live,
    )
    if not gone:
        raise NotFound("no such endpoint")


async def rotate(db: Pool | Connection, keys: Keyring, team: TeamMode, endpoint_id: UUID | None) -> str:
    """Rotate the signing secret of an endpoint, or of the team; the former one signs too for a day.

    Raises NotFound.
    """
    async with _transaction(db) if endpoint_id is None else locked(db, team, endpoint_id) as connection:
        if endpoint_id is not None:
            await find(connection, team, endpoint_id)
        await connection.execute(
            """update webhooks.secret set signs_until = now() + make_interval(secs => $4)
               where team_id = $1 and live = $2 and endpoint_id is not distinct from $3 and signs_until is null""",
            team.team_id,
            team.live,
            endpoint_id,
            BOTH_SIGN_S,
        )
        return await _new_secret(connection, keys, team, endpoint_id)


async def team_secret(db: Pool, keys: Keyring, team: TeamMode) -> str:
    """The team's secret, which signs messages to URLs given with a task; created at first use."""
    while True:
        row = await db.fetchrow(
            """select id, sealed from webhooks.secret
               where team_id = $1 and live = $2 and endpoint_id is null and signs_until is null""",
            team.team_id,
            team.live,
        )
        if row is not None:
            return keys.open(row["sealed"], *_context(row["id"], team.team_id, live=team.live))
        try:
            return await _new_secret(db, keys, team, None)
        except asyncpg.UniqueViolationError:
            continue  # another process was first


async def signing_secrets(
    db: Pool, keys: Keyring, endpoints: Sequence[UUID], teams: Collection[TeamMode]
) -> dict[UUID | TeamMode, list[str]]:
    """The active secrets, the newest first: by endpoint, and by team and mode for URLs given with a task.

    A team without one gets one. A secret that cannot be opened signs nothing: an error is logged, and messages wait.
    """
    rows = await db.fetch(
        """select id, team_id, live, endpoint_id, sealed from webhooks.secret
           where (endpoint_id = any ($1) or (endpoint_id is null and team_id = any ($2)))
               and (signs_until is null or signs_until > now())
           order by signs_until desc nulls first""",
        endpoints,
        [team.team_id for team in teams],
    )
    found: dict[UUID | TeamMode, list[str]] = {}
    for row in rows:
        secrets = found.setdefault(row["endpoint_id"] or TeamMode(row["team_id"], row["live"]), [])
        try:
            secrets.append(keys.open(row["sealed"], *_context(row["id"], row["team_id"], live=row["live"])))
        except CannotOpen as error:
            _LOG.error("a webhook secret cannot be opened", secret=str(row["id"]), error=str(error))
    for team in teams:
        if team not in found:
            found[team] = [await team_secret(db, keys, team)]
    return found


async def _new_secret(db: Pool | Connection, keys: Keyring, team: TeamMode, endpoint_id: UUID | None) -> str:
    secret_id, secret = uuid7(), signing.mint()
    await db.execute(
        "insert into webhooks.secret (id, team_id, live, endpoint_id, sealed) values ($1, $2, $3, $4, $5)",
        secret_id,
        team.team_id,
        team.live,
        endpoint_id,
        keys.seal(secret, *_context(secret_id, team.team_id, live=team.live)),
    )
    return secret


@asynccontextmanager
async def locked(db: Pool | Connection, team: TeamMode, endpoint_id: UUID) -> AsyncIterator[Connection]:
    """A transaction that may change an endpoint's messages and secrets: they are locked after it, by everybody."""
    async with _transaction(db) as connection:
        await connection.execute(
            "select from webhooks.endpoint where id = $1 and team_id = $2 and live = $3 for no key update",
            endpoint_id,
            team.team_id,
            team.live,
        )
        yield connection


@asynccontextmanager
async def _transaction(db: Pool | Connection) -> AsyncIterator[Connection]:
    if isinstance(db, Pool):
        async with db.acquire() as connection, connection.transaction():
            yield connection
    else:
        async with db.transaction():
            yield db


def _context(secret_id: UUID, team_id: int, *, live: bool) -> tuple[str, ...]:
    return SEALED[0].context(str(secret_id), str(team_id), "true" if live else "false")


def _found(row: Row | None) -> Endpoint:
    if row is None:
        raise NotFound("no such endpoint")
    return _endpoint(row)


def _endpoint(row: Row) -> Endpoint:
    values = dict(row)
    alerts = AlertChoice(values.pop("balance_below"), values.pop("budgets"))
    return Endpoint(**values, alerts=alerts)
