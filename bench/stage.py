"""Where a run takes place: a PostgreSQL of its own, seeded teams, and the real programs as child processes."""

from __future__ import annotations

import asyncio
import base64
import os
import secrets
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
import msgspec

from bench import programs
from bench.programs import CannotMeasureError, Program
from modellix_server import identity, ledger, limits, vault
from modellix_server.base.database import Pool, connect, open_pool
from modellix_server.base.functions import discover_functions
from modellix_server.base.ids import uuid7
from modellix_server.base.migrations import discover, migrate
from modellix_server.base.secret import Secret
from modellix_server.base.settings import Settings
from modellix_server.catalogue import Catalogue
from modellix_server.embedded.data_directory import APP, OWNER, SUPERUSER, DataDirectory
from modellix_server.embedded.postgres import EmbeddedPostgres
from modellix_server.operations.maintenance.migrate import ROOMS
from modellix_server.tasks import Accepted, Submission, Submissions, verify

TEAMS = 200
MODEL = "alibaba/qwen-image-plus"
SUBMIT_PATH = f"/api/v1/text-to-image/{MODEL}/async"
PROMPT = "A lighthouse on a cliff at dusk, long exposure, the sea like mist, one warm window, film grain"

_CREDIT_MICROS = 10**15
_NO_LIMIT = 2_000_000_000  # still counted and checked, never reached
_TEMPLATE = "template_bench"
_PRELOAD_AT_ONCE = 400


@dataclass(frozen=True)
class Team:
    """One seeded team and the text of its test key."""

    id: int
    key_id: int
    key: str


@dataclass
class World:
    """One fresh database with every team in it, and the programs that run on it."""

    settings: Settings
    pool: Pool
    teams: list[Team]
    postgres_pid: int
    folder: Path
    catalogue: Catalogue
    programs: list[Program] = field(default_factory=list)

    def _env(self) -> dict[str, str]:
        chosen = self.settings
        return programs.clean_environment() | {
            "MODELLIX_DATABASE_URL": chosen.database_url,
            "MODELLIX_STORAGE_URL": chosen.storage_url,
            "MODELLIX_SPOOL_DIR": chosen.spool_dir,
            "MODELLIX_SECRET": base64.b64encode(chosen.secret.value).decode(),
            "MODELLIX_MASTER_KEY": base64.b64encode(chosen.master_key.value).decode(),
            "MODELLIX_SANDBOX_URL": chosen.sandbox_url,
            "MODELLIX_PORT": str(chosen.port),
            "MODELLIX_DRAIN_S": "0",
            "MODELLIX_LOG_LEVEL": "warning",
            "MODELLIX_ALLOW_NETWORKS": "127.0.0.0/8",  # where the receivers of webhooks are
        }

    def start(self, name: str, *arguments: str, **more: str) -> Program:
        """Start a Python program in this world, with `more` in its environment."""
        program = programs.start(name, *arguments, env=self._env() | more, log=self.folder / f"{name}.log")
        self.programs.append(program)
        return program

    @property
    def origin(self) -> str:
        """Where `serve` answers."""
        return f"http://127.0.0.1:{self.settings.port}"

    async def serve(self, **more: str) -> Program:
        """Start the API, with `more` in its environment, and wait until it is ready."""
        program = self.start("serve", *programs.MODELLIX, "serve", "--parent", str(os.getpid()), **more)
        await programs.ready(program, self.origin, "/readyz")
        return program

    def work(self) -> Program:
        """Start a worker; it is not ready yet."""
        return self.start("work", *programs.MODELLIX, "work", "--parent", str(os.getpid()))

    async def emulate(self, *, instant: bool = True) -> Program:
        """Start the vendor's emulator; an instant one finishes every task at once and draws nothing."""
        port = self.settings.sandbox_url.rpartition(":")[2]
        options = ["--instant"] if instant else []
        program = self.start("emulator", *programs.MODELLIX, "emulate", "dashscope", "--port", port, *options)
        await programs.ready(program, self.settings.sandbox_url, "/healthz")
        return program

    async def open_account(self, polls_per_s: float) -> None:
        """Give the platform a live account at the emulator, with its own limit on status queries."""
        await vault.set_account(
            self.pool,
            self.settings.keyring,
            "dashscope",
            "sk-bench",
            base_url=f"{self.settings.sandbox_url}/dashscope/api/v1",
            region="cn",
            polls_per_s=polls_per_s,
        )

    async def live_key(self, team: Team) -> tuple[str, int]:
        """A live key of a team, and its number."""
        text, key = await identity.create_key(
            self.pool, self.settings.secret, team.id, live=True, name="bench", created_by="bench"
        )
        return text, key.id

    async def preload(
        self, count: int, prompt: str = PROMPT, *, live: bool = False, team: Team | None = None, slots: int = _NO_LIMIT
    ) -> None:
        """Queue tasks of a team, the first one, without HTTP, in batches as `serve` would.

        Beyond `slots` they wait for one, as with `X-Queue: wait`.
        """
        team = team or self.teams[0]
        model = self.catalogue.models[MODEL]
        params = model.check({"prompt": prompt})
        quote = model.quote(params, None, live=live)
        sample = Submission(
            task_id=uuid7(),
            team_id=team.id,
            live=live,
            key_id=team.key_id,
            model=model.slug,
            params=msgspec.json.encode(params).decode(),
            price=msgspec.json.encode(quote).decode(),
            quote=quote.amount_micros,
            deadline_s=model.deadline_s,
            slots=slots,
            wait=slots < _NO_LIMIT,
        )
        submissions = Submissions(self.pool, asyncio.Event())
        for start in range(0, count, _PRELOAD_AT_ONCE):
            size = min(_PRELOAD_AT_ONCE, count - start)
            answers = await asyncio.gather(
                *(submissions.accept(msgspec.structs.replace(sample, task_id=uuid7())) for _ in range(size))
            )
            assert all(isinstance(answer, Accepted) for answer in answers)

    async def bill(self) -> dict[str, Any]:
        """The emulator's own account of what it received: posts, accepted, images."""
        url = f"{self.settings.sandbox_url}/dashscope/_bill"
        async with aiohttp.ClientSession() as http, http.get(url) as answer:
            bill: dict[str, Any] = await answer.json()
            return bill

    async def require_reconciled(self) -> None:
        """Raise CannotMeasureError unless tasks and money agree: a fast wrong answer is no figure."""
        db = await connect(self.settings.database_url, name="bench-verify", statement_timeout_ms=300_000)
        try:
            if findings := await verify(db):
                raise CannotMeasureError(f"tasks and money do not agree after the load: {findings[:3]}")
            if lost := await db.fetchval("select sum(rows) from requestlog.loss"):
                raise CannotMeasureError(f"{lost} rows of the request log were lost under the load")
        finally:
            await db.close()

    async def close(self) -> None:
        """End every program."""
        await asyncio.gather(*(program.stop() for program in reversed(self.programs)))
        await self.pool.close()


