"""Load from outside: wrk over HTTP, pgbench on the database."""

from __future__ import annotations

import asyncio
import os
import re
import resource
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

import msgspec

from bench.programs import CannotMeasureError
from modellix_server.embedded.postgres import find_binaries

CONNECTIONS = 64
PGBENCH_CLIENTS = 8

_REPLAY = Path(__file__).with_name("replay.lua")


@dataclass(frozen=True)
class Request:
    """One HTTP request of a load."""

    method: str
    path: str
    key: str
    body: str = ""


class Figures(msgspec.Struct, frozen=True):
    """What wrk saw."""

    requests: int
    seconds: float
    p50_ms: float
    p99_ms: float
    most_ms: float
    broken: int
    refused: int
    cpu_us: float = 0.0
    """CPU microseconds of wrk itself, a request."""

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self.requests / self.seconds


def require_wrk() -> None:
    """Find wrk, or get it from Debian when we may. Raises CannotMeasureError."""
    if shutil.which("wrk"):
        return
    if os.geteuid() == 0 and shutil.which("apt-get"):
        subprocess.run(["apt-get", "install", "--yes", "--quiet", "wrk"], check=False, stdout=subprocess.DEVNULL)
    if not shutil.which("wrk"):
        raise CannotMeasureError("wrk is not installed. On Debian and Ubuntu: apt install wrk")


class Wrk:
    """One load, ready to be put on an origin again and again."""

    def __init__(self, origin: str, requests: Sequence[Request], file: Path) -> None:
        self._origin = origin
        self._file = file
        file.write_text("".join(f"{r.method}\t{r.path}\t{r.key}\t{r.body}\n" for r in requests))

    async def run(self, seconds: float, *, connections: int = CONNECTIONS, pause_ms: float = 0.0) -> Figures:
        """Load for a while. Raises CannotMeasureError when a single request was refused or broke off."""
        before = _children_cpu_s()
        process = await asyncio.create_subprocess_exec(
            "wrk", "-t1", f"-c{connections}", f"-d{round(seconds)}s", "--timeout", "10s", "-s", str(_REPLAY),
            self._origin,
            env={**os.environ, "BENCH_REQUESTS": str(self._file), "BENCH_PAUSE_MS": f"{pause_ms:.3f}"},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        said = (await process.communicate())[0].decode(errors="replace")
        told = re.search(r"^BENCH (.*)$", said, re.MULTILINE)
        if told is None:
            raise CannotMeasureError(f"wrk failed: {said[-500:]}")
        seen = msgspec.json.decode(told[1], type=Figures)
        if seen.refused or seen.broken:
            raise CannotMeasureError(f"{self._file.stem}: {seen.refused} requests refused, {seen.broken} broken off")
        return msgspec.structs.replace(seen, cpu_us=(_children_cpu_s() - before) * 1e6 / max(seen.requests, 1))


def _children_cpu_s() -> float:
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


async def pgbench(dsn: str, script: Path, seconds: float) -> tuple[float, float]:
    """Transactions a second and their average latency in ms, each of 8 clients with one statement at a time."""
    parts = urlsplit(dsn)
    socket_dir, port = re.fullmatch(r"host=(.+)&port=(\d+)", parts.query).groups()  # type: ignore[union-attr]
    process = await asyncio.create_subprocess_exec(
        str(find_binaries() / "pgbench"),
        "--no-vacuum", "--protocol=prepared", f"--client={PGBENCH_CLIENTS}", "--jobs=1", f"--time={round(seconds)}",
        f"--file={script}",
        env={
            "PGHOST": unquote(socket_dir),
            "PGPORT": port,
            "PGUSER": parts.username or "",
            "PGPASSWORD": unquote(parts.password or ""),
            "PGDATABASE": parts.path[1:],
            "PGOPTIONS": "-c jit=off -c plan_cache_mode=force_generic_plan",  # at its best: without it, half the rate
        },
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    said, complaint = (text.decode(errors="replace") for text in await process.communicate())
    rate = re.search(r"^tps = ([\d.]+)", said, re.MULTILINE)
    latency = re.search(r"^latency average = ([\d.]+)", said, re.MULTILINE)
    failed = re.search(r"^number of failed transactions: (\d+)", said, re.MULTILINE)
    if process.returncode or not rate or not latency or (failed and failed[1] != "0"):
        raise CannotMeasureError(f"pgbench failed: {complaint.strip()[:500]}")
    return float(rate[1]), float(latency[1])
