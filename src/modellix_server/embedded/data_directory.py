"""The data directory: its layout, its secrets, and the settings derived from them."""

import base64
import contextlib
import errno
import json
import os
import secrets
import stat
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from urllib.parse import quote

import msgspec

from modellix_server.base import settings as base_settings
from modellix_server.base.envelope import MasterKeys
from modellix_server.base.settings import BadSettings, Settings

DEFAULT = "data"
DATABASE = "modellix"
SUPERUSER, OWNER, APP = "postgres", "modellix_owner", "modellix_app"
POSTGRES_PORT = 5432  # only the name of the socket file: nothing listens on TCP

_SOCKET_PATH_MAX = 107  # sockaddr_un.sun_path without its closing zero byte


class CannotStartError(RuntimeError):
    """A problem that the operator can solve; the message says how."""


_REMEDIES = {
    errno.ENOSPC: "make room",
    errno.EDQUOT: "make room, or raise the quota",
    errno.EMFILE: "allow more open files (ulimit -n)",
    errno.ENFILE: "allow more open files (sysctl fs.file-max)",
    errno.EACCES: "choose a data directory that you may write to (--data, or make up DATA=...)",
    errno.EPERM: "choose a data directory that you may write to (--data, or make up DATA=...)",
    errno.EROFS: "choose a data directory that can be written to (--data, or make up DATA=...)",
    errno.ENOTDIR: "choose another data directory (--data, or make up DATA=...)",
    errno.EEXIST: "choose another data directory (--data, or make up DATA=...)",
}


def remedied(error: OSError) -> CannotStartError | None:
    """An error of the operating system in words, with what to do about it; None for one that has no known remedy."""
    if error.errno not in _REMEDIES:
        return None
    where = f"{os.fsdecode(error.filename)}: " if isinstance(error.filename, str | bytes) else ""
    return CannotStartError(f"{where}{error.strerror}: {_REMEDIES[error.errno]}")


@dataclass(frozen=True, slots=True)
class Runtime:
    """Addresses of the running instance."""

    pid: int
    """Process id of the supervisor."""
    host: str
    port: int
    """Where `serve` listens."""
    sandbox_port: int
    """Where the emulators listen, on the loopback address."""


