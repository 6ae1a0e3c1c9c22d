"""`python -m bench.strangers`: attack a default installation while another team goes on with its work.

`up` runs with its defaults and few open files. A team submits, uploads and reads; each attack runs beside it. Printed
is what that team saw, before and meanwhile, and what the attack left behind in `serve`. Ends with 1 when a promise is
broken.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import dataclasses
import itertools
import json
import os
import resource
import secrets
import shutil
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import psutil
from rich.console import Console
from rich.table import Table

from bench import programs
from bench.programs import CannotMeasureError, Program

LAST = programs.HERE / "out" / "strangers.json"
MODEL = "alibaba/qwen-image-plus"
SUBMIT, FILES = f"/api/v1/{MODEL}/async", "/api/v1/media/files"
MOST_RATIO, MOST_LEFT_MB, MOST_LEFT_FILES = 3.0, 30.0, 8
"""A quiet team's p99 beside an attack to its quiet one; memory and files of `serve` afterwards beyond those before."""
_EVERY_S = 0.3  # then a p99 is the eighth slowest of an attack: the fourth of half as many moved by a factor of two
_KEYS = 10  # of the quiet team: each may send 100 requests a minute
_QUIET_S, _HOLD_S, _LEAST_S = 10.0, 3.0, 60.0
_AFTER_S = 90.0
_ATTACK_S = 180.0

Attack = tuple[str, int]
"""A function of `bench.attacks`, and how many."""

ATTACKS: dict[str, tuple[Attack, ...]] = {
    "headers without end": (("small_headers", 6), ("large_header", 3)),
    "pipelined, nothing read": (("pipelined", 20),),
    "trailers of 300 KB": (("trailers", 1_000),),
    "heads that never end": (("silent", 500), ("half_heads", 300), ("later_heads", 200)),
    "chunks of one byte": (("tiny_chunks", 30),),
    "unfinished bodies of 60 MB": (("unfinished_bodies", 10),),
    "unfinished bodies of 250 KB": (("unfinished_small_bodies", 600),),
    "unfinished messages, no key": (("unfinished_messages", 400),),
    "compressed bodies of 64 MB": (("packed_bodies", 10),),
    "downloads broken off": (("broken_downloads", 200),),
    "downloads not read": (("unread_downloads", 100), ("unread_pages", 100)),
    "thousands of ranges": (("ranges", 30),),
    "pages and searches": (("reads", 30),),
    "questions to /mcp": (("questions", 30),),
    "forms and unknown keys": (("forms", 30),),
    "nested JSON": (("nested", 30),),
    "clips of empty elements": (("slow_clips", 2),),
    "pictures that take long": (("strange_pictures", 30),),
    "90,000 pictures in a body": (("many_pictures", 10),),
    "forms of 100,000 parts": (("many_parts", 6),),
    "all places taken": (("followers", 2_000), ("silent", 2_000), ("broken_downloads", 200), ("half_heads", 100)),
}
_GOES_ON = "all places taken"
"""Beside this one nobody is refused, but new connections wait until the kernel's queue has been taken in."""
_NEEDS_KEY = ("unfinished_bodies", "unfinished_small_bodies", "packed_bodies", "nested", "slow_clips",
              "strange_pictures", "many_pictures", "many_parts")  # fmt: skip


@dataclasses.dataclass
class Installation:
    """What runs, and what attackers know of it."""

    origin: str
    serve: psutil.Process
    quiet_keys: list[str]
    key: str = ""
    """Of the team that attacks."""
    stream: str = ""
    """Where a task of it is followed, which never ends."""
    file: str = ""
    """The public link of a large file."""

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.origin.rpartition(":")[2])

    def memory_mb(self) -> float:
        """Resident memory of `serve` alone."""
        return float(self.serve.memory_info().rss) / (1 << 20)

    def arguments(self, attack: Attack) -> str:
        """An attack as its program takes it."""
        name, count = attack
        more = {"followers": [self.stream, self.key]}.get(name, [self.file] if name.endswith("_downloads") else [])
        return "|".join([name, str(count), *more, *([self.key] if name in _NEEDS_KEY else [])])


