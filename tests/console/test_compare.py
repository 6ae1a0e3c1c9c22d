"""One prompt for several models."""

from __future__ import annotations

import re
from urllib.parse import urlencode

import pytest
from tests.support.browsers import Visitor, member, new_team
from tests.support.platform_processes import Platform

from modellix_server.identity import Role

A, B, C = "alibaba/qwen-image-plus", "bytedance/seedream-4.0-t2i", "minimax/minimax-image-01-t2i"


@pytest.fixture(scope="module")
async def developer(platform: Platform) -> Visitor:
    return await member(platform, (await new_team(platform)).id, Role.DEVELOPER)


def chosen(*models: str, **fields: str) -> list[tuple[str, str]]:
    return [*fields.items(), *(("model", model) for model in models)]


async def test_one_run_submits_to_each_and_its_address_shows_them(developer: Visitor) -> None:
    ran = await developer.post("/console/compare", chosen(A, B, prompt="A lighthouse", run="once"))
    assert ran.status == 303
    again = await developer.post("/console/compare", chosen(A, B, prompt="A lighthouse", run="once"))
    assert again.headers["Location"] == ran.headers["Location"]  # sent twice, run once
    page = await developer.get(ran.headers["Location"])
    assert len(set(re.findall(r'id="(task-[0-9a-f]{32})"', page.text))) == 2
    assert "A lighthouse" in page.text


async def test_the_total_is_told_before(developer: Visitor) -> None:
    total = await developer.get("/console/compare/total?" + urlencode(chosen(A, B, C, prompt="x")))
    assert "$0.0522" in total.text
    assert "for 3 models" in total.text


async def test_what_one_refuses_stops_no_other(developer: Visitor) -> None:
    page = await developer.post(
        "/console/compare", chosen(A, C, prompt="x" * 801)
    )  # 800 characters are the most of the first
    assert page.status == 200
    assert len(re.findall(r'id="task-[0-9a-f]{32}"', page.text)) == 1
    assert "800" in page.text
    assert (await developer.post("/console/compare", chosen(A, prompt="x"))).status == 400


async def test_the_public_pages_show_models_and_prices_to_anybody(platform: Platform) -> None:
    stranger = Visitor(platform.origin)
    page = await stranger.get("/models?q=qwen-image-plus")
    assert f'href="/models/{A}"' in page.text
    model = await stranger.get(f"/models/{A}")
    assert "$0.0172" in model.text
    assert "MODELLIX_API_KEY" in model.text
    assert (await stranger.get("/models/alibaba/nothing")).status == 404
    assert "/samples/boat.jpg" in (await stranger.get("/")).text
