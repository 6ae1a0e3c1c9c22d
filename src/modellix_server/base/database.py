"""PostgreSQL: pools, and the session settings every connection gets."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

import asyncpg

from modellix_server.base.errors import Unavailable
from modellix_server.base.settings import BadSettings

Row: TypeAlias = "asyncpg.Record"
Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record] | asyncpg.pool.PoolConnectionProxy[asyncpg.Record]"
Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"

# What the driver raises when the database cannot be asked or cannot act for now, as opposed to when it says no.
UNREACHABLE: tuple[type[Exception], ...] = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,  # shutting down, starting up, a statement cut off, the database dropped
    asyncpg.InsufficientResourcesError,  # disk full, out of memory, too many connections
    asyncpg.ObjectNotInPrerequisiteStateError,  # closed to connections
    asyncpg.ReadOnlySQLTransactionError,  # a standby, before or after a failover
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # a connection that the server ends at the moment of its use
)

# Whatever a query can raise.
DATABASE_ERRORS: tuple[type[Exception], ...] = (asyncpg.PostgresError, *UNREACHABLE)


def refused(error: Exception) -> bool:
    """Whether the database, or the driver for a value it cannot send, said no, and would say so again."""
    if isinstance(error, ValueError):  # the driver's own, which it derives from its errors of use
        return True
    return not isinstance(error, (*UNREACHABLE, asyncpg.TransactionRollbackError))


# A pool runs few statements very often, all of them look-ups by index. Plans for one set of arguments cost more than
# they save, and plans made while a table was still small would scan it from end to end when it no longer is.
_PLANS = {"plan_cache_mode": "force_generic_plan", "enable_seqscan": "off"}


async def open_pool(dsn: str, *, size: int, name: str, statement_timeout_ms: int = 10_000) -> Pool:
    """A pool of at most `size` connections whose statements are cut off after the time-out.

    Nothing that is set for a session may be changed on its connections: they are not reset between uses,
    which would be one more exchange with the database for each call.
    """
    session = _session(name, statement_timeout_ms)
    session["server_settings"] |= _PLANS
    return await asyncpg.create_pool(dsn, min_size=1, max_size=size, timeout=5, reset=_leave_as_it_is, **session)


async def _leave_as_it_is(_connection: object) -> None:
    return None


@asynccontextmanager
async def browsing(db: Pool) -> AsyncIterator[Connection]:
    """A connection for reading lists, in one snapshot, with plans made for the very values that are looked for.

    What is rare needs another index than what most rows have, which a plan for any value cannot know.
    """
    async with db.acquire() as connection, connection.transaction(isolation="repeatable_read", readonly=True):
        await connection.execute("set local plan_cache_mode = force_custom_plan")
        yield connection


async def connect(dsn: str, *, name: str, statement_timeout_ms: int = 60_000) -> asyncpg.Connection[asyncpg.Record]:
    """One direct connection: for advisory locks, LISTEN, migrations and commands."""
    return await asyncpg.connect(dsn, timeout=5, **_session(name, statement_timeout_ms))


def _session(name: str, statement_timeout_ms: int) -> dict[str, Any]:
    return {
        "command_timeout": statement_timeout_ms / 1000 + 5,
        "server_settings": {
            "application_name": f"modellix-{name}",
            "jit": "off",
            "statement_timeout": str(statement_timeout_ms),
            "idle_in_transaction_session_timeout": "30000",
            "timezone": "UTC",
        },
    }


async def require_durability(db: Pool) -> None:
    """Refuse to run money on a database that may forget a commit.

    Raises Unavailable when fsync or synchronous_commit is off.
    """
    for setting in ("fsync", "synchronous_commit", "full_page_writes"):
        if await db.fetchval("select current_setting($1)", setting) == "off":
            raise Unavailable(f"the database runs with {setting}=off, which can lose committed money")


async def require_limited_role(db: Pool) -> None:
    """Refuse a role for which the database's own guards do not hold.

    Raises BadSettings for a superuser, and for an owner of tables: it could change what is append-only.
    """
    strong = await db.fetchval(
        """select case when (select rolsuper from pg_roles where rolname = current_user) then 'is a superuser'
                       when exists (select from pg_class c join pg_namespace n on n.oid = c.relnamespace
                                    where n.nspname !~ '^(pg_|information_schema$)' and c.relkind in ('r', 'p')
                                      and pg_has_role(c.relowner, 'member')) then 'owns tables' end"""
    )
    if strong:
        raise BadSettings(
            f"MODELLIX_DATABASE_URL names a role that {strong}: use modellix_app there, which can change no "
            "transfer, and the owner in MODELLIX_OWNER_DATABASE_URL alone"
        )
