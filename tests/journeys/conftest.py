"""A whole platform as its clients see it: `serve`, `work` and the sandbox in processes of their own, over HTTP."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import io
import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path
from threading import Thread
from typing import Any

import aiohttp
import asyncpg
import imageio_ffmpeg
import msgspec
import pytest
from PIL import Image
from tests.api.conformance import checked_session
from yarl import URL

from modellix_server import identity, ledger
from modellix_server.base.database import Pool, connect, open_pool
from modellix_server.base.ids import parse_task_name
from modellix_server.base.settings import Secret
from modellix_server.identity import ApiKey
from modellix_server.limits.store import set_for_team
from modellix_server.tasks import verify

MANY = 1_000_000
_numbers = count(1)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True)
class Answer:
    """One HTTP answer, read to its end; `json` is None where the body is something else."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    json: Any

    @property
    def data(self) -> Any:
        """What a success carries."""
        assert self.status == 200, self.body[:500]
        assert self.json["code"] == 0
        return self.json["data"]

    def refused(self, status: int, message: str) -> Answer:
        """Assert that this is exactly that refusal, in the contract's shape."""
        assert (self.status, self.json) == (status, {"code": status, "message": message}), self.body[:500]
        assert self.headers["content-type"] == "application/json"
        return self


@dataclass
class Client:
    """A program that holds one key."""

    origin: str
    http: aiohttp.ClientSession
    authorization: str | None = None

    async def call(self, method: str, path: str, **about: Any) -> Answer:
        headers = dict(about.pop("headers", {}))
        if self.authorization is not None:
            headers.setdefault("Authorization", self.authorization)
        url = URL(path if path.startswith("http") else self.origin + path, encoded=True)
        async with self.http.request(method, url, headers=headers, allow_redirects=False, **about) as answer:
            body = await answer.read()
            found = {name.lower(): value for name, value in answer.headers.items()}
        parsed = None
        if found.get("content-type") == "application/json":
            with contextlib.suppress(msgspec.DecodeError):
                parsed = msgspec.json.decode(body)
        return Answer(answer.status, found, body, parsed)

    async def get(self, path: str, **about: Any) -> Answer:
        return await self.call("GET", path, **about)

    async def post(self, path: str, body: object = None, **about: Any) -> Answer:
        """Send a JSON value, or bytes as they are."""
        data = io.BytesIO(body if isinstance(body, bytes) else msgspec.json.encode(body))
        headers = {"Content-Type": "application/json", **about.pop("headers", {})}
        return await self.call("POST", path, data=data, headers=headers, **about)

    async def submit(self, model: str, **given: Any) -> Answer:
        return await self.post(f"/api/v1/{model}/async", given)

    async def finish(self, task: str, within_s: float = 60, pause_s: float = 0.1) -> dict[str, Any]:
        """Poll as a client does until the task has ended; its `data`."""
        give_up = time.monotonic() + within_s
        while True:
            data: dict[str, Any] = (await self.get(f"/api/v1/tasks/{task}")).data
            if data["status"] != "pending":
                return data
            assert time.monotonic() < give_up, f"{task} has not ended"
            await asyncio.sleep(pause_s)

    async def run(self, model: str, within_s: float = 60, **given: Any) -> dict[str, Any]:
        return await self.finish((await self.submit(model, **given)).data["task_id"], within_s)

    async def balance(self) -> float:
        return float((await self.get("/api/v1/team/balance")).data["balance"])


@dataclass
class Team(Client):
    """A client with one key of a team of its own."""

    id: int = 0
    key: ApiKey | None = None
    text: str = ""


