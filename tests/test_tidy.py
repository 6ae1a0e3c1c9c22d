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
