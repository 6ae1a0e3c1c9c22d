"""A stage for accidents: real worker processes, the emulator in its own process, and its bill as second witness."""

from __future__ import annotations

import asyncio
import base64
import io
import signal
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image
from tests.support.worker_processes import Emulator, Stage, open_emulator

from modellix_server import identity, ledger
from modellix_server.base.database import Pool
from modellix_server.base.settings import Settings
from modellix_server.catalogue import Catalogue
from modellix_server.tasks import Submissions

LEASE_S = 2.0


@pytest.fixture(scope="session")
def emulator(tmp_path_factory) -> Iterator[Emulator]:
    with open_emulator(tmp_path_factory.mktemp("emulator") / "log") as opened:
        yield opened


@pytest.fixture(scope="session")
def picture() -> str:
    """A small picture as a data URI."""
    buffer = io.BytesIO()
    Image.linear_gradient("L").resize((512, 512)).convert("RGB").save(buffer, "PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


INLINE = """
like = "minimax/minimax-image-01-t2i"
name = "Inline"
summary = "Pictures inside the answer."
docs_slug = "inline"

[confidence]
id = "inferred"
inputs = "those of the other"
price = "that of the other"

[[route]]
[route.constants]
response_format = "base64"
"""


HURRIED = """
like = "alibaba/qwen-image-plus"
name = "Hurried"
summary = "No time to lose."
docs_slug = "hurried"
deadline_s = 15

[confidence]
id = "inferred"
inputs = "those of the other"
price = "that of the other"
"""


@pytest.fixture(scope="session")
def own_models(tmp_path_factory) -> Path:
    """Two models more: `acme/inline`, answered at once with the pictures themselves, and `acme/hurried`."""
    folder = tmp_path_factory.mktemp("models")
    (folder / "acme").mkdir()
    (folder / "acme" / "inline.toml").write_text(INLINE)
    (folder / "acme" / "hurried.toml").write_text(HURRIED)
    return folder


@pytest.fixture(scope="session")
def catalogue(own_models: Path) -> Catalogue:
    return Catalogue.load(own_models)


@pytest.fixture
async def stage(
    pool: Pool, settings: Settings, emulator, catalogue, own_models, tmp_path: Path
) -> AsyncIterator[Stage]:
    async with pool.acquire() as db, db.transaction():
        team = await identity.create_team(db, "acme")
        await db.execute("select ledger.open_team($1), tasks.open_team($1)", team.id)
        _, key = await identity.create_key(db, settings.secret, team.id, live=False, name="k", created_by="tests")
        await ledger.credit(db, team.id, 100_000_000, live=False, actor="tests", note=None)
    settings = replace(settings, lease_s=LEASE_S)
    on_stage = Stage(
        settings,
        pool,
        emulator,
        tmp_path / "log",
        team.id,
        key.id,
        catalogue,
        own_models,
        Submissions(pool, asyncio.Event()),
    )
    yield on_stage
    for worker in on_stage.workers:
        if worker.poll() is None:
            worker.send_signal(signal.SIGCONT)
            worker.kill()
        worker.wait()
