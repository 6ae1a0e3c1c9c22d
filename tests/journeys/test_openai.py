"""OpenAI's models end to end: results inside the answer, inputs by link and inline, in test mode and live."""

from __future__ import annotations

import asyncio
import io
import subprocess
import sys
from typing import Any

import pytest
from PIL import Image

from modellix_server.base.ids import parse_task_name
from modellix_server.upstreams.contract import QUICK_ANSWER_BYTES


async def picture(client, data: dict[str, Any]) -> Image.Image:
    assert data["status"] == "success", data
    (resource,) = data["result"]["resources"]
    async with client.http.get(resource["url"]) as answer:
        assert (answer.status, answer.content_type) == (200, "image/png")
        content = await answer.read()
    image = Image.open(io.BytesIO(content))
    image.load()
    assert (resource["width"], resource["height"], resource["size"]) == (*image.size, len(content))
    assert (resource["format"], resource["role"]) == ("png", "primary")
    return image


async def billed(platform, task: str) -> dict[str, Any]:
    async with platform.http.get(f"{platform.sandbox}/openai/_bill", params={"task": task}) as answer:
        (line,) = (await answer.json())["lines"]
    return line


async def attempt(platform, task: str) -> Any:
    return await platform.pool.fetchrow(
        "select outcome, status, answer from tasks.attempt where task_id = $1", parse_task_name(task)
    )


async def test_a_picture_on_a_transparent_ground(platform, team) -> None:
    data = await team.run("openai/gpt-image-1.5", prompt="a boat", size="1536x1024", background="transparent")
    image = await picture(team, data)
    assert image.size == (1536, 1024)
    assert (image.getpixel((0, 0))[3], image.getpixel((768, 512))[3]) == (0, 255)
    assert data["result"]["metadata"]["request_id"].startswith("req_")
    noted = await attempt(platform, data["task_id"])
    assert (noted["outcome"], noted["status"]) == ("done", 200)
    assert "b64_json" in noted["answer"]
    assert len(noted["answer"]) < 500
    assert (await billed(platform, data["task_id"]))["images"] == 1
    assert await platform.reviews(data["task_id"]) == []


async def test_the_largest_size(platform, team) -> None:
    posted, _ = await platform.balance_of(team)
    data = await team.run("openai/gpt-image-2", prompt="a wide boat", size="3840x2160", within_s=90)
    image = await picture(team, data)
    assert image.size == (3840, 2160)
    assert posted - (await platform.balance_of(team))[0] == 96_000


async def test_an_edit_of_links_and_of_bytes_within_a_mask(platform, team, web, draw) -> None:
    origin, folder = web
    (folder / "street.png").write_bytes(draw.picture(600, 400, "#c02020"))
    mask = Image.new("RGBA", (600, 400), "white")
    mask.paste((0, 0, 0, 0), (0, 0, 600, 200))
    buffer = io.BytesIO()
    mask.save(buffer, "PNG")
    data = await team.run(
        "openai/gpt-image-2-edit",
        prompt="rain",
        images=[f"{origin}/street.png", draw.data_uri(draw.picture(64, 64, "#2020c0"))],
        mask=draw.data_uri(buffer.getvalue()),
        size="1536x1024",
    )
    image = (await picture(team, data)).convert("RGB")
    assert image.getpixel((768, 900)) == (0xC0, 0x20, 0x20)  # kept
    assert image.getpixel((1000, 400)) != (0xC0, 0x20, 0x20)
    assert (await billed(platform, data["task_id"]))["images"] == 1


@pytest.mark.full
async def test_answers_so_long_that_they_wait_for_each_other(platform, team, web, draw) -> None:
    """Six at once, where four fit: noise stays noise where the mask keeps it."""
    origin, folder = web
    noise = draw.noise(3 * 1536 * 1536)
    (folder / "noise.png").write_bytes(noise)
    mask = io.BytesIO()
    Image.new("RGBA", Image.open(io.BytesIO(noise)).size, "white").save(mask, "PNG")
    given = {
        "images": [f"{origin}/noise.png"],
        "mask": draw.data_uri(mask.getvalue()),
        "size": "2048x2048",
        "prompt": "nothing",
    }
    done = await asyncio.gather(*(team.run("openai/gpt-image-2-edit", within_s=110, **given) for _ in range(6)))
    for data in done:
        assert data["status"] == "success", data
        assert data["result"]["resources"][0]["size"] * 4 // 3 > QUICK_ANSWER_BYTES
    await platform.spool_is_empty()


@pytest.mark.parametrize(
    ("mark", "state", "code", "posts"),
    [
        ("moderate", "failed", "content_rejected", 1),
        ("lost", "failed", "submission_outcome_unknown", 1),
        ("error-accepted", "failed", "submission_outcome_unknown", 1),
        ("mistyped", "failed", "result_unavailable", 1),
        ("throttle=1", "success", None, 2),
    ],
)
async def test_what_goes_wrong(platform, team, mark: str, state: str, code: str | None, posts: int) -> None:
    balance = await platform.balance_of(team)
    data = await team.run("openai/gpt-image-1.5", prompt=f"[sandbox:{mark}] {mark} here")
    assert (data["status"], (data.get("error") or {}).get("code")) == (state, code)
    async with platform.http.get(f"{platform.sandbox}/openai/_bill", params={"task": data["task_id"]}) as answer:
        assert (await answer.json())["totals"]["posts"] == posts
    if state == "failed":
        assert await platform.balance_of(team) == balance


async def test_a_link_that_leads_nowhere_is_the_client_s(platform, team, web) -> None:
    balance = await platform.balance_of(team)
    data = await team.run("openai/gpt-image-1.5-edit", prompt="x", images=[f"{web[0]}/none.png"])
    assert data["error"]["code"] == "invalid_input"
    assert data["error"]["message"] == "Invalid input: parameter 'images[0]' could not be loaded: the answer was 404"
    assert await platform.balance_of(team) == balance


@pytest.mark.full
async def test_live(platform, superuser, web, draw) -> None:
    """With an account set as an operator sets it, against an emulator that could be anywhere."""

    async def admin(*words: str, stdin: bytes = b"") -> bytes:
        done = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-m", "modellix_server.cli.app", "admin", *words],
            env=platform.env,
            input=stdin,
            capture_output=True,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    team = await platform.team(live=True)
    assert (await team.submit("openai/gpt-image-2", prompt="a boat")).status == 503
    await admin("upstream", "set", "openai", "--base-url", f"{platform.sandbox}/openai/v1", stdin=b"sk-live-account\n")
    try:
        assert b"key accepted" in await admin("upstream", "test", "openai")
        (web[1] / "live.png").write_bytes(draw.picture(600, 400, "#20c020"))
        for _ in range(15):
            if (receipt := await team.submit("openai/gpt-image-2", prompt="a boat")).status == 200:
                break
            await asyncio.sleep(0.2)
        assert (await picture(team, await team.finish(receipt.data["task_id"]))).size == (1024, 1024)
        edited = await team.run("openai/gpt-image-2-edit", prompt="x", images=[f"{web[0]}/live.png"])
        await picture(team, edited)
        assert await platform.balance_of(team) == (100_000_000 - 6_000 - 30_000, 0)
        assert (await platform.row(edited["task_id"]))["live"]
    finally:
        await superuser.execute("delete from vault.account")
