"""One running instance per data directory, on a port that is free."""

import asyncio
import contextlib
import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO
from urllib.parse import urlsplit

from modellix_server.embedded.data_directory import CannotStartError

_PROBE_LIMIT_S = 5.0


class PortInUseError(CannotStartError):
    """Another program listens on the port."""


@contextmanager
def only_instance(pid_file: Path) -> Iterator[None]:
    """Lock the data directory by its pid file; the lock ends with the process, however it ends.

    Raises CannotStartError when another instance holds it.

    The number in the file is for people only: a pid can be reused by another process, a lock cannot.
    """
    file = _lock(pid_file)
    try:
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield
    finally:
        pid_file.unlink(missing_ok=True)
        file.close()


def _lock(pid_file: Path) -> TextIO:
    while True:
        file = pid_file.open("a+", encoding="utf-8")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            pid = file.read().strip()
            file.close()
            raise CannotStartError(
                f"Modellix already runs on the data directory {pid_file.parent} (process {pid or 'unknown'}). "
                "Stop it first, or use another directory and port: make up DATA=other PORT=8001"
            ) from None
        # Its last holder may have removed the file between our opening and our locking it.
        if pid_file.exists() and os.path.samestat(os.fstat(file.fileno()), pid_file.stat()):
            return file
        file.close()


def require_free_port(host: str, port: int) -> None:
    """Raise PortInUseError, or CannotStartError for a name that is no address, before anything is started."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except socket.gaierror as error:
        raise CannotStartError(f"cannot listen on {host}: {error.strerror}") from None
    with socket.socket(family, kind, protocol) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError as error:
            raise PortInUseError(
                f"cannot listen on {host} port {port}: {error.strerror}. Choose another port: make up PORT={port + 1}"
            ) from None


def free_loopback_port() -> int:
    """Find a free TCP port on 127.0.0.1."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def answers(origin: str, path: str = "/readyz") -> bool:
    """Whether a GET of this address is answered with 200."""
    parts = urlsplit(origin)
    try:
        async with asyncio.timeout(_PROBE_LIMIT_S):
            reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
            with contextlib.closing(writer):
                writer.write(f"GET {path} HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: close\r\n\r\n".encode())
                status = await reader.readline()
    except (OSError, TimeoutError):
        return False
    return status.split()[1:2] == [b"200"]
