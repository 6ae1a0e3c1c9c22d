"""The request log on a real database."""

import asyncio
import secrets
from datetime import UTC, datetime

import asyncpg
import pytest
from tests.support.waiting import LONG_S, eventually

from modellix_server.base.database import open_pool
from modellix_server.requestlog import LogEntry, Writer, drop_old, ensure_partitions
from modellix_server.requestlog import writer as module


def entry(team, **changes):
    return LogEntry(datetime.now(UTC), team, True, 1, "GET", "/api/v1/tasks/x", 200, 250, 0, 300)._replace(**changes)


@pytest.fixture
def team():
    return secrets.randbelow(2**60)


@pytest.fixture
async def own_pool(settings):
    pool = await open_pool(settings.database_url, size=2, name="log-test")
    yield pool
    pool.terminate()


async def logged(pool, team):
    return await pool.fetch("select * from requestlog.entry where team_id = $1 order by at", team)


async def test_a_row_arrives_within_a_second(own_pool, team):
    """Give or take what the machine is busy with."""
    assert module._EVERY_S < 1
    writer = Writer(own_pool)
    writer.start()
    before = datetime.now(UTC)
    writer.record(entry(team, at=before, status=404, code="not_found", input="{}", live=False))
    rows = await eventually(lambda: logged(own_pool, team))
    await writer.close(timeout_s=LONG_S)
    (row,) = rows
    assert row["at"] == before
    assert (row["status"], row["code"], row["input"], row["live"], row["latency_us"]) == (
        404,
        "not_found",
        "{}",
        False,
        250,
    )


@pytest.mark.parametrize("count", [0, 1, 499, 500, 501, 12_000])
async def test_a_clean_stop_loses_nothing(own_pool, team, count):
    writer = Writer(own_pool)
    writer.start()
    for number in range(count):
        writer.record(entry(team, bytes_in=number))
    await writer.close(timeout_s=LONG_S)
    assert [row["bytes_in"] for row in await logged(own_pool, team)] == list(range(count))
    assert writer.lost == 0


async def test_calls_that_come_while_rows_are_written_make_no_commits_of_their_own(own_pool, team, monkeypatch):
    writer, append, commits = Writer(own_pool), module.store.append, []

    async def beside_traffic(db, rows, losses):
        commits.append(len(rows))
        writer.record(entry(team))
        writer.record(entry(team))
        await append(db, rows, losses)

    monkeypatch.setattr(module.store, "append", beside_traffic)
    writer.record(entry(team))
    writer.start()
    await eventually(lambda: len(commits) == 2)
    monkeypatch.undo()
    await writer.close(timeout_s=LONG_S)
    assert commits == [1, 2]
    assert len(await logged(own_pool, team)) == 5


async def test_one_odd_row_does_not_keep_its_neighbours_out(own_pool, team):
    writer = Writer(own_pool)
    writer.start()
    odd = {
        3: {"path": "\x00"},
        7: {"latency_us": 2**40},
        8: {"path": "\udcff"},
        9: {"at": datetime.fromtimestamp(0, UTC)},
    }
    for number in range(20):
        writer.record(entry(team, bytes_in=number, **odd.get(number, {})))
    await writer.close(timeout_s=LONG_S)
    assert [row["bytes_in"] for row in await logged(own_pool, team)] == [n for n in range(20) if n not in odd]
    assert writer.lost == len(odd)


async def test_rows_wait_for_the_database_and_the_overflow_is_counted(settings, pool, team):
    noted = await pool.fetchval("select coalesce(sum(rows), 0) from requestlog.loss")

    class Flaky:
        down = True

        def acquire(self):
            if self.down:
                raise ConnectionRefusedError
            return pool.acquire()

    flaky = Flaky()
    writer = Writer(flaky, most=10)
    writer.start()
    for _ in range(15):
        writer.record(entry(team))
    await asyncio.sleep(0.7)
    assert await logged(pool, team) == []
    flaky.down = False
    await writer.close(timeout_s=LONG_S)
    assert len(await logged(pool, team)) == 10
    assert writer.lost == 5
    assert await pool.fetchval("select sum(rows) from requestlog.loss") == noted + 5


async def test_closing_without_a_database_ends_and_tells(team):
    class Down:
        def acquire(self):
            raise ConnectionRefusedError

    writer = Writer(Down())
    writer.start()
    writer.record(entry(team))
    await writer.close(timeout_s=0.2)
    assert writer.lost == 1


async def test_a_killed_connection_loses_nothing(own_pool, pool, team):
    writer = Writer(own_pool)
    writer.start()
    for round_ in range(4):
        for _ in range(1000):
            writer.record(entry(team))
        await asyncio.sleep(0.15)
        if round_ < 3:
            await pool.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'modellix-log-test'"
            )
    await writer.close(timeout_s=LONG_S)
    assert len(await logged(pool, team)) == 4000
    assert writer.lost == 0


async def test_partitions_are_made_and_dropped_by_day(settings, pool, team):
    await ensure_partitions(pool)
    assert await ensure_partitions(pool) == 0
    assert await ensure_partitions(pool, 9) == 4  # two days of two tables
    owner = await asyncpg.connect(settings.owner_database_url)
    try:
        await owner.execute(
            """create table requestlog.entry_20200101 partition of requestlog.entry
               for values from ('2020-01-01') to ('2020-01-02')"""
        )
    finally:
        await owner.close()
    await pool.execute(
        """insert into requestlog.entry (at, team_id, method, path, status, latency_us, bytes_in, bytes_out)
           values ('2020-01-01 12:00Z', $1, 'GET', '/', 200, 1, 1, 1), (now(), $1, 'GET', '/', 200, 1, 1, 1)""",
        team,
    )
    assert await drop_old(pool, 30) == 1
    assert len(await logged(pool, team)) == 1
    with pytest.raises(asyncpg.InvalidParameterValueError):
        await drop_old(pool, 0)


@pytest.mark.parametrize("statement", ["delete from requestlog.entry", "update requestlog.entry set status = 1"])
async def test_the_application_may_only_append(pool, statement):
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await pool.execute(statement)