class DataDirectory:
    """One data directory. Nothing is created before `create` is called."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.root = Path(path).absolute()
        self.pid_file = self.root / "modellix.pid"
        self.cluster = self.root / "postgres"
        self.storage = self.root / "storage"
        self.spool = self.root / "spool"
        self.sandbox = self.root / "sandbox"
        self.logs = self.root / "logs"
        self.mail = self.root / "mail"
        self._secrets_file = self.root / "secrets.json"
        self._runtime_file = self.root / "runtime.json"
        self._socket_note = self.root / "socket-dir"

    def create(self) -> None:
        """Create the directory and its folders where they are missing; existing permissions are kept.

        The top can be traversed but not listed (0711), so that a database server which dropped root can reach its
        own folder; everything private in it has its own permissions.
        """
        self.root.mkdir(mode=0o711, parents=True, exist_ok=True)
        for folder in self.folders:
            folder.mkdir(mode=0o700, exist_ok=True)

    @property
    def folders(self) -> tuple[Path, ...]:
        """What the platform keeps its own files in; PostgreSQL's folder may belong to another user."""
        return (self.storage, self.spool, self.sandbox, self.logs, self.mail)

    @cached_property
    def secrets(self) -> Mapping[str, str]:
        """The random secrets of this data directory, created once; only the owner of the file may read them."""
        with contextlib.suppress(FileNotFoundError):
            return self._read_secrets()
        made = {
            "secret": _random_text(),
            "master_key": _random_text(),
            **{f"password_{role}": secrets.token_urlsafe(32) for role in (SUPERUSER, OWNER, APP)},
        }
        fresh = self.root / f".secrets-{secrets.token_hex(8)}"
        _write_private(fresh, json.dumps(made, indent=2))
        # A link, unlike a rename, fails when another process was first: then its secrets are the ones.
        with contextlib.suppress(FileExistsError):
            self._secrets_file.hardlink_to(fresh)
        fresh.unlink()
        return self._read_secrets()

    def _read_secrets(self) -> Mapping[str, str]:
        try:
            found = json.loads(self._secrets_file.read_text(encoding="utf-8"))
        except ValueError:
            found = None
        if not isinstance(found, dict) or not {"secret", "master_key", f"password_{APP}"} <= found.keys():
            raise CannotStartError(
                f"{self._secrets_file} is damaged, and without it nothing that is sealed can be opened: "
                "restore it from your copy"
            )
        return found

    def master_keys(self) -> MasterKeys:
        """The current and the former master key, read from the file."""
        return base_settings.master_keys_of(self._read_secrets())

    def add_master_key(self) -> None:
        """Create a new current master key; the former one is kept, older ones are removed.

        For one process at a time, when everything is sealed under the current key. The file is replaced atomically
        and synced before this returns: a value sealed under the new key can always be opened.
        """
        found = self._read_secrets()
        fresh = self.root / f".secrets-{secrets.token_hex(8)}"
        new = {**found, "master_key": _random_text(), "old_master_keys": found["master_key"]}
        _write_private(fresh, json.dumps(new, indent=2))
        owner = self._secrets_file.stat()
        os.chown(fresh, owner.st_uid, owner.st_gid)
        fresh.replace(self._secrets_file)
        folder = os.open(self.root, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    @cached_property
    def socket_dir(self) -> Path:
        """The private folder of the database socket.

        It is in the data directory, or in the temporary directory where the path would be too long for a socket.
        The choice is recorded so that every process finds the same folder.
        """
        near = self.root / "socket"
        if len(os.fsencode(near / f".s.PGSQL.{POSTGRES_PORT}.lock")) <= _SOCKET_PATH_MAX:
            return near
        with contextlib.suppress(FileNotFoundError):
            noted = Path(os.fsdecode(self._socket_note.read_bytes().strip()))
            if _is_private_folder(noted, {os.getuid(), self._cluster_owner()}):
                return noted
        made = Path(tempfile.mkdtemp(prefix="modellix-"))
        fresh = self._socket_note.with_suffix(".new")
        fresh.write_text(f"{made}\n", encoding="utf-8")
        fresh.replace(self._socket_note)
        return made

    def _cluster_owner(self) -> int:
        return self.cluster.stat().st_uid if self.cluster.exists() else os.getuid()

    def dsn(self, role: str, database: str = DATABASE) -> str:
        """Address of the embedded database for one of its roles."""
        password = quote(self.secrets[f"password_{role}"], safe="")
        folder = quote(str(self.socket_dir), safe="")
        return f"postgresql://{role}:{password}@/{database}?host={folder}&port={POSTGRES_PORT}"

    def write_runtime(self, runtime: Runtime) -> None:
        """Publish the addresses of this instance to other processes."""
        fresh = self._runtime_file.with_suffix(".new")
        fresh.unlink(missing_ok=True)
        _write_private(fresh, json.dumps(asdict(runtime)), mode=0o644)
        fresh.replace(self._runtime_file)

    def read_runtime(self) -> Runtime | None:
        """The addresses of the running instance; None when none was started or it stopped cleanly.

        None too for a file that is damaged, as after a loss of power: the next start writes it anew.
        """
        with contextlib.suppress(FileNotFoundError, msgspec.MsgspecError):
            return msgspec.json.decode(self._runtime_file.read_bytes(), type=Runtime)
        return None

    def forget_runtime(self) -> None:
        """Withdraw the addresses: the instance has stopped."""
        self._runtime_file.unlink(missing_ok=True)

    def runs_database(self, settings: Settings) -> bool:
        """Whether the database of these settings is the one in this data directory."""
        return self._secrets_file.exists() and settings.database_url == self.dsn(APP)

    def settings(self, env: Mapping[str, str]) -> Settings:
        """Read the settings of this instance; `MODELLIX_*` variables win over what the data directory says.

        With MODELLIX_DATABASE_URL set nothing of the data directory is used. Raises BadSettings when a
        variable is wrong, or when nothing was started here.
        """
        if env.get("MODELLIX_DATABASE_URL"):
            return base_settings.load(env)
        runtime = self.read_runtime()
        if runtime is None and self._runtime_file.exists():
            raise BadSettings(f"{self._runtime_file} is damaged: restart `modellix-server up`, which writes it anew")
        if runtime is None:
            raise BadSettings(
                f"no Modellix is running on the data directory {self.root}: start one with `modellix-server up`, "
                "name another directory with --data, or set MODELLIX_DATABASE_URL"
            )
        settings = base_settings.load(
            env,
            {
                "database_url": self.dsn(APP),
                "owner_database_url": self.dsn(OWNER),
                "storage_url": self.storage.as_uri(),
                "spool_dir": str(self.spool),
                "mail_dir": str(self.mail),
                "secret": self.secrets["secret"],
                "master_key": self.secrets["master_key"],
                "old_master_keys": self.secrets.get("old_master_keys", ""),
                "sandbox_url": f"http://127.0.0.1:{runtime.sandbox_port}",
                "host": runtime.host,
                "port": str(runtime.port),
            },
        )
        ours = not env.get("MODELLIX_MASTER_KEY")
        return replace(settings, reread_master_keys=self.master_keys) if ours else settings


def _random_text() -> str:
    return base64.b64encode(secrets.token_bytes(32)).decode()


def _write_private(path: Path, text: str, mode: int = 0o600) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _is_private_folder(path: Path, owners: set[int]) -> bool:
    """Whether a folder in the shared temporary directory is still the one that we created."""
    try:
        found = path.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and stat.S_IMODE(found.st_mode) == 0o700 and found.st_uid in owners
