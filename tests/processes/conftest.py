"""Supervisors on data directories of their own."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.supervisor import Up


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that other users may pass through, unlike pytest's own."""
    with tempfile.TemporaryDirectory(prefix="modellix-test-", ignore_cleanup_errors=True) as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture
def start() -> Iterator[Callable[..., Up]]:
    """Starts supervisors, and sees to it that a failed test leaves none."""
    runs: list[Up] = []

    def begin(data: Path, *roles: str, **options: Any) -> Up:
        runs.append(Up(data, *roles, **options))
        return runs[-1]

    yield begin
    for run in runs:
        if run.process.poll() is None:
            run.process.kill()
        if not run.process.stdout.closed:
            run.process.communicate()
