"""Every model runs from its playground by one click on what the page is filled in with."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import pytest
from tests.support.browsers import Visitor, member, new_team
from tests.support.platform_processes import open_platform
from tests.support.sent_form import Sent

from modellix_server.catalogue import Catalogue
from modellix_server.identity import Role

MODELS = sorted(Catalogue.load().models)
SCRIPT = {"HX_Request": "true"}


@pytest.fixture(scope="module")
async def developer(postgres_server, tmp_path_factory) -> AsyncIterator[Visitor]:
    """At a platform without a worker: what follows the acceptance is the matter of the journeys."""
    async with open_platform(postgres_server, tmp_path_factory.mktemp("every")) as platform:
        worker = next(one for one in platform.processes if "work" in one.args)
        worker.terminate()
        worker.wait(30)
        yield await member(platform, (await new_team(platform)).id, Role.DEVELOPER)


@pytest.mark.parametrize("slug", MODELS)
async def test_every_model_runs_by_one_click(developer: Visitor, slug: str) -> None:
    page = await developer.get(f"/console/models/{slug}")
    assert page.status == 200, page.text
    assert len(page.text) < 150_000
    ran = await developer.post(f"/console/models/{slug}/run", Sent(page.text).fields, **SCRIPT)
    assert ran.status == 200, ran.text
    assert re.search(r'id="task-[0-9a-f]{32}"', ran.text)
