"""SQL functions: files of each room, always the current version.

A file is `<room>/functions/<name>.sql`: `create or replace` of one function, its purpose above, its grants and
triggers below. A function with the arguments of the last release is in `functions/previous/` as long as a rolling
upgrade from that release is supported, and `functions/dropped.sql` drops what no version needs.

`migrate` applies every file whose text has changed, all in one transaction, after the migrations. Bodies are bound
when they are called, so the order of the files does not matter.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable

from modellix_server.base.online import Connection, giving_way

JOURNAL = """
    create table if not exists base.function (
        name text primary key, checksum text not null, applied_at timestamptz not null default now()
    );
"""
_DROPPED = "dropped.sql"


@dataclass(frozen=True, slots=True)
class FunctionFile:
    """One SQL file."""

    schema: str
    """The schema of the functions: the room's."""
    name: str
    """`<room>/<path below functions>`."""
    sql: str

    @property
    def checksum(self) -> str:
        """SHA-256 of the text, to detect a change."""
        return hashlib.sha256(self.sql.encode()).hexdigest()


def discover_functions(packages: Iterable[str]) -> list[FunctionFile]:
    """All function files of the named packages, in the order of their application: drops come last."""
    found: list[FunctionFile] = []
    for package in packages:
        top, *rooms = package.split(".")
        folder = files(top).joinpath(*rooms, "functions")
        found += [FunctionFile(rooms[-1], f"{rooms[-1]}/{name}", sql) for name, sql in _read(folder)]
    return sorted(found, key=lambda file: (file.name.endswith(_DROPPED), file.name))


def _read(folder: Traversable, prefix: str = "") -> Iterator[tuple[str, str]]:
    if folder.is_dir():
        for entry in folder.iterdir():
            if entry.is_dir():
                yield from _read(entry, f"{prefix}{entry.name}/")
            else:
                yield prefix + entry.name, entry.read_text(encoding="utf-8")


async def applied_functions(db: Connection) -> dict[str, str]:
    """What this database has: name -> checksum."""
    return {row["name"]: row["checksum"] for row in await db.fetch("select name, checksum from base.function")}


def outdated(functions: Sequence[FunctionFile], applied: Mapping[str, str]) -> list[FunctionFile]:
    """Those whose current text was not applied."""
    return [file for file in functions if applied.get(file.name) != file.checksum]


async def apply_functions(db: Connection, functions: Sequence[FunctionFile]) -> list[FunctionFile]:
    """Apply what has changed, as the owner role, and return it. Raises LockNotAvailableError, see `giving_way`."""
    due = outdated(functions, await applied_functions(db))
    if not due:
        return []
    schemas = ", ".join(sorted({file.schema for file in due}))

    async def apply() -> None:
        await db.execute("set local check_function_bodies = off")
        for file in due:
            await db.execute(file.sql)
        # PostgreSQL lets everyone execute a new function. Ours may be executed only by the roles that their files name.
        await db.execute(f"revoke execute on all functions in schema {schemas} from public")
        await db.executemany(
            """insert into base.function (name, checksum) values ($1, $2)
               on conflict (name) do update set checksum = excluded.checksum, applied_at = now()""",
            [(file.name, file.checksum) for file in due],
        )

    await giving_way(db, "functions", apply)
    return due
