"""House rules about SQL, checked by tidy.py: whose tables a statement may name, and names that must be unique.

A room's tables are touched by that room's SQL alone; whoever else needs them calls its functions.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

SCHEMA = "docs/schema.sql"
LAST_MIGRATION_WITH_FUNCTIONS = 26  # earlier ones are applied, and no longer say how the database is
RELATION = re.compile(r"^create (table|view|sequence|type) (\w+)\.(\w+)", re.MULTILINE)
STATEMENT = re.compile(r"\b(select|insert|update|delete|merge|truncate|lock|copy|from|join|into)\b", re.IGNORECASE)
COMMENT = re.compile(r"--.*")


def sql_rules(top: Path) -> Iterator[str]:
    """Check the statements and SQL files below src."""
    schema = top / SCHEMA
    text = schema.read_text(encoding="utf-8") if schema.is_file() else ""
    yield from tables_twice(schema, text)
    yield from numbers_twice(top / "src")
    yield from functions_not_shown(top / "src", text)
    owned = {f"{room}.{name}" for _, room, name in RELATION.findall(text)}
    for source in sorted((top / "src").glob("*")):
        for path in sorted(source.rglob("*")):
            room = path.relative_to(source).parts[0]
            for number, statement in statements(path):
                yield from foreign_tables(f"{path}:{number}", room, statement, owned)


def tables_twice(schema: Path, text: str) -> Iterator[str]:
    """Find a table name that two rooms have."""
    first: dict[str, str] = {}
    for found in RELATION.finditer(text):
        kind, room, name = found.groups()
        if kind == "table" and first.setdefault(name, room) != room:
            line = text.count("\n", 0, found.start()) + 1
            yield f"{schema}:{line}: table {name} is in {first[name]} too"


def numbers_twice(source: Path) -> Iterator[str]:
    """Find a migration's number that another one has."""
    first: dict[str, Path] = {}
    for path in sorted(source.rglob("migrations/*.sql")):
        if (other := first.setdefault(path.name[:4], path)) != path:
            yield f"{path}:1: number {path.name[:4]} is that of {other.name}"


def functions_not_shown(source: Path, schema: str) -> Iterator[str]:
    """Find function files that docs/schema.sql does not show as they are."""
    for path in sorted(source.rglob("functions/**/*.sql")):
        if path.name != "dropped.sql" and path.read_text(encoding="utf-8") not in schema:
            yield f"{path}:1: {SCHEMA} shows another text: run scripts/schema.py"


def statements(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the texts of a file that may be SQL, with their lines."""
    if path.suffix == ".sql":
        number = path.parent.name == "migrations" and path.name[:4]
        if not number or int(number) > LAST_MIGRATION_WITH_FUNCTIONS:
            for line, text in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
                yield line, COMMENT.sub("", text)
    elif path.suffix == ".py":
        tree = ast.parse(path.read_text(encoding="utf-8"))
        told = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in told:
                yield node.lineno, node.value if STATEMENT.search(node.value) else ""


def foreign_tables(place: str, room: str, statement: str, owned: set[str]) -> Iterator[str]:
    """Find tables of other rooms; what a bracket follows at once is a function."""
    for found in re.finditer(r"\b(\w+)\.\w+\b(?!\()", statement):
        if found[0] in owned and found[1] != room:
            yield f"{place}: {found[0]} is a table of another room: call a function of {found[1]}"
