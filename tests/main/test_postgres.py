"""The embedded PostgreSQL, with real processes."""

from __future__ import annotations

import asyncpg
import pytest


async def test_a_test_database_is_migrated_by_the_owner_and_used_by_the_application_role(pool, database):
    assert await pool.fetchval("select current_user") == "modellix_app"
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await pool.execute("create table public.forbidden ()")
    owner = await asyncpg.connect(database.owner_dsn)
    try:
        assert await owner.fetchval("select to_regclass('base.migration') is not null")
        assert not await owner.fetchval("select rolsuper from pg_roles where rolname = current_user")
    finally:
        await owner.close()
