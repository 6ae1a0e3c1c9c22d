"""Which account the embedded PostgreSQL runs under: it refuses to run as root."""

import os
import pwd
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from modellix_server.embedded.data_directory import CannotStartError

_CANDIDATES = ("postgres", "nobody")


@dataclass(frozen=True, slots=True)
class UnixUser:
    """Another user of this machine."""

    uid: int
    gid: int
    name: str


def choose(cluster: Path) -> UnixUser | None:
    """Find the account to drop to; None when the server runs as the present user.

    An existing cluster keeps its owner. Raises CannotStartError when the cluster is another user's, or when there
    is no suitable user.
    """
    me = os.geteuid()
    owner = cluster.stat().st_uid if cluster.exists() else None
    if me != 0:
        if owner not in (None, me):
            raise CannotStartError(f"{cluster} belongs to user {_name(owner)}: run as that user or as root")
        return None
    if owner:
        return UnixUser(owner, cluster.stat().st_gid, _name(owner))
    for name in _CANDIDATES:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return UnixUser(entry.pw_uid, entry.pw_gid, name)
    raise CannotStartError(
        "PostgreSQL does not run as root, and there is no user `postgres` or `nobody` to run it as: "
        "create one of them, or start Modellix as an ordinary user"
    )


def closed_folder(account: UnixUser, paths: Iterable[Path]) -> Path | None:
    """Find the first folder on these paths that the account may not traverse, or None."""
    for path in paths:
        for folder in reversed(path.resolve().parents):
            if not _may_pass(account, folder.stat()):
                return folder
    return None


def _may_pass(account: UnixUser, folder: os.stat_result) -> bool:
    if folder.st_uid == account.uid:
        return bool(folder.st_mode & stat.S_IXUSR)
    if folder.st_gid == account.gid:
        return bool(folder.st_mode & stat.S_IXGRP)
    return bool(folder.st_mode & stat.S_IXOTH)


def _name(uid: int | None) -> str:
    try:
        return pwd.getpwuid(uid if uid is not None else -1).pw_name
    except KeyError:
        return str(uid)
