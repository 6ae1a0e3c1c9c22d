"""Result files on disk: under unguessable names, for a day, within a total size."""

import fcntl
import secrets
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

from starlette.responses import FileResponse

from modellix_server.sandbox import wire
from modellix_server.sandbox.store import MemoryStore

Fault = Literal["", "vanish", "huge", "mistyped"]
TYPES = {".png": "image/png", ".jpg": "image/jpeg", ".svg": "image/svg+xml", ".mp4": "video/mp4"}
_HTML = b"<!doctype html><title>Oops</title><p>This is not the file you are looking for."
_STEP = b"\0" * (64 * 1024)


@dataclass(frozen=True, slots=True)
class Stored:
    """A published file. `body` instead of `path` for one that is kept in memory."""

    name: str
    size: int
    path: Path | None = None
    body: bytes = b""
    fault: Fault = ""

    @property
    def content_type(self) -> str:
        """By the name's ending."""
        return TYPES[self.name[self.name.rfind(".") :]]


class SandboxSpool:
    """A directory of result files, our own in `parent`, removed by `close`."""

    def __init__(self, parent: Path, *, most_bytes: int = 2 * 1024**3) -> None:
        self.directory, self._lock = _claim(parent)
        self._most_bytes = most_bytes
        self._bytes = 0
        self._files: MemoryStore[Stored] = MemoryStore(most=1_000_000)
        self._on_disk: dict[Path, int] = {}

    def new_path(self, suffix: str) -> Path:
        """A path for a renderer to write to; `add` publishes the file."""
        return self.directory / (secrets.token_hex(16) + suffix)

    def add(self, path: Path, *, fault: Fault = "") -> str:
        """Take over a written file; its path below this app, as `/files/<random>/<name>`."""
        size = path.stat().st_size
        self._on_disk[path] = size
        self._bytes += size
        self._make_room()
        return self._register(Stored(name=path.name, size=size, path=path, fault=fault))

    def add_bytes(self, name: str, body: bytes, *, fault: Fault = "") -> str:
        """As `add`, for a small file kept in memory."""
        return self._register(Stored(name=name, size=len(body), body=body, fault=fault))

    def _register(self, stored: Stored) -> str:
        key = secrets.token_urlsafe(18)
        self._files.put(key, stored)
        return f"/files/{key}/{stored.name}"

    def read(self, path: str) -> bytes | None:
        """What a client of `path` would get, at most its first megabytes; None where that is 404."""
        parts = path.split("/")
        stored = self._files.get(parts[2]) if len(parts) == 4 else None
        if stored is None or parts[3] != stored.name or stored.fault == "vanish":
            return None
        if stored.fault == "mistyped":
            return _HTML
        if stored.path is None:
            return stored.body
        return stored.path.read_bytes() if stored.path.exists() else None

    def _make_room(self) -> None:
        """Delete the oldest files above the total; links to them answer 404 from then on."""
        for path in list(self._on_disk)[:-1]:
            if self._bytes <= self._most_bytes:
                return
            self._bytes -= self._on_disk.pop(path)
            path.unlink(missing_ok=True)

    def expire(self) -> None:
        """Delete the files whose links have expired. To be called periodically."""
        alive = {stored.path for stored in self._files.newest()}
        for path in [path for path in self._on_disk if path not in alive]:
            self._bytes -= self._on_disk.pop(path)
            path.unlink(missing_ok=True)

    def close(self) -> None:
        """Remove the directory."""
        self._lock.close()
        shutil.rmtree(self.directory, ignore_errors=True)

    async def serve(self, path: str, scope: wire.Scope, receive: wire.Receive, send: wire.Send) -> None:
        """Answer a GET or HEAD for `path`, with ranges for files on disk."""
        parts = path.split("/")
        stored = self._files.get(parts[2]) if len(parts) == 4 else None
        if stored is None or parts[3] != stored.name or stored.fault == "vanish":
            await wire.answer(send, 404, b"NoSuchKey", b"text/plain")
        elif scope["method"] not in ("GET", "HEAD"):
            await wire.answer(send, 405, b"MethodNotAllowed", b"text/plain")
        elif stored.fault == "mistyped":
            await wire.answer(send, 200, _HTML, stored.content_type.encode())
        elif stored.fault == "huge":
            start = stored.body if stored.path is None else stored.path.read_bytes()
            await wire.answer_without_end(send, receive, stored.content_type.encode(), start, _STEP)
        elif stored.path is None:
            await wire.answer(send, 200, stored.body, stored.content_type.encode())
        elif not stored.path.exists():
            await wire.answer(send, 404, b"NoSuchKey", b"text/plain")
        else:
            await FileResponse(stored.path, media_type=stored.content_type)(scope, receive, send)


def _claim(parent: Path) -> tuple[Path, IO[bytes]]:
    """Make our own directory, locked while we live; remove those of runs that ended without `close`."""
    parent.mkdir(parents=True, exist_ok=True)
    with (parent / "spools.lock").open("wb") as gate:
        fcntl.flock(gate, fcntl.LOCK_EX)
        for old in parent.glob("spool-*"):
            if not _in_use(old):
                shutil.rmtree(old, ignore_errors=True)
        directory = Path(tempfile.mkdtemp(prefix="spool-", dir=parent))
        lock = (directory / "lock").open("wb")
        fcntl.flock(lock, fcntl.LOCK_EX)
    return directory, lock


def _in_use(directory: Path) -> bool:
    try:
        with (directory / "lock").open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        pass
    return False
