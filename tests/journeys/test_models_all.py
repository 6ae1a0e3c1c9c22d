"""Every model of the catalogue, as its page shows it: the example is sent as it stands and keeps what it promises.

What is promised comes from the example's own parameters and, where they do not say it, from the table below, which
follows the vendors' pages; nothing comes from what was delivered.
"""

from __future__ import annotations

import asyncio
import io
import re
import time
from dataclasses import dataclass
from typing import Any

import pytest
from PIL import Image
from pymediainfo import MediaInfo

from modellix_server.base.money import ceil_div
from modellix_server.catalogue import Catalogue, samples

MODELS = Catalogue.load().models
LEAST_MODELS = 112
WITHIN_S = 600
_SIZE = re.compile(r"(\d+)[*x](\d+)", re.ASCII)
Sides = tuple[int, int]


@dataclass(frozen=True)
class Promise:
    """What an example delivers. `area` is about the pixels of a file whose shape follows that of `like`."""

    sides: Sides | None = None
    like: Sides | None = None
    area: int = 0
    seconds: float | None = None
    sound: bool = False
    input_s: float = 0
    """Seconds of input that are charged."""
    beside: int = 0
    """Files that come with the ones that are charged."""
    files: int = 1
    formats: tuple[str, ...] = ("png", "jpeg")


CAT, PERSON, FIELD = (1024, 768), (768, 1024), (1280, 720)
"""Shapes of the sample pictures, and of the clip of the walk."""
HD, P480, P512, P768 = 1280 * 720, 832 * 480, 912 * 512, 1366 * 768
SQUARE = 1024 * 1024

