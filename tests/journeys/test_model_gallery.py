"""`model-gallery`: runs examples on a running platform and shows what came of them, failures too."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

CHOICE = ("--type", "image-to-image", "--provider", "minimax", "--provider", "bytedance")
MODELS = ("seededit-3.0-i2i", "seedream-4.0-i2i", "minimax-image-01-i2i", "minimax-image-01-live-i2i")


async def gallery(platform, team: str, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "modellix_server.cli.app", "model-gallery", "--team", team, *options]
    return await asyncio.to_thread(subprocess.run, command, env=platform.env, capture_output=True, text=True)


async def named(platform) -> tuple[str, int]:
    team = await platform.team()
    return await platform.pool.fetchval("select name from identity.team where id = $1", team.id), team.id


def pictures(page: str) -> list[Image.Image]:
    found = re.findall(r"data:image/jpeg;base64,([A-Za-z0-9+/=]+)", page)
    return [Image.open(io.BytesIO(base64.b64decode(data))) for data in found]


@pytest.mark.full
async def test_a_gallery_shows_inputs_and_results(platform, tmp_path: Path) -> None:
    name, team_id = await named(platform)
    page, picture = tmp_path / "gallery.html", tmp_path / "gallery.png"
    done = await gallery(platform, name, *CHOICE, "--out", str(page), "--out", str(picture), "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["models"], told["examples"], told["failed"]) == (6, 6, [])
    text = page.read_text(encoding="utf-8")
    assert all(f"/{model}</h3>" in text for model in MODELS)
    assert "Failed" not in text
    assert "http" not in re.sub(r'src="[^"]*"', "", text)
    assert len(pictures(text)) == 6 + 3 + 6  # one input each, two for the three that join pictures; one result each
    with Image.open(picture) as drawn:
        assert drawn.width > 2000
    rows = await platform.pool.fetch("select live, captured from tasks.task where team_id = $1", team_id)
    assert len(rows) == 6
    assert not any(row["live"] for row in rows)
    assert told["cost_usd"] == sum(row["captured"] for row in rows) / 1e6
    assert await platform.pool.fetchval(
        "select bool_and(revoked_at is not null and not live) from identity.api_key where team_id = $1 and name = $2",
        team_id,
        "model gallery",
    )


async def test_failures_are_in_the_gallery_and_in_the_exit_code(platform, tmp_path: Path) -> None:
    poor = await platform.team(0)
    name = await platform.pool.fetchval("select name from identity.team where id = $1", poor.id)
    page = tmp_path / "gallery.html"
    done = await gallery(platform, name, "--type", "image-to-image", "--provider", "minimax", "--out", str(page))
    assert done.returncode == 1
    text = page.read_text(encoding="utf-8")
    assert text.count('<p class="bad">Failed: Insufficient balance: ') == 2
    assert pictures(text) == []


@pytest.mark.full
async def test_what_cannot_be_done_is_said_at_once(platform, tmp_path: Path) -> None:
    name, team_id = await named(platform)
    for options, words in (
        (("--out", str(tmp_path / "gallery.pdf")), "a gallery is an .html page or a .png picture"),
        (("--provider", "nobody", "--out", str(tmp_path / "a.html")), "no model is of that type and provider"),
    ):
        done = await gallery(platform, name, *options)
        assert (done.returncode, words in done.stderr) == (1, True), done.stderr
    assert await platform.pool.fetchval("select count(*) from tasks.task where team_id = $1", team_id) == 0
    live = "select count(*) from identity.api_key where team_id = $1 and name = 'model gallery' and revoked_at is null"
    assert await platform.pool.fetchval(live, team_id) == 0