@dataclass
class Platform:
    """Everything that runs, and the doors an operator has to it."""

    origin: str
    sandbox: str
    database: str
    pool: Pool
    http: aiohttp.ClientSession
    env: dict[str, str]
    secret: Secret
    folder: Path
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def serving(self) -> subprocess.Popen[bytes]:
        """The API process."""
        return next(process for process in self.processes if "serve" in process.args)

    def start(self, *arguments: str, **env: str) -> subprocess.Popen[bytes]:
        with (self.folder / f"{arguments[0]}.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "modellix_server.cli.app", *arguments],
                env=self.env | env,
                stdout=log,
                stderr=log,
            )
        self.processes.append(process)
        return process

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text()

    def anyone(self, authorization: str | None = None) -> Client:
        return Client(self.origin, self.http, authorization)

    async def team(
        self,
        micros: int = 100_000_000,
        *,
        live: bool = False,
        concurrency: int | None = MANY,
        rpm: int | None = MANY,
        key_rpm: int | None = MANY,
    ) -> Team:
        """A new team with money, and generous limits unless told otherwise (None: the defaults)."""
        async with self.pool.acquire() as db, db.transaction():
            team = await identity.create_team(db, f"team {next(_numbers)}")
            await db.execute("select ledger.open_team($1), tasks.open_team($1)", team.id)
            await set_for_team(db, team.id, concurrency=concurrency, rpm=rpm, key_rpm=key_rpm)
            if micros:
                await ledger.credit(db, team.id, micros, live=live, actor="tests", note=None)
        made = Team(self.origin, self.http, id=team.id)
        return await self.key(made, live=live)

    async def key(self, team: Team, *, live: bool = False) -> Team:
        """The same team with another key."""
        text, key = await identity.create_key(self.pool, self.secret, team.id, live=live, name="k", created_by="tests")
        return Team(self.origin, self.http, f"Bearer {text}", team.id, key, text)

    async def tasks_of(self, team: Team) -> int:
        return int(await self.pool.fetchval("select count(*) from tasks.task where team_id = $1", team.id))

    async def purse(self, team: Team) -> tuple[int, int]:
        """Posted and held, of the key's mode."""
        assert team.key is not None
        found = await ledger.balance(self.pool, team.id, live=team.key.live)
        return found.posted, found.held

    async def row(self, task: str) -> dict[str, Any]:
        found = await self.pool.fetchrow("select * from tasks.task where id = $1", parse_task_name(task))
        return dict(found)

    async def reach(self, task: str, there: Callable[[dict[str, Any]], bool], within_s: float = 30) -> dict[str, Any]:
        """Wait until the task's row is as wanted."""
        give_up = time.monotonic() + within_s
        while not there(row := await self.row(task)):
            assert time.monotonic() < give_up, f"{task} is still {row['state']}"
            await asyncio.sleep(0.05)
        return row

    async def reviews(self, task: str) -> list[str]:
        rows = await self.pool.fetch("select reason from tasks.review where task_id = $1", parse_task_name(task))
        return [row["reason"] for row in rows]

    async def log_is_written(self, team: Team, within_s: float = 10) -> None:
        """Wait until the request log has what the team did so far."""
        await team.get("/api/v1/team/balance")
        give_up = time.monotonic() + within_s
        while not await self.pool.fetchval(
            "select count(*) from requestlog.entry where team_id = $1 and path = '/api/v1/team/balance'", team.id
        ):
            assert time.monotonic() < give_up, "the request log is not written"
            await asyncio.sleep(0.1)

    async def bill(self, task: str, upstream: str = "dashscope") -> list[dict[str, Any]]:
        """Every POST the vendor got for one task."""
        async with self.http.get(f"{self.sandbox}/{upstream}/_bill", params={"task": task}) as answer:
            lines: list[dict[str, Any]] = (await answer.json())["lines"]
        return lines

    async def totals(self, upstream: str) -> dict[str, Any]:
        """The sums of a vendor's whole bill."""
        async with self.http.get(f"{self.sandbox}/{upstream}/_bill") as answer:
            totals: dict[str, Any] = (await answer.json())["totals"]
        return totals

    async def books_are_clean(self) -> None:
        async with self.pool.acquire() as db:
            assert await verify(db) == []

    async def spool_is_empty(self, within_s: float = 10) -> None:
        """Wait until no scratch file is left; what is still under way may have some for a moment."""
        give_up = time.monotonic() + within_s
        while left := [path for path in (self.folder / "spool").rglob("modellix-spool-*/**/*") if path.is_file()]:
            assert time.monotonic() < give_up, left
            await asyncio.sleep(0.1)

    async def until_ready(self, within_s: float = 30) -> None:
        give_up = time.monotonic() + within_s
        for url in (f"{self.origin}/readyz", f"{self.sandbox}/healthz"):
            while True:
                with contextlib.suppress(aiohttp.ClientConnectionError):
                    async with self.http.get(url) as answer:
                        if answer.status == 200:
                            break
                assert time.monotonic() < give_up, f"{url} is not ready\n{self.log('serve')}"
                await asyncio.sleep(0.05)

    def stop(self) -> None:
        running = [process for process in self.processes if process.poll() is None]
        for process in running:
            process.terminate()
        for process in running:
            process.wait(30)


