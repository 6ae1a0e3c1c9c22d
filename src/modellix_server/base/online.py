"""Schema changes of a database in use that block no other transaction for long.

A short change gives up when a table is locked, and is tried again. A slow change is one statement outside a
transaction, which can be restarted.
"""

import asyncio
import contextlib
import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias

import asyncpg

from modellix_server.base import log

_INDEX = re.compile(
    r"create (?P<unique>unique )?index concurrently (?P<name>\w+) on (?P<schema>\w+)\.(?P<table>\w+) (?P<rest>.+)",
    re.DOTALL,
)
_DROP = re.compile(r"drop index concurrently (?P<schema>\w+)\.(?P<name>\w+)")
_VALIDATE = re.compile(r"alter table \w+\.\w+ validate constraint \w+")
_COMMENT = re.compile(r"--.*$", re.MULTILINE)
_LIMIT_S = 24 * 3600.0
# A statement that waits for a lock blocks every later one. So it gives up first: before PostgreSQL checks for a
# deadlock, which might abort a submission instead.
_LOCK_TIMEOUT_MS = 800
_RETRY_FOR_S = 600.0
_RETRY_PAUSE_S = 1.0
_LONGEST_NAME = 63  # of PostgreSQL

_log = log.get("base")

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"


async def giving_way(db: Connection, what: str, change: Callable[[], Awaitable[None]]) -> None:
    """Run a change in a transaction of its own; when a table is locked, give up and try again.

    Raises asyncpg's LockNotAvailableError when it was in use for ten minutes.
    """
    give_up = time.monotonic() + _RETRY_FOR_S
    while True:
        try:
            async with db.transaction():
                await db.execute(f"set local lock_timeout = {_LOCK_TIMEOUT_MS}")
                await change()
        except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError) as error:
            if time.monotonic() > give_up:
                raise
            _log.info("a table is in use, trying again", change=what, error=type(error).__name__)
            await asyncio.sleep(_RETRY_PAUSE_S)
        else:
            return


@dataclass(frozen=True, slots=True)
class Index:
    """An index to be created while its table is in use; the table may be partitioned."""

    unique: str
    name: str
    schema: str
    table: str
    rest: str
    """Columns and what follows them."""


@dataclass(frozen=True, slots=True)
class Validation:
    """A constraint that was added as `not valid` and is now validated."""

    sql: str


@dataclass(frozen=True, slots=True)
class Removal:
    """An index that is no longer needed."""

    schema: str
    name: str


Statement = Index | Validation | Removal


def read_statements(text: str) -> list[Statement]:
    """The statements of a text; ValueError for one that cannot be restarted, or would block others."""
    found: list[Statement] = []
    for part in _COMMENT.sub("", text).split(";"):
        sql = " ".join(part.split())
        if not sql:
            continue
        if index := _INDEX.fullmatch(sql):
            found.append(Index(index["unique"] or "", index["name"], index["schema"], index["table"], index["rest"]))
        elif index := _DROP.fullmatch(sql):
            found.append(Removal(index["schema"], index["name"]))
        elif _VALIDATE.fullmatch(sql):
            found.append(Validation(sql))
        else:
            raise ValueError(f"this cannot run outside a transaction: {sql[:80]}")
    return found


async def carry_out(db: Connection, statement: Statement) -> None:
    """Run one statement, or the rest of an interrupted one. Its duration grows with the table."""
    await db.execute("set statement_timeout = 0")
    try:
        if isinstance(statement, Validation):
            await db.execute(statement.sql, timeout=_LIMIT_S)  # of a valid constraint: does nothing
        elif isinstance(statement, Removal):
            await _remove(db, statement)
        elif await _is_partitioned(db, statement.schema, statement.table):
            await _make_in_parts(db, statement)
        else:
            await _make(db, statement, statement.name, statement.table)
    finally:
        await db.execute("reset statement_timeout")


async def _remove(db: Connection, index: Removal) -> None:
    """Drop an index, if it is there. A partitioned one goes with those of its partitions, for which all are locked."""
    name = f"{index.schema}.{index.name}"
    if await _valid(db, index.schema, index.name) is None:
        return
    if await _is_partitioned(db, index.schema, index.name):
        await giving_way(db, f"drop index {name}", lambda: _drop(db, name))
    else:
        await db.execute(f"drop index concurrently {name}", timeout=_LIMIT_S)


async def _drop(db: Connection, name: str) -> None:
    await db.execute(f"drop index {name}")


async def _make(db: Connection, index: Index, name: str, table: str) -> None:
    """One index on one table. An interrupted attempt leaves an invalid one behind, which is dropped first."""
    valid = await _valid(db, index.schema, name)
    if valid:
        return
    if valid is not None:
        await db.execute(f"drop index concurrently {index.schema}.{name}", timeout=_LIMIT_S)
    await db.execute(
        f"create {index.unique}index concurrently {name} on {index.schema}.{table} {index.rest}", timeout=_LIMIT_S
    )


async def _make_in_parts(db: Connection, index: Index) -> None:
    """On a partitioned table: an index on the parent only, which new partitions follow, then one on each partition.

    The parent's becomes valid by itself when each partition has its own.
    """
    if await _valid(db, index.schema, index.name) is None:
        await db.execute(f"create {index.unique}index {index.name} on only {index.schema}.{index.table} {index.rest}")
    while not await _valid(db, index.schema, index.name):
        part = await _part_without(db, index)
        if part is None:
            raise RuntimeError(f"index {index.name} does not become valid")
        name = f"{part}_{index.name}"[:_LONGEST_NAME]
        with contextlib.suppress(asyncpg.UndefinedTableError):  # old days are dropped meanwhile
            await _make(db, index, name, part)
            await db.execute(f"alter index {index.schema}.{index.name} attach partition {index.schema}.{name}")


async def _is_partitioned(db: Connection, schema: str, name: str) -> bool:
    """Whether a table or an index is made of parts."""
    kind = await db.fetchval("select relkind from pg_class where oid = $1::text::regclass", f"{schema}.{name}")
    return kind in (b"p", b"I")


async def _valid(db: Connection, schema: str, name: str) -> bool | None:
    """Whether an index is ready for use; None when there is none."""
    valid: bool | None = await db.fetchval(
        "select indisvalid from pg_index where indexrelid = to_regclass($1)", f"{schema}.{name}"
    )
    return valid


async def _part_without(db: Connection, index: Index) -> str | None:
    """A partition of the table whose index is not attached to the parent's yet."""
    part: str | None = await db.fetchval(
        """select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid
           where i.inhparent = $1::text::regclass and not exists (
               select from pg_index x join pg_inherits xi on xi.inhrelid = x.indexrelid
               where x.indrelid = c.oid and xi.inhparent = $2::text::regclass)
           order by c.relname limit 1""",
        f"{index.schema}.{index.table}",
        f"{index.schema}.{index.name}",
    )
    return part