@dataclasses.dataclass
class Seen:
    """What the quiet team was answered, and how long that took."""

    took_s: list[float] = dataclasses.field(default_factory=list)
    bad: list[str] = dataclasses.field(default_factory=list)

    def ms(self, share: float) -> float:
        """Within what time this share of the requests was answered."""
        return sorted(self.took_s)[min(int(len(self.took_s) * share), len(self.took_s) - 1)] * 1000


@dataclasses.dataclass(frozen=True)
class Row:
    """One attack, and what it did."""

    attack: str
    requests: int
    bad: int
    quiet_p99_ms: float
    p50_ms: float
    p99_ms: float
    memory_mb: tuple[float, float, float]
    """Before, at most, after."""
    files: tuple[int, int]
    took_s: float
    words: str
    """What is broken; nothing when all is kept."""


def _command(data: Path, *arguments: str) -> Any:
    ran = subprocess.run(
        [sys.executable, *programs.MODELLIX, "admin", *arguments, "--data", str(data), "--json"],
        env=programs.clean_environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    if ran.returncode:
        raise CannotMeasureError(f"admin {' '.join(arguments)}: {ran.stderr or ran.stdout}")
    return json.loads(ran.stdout)


def _start(data: Path, port: int, files: int) -> Program:
    log = data.with_suffix(".log")
    command = ["prlimit", f"--nofile={files}", "--", sys.executable, *programs.MODELLIX, "up"]
    with log.open("ab") as file:
        process = subprocess.Popen(
            [*command, "--data", str(data), "--port", str(port)],
            env=programs.clean_environment(),
            stdout=file,
            stderr=file,
            cwd=programs.HERE.parent,
            start_new_session=True,
        )
    return Program("up", process, log)


@contextlib.asynccontextmanager
async def _installation(files: int) -> AsyncIterator[Installation]:
    folder = Path(tempfile.mkdtemp(prefix="modellix-strangers-"))
    data, port = folder / "data", programs.free_port()
    origin, up = f"http://127.0.0.1:{port}", _start(data, port, files)
    try:
        await programs.ready(up, origin, "/readyz")
        serve = next(one for one in psutil.Process(up.pid).children() if "serve" in one.cmdline())
        for team in ("quiet", "attackers"):
            _command(data, "team", "create", team)
            _command(data, "team", "credit", team, "--test", "--usd", "1000")
        # The sandbox draws on this machine too: on a busy one tasks take long, and more than three run at a time.
        _command(data, "team", "limits", "quiet", "--concurrency", "1000")
        keys = [_command(data, "key", "create", "--team", "quiet", "--test")["key"] for _ in range(_KEYS)]
        found = Installation(origin, serve, keys)
        found.key = _command(data, "key", "create", "--team", "attackers", "--test")["key"]
        await _prepare(found)
        yield found
    finally:
        await up.stop()
        shutil.rmtree(folder, ignore_errors=True)


async def _prepare(at: Installation) -> None:
    """A task that never ends, and a large file: a sound of 30 MB."""
    samples = bytes(30_000_000)
    wav = (
        b"RIFF"
        + struct.pack("<I", len(samples) + 36)
        + b"WAVEfmt "
        + struct.pack("<IHHIIHH", 16, 1, 1, 48_000, 96_000, 2, 16)
    )
    wav += b"data" + struct.pack("<I", len(samples)) + samples
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {at.key}"}) as http:
        async with http.post(at.origin + SUBMIT, json={"prompt": "[sandbox:never] a lake"}) as answer:
            at.stream = f"/api/v1/tasks/{(await answer.json())['data']['task_id']}/stream"
        async with http.post(at.origin + FILES, data=_file("film.wav", wav)) as answer:
            said = await answer.json()
            if answer.status != 200:
                raise CannotMeasureError(f"the large file: {said}")
            at.file = said["data"]["url"]


def _file(name: str, content: bytes) -> aiohttp.FormData:
    form = aiohttp.FormData()
    form.add_field("file", content, filename=name)
    return form


def _picture() -> bytes:
    """A small GIF, another one each time."""
    return (
        b"GIF89a\x01\x00\x01\x00\x00\x00\x00!\xfe\x10" + secrets.token_bytes(16) + b"\x00,\0\0\0\0\1\0\1\0\0\2\2D\1\0;"
    )


@contextlib.asynccontextmanager
async def _bystander(at: Installation, seen: Seen) -> AsyncIterator[None]:
    """Submit, upload, read and ask for health while the block runs, by kept connections and by new ones in turn."""
    stop, keys, limit = asyncio.Event(), itertools.cycle(at.quiet_keys), aiohttp.ClientTimeout(30)
    task = ""

    async def ask(http: aiohttp.ClientSession, method: str, path: str, **more: Any) -> Any:
        about = {"Authorization": f"Bearer {next(keys)}", "X-Queue": "wait", "Idempotency-Key": secrets.token_hex(8)}
        begun = time.perf_counter()
        for again in (False, True):
            try:
                async with http.request(method, at.origin + path, headers=about, **more) as answer:
                    body = await answer.read()
                break
            except (aiohttp.ClientError, TimeoutError) as error:  # idle connections may be closed: RFC 9112, 9.3.1
                if again or not isinstance(error, aiohttp.ClientConnectionError):
                    seen.bad.append(f"{type(error).__name__} at {path}")
                    return None
        seen.took_s.append(time.perf_counter() - begun)
        if answer.status != 200:
            seen.bad.append(f"{answer.status} at {path}: {body[:100]!r}")
            return None
        return body

    async def work() -> None:
        nonlocal task
        async with aiohttp.ClientSession(timeout=limit) as kept:
            for number in itertools.count():
                if stop.is_set():
                    return
                begun = time.perf_counter()
                async with aiohttp.ClientSession(timeout=limit) as fresh:
                    http = fresh if number % 2 else kept
                    made = await ask(http, "POST", SUBMIT, json={"prompt": "a quiet lake"})
                    task = json.loads(made)["data"]["task_id"] if made else task
                    await ask(http, "POST", FILES, data=_file("a.gif", _picture()))
                    await ask(http, "GET", f"/api/v1/tasks/{task}")
                    await ask(http, "GET", "/healthz")
                await asyncio.sleep(max(0.0, _EVERY_S - (time.perf_counter() - begun)))

    working = asyncio.create_task(work())
    try:
        yield
        stop.set()
        await working
    finally:
        working.cancel()


async def _attack(at: Installation, attacks: tuple[Attack, ...]) -> float:
    """Run attacks together and hold what they opened; the most memory that `serve` had meanwhile, MB."""
    most = 0.0
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.attacks", str(at.port), *map(at.arguments, attacks)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        cwd=programs.HERE.parent,
        start_new_session=True,  # or its low priority counts for nothing where cores are shared out by session
    )
    assert process.stdin is not None
    assert process.stdout is not None
    done = asyncio.create_task(process.stdout.readline())
    give_up, until = time.monotonic() + _ATTACK_S, 0.0
    try:
        while not until or time.monotonic() < until:
            most = max(most, at.memory_mb())
            await asyncio.sleep(0.1)
            if done.done() and not until:
                until = time.monotonic() + _HOLD_S
            if time.monotonic() > give_up:
                raise CannotMeasureError("an attack does not end")
        process.stdin.close()
        await asyncio.wait_for(process.wait(), 60)
    finally:
        done.cancel()
        if process.returncode is None:
            process.kill()
            await process.wait()
    return most