BY_TABLE = {
    "alibaba/aitryon": Promise(PERSON),
    "alibaba/aitryon-plus": Promise(PERSON),
    "alibaba/aitryon-refiner": Promise(PERSON),
    "alibaba/aitryon-parsing-v1": Promise(PERSON, beside=3),
    "alibaba/image-out-painting": Promise((1365, 768)),
    "alibaba/qwen-mt-image": Promise(PERSON),
    "alibaba/qwen-image-2.0-edit": Promise(like=CAT, area=SQUARE),
    "alibaba/qwen-image-2.0-pro-edit": Promise(like=CAT, area=SQUARE),
    "alibaba/qwen-image-edit": Promise(like=CAT, area=SQUARE),
    "alibaba/qwen-image-edit-max": Promise(like=CAT, area=SQUARE),
    "alibaba/qwen-image-edit-plus": Promise(like=CAT, area=SQUARE),
    "alibaba/qwen-image-edit-plus-2025-10-30": Promise(like=CAT, area=SQUARE),
    "alibaba/qwen-image-edit-plus-2025-12-15": Promise(like=CAT, area=SQUARE),
    "alibaba/wan2.5-i2i-preview": Promise((1280, 1280)),
    "alibaba/wan2.6-image": Promise((1280, 1280)),
    "alibaba/wan2.7-image": Promise((1024, 1024)),
    "alibaba/wan2.7-image-pro": Promise((1024, 1024)),
    "alibaba/wan2.7-image-edit": Promise(like=CAT, area=SQUARE),
    "alibaba/wan2.7-image-pro-edit": Promise(like=CAT, area=SQUARE),
    "alibaba/wanx-background-generation-v2": Promise((1024, 1024)),
    "alibaba/wanx-style-repaint-v1": Promise((1536, 1536)),
    "alibaba/wanx2.1-imageedit": Promise(CAT),
    "alibaba/wordart-semantic": Promise((1280, 720), beside=1),
    "alibaba/wordart-texture": Promise((1252, 704)),
    "alibaba/happyhorse-1.0-i2v": Promise(like=CAT, area=HD, sound=True),
    "alibaba/happyhorse-1.1-i2v": Promise(like=CAT, area=HD, sound=True),
    "alibaba/happyhorse-1.0-video-edit": Promise(FIELD, seconds=3, input_s=3, sound=True),
    "alibaba/wan2.1-vace-plus": Promise(FIELD),
    "alibaba/wan2.2-animate-mix": Promise(like=(720, 1280), area=HD, seconds=3, sound=True),
    "alibaba/wan2.2-animate-move": Promise(like=PERSON, area=HD, seconds=3, sound=True),
    "alibaba/wan2.2-i2v-flash": Promise(like=CAT, area=P480),
    "alibaba/wan2.2-i2v-plus": Promise(like=CAT, area=P480),
    "alibaba/wan2.2-kf2v-flash": Promise(like=CAT, area=P480),
    "alibaba/wan2.5-i2v-preview": Promise(like=CAT, area=P480, sound=True),
    "alibaba/wan2.6-i2v": Promise(like=CAT, area=HD, sound=True),
    "alibaba/wan2.6-i2v-flash": Promise(like=CAT, area=P480),
    "alibaba/wan2.6-r2v": Promise(FIELD, input_s=3, sound=True),
    "alibaba/wan2.6-r2v-flash": Promise(FIELD, input_s=3, sound=True),
    "alibaba/wan2.7-i2v": Promise(like=CAT, area=HD, sound=True),
    "alibaba/wan2.7-videoedit": Promise(FIELD, input_s=2, sound=True),
    "alibaba/wanx2.1-i2v-plus": Promise(like=CAT, area=HD),
    "alibaba/wanx2.1-i2v-turbo": Promise(like=CAT, area=P480),
    "alibaba/wanx2.1-kf2v-plus": Promise(like=CAT, area=HD),
    "bytedance/seedance-1.0-lite-i2v": Promise(like=CAT, area=864 * 480),
    "bytedance/seedance-1.0-pro-fast-i2v": Promise(like=CAT, area=864 * 480),
    "bytedance/seedance-1.0-pro-i2v": Promise(like=CAT, area=864 * 480),
    "bytedance/seedance-1.0-lite-t2v": Promise((864, 480)),
    "bytedance/seedance-1.0-pro-fast-t2v": Promise((864, 480)),
    "bytedance/seedance-1.0-pro-t2v": Promise((864, 480)),
    **{
        f"bytedance/seedance-{name}-i2v": Promise(like=CAT, area=864 * 496, sound=True)
        for name in ("1.5-pro", "2.0", "2.0-fast", "2.0-mini")
    },
    **{
        f"bytedance/seedance-{name}-t2v": Promise((864, 496), sound=True)
        for name in ("1.5-pro", "2.0", "2.0-fast", "2.0-mini")
    },
    **{
        f"bytedance/seedance-{name}-v2v": Promise(like=FIELD, area=864 * 496, sound=True)
        for name in ("2.0", "2.0-fast", "2.0-mini")
    },
    "bytedance/seededit-3.0-i2i": Promise(like=CAT, area=SQUARE, formats=("jpeg",)),
    "minimax/hailuo-02-fl2v": Promise(like=CAT, area=P768),
    "minimax/hailuo-02-i2v": Promise(like=CAT, area=P512),
    "minimax/hailuo-2.3-fast-i2v": Promise(like=CAT, area=P768),
    "minimax/hailuo-2.3-i2v": Promise(like=PERSON, area=P768),
    "minimax/hailuo-02-t2v": Promise((1366, 768)),
    "minimax/hailuo-2.3-t2v": Promise((1366, 768)),
    "minimax/minimax-i2v-01": Promise(like=CAT, area=HD),
    "minimax/minimax-i2v-01-director": Promise(like=CAT, area=HD),
    "minimax/minimax-i2v-01-live": Promise(like=(1024, 1024), area=HD),
    "minimax/minimax-s2v-01": Promise(FIELD, seconds=6),
    "minimax/minimax-t2v-01": Promise(FIELD),
    "minimax/minimax-t2v-01-director": Promise(FIELD),
    "minimax/minimax-image-01-t2i": Promise((1280, 720)),
    "minimax/minimax-image-01-i2i": Promise((1024, 1024)),
    "minimax/minimax-image-01-live-i2i": Promise((1024, 1024)),
}
TALKING = ("wan2.5-t2v-preview", "wan2.6-t2v", "wan2.7-t2v", "wan2.7-r2v", "happyhorse-1.0", "happyhorse-1.1")
"""Beginnings of the models with a sound track whose parameters say the rest."""


def promise(slug: str) -> Promise:
    """From the table, or for a size (or lines of 16:9) that the example or a default of the model says."""
    if slug in BY_TABLE:
        return BY_TABLE[slug]
    params = MODELS[slug].check(MODELS[slug].example)
    formats = ("jpeg",) if "seedream" in slug else ("png", "jpeg")
    if found := _SIZE.fullmatch(params.get("size", "")):
        sides = int(found[1]), int(found[2])
    else:
        assert (params["ratio"], params["resolution"]) == ("16:9", "720P"), slug
        sides = FIELD
    return Promise(sides, sound=slug.partition("/")[2].startswith(TALKING), formats=formats)


