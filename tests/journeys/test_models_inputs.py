"""Pictures on their way in: inline, by link, from one of our own results; and those that are no good."""

from __future__ import annotations

import asyncio
import base64
import io

import pytest
from PIL import Image, ImageChops, ImageStat

EDIT = "alibaba/qwen-image-edit-plus"
FILM = "alibaba/wan2.2-i2v-flash"


async def result_of(client, data: dict) -> bytes:
    assert data["status"] == "success", data
    return (await client.get(data["result"]["resources"][0]["url"])).body


def likeness(one: bytes, other: bytes) -> float:
    """Mean difference of two pictures at one small size, 0 to 255."""
    small = [Image.open(io.BytesIO(content)).convert("RGB").resize((32, 32)) for content in (one, other)]
    return sum(ImageStat.Stat(ImageChops.difference(*small)).mean) / 3


@pytest.fixture
def shown(web, draw):
    """A picture on somebody's web server: its URL and its bytes."""
    origin, folder = web
    content = draw.picture(512, 512, "#30a060")
    (folder / "shown.png").write_bytes(content)
    return f"{origin}/shown.png", content


async def test_every_way_in_gives_the_same_picture(platform, team, draw, shown) -> None:
    """Link, data URI and raw base64 of one picture: same prompt and seed, same edit, which resembles its input."""
    link, content = shown
    ways = (link, draw.data_uri(content), base64.b64encode(content).decode())
    edits = await asyncio.gather(
        *(team.run(EDIT, prompt="brighter", images=[way], seed=7, size="512*512") for way in ways)
    )
    pictures = [await result_of(team, data) for data in edits]
    assert pictures[0] == pictures[1] == pictures[2]
    other = draw.picture(512, 512, "#d02090")
    assert likeness(pictures[0], content) + 20 < likeness(pictures[0], other)
    mirror = await team.run(EDIT, prompt="brighter", images=[draw.data_uri(other)], seed=7, size="512*512")
    edited = await result_of(team, mirror)
    assert likeness(edited, other) + 20 < likeness(edited, content)


@pytest.mark.full
async def test_a_chain_of_our_own_results(platform, team) -> None:
    """Text to picture, edited, edited again, filmed: each step takes the former's link."""
    made = await team.run("alibaba/qwen-image-plus", prompt="a fjord")
    source = await result_of(team, made)
    for step in range(2):
        link = made["result"]["resources"][0]["url"]
        made = await team.run(EDIT, prompt=f"step {step}", images=[link], seed=step)
        edited = await result_of(team, made)
        assert likeness(edited, source) < 100
    link = made["result"]["resources"][0]["url"]
    film = await team.run(FILM, img_url=link, resolution="480P")
    assert film["status"] == "success"
    params = (await platform.row(film["task_id"]))["params"]
    assert link.replace('"', "") in params  # the link as given, no bytes


async def test_bytes_are_in_no_row(platform, team, draw) -> None:
    content = draw.picture()
    receipt = (await team.submit(EDIT, prompt="a", images=[draw.data_uri(content)])).data
    params = (await platform.row(receipt["task_id"]))["params"]
    assert "base64" not in params
    assert '"sha256:' in params
    assert len(params) < 400


async def test_links_of_ours_that_are_no_good(platform, team) -> None:
    made = await team.run("alibaba/qwen-image-plus", prompt="a door")
    link = made["result"]["resources"][0]["url"]
    before, tasks = await platform.balance_of(team), await platform.tasks_of(team)
    told = "Invalid format: parameter 'images[0]': the result link is not valid or has expired"
    for bad in (link[:-1] + ("0" if link[-1] != "0" else "1"), link.replace("expires=", "expires=1"), link[:-80]):
        (await team.submit(EDIT, prompt="a", images=[bad])).refused(400, told)
    assert (await platform.balance_of(team), await platform.tasks_of(team)) == (before, tasks)


async def test_a_result_that_has_expired_is_no_input(platform, team, superuser) -> None:
    made = await team.run("alibaba/qwen-image-plus", prompt="a window")
    link = made["result"]["resources"][0]["url"]
    await superuser.execute("update results.result set expires_at = now() where team_id = $1", team.id)
    told = "Invalid format: parameter 'images[0]': the result link is not valid or has expired"
    (await team.submit(EDIT, prompt="a", images=[link])).refused(400, told)


async def test_a_link_that_leads_nowhere(platform, team, web) -> None:
    origin, _ = web
    before = await platform.balance_of(team)
    for link in (f"{origin}/nothing.png", "http://127.0.0.1:9/a.png"):
        data = await team.run(EDIT, prompt="a", images=[link])
        assert data["status"] == "failed"
        assert data["error"]["code"] == "invalid_input"
    assert await platform.balance_of(team) == before


async def test_a_large_picture_goes_through(team, draw) -> None:
    """Ten megabytes take the way through a file and the helper process."""
    data = await team.run(EDIT, prompt="large", images=[draw.data_uri(draw.noise(10_000_000))], size="512*512")
    assert data["status"] == "success", data
