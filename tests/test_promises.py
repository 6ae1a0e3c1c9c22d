"""Every promise of docs/promises.md is kept by tests that exist, or says why it is not yet."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

TOP = Path(__file__).parents[1]
PAGE = TOP / "docs/promises.md"
FAMILIES = {"L": 14, "T": 16, "A": 9, "S": 9, "F": 13, "I": 13}
ROW = re.compile(r"^\| ([LTASFI]\d+) \|([^|]*)\|([^|]*)\|([^|]*)\|$", re.MULTILINE)
TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
LEAST_REASON = 20


@dataclass(frozen=True)
class Promise:
    """One row of the page."""

    id: str
    text: str
    tests: tuple[tuple[str, str], ...]
    reason: str
    """Why it is not kept, or not kept whole; empty when it is."""


def promises(page: str) -> list[Promise]:
    found = []
    for name, text, shown, measured in ROW.findall(page):
        reason = re.search(r"Not yet: (.+)", measured)
        found.append(Promise(name, text.strip(), tuple(TEST.findall(shown)), reason[1].strip() if reason else ""))
    return found


@cache
def names_in(path: Path) -> frozenset[str]:
    """The names of a file's tests, without importing it."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return frozenset(
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
    )


def faults(page: str, top: Path = TOP) -> list[str]:
    """What is wrong with the page, in words."""
    rows = promises(page)
    ids = [row.id for row in rows]
    wanted = [f"{family}{number}" for family, most in FAMILIES.items() for number in range(1, most + 1)]
    wrong = [f"{name} is missing" for name in wanted if name not in ids]
    wrong += [f"{name} is there twice" for name in dict.fromkeys(ids) if ids.count(name) > 1]
    wrong += [f"{name} is no promise" for name in ids if name not in wanted]
    for row in rows:
        if not row.tests and len(row.reason) < LEAST_REASON:
            wrong.append(f"{row.id} has neither a test nor a reason")
        for file, test in row.tests:
            if not (top / file).is_file() or test not in names_in(top / file):
                wrong.append(f"{row.id} names {file}::{test}, which does not exist")
    return wrong


def test_every_promise_has_its_tests() -> None:
    assert faults(PAGE.read_text(encoding="utf-8")) == []


def test_what_is_missing_is_found(tmp_path: Path) -> None:
    """Negative control: a promise left out, one said twice, one without a test, and a test that is gone."""
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests/test_a.py").write_text("async def test_it() -> None: ...\n")
    rows = [f"| {family}{n} | p | `tests/test_a.py::test_it` | |" for family, most in FAMILIES.items()
            for n in range(1, most + 1)]  # fmt: skip
    assert faults("\n".join(rows), tmp_path) == []
    spoilt = [row for row in rows if not row.startswith("| L3 |")]
    spoilt += ["| L4 | p | `tests/test_a.py::test_it` | |", "| S10 | p | `tests/test_a.py::test_it` | |"]
    spoilt[0] = "| L1 | p | | 12 |"
    spoilt[1] = "| L2 | p | `tests/test_a.py::test_gone` | |"
    spoilt[2] = "| L4 | p | Not yet: no. | |"
    assert set(faults("\n".join(spoilt), tmp_path)) == {
        "L3 is missing",
        "L4 is there twice",
        "S10 is no promise",
        "L1 has neither a test nor a reason",
        "L4 has neither a test nor a reason",
        "L2 names tests/test_a.py::test_gone, which does not exist",
    }
