"""Columns that hold sealed secrets: each room declares its own, and all of them rotate together.

A column has the type `bytea` and holds values of `base.envelope`. A room lists its columns in `SEALED`; a test
compares those with every `bytea` column of the database.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from modellix_server.base import faults
from modellix_server.base.database import Connection, Pool
from modellix_server.base.envelope import KEY_ID, CannotOpen, Keyring

_ID_IN_SQL = f"substr(%s, {KEY_ID.start + 1}, {KEY_ID.stop - KEY_ID.start})"


@dataclass(frozen=True, slots=True)
class SealedColumn:
    """A column of sealed secrets. All names are inserted into SQL: they must be constants."""

    table: str
    """`schema.table`."""
    column: str
    row: tuple[str, ...]
    """Columns of the primary key."""
    bound: tuple[str, ...]
    """Columns whose values, as text, are bound into the seal: the row's key, and what must not change beside it."""

    @property
    def name(self) -> str:
        """`schema.table.column`."""
        return f"{self.table}.{self.column}"

    def context(self, *values: str) -> tuple[str, ...]:
        """What a secret in this column is sealed for; the values are those of `bound`."""
        assert len(values) == len(self.bound)
        return (self.name, *values)


@dataclass(slots=True)
class Tally:
    """Result of a rotation for one column, or of a dry run."""

    rewrapped: int = 0
    unopened: list[str] = field(default_factory=list)
    """`row: why`, for values that were not rotated."""


async def key_ids(db: Pool | Connection, column: SealedColumn) -> Counter[bytes]:
    """How many values there are under each master key, by its id."""
    key = _ID_IN_SQL % column.column
    rows = await db.fetch(
        f"select {key}, count(*) from {column.table} where {column.column} is not null group by 1"  # noqa: S608
    )
    return Counter({bytes(row[0]): row[1] for row in rows})


async def unopened(db: Pool | Connection, column: SealedColumn, keys: Keyring) -> list[str]:
    """`row: why` for each value that cannot be opened."""
    found = []
    for row in await _values(db, column):
        try:
            keys.open(row["sealed"], *column.context(*row["bound"]))
        except CannotOpen as error:
            found.append(f"{_name(column, row)}: {error}")
    return found


async def rewrap(db: Pool | Connection, column: SealedColumn, keys: Keyring, *, dry_run: bool = False) -> Tally:
    """Re-wrap every value under the current master key, each in a transaction of its own.

    Values that already are under it are skipped, so the next run continues an interrupted one. A value that changed
    meanwhile is skipped too: it was sealed under the current key.
    """
    tally = Tally()
    places = " and ".join(f"{name} = ${3 + at}" for at, name in enumerate(column.row))
    for row in await _values(db, column, besides=keys.current_id):
        try:
            fresh = keys.rewrap(row["sealed"], *column.context(*row["bound"]))
        except CannotOpen as error:
            tally.unopened.append(f"{_name(column, row)}: {error}")
            continue
        if not dry_run:
            await db.execute(
                f"update {column.table} set {column.column} = $1 where {column.column} = $2 and {places}",  # noqa: S608
                fresh,
                row["sealed"],
                *(row[name] for name in column.row),
            )
            await faults.point("sealed_value_moved")
        tally.rewrapped += 1
    return tally


async def _values(db: Pool | Connection, column: SealedColumn, besides: bytes | None = None) -> list[Any]:
    bound = ", ".join(f"{name}::text" for name in column.bound)
    names = ", ".join(column.row)
    return await db.fetch(
        f"""select {names}, array[{bound}]::text[] as bound, {column.column} as sealed from {column.table}
            where {column.column} is not null and ($1::bytea is null or {_ID_IN_SQL % column.column} <> $1)
            order by {names}""",  # noqa: S608 - constants
        besides,
    )


def _name(column: SealedColumn, row: Any) -> str:
    return f"{column.table} {', '.join(str(row[name]) for name in column.row)}"