async def _measure(at: Installation, name: str, quiet: Seen) -> Row:
    """One attack; the quiet team is watched before it too."""
    async with _bystander(at, quiet):
        await asyncio.sleep(_QUIET_S)
    before, files, begun, seen = at.memory_mb(), at.serve.num_fds(), time.monotonic(), Seen()
    most = 0.0
    async with _bystander(at, seen):
        while time.monotonic() - begun < _LEAST_S:  # again and again, so that the p99 is not the one slowest request
            most = max(most, await _attack(at, ATTACKS[name]))
    took = time.monotonic() - begun
    give_up = time.monotonic() + _AFTER_S
    while True:
        after, left = at.memory_mb(), at.serve.num_fds()
        if (after < before + MOST_LEFT_MB and left <= files + MOST_LEFT_FILES) or time.monotonic() > give_up:
            break
        await asyncio.sleep(1)
    broken = [f"{len(seen.bad)} bad: {seen.bad[0]}"] if seen.bad else []
    ratio = seen.ms(0.99) / quiet.ms(0.99)
    broken += [f"p99 {ratio:.1f} x"] if ratio >= MOST_RATIO and name != _GOES_ON else []
    broken += [f"memory +{after - before:.0f} MB"] if after >= before + MOST_LEFT_MB else []
    broken += [f"files +{left - files}"] if left > files + MOST_LEFT_FILES else []
    times = (quiet.ms(0.99), seen.ms(0.5), seen.ms(0.99))
    return Row(
        name, len(seen.took_s), len(seen.bad), *times, (before, most, after), (files, left), took, "; ".join(broken)
    )