@dataclass
class Stage:
    """The PostgreSQL of a run and the seeded template every world is copied from."""

    data_directory: DataDirectory
    postgres: EmbeddedPostgres
    setup: asyncpg.Connection[asyncpg.Record]
    teams: list[Team]
    secret: Secret
    catalogue: Catalogue
    worlds: int = 0

    @asynccontextmanager
    async def world(self) -> AsyncIterator[World]:
        """A fresh world, ended at the end. Its files are removed with the stage.

        ext4 without a journal looks again and again at what was just deleted before it makes a new file (its function
        `recently_deleted`): the next world would be measured by what is left of this one.
        """
        self.worlds += 1
        name = f"bench_{self.worlds}"
        await self.setup.execute(f"create database {name} template {_TEMPLATE} owner {OWNER}")
        folder = self.data_directory.root / name
        (folder / "spool").mkdir(parents=True)
        settings = Settings(
            database_url=self.data_directory.dsn(APP, name),
            owner_database_url=self.data_directory.dsn(OWNER, name),
            storage_url=(folder / "storage").as_uri(),
            secret=self.secret,
            master_key=Secret(secrets.token_bytes(32)),
            sandbox_url=f"http://127.0.0.1:{programs.free_port()}",
            port=programs.free_port(),
            spool_dir=str(folder / "spool"),
        )
        pool = await open_pool(settings.database_url, size=4, name="bench")
        assert self.postgres.pid is not None
        world = World(settings, pool, self.teams, self.postgres.pid, folder, self.catalogue)
        try:
            yield world
        finally:
            await world.close()
            await self.setup.execute(f"drop database {name} with (force)")

    async def about(self) -> dict[str, str]:
        """What the figures depend on, as the server itself tells it."""
        names = ("server_version", "fsync", "synchronous_commit", "full_page_writes", "shared_buffers")
        return {name: await self.setup.fetchval("select current_setting($1)", name) for name in names}


@asynccontextmanager
async def open_stage() -> AsyncIterator[Stage]:
    """PostgreSQL in a temporary directory, migrated and seeded; all of it is removed at the end."""
    folder = Path(tempfile.mkdtemp(prefix="modellix-bench-"))
    folder.chmod(0o711)  # a server started by root runs as another user and must pass through
    data_directory = DataDirectory(folder / "data")
    data_directory.create()
    postgres = EmbeddedPostgres(data_directory)
    try:
        await postgres.start()
        setup = await connect(data_directory.dsn(SUPERUSER, "postgres"), name="bench-setup")
        await setup.execute(f"create database {_TEMPLATE} owner {OWNER}")
        await migrate(data_directory.dsn(OWNER, _TEMPLATE), discover(ROOMS), discover_functions(ROOMS))
        secret = Secret(secrets.token_bytes(32))
        teams = await _seed(data_directory.dsn(OWNER, _TEMPLATE), secret)
        yield Stage(data_directory, postgres, setup, teams, secret, Catalogue.load())
        await setup.close()
    finally:
        await postgres.stop()
        shutil.rmtree(folder, ignore_errors=True)


async def _seed(dsn: str, secret: Secret) -> list[Team]:
    db = await connect(dsn, name="bench-seed")
    teams = []
    try:
        async with db.transaction():
            for number in range(1, TEAMS + 1):
                team = await identity.create_team(db, f"team {number}")
                await db.execute("select ledger.open_team($1), tasks.open_team($1)", team.id)
                text, key = await identity.create_key(db, secret, team.id, live=False, name="bench", created_by="bench")
                for live in (True, False):
                    await ledger.credit(db, team.id, _CREDIT_MICROS, live=live, actor="bench", note=None)
                await limits.set_for_team(db, team.id, concurrency=_NO_LIMIT, rpm=_NO_LIMIT, key_rpm=_NO_LIMIT)
                teams.append(Team(team.id, key.id, text))
    finally:
        await db.close()
    if any(team.id != number or team.key_id != number for number, team in enumerate(teams, 1)):
        raise CannotMeasureError("teams and keys are not numbered from 1, which the pgbench scripts count on")
    return teams
