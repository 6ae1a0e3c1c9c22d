"""SQL functions are what their files say: applied when those change, all at once, and never over newer ones."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import asyncpg
import pytest

from modellix_server.base.database import connect
from modellix_server.base.functions import FunctionFile, discover_functions
from modellix_server.base.migrations import Migration, discover, migrate
from modellix_server.operations.maintenance.migrate import ROOMS

LAST_MIGRATION_WITH_FUNCTIONS = 26
TABLES = Migration(9001, "9001_stuff.sql", "create schema stuff; create table stuff.thing (id int, word text);")
COUNT = FunctionFile(
    "stuff",
    "stuff/count.sql",
    """create or replace function stuff.count() returns bigint language sql as $$ select count(*) from stuff.thing $$;
       grant execute on function stuff.count to modellix_app;""",
)
OUTER = FunctionFile(
    "stuff",
    "stuff/before_what_it_calls.sql",
    "create or replace function stuff.outer() returns bigint language sql as $$ select stuff.count() $$;",
)


@pytest.fixture
async def owner(database):
    connection = await connect(database.owner_dsn, name="test")
    yield connection
    await connection.close()


async def test_what_changed_is_applied_and_nothing_else(database, owner) -> None:
    assert await migrate(database.owner_dsn, discover(ROOMS), discover_functions(ROOMS)) == []
    ours = [*discover(ROOMS), TABLES]
    assert await migrate(database.owner_dsn, ours, [OUTER, COUNT]) == [TABLES, OUTER, COUNT]
    assert await owner.fetchval("select stuff.outer()") == 0
    two = replace(COUNT, sql=COUNT.sql.replace("count(*)", "count(*) + 2"))
    assert await migrate(database.owner_dsn, ours, [OUTER, two]) == [two]
    assert await owner.fetchval("select stuff.outer()") == 2
    assert await migrate(database.owner_dsn, ours, [OUTER, two]) == []


async def test_only_whom_a_file_names_may_call_it(database, owner) -> None:
    await migrate(database.owner_dsn, [*discover(ROOMS), TABLES], [OUTER, COUNT])
    may = "select has_function_privilege('modellix_app', $1, 'execute')"
    assert await owner.fetchval(may, "stuff.count()")
    assert not await owner.fetchval(may, "stuff.outer()")


async def test_all_or_none(database, owner) -> None:
    ours = [*discover(ROOMS), TABLES]
    await migrate(database.owner_dsn, ours, [COUNT])
    broken = replace(OUTER, sql="create or replace function stuff.outer() returns nonsense")
    with pytest.raises(asyncpg.PostgresError):
        await migrate(database.owner_dsn, ours, [replace(COUNT, sql=COUNT.sql.replace("(*)", "(*) + 1")), broken])
    assert await owner.fetchval("select stuff.count()") == 0
    assert await migrate(database.owner_dsn, ours, [COUNT]) == []


async def test_an_earlier_version_leaves_the_functions_of_a_later_one(database, owner) -> None:
    later = replace(COUNT, sql=COUNT.sql.replace("count(*)", "count(*) + 2"))
    await migrate(database.owner_dsn, [*discover(ROOMS), TABLES], [later])
    assert await migrate(database.owner_dsn, discover(ROOMS), [COUNT]) == []
    assert await owner.fetchval("select stuff.count()") == 2


async def test_two_at_once_do_it_once(database) -> None:
    ours = [*discover(ROOMS), TABLES]
    done = await asyncio.gather(*(migrate(database.owner_dsn, ours, [COUNT]) for _ in range(3)))
    assert sorted(map(len, done)) == [0, 0, 2]


async def test_every_function_has_a_file_whose_body_fits_the_tables(database, owner) -> None:
    """Bodies are bound when they are called, so `migrate` does not look at them."""
    files = discover_functions(ROOMS)
    names = "select oid::regprocedure::text from pg_proc where pronamespace::regnamespace::text = any ($1)"
    schemas = [file.schema for file in files]
    known = {row[0] for row in await owner.fetch(names, schemas)}
    transaction = owner.transaction()
    await transaction.start()
    await owner.execute("set local check_function_bodies = on")
    for file in files:
        await owner.execute(file.sql)
    made = {row[0] for row in await owner.fetch(f"{names} and xmin = pg_current_xact_id()::xid", schemas)}
    await transaction.rollback()
    assert made == known


async def test_everyone_else_may_call_nothing(database, owner) -> None:
    open_to_all = await owner.fetch(
        """select p.oid::regprocedure
           from pg_proc p cross join aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
           where p.pronamespace::regnamespace::text = any ($1) and a.grantee = 0""",
        [file.schema for file in discover_functions(ROOMS)],
    )
    assert open_to_all == []


def test_migrations_make_no_functions_any_more() -> None:
    late = [one for one in discover(ROOMS) if one.version > LAST_MIGRATION_WITH_FUNCTIONS]
    assert [one.name for one in late if "create function" in one.sql or "create or replace function" in one.sql] == []
