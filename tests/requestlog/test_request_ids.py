"""Calls are found by their request id, whether it begins with their time or is a client's own."""

import secrets
import time
from datetime import UTC, datetime, timedelta

import pytest

from modellix_server import requestlog
from modellix_server.base.ids import request_name, uuid7
from modellix_server.base.pages import Span
from modellix_server.base.team_mode import TeamMode
from modellix_server.requestlog import (
    EntryFilter,
    LogEntry,
    SubmissionEntry,
    ensure_partitions,
    list_entries,
    store,
    tasks_of_request,
)


@pytest.fixture
def team():
    return TeamMode(secrets.randbelow(2**60), live=True)


def timed(ago_s=0.0):
    """As a client names a request that begins its ids with the time, such as a UUIDv7 without its hyphens."""
    return f"{int((time.time() - ago_s) * 1000):012x}7{secrets.token_hex(9)}f"


def call(team, name, ago_s=0.0):
    at = datetime.now(UTC) - timedelta(seconds=ago_s)
    entry = LogEntry(at, team.team_id, team.live, 1, "GET", "/x", 200, 250, 0, 300)
    return entry._replace(request_id=name)


async def found(pool, team, name, **more):
    async with pool.acquire() as db:
        page = await list_entries(db, team, EntryFilter(request_id=name, **more), after=None, most=50)
    return [one.request_id for one in page.rows]


async def log(pool, *rows):
    await ensure_partitions(pool)
    async with pool.acquire() as db:
        await store.append(db, rows, [])


async def untimed(pool, table, team):
    return await pool.fetchval(
        f"select count(*) from requestlog.{table} where team_id = $1 and request_id_timed is null", team.team_id
    )


async def test_ids_of_ours_are_found_and_burden_no_index(pool, team) -> None:
    names = [request_name().decode() for _ in range(20)]
    await log(pool, *(call(team, name) for name in names))
    for name in names:
        assert await found(pool, team, name) == [name]
    assert await untimed(pool, "entry", team) == 0
    assert len(set(names)) == 20


@pytest.mark.parametrize("form", ["mine", "z" * 128, "0" * 32, "f" * 32, "0123456789ab", "0199", "a" * 12 + "-4bf92f"])
async def test_any_id_is_found(pool, team, form) -> None:
    await is_found(pool, team, form)


@pytest.mark.parametrize("ago_s", [3600, 5, 3, 2.1, 1.9, 0.3, -0.3, -1, -3, -3600])
async def test_an_id_is_found_whatever_time_it_begins_with(pool, team, ago_s) -> None:
    """Clocks of clients are early or late, and calls take their time."""
    await is_found(pool, team, timed(ago_s))


async def is_found(pool, team, name) -> None:
    other = TeamMode(team.team_id, live=False)
    await log(pool, call(team, name), call(other, name), call(team, "another"))
    assert await found(pool, team, name) == [name]
    assert await found(pool, team, name + "x") == []
    assert await found(pool, team, name, least_status=400) == []
    assert await found(pool, team, name, at=Span(until=datetime.now(UTC) - timedelta(hours=1))) == []


async def test_a_long_call_and_one_that_waited_for_the_database_are_found(pool, team) -> None:
    long, waited = timed(60), timed(30)
    await log(pool, call(team, long))  # logged at its end
    await log(pool, call(team, waited, ago_s=29.9), call(team, waited, ago_s=0.1))
    assert await found(pool, team, long) == [long]
    assert await found(pool, team, waited) == [waited, waited]


async def test_an_id_sent_with_many_calls_finds_all_newest_first(pool, team) -> None:
    name = timed(1)
    rows = [call(team, name, ago_s=ago_s) for ago_s in (0.2, 0.1, 0.0)]
    await log(pool, *rows)
    await log(pool, *(call(team, name, ago_s=5) for _ in range(2)))
    async with pool.acquire() as db:
        page = await list_entries(db, team, EntryFilter(request_id=name), after=None, most=2)
        rest = await list_entries(db, team, EntryFilter(request_id=name), after=page.next, most=50)
    times = [one.at for one in (*page.rows, *rest.rows)]
    assert len(times) == 5
    assert times == sorted(times, reverse=True)


async def test_submissions_likewise(pool, team) -> None:
    def made(name):
        return SubmissionEntry(uuid7(), team.team_id, team.live, "/x", 250, 20, 300, name)

    ours, theirs, late = request_name().decode(), "mine", timed(60)
    rows = [made(name) for name in (ours, theirs, late, theirs)]
    await log(pool, *rows)
    async with pool.acquire() as db:
        for name in (ours, theirs, late):
            expected = sorted((row.task_id for row in rows if row.request_id == name), reverse=True)
            assert await tasks_of_request(db, team, name) == expected
        assert await tasks_of_request(db, TeamMode(team.team_id, live=False), ours) == []
        assert await requestlog.list_submissions(db, [row.task_id for row in rows]) == {
            row.task_id: row for row in rows
        }
    assert await untimed(pool, "submission", team) == 3
