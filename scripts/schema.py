"""Writes docs/schema.sql: the whole database as the migrations and function files make it, read from its catalogues.

Usage: python scripts/schema.py. Run it after each change of a migration or a function; a test compares. The text can be
loaded into an empty database of a server that has the role modellix_app. Comments are those of the catalogue.
"""

from __future__ import annotations

import asyncio
import re
import shutil
import tempfile
import textwrap
from collections.abc import Iterable
from pathlib import Path

import asyncpg

from modellix_server.base.database import connect
from modellix_server.base.functions import discover_functions
from modellix_server.base.migrations import discover, migrate
from modellix_server.embedded.data_directory import OWNER, SUPERUSER, DataDirectory
from modellix_server.embedded.postgres import EmbeddedPostgres
from modellix_server.operations.maintenance.migrate import ROOMS

TARGET = Path(__file__).parents[1] / "docs" / "schema.sql"
WIDTH = 120
HEAD = """-- The whole database as it is now, made by scripts/schema.py out of the catalogues of PostgreSQL {major}.
-- Nothing is changed here: see docs/migrations.md.
set check_function_bodies = off;
"""
SCHEMAS = """
    select n.oid, nspname as name, obj_description(n.oid, 'pg_namespace') as comment from pg_namespace n
    where nspname = any ($1) order by n.oid
"""
TABLES = """
    select c.oid, relname as name, reloptions as options, obj_description(c.oid, 'pg_class') as comment,
        case relkind when 'p' then pg_get_partkeydef(c.oid) end as partition_key
    from pg_class c where relnamespace = $1 and relkind in ('r', 'p') and not relispartition order by c.oid
"""
TYPES = """
    select oid, relname as name, obj_description(oid, 'pg_class') as comment
    from pg_class where relnamespace = $1 and relkind = 'c' order by oid
"""
COLUMNS = """
    select attname as name, format_type(atttypid, atttypmod) as type, attidentity::text as identity,
        pg_get_expr(d.adbin, d.adrelid) as default, col_description(attrelid, attnum) as comment, attnotnull as filled,
        (select conname from pg_constraint
         where conrelid = attrelid and contype = 'n' and conkey = array[attnum]) as filled_rule
    from pg_attribute a left join pg_attrdef d on adrelid = attrelid and adnum = attnum
    where attrelid = $1 and attnum > 0 and not attisdropped order by attnum
"""
CONSTRAINTS = """
    select conname as name, pg_get_constraintdef(oid, true) as definition from pg_constraint
    where conrelid = $1 and contype in ('p', 'u', 'f', 'c') order by position(contype::text in 'pufc'), conname
"""
INDEXES = """
    select pg_get_indexdef(indexrelid, 0, true) as definition from pg_index join pg_class c on c.oid = indexrelid
    where indrelid = $1 and not exists (select from pg_constraint where conindid = indexrelid and contype in ('p', 'u'))
    order by relname
"""
SEQUENCES = """
    select relname as name from pg_class c where relnamespace = $1 and relkind = 'S'
        and not exists (select from pg_depend where objid = c.oid and deptype in ('a', 'i')) order by relname
"""
VIEWS = """
    select relname as name, pg_get_viewdef(c.oid, true) as definition, obj_description(c.oid, 'pg_class') as comment
    from pg_class c where relnamespace = $1 and relkind = 'v' order by relname
"""
TRIGGERS = """
    select pg_get_triggerdef(t.oid, true) as definition from pg_trigger t join pg_class c on c.oid = tgrelid
    where relnamespace = $1 and not tgisinternal and not relispartition order by relname, tgname
"""
GRANTS = """
    with given as (
        select 'schema ' || nspname as place, 0 as kind, nspacl as acl, nspowner as owner, null as columns
        from pg_namespace where oid = $1
        union all
        select case relkind when 'S' then 'sequence ' else '' end || $1::regnamespace || '.' || relname,
            1, relacl, relowner, null
        from pg_class where relnamespace = $1 and not relispartition
        union all
        select $1::regnamespace || '.' || relname, 2, attacl, relowner, attname
        from pg_attribute join pg_class c on c.oid = attrelid where relnamespace = $1 and not relispartition
    ), entries as (
        select place, kind, grantee, lower(privilege_type) as privilege,
            string_agg(columns, ', ' order by columns) as columns
        from given, aclexplode(acl) where grantee not in (owner, 0) group by place, kind, grantee, privilege_type
    )
    select place, grantee::regrole::text as role,
        string_agg(privilege || coalesce(' (' || columns || ')', ''), ', ' order by privilege) as privileges
    from entries group by place, kind, grantee order by min(kind), place
"""


