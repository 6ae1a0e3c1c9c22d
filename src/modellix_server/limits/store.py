"""All SQL of the limits."""

from __future__ import annotations

from dataclasses import dataclass

from modellix_server.base.database import Connection, Pool
from modellix_server.base.errors import InvalidParameters, PlatformError


class RateLimited(PlatformError):
    """More requests in a minute than the key or the team may send; `retry_after_s` is exact."""

    status, category, code = 429, "Rate limit exceeded", "rate_limited"


@dataclass(frozen=True, slots=True)
class TeamLimits:
    """The limits in force for a team."""

    concurrency: int
    """Unfinished tasks at a time; 0 stops new tasks."""
    rpm: int
    """Requests per minute over all keys of the team."""
    key_rpm: int
    """Requests per minute of each key."""
    most_waiting: int
    """Accepted tasks that may wait for a free slot."""


async def of_team(db: Pool | Connection, team_id: int) -> TeamLimits:
    """The team's own limits, defaults where it has none."""
    row = await db.fetchrow(
        "select concurrency, rpm, key_rpm, limits.most_waiting($1) from limits.of_team($1)", team_id
    )
    assert row is not None
    return TeamLimits(*row)


async def set_for_team(
    db: Pool | Connection,
    team_id: int,
    *,
    concurrency: int | None = None,
    rpm: int | None = None,
    key_rpm: int | None = None,
    most_waiting: int | None = None,
) -> TeamLimits:
    """Change what is given, keep the rest; returns the limits now in force.

    Raises InvalidParameters for a concurrency or a queue below 0, or fewer than 1 request a minute.
    """
    given = (
        ("concurrency", concurrency, 0),
        ("rpm", rpm, 1),
        ("key_rpm", key_rpm, 1),
        ("most_waiting", most_waiting, 0),
    )
    for name, value, least in given:
        if value is not None and not least <= value < 2**31:
            raise InvalidParameters(f"{name} must be between {least} and {2**31 - 1}, got {value}")
    await db.execute(
        """insert into limits.team_limit as l (team_id, concurrency, rpm, key_rpm, most_waiting)
           values ($1, $2, $3, $4, $5)
           on conflict (team_id) do update set
               concurrency = coalesce(excluded.concurrency, l.concurrency),
               rpm = coalesce(excluded.rpm, l.rpm),
               key_rpm = coalesce(excluded.key_rpm, l.key_rpm),
               most_waiting = coalesce(excluded.most_waiting, l.most_waiting)""",
        team_id,
        concurrency,
        rpm,
        key_rpm,
        most_waiting,
    )
    return await of_team(db, team_id)
