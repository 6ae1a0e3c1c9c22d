"""The first six models in detail, in test mode and in live mode; test_models_all has every model."""

from __future__ import annotations

import asyncio
import base64
import io
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

import pytest
from PIL import Image
from pymediainfo import MediaInfo

from modellix_server.base.money import ceil_div


@dataclass(frozen=True)
class Case:
    """One submission, and what was promised for it. Prices in micro-dollars per picture or per second."""

    model: str
    given: dict[str, Any]
    price: int
    files: int
    sides: tuple[int, int] | None = None
    """None where the vendor chooses."""
    seconds: int | None = None


FIRST, LAST = "<first picture>", "<last picture>"
CASES = (
    Case("alibaba/qwen-image-plus", {"prompt": "a lighthouse", "size": "928*1664"}, 17_200, 1, (928, 1664)),
    Case("alibaba/wan2.6-t2i", {"prompt": "three boats", "n": 3, "size": "1280*1280"}, 30_000, 3, (1280, 1280)),
    Case("alibaba/wan2.6-t2i", {"prompt": "four boats"}, 30_000, 4, (1280, 1280)),
    Case(
        "alibaba/qwen-image-edit-plus",
        {"prompt": "join them", "images": [FIRST, LAST], "n": 2, "size": "640*512"},
        30_000,
        2,
        (640, 512),
    ),
    Case("alibaba/wan2.6-t2v", {"prompt": "waves", "size": "1280*720", "duration": 2}, 100_000, 1, (1280, 720), 2),
    Case("alibaba/wan2.2-i2v-flash", {"img_url": FIRST, "resolution": "480P"}, 800, 1, None, 5),
    Case("alibaba/wan2.2-kf2v-flash", {"first_frame_url": FIRST, "last_frame_url": LAST}, 28_671, 1, None, 5),
)


def filled(given: dict[str, Any], draw) -> dict[str, Any]:
    """The case's input with real pictures in it, one as a data URI and one as raw base64."""
    pictures = {
        FIRST: draw.data_uri(draw.picture(600, 400, "#204080")),
        LAST: base64.b64encode(draw.picture(600, 400, "#806020", "JPEG")).decode(),
    }

    def one(value: Any) -> Any:
        if isinstance(value, list):
            return [one(item) for item in value]
        return pictures.get(value, value) if isinstance(value, str) else value

    return {name: one(value) for name, value in given.items()}


async def check(platform, client, case: Case, given: dict[str, Any]) -> None:
    """One case from quote to bill."""
    quote = (await client.post("/api/v1/quote", {"model": case.model, "input": given})).data["cost_micros"]
    receipt = (await client.submit(case.model, **given)).data
    row = await platform.row(receipt["task_id"])
    assert row["quote"] == quote
    data = await client.finish(receipt["task_id"], within_s=90)
    assert data["status"] == "success", data["error"]
    resources = data["result"]["resources"]
    assert len(resources) == case.files
    for resource in resources:
        file = await client.http.get(resource["url"])
        content = await file.read()
        assert file.status == 200
        assert resource["size"] == len(content)
        assert (await asyncio.to_thread(probe, content, resource["type"])) == (
            resource["width"],
            resource["height"],
            None if resource["duration"] is None else round(resource["duration"]),
        )
        assert case.sides is None or (resource["width"], resource["height"]) == case.sides
        assert (resource["duration"] and round(resource["duration"])) == case.seconds
    (line,) = await platform.bill(receipt["task_id"])
    billed = case.price * line["images"] + ceil_div(case.price * round(line["seconds"] * 1000), 1000)
    row = await platform.row(receipt["task_id"])
    assert 0 < row["captured"] == billed <= quote
    assert data["billing"]["amount"] == billed / 1e6
    assert await platform.reviews(receipt["task_id"]) == []


def probe(content: bytes, kind: str) -> tuple[int, int, int | None]:
    """Width, height and whole seconds, by other eyes than the platform's."""
    if kind == "image":
        with Image.open(io.BytesIO(content)) as image:
            image.load()
            return (*image.size, None)
    (video,) = MediaInfo.parse(io.BytesIO(content)).video_tracks
    return video.width, video.height, round(float(video.duration) / 1000)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.model.partition('/')[2]}-{case.files}")
async def test_in_test_mode(platform, team, draw, case: Case) -> None:
    posted, _ = await platform.balance_of(team)
    await check(platform, team, case, filled(case.given, draw))
    left, held = await platform.balance_of(team)
    assert held == 0
    assert posted - left == case.price * (case.seconds or case.files)


async def test_every_example_is_a_request(team) -> None:
    """What the docs and forms show can be sent as it stands."""
    for entry in (await team.get("/api/v1/models")).json["models"]:
        model = (await team.get(f"/api/v1/models/{entry['slug']}")).data
        quote = await team.post("/api/v1/quote", {"model": entry["slug"], "input": model["example"]})
        assert quote.data["cost_micros"] > 0


@pytest.mark.full
async def test_in_live_mode(platform, superuser, draw) -> None:
    """503 without a vendor account; with one, set as an operator sets it, everything runs on live money."""
    team = await platform.team(live=True)
    first = CASES[0]
    (await team.submit(first.model, **first.given)).refused(
        503, "Service unavailable: provider temporarily unavailable"
    )
    assert await platform.balance_of(team) == (100_000_000, 0)
    assert await platform.tasks_of(team) == 0
    await set_account(platform, f"{platform.sandbox}/dashscope/api/v1", "cn")
    try:
        await answers(team, first, 200)
        await asyncio.gather(*(check(platform, team, case, filled(case.given, draw)) for case in CASES))
        assert await platform.pool.fetchval("select bool_and(live) from tasks.task where team_id = $1", team.id)
        sibling = await platform.key(team)  # its test key has another balance
        assert await sibling.balance() == 0
    finally:
        await superuser.execute("delete from vault.account")
        await answers(team, first, 503)


async def test_a_model_of_another_region_is_refused_before_money_is_held(platform, superuser, draw) -> None:
    team = await platform.team(live=True)
    case = next(case for case in CASES if case.model == "alibaba/wan2.2-kf2v-flash")
    await set_account(platform, f"{platform.sandbox}/dashscope/api/v1", "intl")
    try:
        await answers(team, CASES[0], 200)
        held = await platform.balance_of(team)
        refused = await team.submit(case.model, **filled(case.given, draw))
        refused.refused(503, "Service unavailable: the provider offers this model not in our region 'intl' but in: cn")
        assert refused.headers["retry-after"] == "60"
        assert (await platform.balance_of(team))[0] <= held[0]
        assert (
            await platform.pool.fetchval(
                "select count(*) from tasks.task where team_id = $1 and model = $2", team.id, case.model
            )
            == 0
        )
    finally:
        await superuser.execute("delete from vault.account")
        await answers(team, CASES[0], 503)


async def set_account(platform, address: str, region: str) -> None:
    """As an operator does it."""
    account = ("admin", "upstream", "set", "dashscope", "--base-url", address, "--region", region)
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "modellix_server.cli.app", *account],
        env=platform.env,
        input=b"sk-live-account\n",
        capture_output=True,
    )
    assert done.returncode == 0, done.stderr


async def answers(client, case: Case, status: int) -> None:
    """Submit until the answer is this one: an account is known everywhere after two seconds at most."""
    for _ in range(300):
        if (await client.submit(case.model, **case.given)).status == status:
            return
        await asyncio.sleep(0.2)
    pytest.fail(f"still not {status}")
