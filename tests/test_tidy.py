"""The house rules' checker finds what it looks for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

TIDY = Path(__file__).parents[1] / "scripts" / "tidy.py"

BAD = {
    "src/shop/long.py": ("x = 1\n" * 401, "401 lines"),
    "src/shop/wide.py": ("def wide():\n" + "    x = 1\n" * 71, "wide has 72 lines"),
    "src/shop/utils.py": ("x = 1\n", "name it after what it does"),
    "src/shop/afterlooks.py": ("x = 1\n", "'afterlook' is called 'late results' now"),
    "src/shop/old.py": ("class NoLeftovers: ...\n", "'leftover' is called 'orphan cleanup' now"),
    "src/shop/older.py": ("f(contact_sheet=1)\n", "'contactsheet' is called 'model gallery' now"),
    "docs/note.md": ("TO" + "DO: write this\n", "left-over note"),
    "docs/path.md": ("see /ho" + "me/me/notes\n", "path of one machine"),
}


def check(top: Path) -> tuple[int, str]:
    done = subprocess.run([sys.executable, TIDY, top], capture_output=True, text=True)
    return done.returncode, done.stdout


def write(top: Path, name: str, text: str) -> None:
    path = top / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.mark.parametrize("name", BAD)
def test_each_rule_is_enforced(tmp_path, name):
    text, finding = BAD[name]
    write(tmp_path, name, text)
    status, said = check(tmp_path)
    assert status == 1
    assert f"{name}:1: {finding}" in said


def test_an_import_cycle_is_found_and_a_late_import_is_not_one(tmp_path):
    write(tmp_path, "src/shop/__init__.py", "from shop.till import Till\n")
    write(tmp_path, "src/shop/till.py", "from shop import coin\n")
    write(tmp_path, "src/shop/coin.py", "def f():\n    from shop.till import Till\n")
    assert check(tmp_path) == (0, "")
    write(tmp_path, "src/shop/coin.py", "from shop.till import Till\n")
    status, said = check(tmp_path)
    assert status == 1
    assert "import cycle" in said


SCHEMA = "create table stock.thing (\n    id int\n);\ncreate table sales.order (\n    id int\n);\n"


@pytest.mark.parametrize(
    ("name", "text", "finding"),
    [
        ("src/shop/sales/report.py", 'X = "select id from stock.thing"\n', "stock.thing is a table of another room"),
        ("src/shop/sales/part.py", 'def f(x):\n    return f"join stock.thing t on {x}"\n', "stock.thing is a table of"),
        ("src/shop/sales/functions/f.sql", "delete from stock.thing\n", "stock.thing is a table of another room"),
        (
            "src/shop/sales/migrations/0027_x.sql",
            "alter table stock.thing\n    drop id;\n",
            "stock.thing is a table of",
        ),
    ],
)
def test_another_room_s_table_is_refused(tmp_path, name, text, finding):
    write(tmp_path, "docs/schema.sql", SCHEMA + text)
    write(tmp_path, name, text)
    status, said = check(tmp_path)
    assert status == 1
    assert f"{tmp_path / name}:{2 if 'def' in text else 1}: {finding}" in said


def test_a_room_s_own_tables_and_functions_of_others_are_not(tmp_path):
    text = "select stock.thing(1) from stock.count() -- not from stock.thing\n"
    write(tmp_path, "docs/schema.sql", SCHEMA + text)
    write(tmp_path, "src/shop/stock/report.py", 'X = "select id from stock.thing"\n')
    write(tmp_path, "src/shop/sales/functions/f.sql", text)
    write(tmp_path, "src/shop/sales/names.py", 'def f():\n    """From stock.thing."""\n    return "stock.thing"\n')
    write(tmp_path, "src/shop/sales/migrations/0010_old.sql", "delete from stock.thing;\n")
    assert check(tmp_path) == (0, "")


def test_names_are_unique(tmp_path):
    write(tmp_path, "docs/schema.sql", SCHEMA + "create table sales.thing (\n")
    write(tmp_path, "src/shop/sales/migrations/0027_a.sql", "")
    write(tmp_path, "src/shop/stock/migrations/0027_b.sql", "")
    write(tmp_path, "src/shop/sales/a.py", "class Order: ...\nclass _Own: ...\n")
    write(tmp_path, "src/shop/stock/b.py", "class _Own: ...\nclass Order: ...\n")
    write(tmp_path, "src/shop/sales/functions/f.sql", "select 1;\n")
    said = check(tmp_path)[1]
    assert f"{tmp_path}/docs/schema.sql:7: table thing is in stock too\n" in said
    assert "0027_b.sql:1: number 0027 is that of 0027_a.sql\n" in said
    assert "stock/b.py:2: a class Order is in shop/sales/a.py too\n" in said
    assert "functions/f.sql:1: docs/schema.sql shows another text: run scripts/schema.py\n" in said
    assert len(said.splitlines()) == 4
