"""Local scratch files: in memory within a budget, else in a private folder per process; none outlives its process."""

import asyncio
import fcntl
import os
import resource
import secrets
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

_PREFIX = "modellix-spool-"
_MEMORY_BYTES = 256 << 20
"""Of all scratch files together that are kept in memory."""
_SHARE_OF_FILES = 16
"""Those in memory are open all the time, and take at most this share of what the process may have open."""


class Scratch:
    """A file that is written once, read by its `path` from any of our processes, and closed by its creator."""

    def __init__(self, where: int | Path, gone: Callable[[], None]) -> None:
        """`where`: a file in memory, by its number; or the path of one on the disk, open only while it is written."""
        self._file = where if isinstance(where, int) else None
        self._gone = gone
        self.path = where if isinstance(where, Path) else Path(f"/proc/{os.getpid()}/fd/{where}")

    @property
    def in_memory(self) -> bool:
        """Whether it is not on the disk."""
        return self._file is not None

    async def write(self, data: bytes) -> None:
        """Append. Raises OSError, when the disk is full for instance."""
        if self._file is not None:
            _write_all(self._file, data)
        else:  # off the event loop, which a slow disk would block
            await asyncio.to_thread(_append, self.path, data)

    def close(self) -> None:
        """Delete the file; off the event loop, as the kernel takes milliseconds to free this much memory."""
        if self._file is not None:
            asyncio.get_running_loop().run_in_executor(None, os.close, self._file)
        self._gone()


def _append(path: Path, data: bytes) -> None:
    file = os.open(path, os.O_WRONLY | os.O_APPEND)
    try:
        _write_all(file, data)
    finally:
        os.close(file)


def _write_all(file: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(file, rest) :]


class Spool:
    """A folder of this process under the spool directory; folders of processes that died are removed.

    Live processes are told from dead ones by a lock, which the kernel releases when its holder exits.
    """

    def __init__(self, parent: str) -> None:
        self._root = Path(parent)
        self._root.mkdir(parents=True, exist_ok=True)
        for left in self._root.glob(f"{_PREFIX}*"):
            _remove_if_dead(left)
        self._make_folder()
        self._memory_left = _MEMORY_BYTES
        self._files_left = resource.getrlimit(resource.RLIMIT_NOFILE)[0] // _SHARE_OF_FILES

    def _make_folder(self) -> None:
        self._root.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(dir=self._root))  # not under our prefix before it is locked
        self._lock = os.open(fresh, os.O_RDONLY | os.O_DIRECTORY)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        self.folder = fresh.rename(self._root / f"{_PREFIX}{fresh.name}")

    def path(self) -> Path:
        """A name for a new file, in a new folder if somebody has removed ours; the caller deletes the file.

        Raises OSError.
        """
        if not self.folder.is_dir():
            os.close(self._lock)
            self._make_folder()
        return self.folder / secrets.token_hex(16)

    def scratch(self, most_bytes: int) -> Scratch:
        """A new file that will hold at most so many bytes; in memory while there is room, and files to open, for it.

        A file that exists for a second need not compete for the disk with the database's write-ahead log.
        Raises OSError.
        """
        if most_bytes > self._memory_left or not self._files_left:
            path = self.path()
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
            return Scratch(path, path.unlink)
        file = os.memfd_create("modellix-scratch")
        self._memory_left -= most_bytes
        self._files_left -= 1

        def give_back() -> None:
            self._memory_left += most_bytes
            self._files_left += 1

        return Scratch(file, give_back)

    def close(self) -> None:
        """Remove the folder and all that is in it."""
        shutil.rmtree(self.folder, ignore_errors=True)
        os.close(self._lock)


def _remove_if_dead(folder: Path) -> None:
    try:
        lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:  # gone, or another process's
        return
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return
    else:
        shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(lock)
