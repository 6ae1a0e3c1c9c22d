"""An earlier release of the platform, installed out of this repository's own history."""

from __future__ import annotations

import io
import subprocess
import sysconfig
import tarfile
import venv
from pathlib import Path

import pytest

TOP = Path(__file__).parents[2]


def installed(commit: str, module: str, folder: Path) -> tuple[str, ...]:
    """The command that runs that release's program; `module` is its command line. Skips where the commit is not."""
    packed = subprocess.run(["git", "-C", TOP, "archive", commit, "src"], capture_output=True)
    if packed.returncode != 0:
        pytest.skip("this is no clone with the whole history, so the release is not here")
    with tarfile.open(fileobj=io.BytesIO(packed.stdout)) as archive:
        archive.extractall(folder, filter="data")
    # An installation of its own, over the packages of this one: its helper processes must be of that release too.
    environment = folder / "environment"
    venv.create(environment, symlinks=True)
    (packages,) = environment.glob("lib/python*/site-packages")
    (packages / "release.pth").write_text(f"{folder / 'src'}\n{sysconfig.get_path('purelib')}\n")
    return (str(environment / "bin/python"), "-m", module)
