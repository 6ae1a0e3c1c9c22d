"""Local scratch files: one private folder per process, and none left behind by the dead."""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import tempfile
from pathlib import Path

_PREFIX = "modellix-spool-"


class Spool:
    """A folder of this process under the spool directory; folders of processes that died are removed.

    A lock that the kernel drops with its holder tells the living from the dead.
    """

    def __init__(self, parent: str) -> None:
        root = Path(parent)
        root.mkdir(parents=True, exist_ok=True)
        for left in root.glob(f"{_PREFIX}*"):
            _remove_if_dead(left)
        fresh = Path(tempfile.mkdtemp(dir=root))  # not under our prefix before it is locked
        self._lock = os.open(fresh, os.O_RDONLY | os.O_DIRECTORY)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        self.folder = fresh.rename(root / f"{_PREFIX}{fresh.name}")

    def path(self) -> Path:
        """A name for a new file; whoever makes the file deletes it."""
        return self.folder / secrets.token_hex(16)

    def close(self) -> None:
        """Remove the folder and all that is in it."""
        shutil.rmtree(self.folder, ignore_errors=True)
        os.close(self._lock)


def _remove_if_dead(folder: Path) -> None:
    try:
        lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:  # gone, or somebody else's
        return
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return
    else:
        shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(lock)