def check_file(slug: str, wanted: Promise, resource: dict[str, Any], content: bytes) -> None:
    """One charged file: what the answer says of it, and what other eyes than the platform's see in it."""
    said = resource["width"], resource["height"]
    assert resource["size"] == len(content)
    if MODELS[slug].type.endswith("image"):
        assert resource["format"] in wanted.formats
        with Image.open(io.BytesIO(content)) as image:
            image.load()
            assert (image.size, image.format) == (said, resource["format"].upper())
        assert (resource["type"], resource["duration"]) == ("image", None)
    else:
        tracks = MediaInfo.parse(io.BytesIO(content))
        (video,) = tracks.video_tracks
        assert (video.width, video.height, video.format) == (*said, "AVC")
        seconds = wanted.seconds or MODELS[slug].check(MODELS[slug].example)["duration"]
        assert abs(float(video.duration) / 1000 - seconds) < 0.06
        assert abs(resource["duration"] - seconds) < 0.06
        assert (resource["type"], resource["format"]) == ("video", "mp4")
        assert bool(tracks.audio_tracks) == wanted.sound
    if wanted.sides:
        assert said == wanted.sides
    else:
        assert abs(said[0] * said[1] / wanted.area - 1) < 0.04
        assert abs(said[0] / said[1] / (wanted.like[0] / wanted.like[1]) - 1) < 0.04


def check_money(slug: str, wanted: Promise, data: dict[str, Any], quote: dict[str, Any], bill: dict[str, Any]) -> int:
    """What was charged, in micro-dollars: price times delivered, as the vendor's own bill says it."""
    model = MODELS[slug]
    unit_micros = round(quote["unit_cost"] * 1e6)
    listed = {tier.label: tier.micros for tier in model.price.tiers}[quote["tier"]]
    assert unit_micros == (10_000 if listed is None else listed)
    params = model.check(model.example)
    if quote["unit"] == "image":
        assert bill["images"] == wanted.files
        charged = unit_micros * wanted.files
    else:
        seconds = (wanted.seconds or params["duration"]) + wanted.input_s
        assert abs(bill["seconds"] - seconds) < 0.06
        charged = ceil_div(unit_micros * round(seconds * 1000), 1000)
    assert data["billing"]["amount"] == pytest.approx(charged / 1e6)
    assert charged <= quote["cost_micros"]
    return charged


@pytest.fixture(scope="module")
def sizes() -> None:
    """The shapes the table above is written for."""
    for name, sides in (("cat.jpg", CAT), ("boat.jpg", CAT), ("house.jpg", CAT), ("person.png", PERSON)):
        with Image.open(samples.FOLDER / name) as image:
            assert image.size == sides


async def run(platform, team, slug: str) -> int:
    """One model from its page to its bill; what it cost in micro-dollars."""
    page = (await team.get(f"/api/v1/models/{slug}")).data
    wanted = promise(slug)
    quote = (await team.post("/api/v1/quote", {"model": slug, "input": page["example"]})).data
    assert page["submit"]["url"] == f"{platform.origin}/api/v1/{page['type']}/{slug}/async"
    receipt = (await team.post(page["submit"]["url"], page["example"])).data
    data = await team.finish(receipt["task_id"], within_s=WITHIN_S, pause_s=0.5)
    assert data["status"] == "success", data["error"]
    resources = data["result"]["resources"]
    charged = [resource for resource in resources if resource["role"] == "primary"]
    assert (len(charged), len(resources) - len(charged)) == (wanted.files, wanted.beside)
    for resource in charged:
        content = (await team.get(resource["url"])).body
        await asyncio.to_thread(check_file, slug, wanted, resource, content)
    upstream = MODELS[slug].routes[0].upstream
    (line,) = await platform.bill(receipt["task_id"], upstream)
    cost = check_money(slug, wanted, data, quote, line)
    assert (await platform.row(receipt["task_id"]))["captured"] == cost
    assert await platform.reviews(receipt["task_id"]) == []
    return cost


@pytest.mark.full
@pytest.mark.timeout(WITHIN_S + 60)
@pytest.mark.usefixtures("sizes")
async def test_every_model_keeps_what_its_example_promises(postgres_server, stage, tmp_path) -> None:
    """All at once, on a platform of their own: what each delivers, what it costs, and that together it is paid."""
    async with stage(postgres_server, tmp_path) as platform:
        team = await platform.team()
        listed = [entry["slug"] for entry in (await team.get("/api/v1/models")).json["models"]]
        assert (listed, len(listed) >= LEAST_MODELS) == (sorted(MODELS), True)
        posted, _ = await platform.balance_of(team)
        begun = time.monotonic()
        costs = await asyncio.gather(*(run(platform, team, slug) for slug in sorted(MODELS)), return_exceptions=True)
        failed = {
            slug: repr(cost)[:600]
            for slug, cost in zip(sorted(MODELS), costs, strict=True)
            if not isinstance(cost, int)
        }
        assert failed == {}
        assert time.monotonic() - begun < WITHIN_S
        assert await platform.balance_of(team) == (posted - sum(costs), 0)
        posts = [
            await platform.totals(upstream) for upstream in {model.routes[0].upstream for model in MODELS.values()}
        ]
        assert sum(total["posts"] for total in posts) == sum(total["accepted"] for total in posts) == len(MODELS)
        await platform.books_are_clean()
