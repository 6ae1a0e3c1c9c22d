"""PostgreSQL: pools, and the session settings every connection gets."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

import asyncpg

from modellix_server.base import time_budget
from modellix_server.base.errors import Unavailable
from modellix_server.base.settings import BadSettings

Row: TypeAlias = "asyncpg.Record"
Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record] | asyncpg.pool.PoolConnectionProxy[asyncpg.Record]"

# What the driver raises when the database cannot be reached or cannot act for now, as opposed to a refusal.
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
    """Whether the database, or the driver for a value that it cannot send, refused, and would refuse again."""
    if isinstance(error, ValueError):  # the driver's own, a subclass of its usage errors
        return True
    return not isinstance(error, (*UNREACHABLE, asyncpg.TransactionRollbackError))


# A pool runs few statements very often, all of them look-ups by index. Plans for one set of arguments cost more than
# they save, and plans made while a table was still small would scan it from end to end when it no longer is.
_PLANS = {"plan_cache_mode": "force_generic_plan", "enable_seqscan": "off"}


_CLOSE_S = 3.0


class _Line(asyncpg.Connection):
    """A connection that is closed when one of its statements is cancelled: its block in `Pool` terminates it.

    The driver would ask the server, over a connection of its own, to stop the statement, and make the caller wait
    until it has. A frozen server never does; a live one notices the closed connection within a second
    (`client_connection_check_interval`).
    """

    given_up = False

    @contextlib.contextmanager
    def _noticing(self) -> Iterator[None]:
        try:
            yield
        except (TimeoutError, asyncio.CancelledError):
            self.given_up = True
            raise

    async def execute(self, query: str, *args: Any, **options: Any) -> str:
        if self.given_up and query.startswith("ROLLBACK"):
            return "ROLLBACK"  # the end of a cancelled block: the transaction ends with the connection
        with self._noticing():
            return await super().execute(query, *args, **options)

    async def fetch(self, *args: Any, **options: Any) -> Any:
        with self._noticing():
            return await super().fetch(*args, **options)

    async def fetchrow(self, *args: Any, **options: Any) -> Any:
        with self._noticing():
            return await super().fetchrow(*args, **options)

    async def fetchval(self, *args: Any, **options: Any) -> Any:
        with self._noticing():
            return await super().fetchval(*args, **options)

    async def executemany(self, *args: Any, **options: Any) -> None:
        with self._noticing():
            await super().executemany(*args, **options)

    async def copy_records_to_table(self, *args: Any, **options: Any) -> str:
        with self._noticing():
            return await super().copy_records_to_table(*args, **options)


class Pool:
    """A pool of connections. Each statement takes one, as `acquire` does for several statements.

    The statements of a request count against its time budget: raises TimeoutError when that has ended.
    """

    def __init__(self, connections: asyncpg.Pool[asyncpg.Record]) -> None:
        self._connections = connections

    @asynccontextmanager
    async def acquire(self) -> AsyncIterator[Connection]:
        """A connection for the block, which must do nothing but call the database."""
        limit = time_budget.current()
        if limit is None:
            async with self._acquire() as connection:
                yield connection
            return
        asked = time.monotonic()
        try:
            async with asyncio.timeout(limit.left_s), self._acquire() as connection:
                yield connection
        finally:
            limit.left_s -= time.monotonic() - asked

    @asynccontextmanager
    async def _acquire(self) -> AsyncIterator[Connection]:
        async with self._connections.acquire() as connection:
            try:
                yield connection
            finally:
                if getattr(connection, "given_up", False):  # the pool was closed meanwhile
                    connection.terminate()

    async def fetch(self, query: str, *arguments: Any) -> list[Row]:
        """All rows."""
        async with self.acquire() as connection:
            return await connection.fetch(query, *arguments)

    async def fetchrow(self, query: str, *arguments: Any) -> Row | None:
        """The first row, if there is one."""
        async with self.acquire() as connection:
            return await connection.fetchrow(query, *arguments)

    async def fetchval(self, query: str, *arguments: Any) -> Any:
        """The first column of the first row."""
        async with self.acquire() as connection:
            return await connection.fetchval(query, *arguments)

    async def execute(self, query: str, *arguments: Any) -> str:
        """Run a statement; its tag, such as `UPDATE 1`."""
        async with self.acquire() as connection:
            return await connection.execute(query, *arguments)

    async def close(self) -> None:
        """Close all connections, gracefully where the database answers soon."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_CLOSE_S):  # afterwards the driver terminates the others
                await self._connections.close()

    def terminate(self) -> None:
        """Terminate all connections at once."""
        self._connections.terminate()

    @property
    def most(self) -> int:
        """How many connections there may be."""
        return self._connections.get_max_size()

    @property
    def open(self) -> int:
        """How many are open."""
        return self._connections.get_size()

    @property
    def idle(self) -> int:
        """How many are idle."""
        return self._connections.get_idle_size()


async def open_pool(dsn: str, *, size: int, name: str, statement_timeout_ms: int = 10_000) -> Pool:
    """A pool of at most `size` connections whose statements end at the time-out.

    Session settings must not be changed on its connections: they are not reset between uses, which would cost one
    more round trip for each call.
    """
    session = _session(name, statement_timeout_ms)
    session["server_settings"] |= _PLANS
    return Pool(
        await asyncpg.create_pool(
            dsn,
            min_size=1,
            max_size=size,
            timeout=5,
            reset=_leave_as_it_is,
            connection_class=_Line,
            **session,
        )
    )


async def _leave_as_it_is(_connection: object) -> None:
    return None


@asynccontextmanager
async def browsing(db: Pool) -> AsyncIterator[Connection]:
    """A connection for reading lists, in one snapshot, with plans for the actual values.

    A rare value needs another index than a frequent one, which a generic plan cannot know.
    """
    async with db.acquire() as connection, connection.transaction(isolation="repeatable_read", readonly=True):
        await connection.execute("set local plan_cache_mode = force_custom_plan")
        yield connection


async def connect(dsn: str, *, name: str, statement_timeout_ms: int = 60_000) -> asyncpg.Connection[asyncpg.Record]:
    """One direct connection: for advisory locks, LISTEN, migrations and commands."""
    return await asyncpg.connect(dsn, timeout=5, **_session(name, statement_timeout_ms))


def _session(name: str, statement_timeout_ms: int) -> dict[str, Any]:
    return {
        "command_timeout": statement_timeout_ms / 1000 + 2,
        "server_settings": {
            "application_name": f"modellix-{name}",
            "jit": "off",
            "statement_timeout": str(statement_timeout_ms),
            "idle_in_transaction_session_timeout": "30000",
            # A statement whose client has disconnected ends soon.
            "client_connection_check_interval": "1000",
            "timezone": "UTC",
        },
    }


async def require_durability(db: Pool) -> None:
    """Refuse a database that may lose a commit.

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
