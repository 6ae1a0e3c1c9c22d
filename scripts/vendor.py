"""Scripts of others that pages and tests load: copied from npm packages, locked by version and SHA-256.

    python scripts/vendor.py            # fetch every package with npm, check it, and write its files
    python scripts/vendor.py --check    # compare the files that are there with the lock, without a network

A new version: change `scripts/vendor.toml`, run the script with the new digest of the package.
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).parent.parent
_LOCK = Path(__file__).with_suffix(".toml")


def main() -> int:
    """Fetch, or check. Returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="only compare the files with the lock")
    check = parser.parse_args().check
    packages = tomllib.loads(_LOCK.read_text())["package"]
    if not check:
        for package in packages:
            fetch(package)
    wrong = [fault for package in packages for fault in faults(package)]
    sys.stdout.write(
        ("\n".join(wrong) or f"{sum(len(one['file']) for one in packages)} files are as the lock says") + "\n"
    )
    return 1 if wrong else 0


def faults(package: dict[str, Any]) -> list[str]:
    """What differs from the lock."""
    wrong = []
    for file in package["file"]:
        path = _ROOT / file["to"]
        if not path.is_file():
            wrong.append(f"{file['to']} is missing")
        elif hashlib.sha256(path.read_bytes()).hexdigest() != file["sha256"]:
            wrong.append(f"{file['to']} is not that of {package['name']} {package['version']}")
    return wrong


def fetch(package: dict[str, Any]) -> None:
    """Write a package's files. Raises ValueError when the package is not the locked one."""
    name = f"{package['name']}@{package['version']}"
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(["npm", "pack", "--silent", name], cwd=folder, check=True, capture_output=True, text=True)
        archive = Path(folder) / done.stdout.strip()
        if hashlib.sha256(archive.read_bytes()).hexdigest() != package["sha256"]:
            raise ValueError(f"{name} is not the package that the lock names")
        with tarfile.open(archive) as opened:
            for file in package["file"]:
                content = opened.extractfile(f"package/{file['from']}")
                assert content is not None
                path = _ROOT / file["to"]
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content.read())


if __name__ == "__main__":
    sys.exit(main())
