"""Negative controls: without a guard the tests that are there for it fail."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.front_mutations import FRONT_MUTATIONS
from tests.support.input_mutations import INPUT_MUTATIONS
from tests.support.people_mutations import PEOPLE_MUTATIONS
from tests.support.source_mutations import MUTATIONS as SOURCE_MUTATIONS
from tests.support.source_mutations import Mutation

MUTATIONS = (*SOURCE_MUTATIONS, *PEOPLE_MUTATIONS, *INPUT_MUTATIONS, *FRONT_MUTATIONS)
TOP = Path(__file__).parents[2]
SOURCE = TOP / "src/modellix_server"


def test_each_guard_is_in_the_source_once() -> None:
    assert len(MUTATIONS) >= 30
    assert len({mutation.name for mutation in MUTATIONS}) == len(MUTATIONS)
    for mutation in MUTATIONS:
        assert (SOURCE / mutation.file).read_text().count(mutation.guard) == 1, mutation.name
        assert mutation.guard != mutation.instead


def run(top: Path, tests: tuple[str, ...]) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:xdist", "-m", "full or not full", *tests],
        cwd=top, env=os.environ | {"PYTHONPATH": str(top / "src")}, capture_output=True, text=True,
    )  # fmt: skip
    return done.returncode, done.stdout[-3000:]


def without(guard: Mutation, top: Path) -> Path:
    """A copy of the project that lacks the guard."""
    for name in ("src", "tests", "pyproject.toml"):
        if (TOP / name).is_dir():
            shutil.copytree(TOP / name, top / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(TOP / name, top / name)
    for name in ("docs", "ops", "CHANGELOG.md", "CONTRIBUTING.md", "README.md"):  # of which the documentation is made
        (top / name).symlink_to(TOP / name)
    file = top / "src/modellix_server" / guard.file
    file.write_text(file.read_text().replace(guard.guard, guard.instead))
    return top


@pytest.mark.full
@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda one: one.name)
def test_a_missing_guard_is_noticed(mutation: Mutation, tmp_path: Path) -> None:
    status, said = run(without(mutation, tmp_path), mutation.tests)
    assert status == 1, f"nothing notices that this is gone: {mutation.name}\n{said}"
    assert re.search(r"^FAILED ", said, re.MULTILINE), said
    assert not re.search(r"^ERROR ", said, re.MULTILINE), f"it breaks the tests instead of failing them\n{said}"
