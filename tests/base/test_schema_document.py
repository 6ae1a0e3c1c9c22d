"""docs/schema.sql is the whole database as the migrations and function files make it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from scripts.schema import TARGET, render

from modellix_server.base.database import connect
from modellix_server.operations.maintenance.backup import run_program


@pytest.fixture
async def owner(database):
    connection = await connect(database.owner_dsn, name="test")
    yield connection
    await connection.close()


async def test_it_is_what_the_database_is_now(owner) -> None:
    text = TARGET.read_text(encoding="utf-8")
    if f"PostgreSQL {owner.get_server_version().major}." not in text:
        pytest.skip("it was made by another PostgreSQL, which words its catalogue in another way")
    assert await render(owner) == text, "run `python scripts/schema.py`"


async def test_loaded_into_an_empty_database_it_makes_the_same(postgres_server, database, owner, tmp_path) -> None:
    loaded = await postgres_server.create(f"{database.name}_loaded", "template1")
    try:
        connection = await connect(loaded.owner_dsn, name="test")
        await connection.execute(await render(owner))
        await connection.close()
        assert await dump(loaded.owner_dsn, tmp_path / "loaded") == await dump(database.owner_dsn, tmp_path / "made")
    finally:
        await postgres_server.setup.execute(f"drop database {loaded.name} with (force)")


async def dump(dsn: str, file: Path) -> str:
    """The dump of all but data and comments, without the random words around it, and without the brackets.

    `a between 1 and 2 and b` keeps brackets of its own in a dump, `a >= 1 and a <= 2 and b` has none.
    """
    await run_program("pg_dump", dsn, "--schema-only", "--no-comments", f"--file={file}", limit_s=60)
    return re.sub(r"^\\(un)?restrict .*$|[()]", "", file.read_text(encoding="utf-8"), flags=re.MULTILINE)
