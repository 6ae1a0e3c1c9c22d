"""The API parses and answers, commands parse and print. What either wants of the database is an operation."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from modellix_server import api, cli

TOP = Path(api.__file__).parents[1]
FILES = sorted(path for room in (api, cli) for path in Path(room.__file__).parent.rglob("*.py"))
NOT_HERE = {"db", "acquire", "execute", "fetch", "fetchrow", "fetchval", "reading", "transaction"}


def reaching(source: str) -> Iterator[str]:
    """Where code takes hold of the database."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute) and node.attr in NOT_HERE:
            yield f"line {node.lineno}: .{node.attr}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(TOP)))
def test_no_file_takes_hold_of_the_database(path: Path) -> None:
    assert list(reaching(path.read_text(encoding="utf-8"))) == []


def test_one_that_does_is_found() -> None:
    assert list(reaching("await ledger.balance(request.ctx.db, 1, live=True)")) == ["line 1: .db"]
    assert list(reaching("async with ctx.transaction() as tx: ...")) == ["line 1: .transaction"]
