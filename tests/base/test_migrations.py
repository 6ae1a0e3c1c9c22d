"""Migrations give way to a platform at work, and what is slow holds nobody up and may be interrupted."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest

from modellix_server.base.database import connect
from modellix_server.base.migrations import ChangedMigration, Migration, discover, migrate
from modellix_server.operations.maintenance.migrate import ROOMS

TABLES = """
create schema stuff;
create table stuff.thing (id bigint generated always as identity primary key, word text not null);
insert into stuff.thing (word) select 'word ' || n from generate_series(1, 1000) n;
create table stuff.event (at date not null, word text) partition by range (at);
create table stuff.event_1 partition of stuff.event for values from ('2026-01-01') to ('2026-01-02');
create table stuff.event_2 partition of stuff.event for values from ('2026-01-02') to ('2026-01-03');
"""
ONLINE = """-- Words are looked up.
-- outside a transaction
create index concurrently thing_word on stuff.thing (word);
create index concurrently event_word on stuff.event (word) where word is not null;
"""


@pytest.fixture
async def owner(database):
    connection = await connect(database.owner_dsn, name="test")
    await connection.execute(TABLES)
    yield connection
    await connection.close()


async def valid(db: asyncpg.Connection, name: str) -> bool | None:
    return await db.fetchval("select indisvalid from pg_index where indexrelid = to_regclass($1)", f"stuff.{name}")


async def test_indexes_are_made_while_the_table_is_written(database, owner) -> None:
    writer = await connect(database.owner_dsn, name="writer")
    begun, made = asyncio.Event(), False

    async def write() -> None:
        while not made:
            async with writer.transaction():
                await writer.execute("insert into stuff.thing (word) values ('more')")
                begun.set()
                await asyncio.sleep(0.05)

    writing = asyncio.create_task(write())
    await begun.wait()
    assert [one.name for one in await migrate(database.owner_dsn, [Migration(9001, "online", ONLINE)])] == ["online"]
    made = True
    await writing
    await writer.close()
    for name in ("thing_word", "event_word", "event_1_event_word", "event_2_event_word"):
        assert await valid(owner, name)
    await owner.execute(
        "create table stuff.event_3 partition of stuff.event for values from ('2026-01-03') to ('2026-01-04')"
    )
    assert await owner.fetchval("select count(*) from pg_indexes where tablename = 'event_3'") == 1
    assert await migrate(database.owner_dsn, [Migration(9001, "online", ONLINE)]) == []


async def test_an_interrupted_one_goes_on_where_it_stopped(database, owner) -> None:
    await owner.execute("insert into stuff.thing (word) values ('twice'), ('twice')")
    unique = ONLINE.replace("create index concurrently thing", "create unique index concurrently thing")
    changed = Migration(9001, "online", "create table stuff.new (id int);\n" + unique)
    with pytest.raises(asyncpg.UniqueViolationError):
        await migrate(database.owner_dsn, [changed])
    assert await valid(owner, "thing_word") is False
    assert await owner.fetchval("select unfinished from base.migration where version = 9001")
    await owner.execute("delete from stuff.thing where word = 'twice'")
    await owner.execute("create index event_word on only stuff.event (word) where word is not null")  # as if half made
    assert await migrate(database.owner_dsn, [changed]) == [changed]
    assert await valid(owner, "thing_word")
    assert await valid(owner, "event_word")
    assert not await owner.fetchval("select unfinished from base.migration where version = 9001")
    with pytest.raises(ChangedMigration):
        await migrate(database.owner_dsn, [Migration(9001, "online", ONLINE)])


async def test_an_index_that_is_not_needed_goes(database, owner) -> None:
    await owner.execute("create index thing_word on stuff.thing (word)")
    gone = Migration(9001, "gone", "-- outside a transaction\ndrop index concurrently stuff.thing_word;")
    assert await migrate(database.owner_dsn, [gone]) == [gone]
    assert await valid(owner, "thing_word") is None
    await owner.execute(
        "update base.migration set unfinished = true where version = 9001"
    )  # as if killed before it said so
    assert await migrate(database.owner_dsn, [gone]) == [gone]


async def test_an_index_of_a_partitioned_table_goes_with_its_parts(database, owner) -> None:
    await owner.execute("create index event_word on stuff.event (word)")
    gone = Migration(9001, "gone", "-- outside a transaction\ndrop index concurrently stuff.event_word;")
    assert await migrate(database.owner_dsn, [gone]) == [gone]
    assert await owner.fetchval("select count(*) from pg_indexes where tablename like 'event%'") == 0


async def test_a_table_in_use_is_waited_for_without_holding_others_up(database, owner) -> None:
    reader = await connect(database.owner_dsn, name="reader")
    reading = reader.transaction()
    await reading.start()
    await reader.fetch("select count(*) from stuff.thing")  # keeps the table from being altered until it ends
    alter = Migration(9001, "alter", "alter table stuff.thing add column more text")
    migrating = asyncio.create_task(migrate(database.owner_dsn, [alter]))
    for _ in range(20):  # each would wait for the reader, behind the migration, if that did not give way
        async with asyncio.timeout(20):
            await owner.execute("insert into stuff.thing (word) values ('meanwhile')")
        await asyncio.sleep(0.1)
    assert not migrating.done()
    await reading.rollback()
    assert await migrating == [alter]
    await reader.close()


async def test_two_at_once_do_it_once(database, owner) -> None:
    online = Migration(9001, "online", ONLINE)
    done = await asyncio.gather(*(migrate(database.owner_dsn, [online]) for _ in range(3)))
    assert sorted(map(len, done)) == [0, 0, 1]


@pytest.mark.parametrize(
    "statement",
    [
        "create index thing_word on stuff.thing (word)",
        "create index concurrently on stuff.thing (word)",
        "update stuff.thing set word = ''",
    ],
)
async def test_what_cannot_be_begun_again_is_refused(database, owner, statement: str) -> None:
    with pytest.raises(ValueError, match="outside a transaction"):
        await migrate(database.owner_dsn, [Migration(9001, "odd", f"-- outside a transaction\n{statement};")])
    assert not await owner.fetchval("select exists (select from base.migration where version = 9001)")


def test_no_file_makes_an_index_on_a_table_in_use_the_slow_way() -> None:
    """Tables that a file did not make itself may be large: an index on one locks out every writer."""
    held_up = []
    for migration in discover(ROOMS):
        made = [line.split()[2] for line in migration.inside.splitlines() if line.startswith("create table ")]
        for line in migration.inside.splitlines():
            if line.startswith(("create index ", "create unique index ")):
                table = line.partition(" on ")[2].split()[0]
                if table not in (*made, "tasks.slot"):  # a row a team
                    held_up.append(f"{migration.name}: {line}")
        assert isinstance(migration.outside, list)
    assert held_up == []
