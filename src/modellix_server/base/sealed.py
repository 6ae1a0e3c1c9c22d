"""Columns that hold sealed secrets: each room declares its own, and all of them rotate together.

A column is of type `bytea` and holds what `base.envelope` makes. A room that adds one enters it in its
`SEALED`; a test compares those with every `bytea` column there is.
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
    """A column of sealed secrets. All names are written into SQL: they are constants of a room."""

    table: str
    """`schema.table`."""
    column: str
    row: tuple[str, ...]
    """Columns of the primary key."""
    bound: tuple[str, ...]
    """Columns whose values, as text, are bound into the seal: the row's, and what must not change beside it."""

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
    """What became of the values of one column, or in a dry run: what would."""

    rewrapped: int = 0
    unopened: list[str] = field(default_factory=list)
    """`row: why`, for values that stay as they are."""


async def key_ids(db: Pool | Connection, column: SealedColumn) -> Counter[bytes]:
    """How many values there are under each master key, by its id."""
    key = _ID_IN_SQL % column.column
    rows = await db.fetch(
        f"select {key}, count(*) from {column.table} where {column.column} is not null group by 1"  # noqa: S608
    )
    return Counter({bytes(row[0]): row[1] for row in rows})


async def unopened(db: Pool | Connection, column: SealedColumn, keys: Keyring) -> list[str]:
    """`row: why` for each value that does not open."""
    found = []
    for row in await _values(db, column):
        try:
            keys.open(row["sealed"], *column.context(*row["bound"]))
        except CannotOpen as error:
            found.append(f"{_name(column, row)}: {error}")
    return found


async def rewrap(db: Pool | Connection, column: SealedColumn, keys: Keyring, *, dry_run: bool = False) -> Tally:
    """Bring every value under the current master key, each in a transaction of its own.

    What is already there is left alone, so an interrupted run is continued by another. A value that changed
    meanwhile is left too: whoever wrote it sealed it anew.
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
