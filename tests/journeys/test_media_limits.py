"""What a model says about its files is checked before money is held: in bodies, uploads and results of ours."""

from __future__ import annotations

import base64
import io

import aiohttp
import pytest

EDIT = "alibaba/qwen-image-edit-plus"
FRAME = "minimax/hailuo-02-i2v"
DREAM = "bytedance/seedream-4.0-i2i"
ANIMATE = "alibaba/wan2.2-animate-move"
TALK = "alibaba/wan2.6-i2v"
TRY = "alibaba/aitryon"
FIRST = "first_frame_image"
RANGE = "Value out of range: parameter"
FORMAT = "Invalid format: parameter"


def inline(content: bytes) -> str:
    return base64.b64encode(content).decode()


async def uploaded(team, content: bytes) -> str:
    sent = aiohttp.FormData()
    sent.add_field("file", io.BytesIO(content), filename="a")
    return (await team.call("POST", "/api/v1/media/files", data=sent)).data["file_id"]


@pytest.mark.parametrize("way", ["body", "upload"])
async def test_each_limit_with_its_words(platform, team, draw, film, way) -> None:
    """No task is made and no money moves, whichever way the bytes came."""
    portrait, clip = inline(draw.picture()), {"image_url": inline(draw.picture()), "mode": "wan-std"}
    talk, wear = {"prompt": "a", "img_url": portrait}, {"top_garment_url": "https://example.com/a.png"}
    cut, text = draw.picture(200, 200), {"prompt": "a"}
    cases = (
        (EDIT, text, "images", draw.picture(383, 500), "have sides between 384 and 3072 pixels, got 383*500"),
        (EDIT, text, "images", draw.picture(500, 3073), "have sides between 384 and 3072 pixels, got 500*3073"),
        (EDIT, text, "images", film("a.wav", 2), "be an image, got an audio (wav)"),
        (FRAME, text, FIRST, draw.picture(format_name="GIF"), "be one of jpeg, png, webp, got gif"),
        (FRAME, text, FIRST, draw.picture(400, 1600), "have a ratio between 1:2.5 and 2.5:1, got 400*1600"),
        (FRAME, text, FIRST, draw.picture(300, 300), "have sides of at least 301 pixels, got 300*300"),
        (DREAM, text, "image", draw.picture(7000, 5200), "have at most 36,000,000 pixels, got 7000*5200"),
        (DREAM, text, "image", draw.picture(3400, 200), "have a ratio between 1:16 and 16:1, got 3400*200"),
        (ANIMATE, clip, "video_url", film("a.mp4", 1), "be between 2 and 30 seconds long, got 1"),
        (ANIMATE, clip, "video_url", film("b.webm", 3), "be one of mp4, mov, avi, got webm"),
        (TALK, talk, "audio_url", film("a.wav", 2), "be between 3 and 30 seconds long, got 2"),
        (TRY, wear, "person_image_url", cut, f"have at least 5,120 bytes, got {len(cut):,}"),
    )
    before = await platform.balance_of(team)
    for model, given, name, content, words in cases:
        value = inline(content) if way == "body" else await uploaded(team, content)
        many = name in ("images", "image")
        category = FORMAT if words.startswith("be ") and "long" not in words else RANGE
        answer = await team.submit(model, **given, **{name: [value] if many else value})
        answer.refused(400, f"{category} '{name}{'[0]' if many else ''}' must {words}")
    assert await platform.balance_of(team) == before
    assert await platform.tasks_of(team) == 0
    await platform.spool_is_empty()


async def test_bytes_beyond_the_limit(platform, team, draw) -> None:
    big = draw.noise(10_600_000)
    told = f"{RANGE} 'images[0]' must have at most 10,485,760 bytes, got {len(big):,}"
    (await team.submit(EDIT, prompt="a", images=[inline(big)])).refused(400, told)
    (await team.submit(EDIT, prompt="a", images=[await uploaded(team, big)])).refused(400, told)
    assert await platform.tasks_of(team) == 0


async def test_broken_bytes(platform, team, draw) -> None:
    told = f"{FORMAT} 'images[1]': the png file is broken"
    for content in (draw.picture()[:200], draw.noise(600_000)[:-9]):
        (await team.submit(EDIT, prompt="a", images=[inline(draw.picture()), inline(content)])).refused(400, told)
    assert await platform.tasks_of(team) == 0


async def test_results_of_ours(platform, team) -> None:
    """What was stored about a result decides, and nothing is read."""
    made = await team.run("alibaba/qwen-image-plus", prompt="a", size="1664*928")
    clip = await team.run("alibaba/wan2.2-t2v-plus", prompt="a", size="832*480")
    picture, film = (one["result"]["resources"][0]["url"] for one in (made, clip))
    tasks, before = await platform.tasks_of(team), await platform.balance_of(team)
    told = f"{FORMAT} 'images[0]' must be an image, got a video (mp4)"
    (await team.submit(EDIT, prompt="a", images=[film])).refused(400, told)
    told = f"{FORMAT} 'video_url' must be a video, got an image (png)"
    (await team.submit(ANIMATE, image_url=picture, video_url=picture, mode="wan-std")).refused(400, told)
    told = f"{RANGE} 'first_clip_url' must be of at most 3 seconds long, got 5"
    vace = {"function": "video_extension", "prompt": "a"}
    (await team.submit("alibaba/wan2.1-vace-plus", **vace, first_clip_url=film)).refused(400, told)
    assert (await platform.tasks_of(team), await platform.balance_of(team)) == (tasks, before)


async def test_seconds_of_several_together(team, film) -> None:
    clips = [await uploaded(team, film("a.mp4", 8, "640x480")), await uploaded(team, film("b.mp4", 9, "640x480"))]
    answer = await team.submit("bytedance/seedance-2.0-v2v", prompt="a", video_urls=clips)
    answer.refused(400, f"{RANGE} 'video_urls' must have at most 15 seconds together, got 17")


async def test_media_inside_objects(platform, team, draw) -> None:
    """Taken out of the body, checked and named where they stand."""
    model = "minimax/minimax-image-01-i2i"
    people = [{"type": "character", "image_file": inline(draw.picture(format_name="GIF"))}]
    told = f"{FORMAT} 'subject_reference[0].image_file' must be one of jpeg, png, got gif"
    (await team.submit(model, prompt="a", subject_reference=people)).refused(400, told)
    people[0]["image_file"] = "no!"
    told = f"{FORMAT} 'subject_reference[0].image_file' is not valid base64"
    (await team.submit(model, prompt="a", subject_reference=people)).refused(400, told)
    people[0]["image_file"] = inline(draw.picture())
    receipt = (await team.submit(model, prompt="a", subject_reference=people)).data
    params = (await platform.row(receipt["task_id"]))["params"]
    assert '"image_file":"sha256:' in params.replace(" ", "")
    assert (await team.finish(receipt["task_id"]))["status"] == "success"


async def test_either_kind_in_one_list(team, draw, film) -> None:
    model, ways = "alibaba/wan2.6-r2v", [inline(draw.picture()), inline(film("a.mp4", 2, "640x480"))]
    told = f"{FORMAT} 'reference_urls[2]' must be an image or video, got an audio (wav)"
    (await team.submit(model, prompt="a", reference_urls=[*ways, inline(film("a.wav", 2))])).refused(400, told)
    told = f"{RANGE} 'reference_urls[0]' must have sides between 240 and 5000 pixels, got 200*300"
    (await team.submit(model, prompt="a", reference_urls=[inline(draw.picture(200, 300))])).refused(400, told)