@contextlib.asynccontextmanager
async def open_platform(server: Any, folder: Path, **settings: str) -> AsyncIterator[Platform]:
    """A platform on a fresh database; `settings` are MODELLIX_* variables without the prefix."""
    name = f"journeys_{next(_numbers)}"
    database = await server.create(name)
    port, sandbox_port = free_port(), free_port()
    secret = Secret(secrets.token_bytes(32))
    spool = folder / "spool"
    spool.mkdir()
    env = dict(os.environ) | {
        "MODELLIX_DATABASE_URL": database.app_dsn,
        "MODELLIX_OWNER_DATABASE_URL": database.owner_dsn,
        "MODELLIX_STORAGE_URL": (folder / "storage").as_uri(),
        "MODELLIX_SPOOL_DIR": str(spool),
        "MODELLIX_SECRET": base64.b64encode(secret.value).decode(),
        "MODELLIX_MASTER_KEY": base64.b64encode(secrets.token_bytes(32)).decode(),
        "MODELLIX_SANDBOX_URL": f"http://127.0.0.1:{sandbox_port}",
        "MODELLIX_PORT": str(port),
        "MODELLIX_ALLOW_NETWORKS": "127.0.0.0/8",
        "MODELLIX_DRAIN_S": "0",
        **{f"MODELLIX_{key.upper()}": value for key, value in settings.items()},
    }
    pool = await open_pool(database.app_dsn, size=4, name="journeys")
    http = checked_session()
    origin, sandbox = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{sandbox_port}"
    platform = Platform(origin, sandbox, database.superuser_dsn, pool, http, env, secret, folder)
    try:
        platform.start("sandbox", "--data", str(folder / "sandbox"), "--port", str(sandbox_port))
        platform.start("serve")
        platform.start("work")
        await platform.until_ready()
        yield platform
    finally:
        platform.stop()
        await http.close()
        await pool.close()
        await server.setup.execute(f"drop database {name} with (force)")


@pytest.fixture(scope="session")
async def platform(postgres_server, tmp_path_factory) -> AsyncIterator[Platform]:
    """The one most tests share: each makes a team of its own on it."""
    async with open_platform(postgres_server, tmp_path_factory.mktemp("platform")) as opened:
        yield opened
        await opened.books_are_clean()


@pytest.fixture(scope="session")
def stage() -> Callable[..., contextlib.AbstractAsyncContextManager[Platform]]:
    """For tests that need a platform with settings of its own."""
    return open_platform


@pytest.fixture
async def team(platform: Platform) -> Team:
    return await platform.team()


@pytest.fixture
async def superuser(platform: Platform) -> AsyncIterator[asyncpg.Connection]:
    """For what no role of the platform may do."""
    connection = await connect(platform.database, name="superuser")
    yield connection
    await connection.close()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Tests have other witnesses."""


@pytest.fixture(scope="session")
def web(tmp_path_factory) -> Iterator[tuple[str, Path]]:
    """Somebody's web server, and the folder it shows."""
    folder = tmp_path_factory.mktemp("web")
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder))) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", folder
        server.shutdown()
        thread.join()


class Draw:
    """Pictures for request bodies."""

    @staticmethod
    def picture(width: int = 512, height: int = 512, colour: str = "#a04020", format_name: str = "PNG") -> bytes:
        """A plain picture with a black corner, so that turning it shows."""
        image = Image.new("RGB", (width, height), colour)
        image.paste("black", (0, 0, width // 4, height // 4))
        buffer = io.BytesIO()
        image.save(buffer, format_name)
        return buffer.getvalue()

    @staticmethod
    def noise(size: int) -> bytes:
        """A PNG of about `size` bytes, another one each time."""
        side = int((size / 3) ** 0.5)
        buffer = io.BytesIO()
        Image.frombytes("RGB", (side, side), os.urandom(side * side * 3)).save(buffer, "PNG", compress_level=0)
        return buffer.getvalue()

    @staticmethod
    def data_uri(content: bytes, mime: str = "image/png") -> str:
        return f"data:{mime};base64,{base64.b64encode(content).decode()}"


@pytest.fixture(scope="session")
def draw() -> Draw:
    return Draw()


@pytest.fixture(scope="session")
def film(tmp_path_factory) -> Callable[..., bytes]:
    """Makes clips and sounds."""
    folder = tmp_path_factory.mktemp("films")

    def make(name: str, seconds: float, size: str = "320x240") -> bytes:
        path = folder / f"{seconds}-{size}-{name}"
        if not path.exists():
            sound = ["-f", "lavfi", "-i", f"sine=duration={seconds}"]
            sight = ["-f", "lavfi", "-i", f"testsrc=size={size}:rate=10:duration={seconds}"]
            made = sound if name.endswith(("wav", "mp3")) else sight
            subprocess.run([imageio_ffmpeg.get_ffmpeg_exe(), "-loglevel", "error", *made, str(path)], check=True)
        return path.read_bytes()

    return make
