"""Every form of media, of every kind, at a model of every vendor: by link, inline, uploaded, results of ours."""

from __future__ import annotations

import asyncio
import base64
import io
from typing import Any

import aiohttp
import pytest


async def by_link(team, content: bytes, name: str, web) -> str:
    origin, folder = web
    (folder / name).write_bytes(content)
    return f"{origin}/{name}"


async def inline(team, content: bytes, name: str, web) -> str:
    return base64.b64encode(content).decode()


async def in_a_data_uri(team, content: bytes, name: str, web) -> str:
    kind = {"png": "image/png", "mp4": "video/mp4", "wav": "audio/wav"}[name.rpartition(".")[2]]
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


async def kept(team, content: bytes, name: str) -> dict:
    sent = aiohttp.FormData()
    sent.add_field("file", io.BytesIO(content), filename=name)
    return (await team.call("POST", "/api/v1/media/files", data=sent)).data


async def by_its_id(team, content: bytes, name: str, web) -> str:
    return (await kept(team, content, name))["file_id"]


async def by_its_link(team, content: bytes, name: str, web) -> str:
    return (await kept(team, content, name))["url"]


QUICK = {"prompt": "a", "resolution": "480p", "duration": 4}
WAYS = (by_link, inline, in_a_data_uri, by_its_id, by_its_link)


@pytest.mark.full
@pytest.mark.parametrize("way", WAYS)
async def test_a_form_at_each_vendor(platform, team, draw, film, web, way) -> None:
    """Models that take bytes get them inline; those that take links alone have them uploaded, or fetch from here."""
    picture, clip, sound = draw.noise(700_000), film("way.mp4", 3, "640x480"), film("way.wav", 4)
    one, two, three = [await way(team, content, f"{way.__name__}.{end}", web) for content, end in (
        (picture, "png"), (clip, "mp4"), (sound, "wav"))]  # fmt: skip
    person = [{"type": "character", "image_file": one}]
    short = {"prompt": "a", "size": "1280*720", "duration": 2}
    orders: list[tuple[str, dict[str, Any]]] = [
        ("alibaba/qwen-image-edit-plus", {"prompt": "a", "images": [one, one]}),
        ("alibaba/aitryon", {"person_image_url": one, "top_garment_url": one}),
        ("alibaba/wan2.6-i2v", {"prompt": "a", "img_url": one, "audio_url": three, "duration": 5}),
        ("alibaba/wan2.6-r2v", {**short, "reference_urls": [one, two]}),
        ("bytedance/seedream-4.0-i2i", {"prompt": "a", "image": [one]}),
        ("bytedance/seedance-2.0-v2v", {**QUICK, "video_urls": [two], "audio_urls": [three]}),
        ("minimax/minimax-image-01-i2i", {"prompt": "a", "subject_reference": person}),
        ("minimax/hailuo-02-i2v", {"prompt": "a", "first_frame_image": one}),
    ]
    done = await asyncio.gather(*(team.run(model, within_s=100, **given) for model, given in orders))
    for (model, _), data in zip(orders, done, strict=True):
        assert data["status"] == "success", (model, data)
        params = (await platform.row(data["task_id"]))["params"]
        assert "base64" not in params
        assert way is by_link or "sha256:" in params
    assert await platform.books_are_clean() is None


@pytest.mark.full
async def test_a_chain_over_three_vendors(team) -> None:
    """Picture, edit, clip, edited clip: each step takes the former's link, at a vendor that gets it another way."""
    picture = await team.run("minimax/minimax-image-01-t2i", prompt="a ship", aspect_ratio="16:9")
    worn = await team.run("bytedance/seedream-4.0-i2i", prompt="at night", image=[url(picture)])
    clip = await team.run("alibaba/wan2.7-i2v", within_s=100, first_frame=url(worn), resolution="720P", duration=2)
    film = await team.run("bytedance/seedance-2.0-v2v", within_s=100, **QUICK, video_urls=[url(clip)])
    given = {"prompt": "again", "size": "1280*720", "duration": 2}
    last = await team.run("alibaba/wan2.6-r2v", within_s=100, **given, reference_urls=[url(film), url(picture)])
    assert last["status"] == "success", last


def url(data: dict) -> str:
    assert data["status"] == "success", data
    return data["result"]["resources"][0]["url"]


@pytest.mark.full
async def test_a_vendor_without_storage_must_reach_this_server(
    platform, stage, postgres_server, tmp_path, film
) -> None:
    """In live mode nobody outside reaches this machine: refused before the hold, in words for the operator."""
    model, clip = "bytedance/seedance-2.0-v2v", film("public.mp4", 3, "640x480")
    team = await platform.team(live=True)
    told = "Invalid parameters: parameter 'video_urls' must be a public link for this model: its vendor takes no bytes "
    told += "and can fetch none here until the operator sets MODELLIX_PUBLIC_URL to a public https address"
    for value in ((await kept(team, clip, "a.mp4"))["file_id"], base64.b64encode(clip).decode()):
        (await team.submit(model, **QUICK, video_urls=[value])).refused(400, told)
    assert await platform.tasks_of(team) == 0
    # 503: this team's mode has neither a price nor an account, which are asked about after the files.
    assert (await team.submit(model, **QUICK, video_urls=["https://example.com/a.mp4"])).status == 503
    async with stage(postgres_server, tmp_path, public_url="https://pictures.example.com") as public:
        team = await public.team(live=True)
        assert (await team.submit(model, **QUICK, video_urls=[base64.b64encode(clip).decode()])).status == 503


@pytest.mark.full
async def test_files_that_are_too_many_for_one_request(platform, draw) -> None:
    """Five pictures of nine megabytes: their vendor takes links too, so it fetches those that find no room."""
    big = [draw.noise(9_400_000) for _ in range(5)]
    team, live = await platform.team(), await platform.team(live=True)
    ids = [(await kept(team, content, "a.png"))["file_id"] for content in big]
    data = await team.run("bytedance/seedream-4.0-i2i", within_s=100, prompt="a", image=ids)
    assert data["status"] == "success", data
    ids = [(await kept(live, content, "a.png"))["file_id"] for content in big]
    size = sum(map(len, big))
    told = f"Value out of range: the files must have at most 41,943,040 bytes together, got {size:,}"
    (await live.submit("bytedance/seedream-4.0-i2i", prompt="a", image=ids)).refused(400, told)