def _show(console: Console, rows: list[Row], files: int, load: float) -> None:
    table = Table(
        title=f"a default installation, {files} open files; load {load:.1f} before, {os.getloadavg()[0]:.1f} after"
    )
    for column in ("attack", "s", "requests", "p50 ms", "p99 ms", "quiet p99", "ratio", "memory MB", "files", ""):
        table.add_column(column, justify="left" if column in ("attack", "") else "right")
    for row in rows:
        table.add_row(
            row.attack, f"{row.took_s:.0f}", str(row.requests), f"{row.p50_ms:.0f}", f"{row.p99_ms:.0f}",
            f"{row.quiet_p99_ms:.0f}", f"{row.p99_ms / row.quiet_p99_ms:.1f}",
            "{:.0f}, {:.0f}, {:.0f}".format(*row.memory_mb), "{}, {}".format(*row.files), row.words or "kept",
        )  # fmt: skip
    console.print(table)


async def _run(names: list[str], files: int, console: Console) -> list[Row]:
    quiet, rows = Seen(), []
    with console.status("starting") as status:
        async with _installation(files) as at:
            # What is loaded by the first call of its kind is no trace of an attack.
            for name in ("pages and searches", "questions to /mcp", "downloads broken off", "forms of 100,000 parts"):
                status.update(f"getting warm: {name}")
                await _attack(at, ATTACKS[name])
            for name in names:
                status.update(name)
                rows.append(await _measure(at, name, quiet))
                console.print(f"{name}: {rows[-1].words or 'kept'}", highlight=False)
    if quiet.bad:
        raise CannotMeasureError(f"the quiet team was refused without an attack: {quiet.bad[0]}")
    return rows


def main() -> None:
    """Attack, show, and keep the figures; ends with 1 when something is broken, or the run could not be made."""
    parser = argparse.ArgumentParser(
        "bench.strangers", description="Attack a default installation of this machine's own."
    )
    parser.add_argument("--only", action="append", metavar="ATTACK", choices=ATTACKS, help="this one; may be repeated")
    parser.add_argument("--files", type=int, default=1024, help="how many files each process may open (1024)")
    arguments = parser.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    console, load = Console(), os.getloadavg()[0]
    try:
        rows = asyncio.run(_run(arguments.only or list(ATTACKS), arguments.files, console))
    except CannotMeasureError as error:
        console.print(f"[red]Error:[/red] {error}", highlight=False)
        sys.exit(1)
    _show(console, rows, arguments.files, load)
    LAST.parent.mkdir(exist_ok=True)
    LAST.write_text(json.dumps([dataclasses.asdict(row) for row in rows], indent=2))
    sys.exit(1 if any(row.words for row in rows) else 0)


if __name__ == "__main__":
    main()
