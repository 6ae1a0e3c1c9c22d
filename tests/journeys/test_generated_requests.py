"""Requests that schemathesis makes from the OpenAPI document, good ones and bad ones, and every answer held against it.

No fault of ours, and no status, header, content type or body that the document does not tell of; what breaks a schema
is refused; what fits one is accepted, or refused for what no schema can say (`support/schemathesis_hooks.py`). It runs
as its own program and knows nothing but the document, a key, and some ids.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
from collections.abc import Iterable
from pathlib import Path
from string import Template

import aiohttp
import pytest

from modellix_server import ledger
from modellix_server.catalogue import Catalogue, Model

FOLDER = Path(__file__).parent
MODEL = "alibaba/qwen-image-plus"
ROUTES = [f"--include-tag={tag}" for tag in ("Tasks", "Models", "Account", "Files", "Webhooks", "Health")]
BOUNDED = ("--max-examples=2", "--generation-deterministic")
WITHOUT_LINKS = "--phases=examples,coverage,fuzzing"
"""From a submission to its task, that is: without money there is none."""


@pytest.fixture(scope="module")
async def own(postgres_server, stage, tmp_path_factory):
    """A platform on which a report of leaked keys, which all on this machine share a limit of, is nobody else's."""
    async with stage(postgres_server, tmp_path_factory.mktemp("generated")) as platform:
        yield platform


@pytest.fixture
def seed() -> int:
    """Another one each time; `OPENAPI_SEED=` repeats what a failure tells."""
    return int(os.environ.get("OPENAPI_SEED") or random.randrange(2**32))


async def ids_of(team, web, draw) -> dict[str, str]:
    """One of everything that a request may name."""
    url = f"{web[0]}/hook"
    endpoint = (await team.post("/api/v1/webhooks", {"url": url})).data["id"]
    tasks = [(await team.run(MODEL, prompt=words))["task_id"] for words in ("a lake", "[sandbox:moderate]")]
    sent = aiohttp.FormData()
    sent.add_field("file", draw.picture(), filename="a.png")
    file = (await team.call("POST", "/api/v1/media/files", data=sent)).data["file_id"]
    message = (await team.get("/api/v1/webhooks/deliveries")).data["deliveries"][0]["id"]
    return {"finished": tasks[0], "failed": tasks[1], "file": file, "endpoint": endpoint, "message": message}


async def ask(team, ids: dict[str, str], folder: Path, *given: str) -> None:
    """Let schemathesis ask, and fail with all that it found."""
    settings = folder / "schemathesis.toml"
    filled = {"key": team.text, "hooks": str(FOLDER.parent / "support" / "schemathesis_hooks.py"), **ids}
    settings.write_text(Template((FOLDER / settings.name).read_text()).substitute(filled))
    command = ["-m", "schemathesis.cli", "--config-file", settings, "run", f"{team.origin}/api/v1/openapi.json", *given]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *map(str, command),
        cwd=folder,  # where it may leave what it remembers: the next run is to be the same one
        env=os.environ | {"NO_COLOR": "1"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()


def of_models(models: Iterable[Model]) -> list[str]:
    """The operations of these models."""
    return [f"--include-operation-id=submit.{model.provider}.{model.id}" for model in models]


def one_of_each_type() -> list[Model]:
    """The last model of each type: their schemas are tried out for every model in tests/catalogue."""
    return list({model.type: model for model in Catalogue.load()}.values())


async def penniless(platform, team) -> None:
    """A team whose submissions go as far as the money: no task is made, and no vendor asked."""
    available = (await ledger.balance(platform.pool, team.id, live=False)).available
    await ledger.credit(platform.pool, team.id, -available, live=False, actor="tests", note=None)


@pytest.mark.full
@pytest.mark.timeout(600)
async def test_every_route(own, web, draw, tmp_path) -> None:
    team = await own.team()
    ids = await ids_of(team, web, draw)
    await ask(team, ids, tmp_path, *ROUTES, *BOUNDED)
    await own.books_are_clean()


@pytest.mark.full
@pytest.mark.timeout(600)
async def test_a_model_of_each_type(platform, web, draw, tmp_path) -> None:
    team = await platform.team()
    ids = await ids_of(team, web, draw)
    await penniless(platform, team)
    made = await platform.tasks_of(team)
    await ask(team, ids, tmp_path, *of_models(one_of_each_type()), *BOUNDED, WITHOUT_LINKS)
    assert await platform.tasks_of(team) == made


@pytest.mark.full
@pytest.mark.timeout(3600)
async def test_every_route_at_length(own, web, draw, tmp_path, seed) -> None:
    team = await own.team()
    await ask(team, await ids_of(team, web, draw), tmp_path, *ROUTES, "--max-examples=100", f"--seed={seed}")
    await own.books_are_clean()


@pytest.mark.full
@pytest.mark.timeout(3600)
async def test_every_model_at_length(platform, web, draw, tmp_path, seed) -> None:
    team = await platform.team()
    ids = await ids_of(team, web, draw)
    await penniless(platform, team)
    models = of_models(Catalogue.load())
    await ask(team, ids, tmp_path, *models, "--max-examples=20", f"--seed={seed}", WITHOUT_LINKS)
