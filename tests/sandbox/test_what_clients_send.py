"""What vendors' own clients send, and what is passed from one call to the next."""

from __future__ import annotations

import asyncio
import gzip
import json
from pathlib import Path

import aiohttp
import pytest
from tests.support.media_files import photo, png
from tests.support.sandbox_process import start

from modellix_server.sandbox.rendering.paint import Source, UnusableMedia, open_picture

PICTURE = {"model": "qwen-image-plus", "input": {"prompt": "a cat"}}
TASKS = {
    "dashscope": "/dashscope/api/v1/tasks/x",
    "ark": "/ark/api/v3/contents/generations/tasks/x",
    "minimax": "/minimax/v1/query/video_generation?task_id=1",
    "openai": "/openai/v1/models/gpt-image-2",
}
SEEDREAM = "doubao-seedream-4-0-250828"
KEYS = (
    "0f5c1f1e-8a7d-4c39-9f0a-2f6c8f3f1b7d",
    "eyJhbGciOiJSUzI1NiJ9.eyJHcm91cE5hbWUiOiJ4In0.c2lnbmF0dXJl",
    "sk-test",
    "sk-proj-abc_DEF",
    "k",
    "AKLTabc/def+ghi==",
)


@pytest.mark.parametrize("vendor", TASKS)
async def test_keys_of_every_form_are_good_and_the_documented_ones_are_bad(client, vendor) -> None:
    async def refused(authorization: str | None) -> bool:
        headers = {} if authorization is None else {"Authorization": authorization}
        async with client.http.get(client.running.origin + TASKS[vendor], headers=headers) as answer:
            said = await answer.json()
        code = said.get("base_resp", {}).get("status_code")
        return answer.status == 401 or code == 1004

    for key in KEYS:
        assert not await refused(f"Bearer {key}"), key
        assert not await refused(f"bearer  {key} "), key
    for bad in (None, "", "Bearer", "Bearer ", "Basic abc", "Bearer invalid", "Bearer sk-invalid"):
        assert await refused(bad), bad


async def test_bodies_may_be_coded_and_begin_with_a_mark(client) -> None:
    url = f"{client.running.base}/services/aigc/text2image/image-synthesis"
    headers = {"Authorization": "Bearer k", "X-DashScope-Async": "enable", "Content-Type": "application/json "}
    plain = json.dumps(PICTURE).encode()
    for body, coding in ((b"\xef\xbb\xbf" + plain, None), (gzip.compress(plain), "gzip"), (plain, "identity")):
        more = {"Content-Encoding": coding} if coding else {}
        async with client.http.post(url, data=body, headers=headers | more) as answer:
            assert answer.status == 200, await answer.text()
    for body, coding, status in ((plain, "br", 415), (plain, "gzip", 400)):
        async with client.http.post(url, data=body, headers=headers | {"Content-Encoding": coding}) as answer:
            assert (answer.status, answer.headers["accept-encoding"]) == (status, "gzip, deflate")


@pytest.mark.parametrize(
    ("name", "size"),
    [("plain", (401, 301)), ("turn6", (301, 401)), ("tiled", (401, 301)), ("many", (100, 80)), ("alpha", (401, 301))],
)
def test_pictures_of_phones_are_seen(name, size) -> None:
    """By ffmpeg, where the vendor takes them; another file with such a beginning is none."""
    data = (Path(__file__).parents[1] / f"results/pictures/{name}.heic").read_bytes()
    seen = open_picture(Source(data, len(data), (1, 9999)))
    assert (seen.size, seen.mode) == (size, "RGB")
    assert max(high - low for low, high in seen.getextrema()) > 100, "not one colour"
    for other in (data[:300], data.replace(b"mdat", b"free").replace(b"meta", b"free")):
        with pytest.raises(UnusableMedia):
            open_picture(Source(other, len(data), (1, 9999)))


async def test_a_result_is_an_input_of_the_next_call_wherever_the_emulator_is(tmp_path: Path) -> None:
    """On loopback, without leave to fetch from there: as at the vendor, whose own links work."""
    with start(tmp_path, networks="") as running:
        async with aiohttp.ClientSession(headers={"Authorization": "Bearer k"}) as http:

            async def call(path: str, body: dict, **headers: str) -> dict:
                async with http.post(running.origin + path, json=body, headers=headers) as answer:
                    assert answer.status == 200, await answer.text()
                    return await answer.json()

            drawn = await call("/ark/api/v3/images/generations", {"model": SEEDREAM, "prompt": "a cat"})
            link = drawn["data"][0]["url"]
            again = {"model": SEEDREAM, "prompt": "at night", "image": link + "?x=%2F#top"}
            assert (await call("/ark/api/v3/images/generations", again))["data"][0]["url"] != link
            edit = {
                "model": "qwen-image-edit-plus",
                "input": {"messages": [{"role": "user", "content": [{"image": link}, {"text": "a hat"}]}]},
            }
            done = await call("/dashscope/api/v1/services/aigc/multimodal-generation/generation", edit)
            assert done["output"]["choices"]
            spoken = await call("/minimax/v1/image_generation", {"model": "image-01", "prompt": "a face"})
            face = [{"type": "character", "image_file": spoken["data"]["image_urls"][0]}]
            seen = {"model": "image-01", "prompt": "at sea", "subject_reference": face}
            assert (await call("/minimax/v1/image_generation", seen))["base_resp"]["status_code"] == 0
            strange = again | {"image": link[:-9] + "other.png"}
            async with http.post(f"{running.origin}/ark/api/v3/images/generations", json=strange) as answer:
                assert answer.status == 400


@pytest.mark.parametrize(
    ("size", "resolution", "expected"),
    [
        ((1280, 720), "1080P", (1920, 1080)),
        pytest.param((720, 1280), "1080P", (1080, 1920), marks=pytest.mark.full),
        pytest.param((1366, 768), "768P", (1366, 768), marks=pytest.mark.full),
        pytest.param((800, 800), "768P", (1024, 1024), marks=pytest.mark.full),
    ],
)
async def test_a_clip_has_the_lines_that_were_ordered(client, files, material, size, resolution, expected) -> None:
    material.serve("/frame.png", png(photo(*size)))
    body = {"model": "MiniMax-Hailuo-02", "prompt": "x", "resolution": resolution, "duration": 6,
            "first_frame_image": f"{files}/frame.png", "last_frame_image": f"{files}/frame.png"}  # fmt: skip
    headers = {"Authorization": "Bearer k"}
    origin = f"{client.running.origin}/minimax/v1"
    async with client.http.post(f"{origin}/video_generation", json=body, headers=headers) as answer:
        task = (await answer.json())["task_id"]
    for _ in range(1200):
        async with client.http.get(f"{origin}/query/video_generation?task_id={task}", headers=headers) as answer:
            said = await answer.json()
        if said["status"] in ("Success", "Fail"):
            break
        await asyncio.sleep(0.1)
    assert (said["status"], said["video_width"], said["video_height"]) == ("Success", *expected)
