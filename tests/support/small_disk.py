"""A disk that a test can fill."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True)
class SmallDisk:
    """A file system of its own, of 400 MB, that can be filled."""

    folder: Path

    def fill(self) -> None:
        with contextlib.suppress(OSError), (self.folder / "filler").open("wb", buffering=0) as place:
            while True:
                place.write(bytes(65536))
        assert shutil.disk_usage(self.folder).free == 0

    def clear(self) -> None:
        (self.folder / "filler").unlink()


@contextlib.contextmanager
def mounted_disk() -> Iterator[SmallDisk]:
    """Skips the test where it is not allowed to mount one."""
    if os.getuid() != 0:
        pytest.skip("only root can mount a small disk")
    folder = Path(tempfile.mkdtemp(prefix="modellix-test-"))
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=400m,mode=711", "tmpfs", folder], capture_output=True, text=True
    )
    if mounted.returncode != 0:
        folder.rmdir()
        pytest.skip(f"a small disk cannot be mounted here: {mounted.stderr.strip()}")
    try:
        yield SmallDisk(folder)
    finally:
        subprocess.run(["umount", "-l", folder], check=True)
        folder.rmdir()