async def render(db: asyncpg.Connection) -> str:
    """The text for the database behind a connection."""
    rooms = ["base", *(room.rpartition(".")[2] for room in ROOMS)]
    parts = [HEAD.format(major=db.get_server_version().major)]
    functions = discover_functions(ROOMS)
    for schema in await db.fetch(SCHEMAS, rooms):
        oid, name = schema["oid"], schema["name"]
        parts += [f"\n\n-- {f' {name} '.center(WIDTH - 6, '=')}\n", note(schema["comment"]), f"create schema {name};\n"]
        parts += [f"\ncreate sequence {name}.{row['name']};\n" for row in await db.fetch(SEQUENCES, oid)]
        for row in await db.fetch(TYPES, oid):
            parts.append(f"\n{note(row['comment'])}create type {name}.{row['name']} as (\n{await columns(db, row)});\n")
        for table in await db.fetch(TABLES, oid):
            parts.append(await one_table(db, name, table))
        for view in await db.fetch(VIEWS, oid):
            parts.append(f"\n{note(view['comment'])}create view {name}.{view['name']} as\n{view['definition']}\n")
        parts.append("\n")
        parts += [
            f"grant {row['privileges']} on {row['place']} to {row['role']};\n" for row in await db.fetch(GRANTS, oid)
        ]
        parts += [
            f"\n{file.sql}" for file in functions if file.schema == name and not file.name.endswith("dropped.sql")
        ]
        if any(file.schema == name for file in functions):
            parts.append(f"\nrevoke execute on all functions in schema {name} from public;\n")
        made = [
            as_written(row["definition"]).replace("create", "create or replace", 1)
            for row in await db.fetch(TRIGGERS, oid)
        ]
        parts += ["\n" if made else "", *(f"{trigger};\n" for trigger in made)]
    return "".join(parts)


async def one_table(db: asyncpg.Connection, schema: str, table: asyncpg.Record) -> str:
    """A table with its indexes."""
    rules = [f"{row['name']} {as_written(row['definition'])}" for row in await db.fetch(CONSTRAINTS, table["oid"])]
    text = f"\n{note(table['comment'])}create table {schema}.{table['name']} (\n{await columns(db, table, rules)})"
    if table["partition_key"]:
        text += f" partition by {table['partition_key']}"
    if table["options"]:
        text += f" with ({', '.join(table['options'])})"
    indexes = [f"{as_written(row['definition'])};\n" for row in await db.fetch(INDEXES, table["oid"])]
    return "".join([text, ";\n", *indexes])


async def columns(db: asyncpg.Connection, table: asyncpg.Record, rules: Iterable[str] = ()) -> str:
    """The columns of a table or type, with comments beside them or above, and what else stands in its brackets."""
    lines: list[tuple[str, str | None]] = []
    for column in await db.fetch(COLUMNS, table["oid"]):
        told = as_written(f"{column['name']} {column['type']}")
        if column["identity"]:
            told += f" generated {'always' if column['identity'] == 'a' else 'by default'} as identity"
        elif column["filled"]:
            usual = column["filled_rule"] in (None, f"{table['name']}_{column['name']}_not_null")
            told += " not null" if usual else f" constraint {column['filled_rule']} not null"
        if column["default"] is not None:
            told += f" default {column['default']}"
        lines.append((told, column["comment"]))
    lines += [(f"constraint {rule}", None) for rule in rules]
    return "".join(body(lines))


def as_written(definition: str) -> str:
    """A definition by PostgreSQL in our style: words in small letters, what is quoted as it is."""
    text = re.sub(r"'[^']*'|[A-Z]{2,}", lambda found: found[0] if found[0][0] == "'" else found[0].lower(), definition)
    return " ".join(text.split()).replace("timestamp with time zone", "timestamptz").replace("using btree ", "")


def body(lines: list[tuple[str, str | None]]) -> Iterable[str]:
    """The lines between a table's brackets."""
    for number, (told, comment) in enumerate(lines, 1):
        line = f"    {told}{',' if number < len(lines) else ''}"
        if comment and len(beside := f"{line:<44}  -- {comment}") <= WIDTH:
            yield f"{beside}\n"
        else:
            yield f"{note(comment, '    ')}{line}\n"


def note(comment: str | None, indent: str = "") -> str:
    """A comment in lines of its own."""
    if comment is None:
        return ""
    return "".join(
        f"{line}\n"
        for line in textwrap.wrap(comment, WIDTH, initial_indent=f"{indent}-- ", subsequent_indent=f"{indent}-- ")
    )


async def main() -> None:
    """Make a database in a temporary directory and write down what it has become."""
    folder = Path(tempfile.mkdtemp(prefix="modellix-schema-"))
    folder.chmod(0o711)  # a server started by root runs as another user and must pass through
    home = DataDirectory(folder / "data")
    home.create()
    postgres = EmbeddedPostgres(home)
    try:
        await postgres.start()
        setup = await connect(home.dsn(SUPERUSER, "postgres"), name="schema")
        await setup.execute(f"create database shown owner {OWNER}")
        await setup.close()
        await migrate(home.dsn(OWNER, "shown"), discover(ROOMS), discover_functions(ROOMS))
        db = await connect(home.dsn(OWNER, "shown"), name="schema")
        TARGET.write_text(await render(db), encoding="utf-8")
        await db.close()
    finally:
        await postgres.stop()
        shutil.rmtree(folder)


if __name__ == "__main__":
    asyncio.run(main())
