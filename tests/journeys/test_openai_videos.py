"""`/v1/videos` by OpenAI's own client, whose code for its former API runs here with another base URL."""

from __future__ import annotations

import asyncio
import json

import openai
import pytest
from openai import AsyncOpenAI

pytestmark = pytest.mark.filterwarnings("ignore:The Sora API is scheduled:DeprecationWarning")

MODEL = "minimax/hailuo-2.3-t2v"


@pytest.fixture(scope="module")
async def own(postgres_server, stage, tmp_path_factory):
    """A platform with a name of the operator's."""
    folder = tmp_path_factory.mktemp("videos")
    async with stage(postgres_server, folder, openai_models=f"sora-2={MODEL}, sora-2-pro = alibaba/wan2.6-t2v") as made:
        yield made


@pytest.fixture
async def buyer(own):
    return await own.team()


@pytest.fixture
async def client(buyer):
    async with AsyncOpenAI(api_key=buyer.text, base_url=f"{buyer.origin}/v1") as made:
        yield made


async def test_made_polled_downloaded_listed_deleted(own, buyer, client) -> None:
    video = await client.videos.create(model="sora-2", prompt="a boat", seconds="8", size="1280x720")
    assert (video.object, video.model, video.seconds, video.prompt) == ("video", MODEL, "6", "a boat")
    assert video.status in ("queued", "in_progress")
    done = await client.videos.poll(video.id)
    assert (done.status, done.progress, done.error) == ("completed", 100, None)
    assert done.size.count("x") == 1
    assert done.completed_at >= done.created_at
    content = await client.videos.download_content(video.id)
    clip = content.read()
    assert clip[4:8] == b"ftyp"
    part = await buyer.get(f"/v1/videos/{video.id}/content", headers={"Range": "bytes=4-7"})
    assert (part.status, part.body) == (206, b"ftyp")
    assert (await buyer.get(f"/v1/videos/{video.id}/content", headers={"Range": "bytes=999999999-"})).status == 416
    for variant in ("thumbnail", "spritesheet"):
        with pytest.raises(openai.NotFoundError, match=f"no {variant}: its model made none, take frames of the clip"):
            await client.videos.download_content(video.id, variant=variant)
    with pytest.raises(openai.BadRequestError, match="must be one of video, thumbnail, spritesheet"):
        await client.videos.download_content(video.id, variant="poster")
    other = await client.videos.create_and_poll(prompt="another boat")  # no model: sora-2, as there
    listed = [one.id async for one in client.videos.list(limit=1)]
    assert listed == [other.id, video.id]
    stranger = await own.team()
    for path in ("", "/content"):
        assert (await stranger.get(f"/v1/videos/{video.id}{path}")).status == 404
    assert (await stranger.call("DELETE", f"/v1/videos/{video.id}")).status == 404
    assert (await client.videos.delete(video.id)).deleted
    with pytest.raises(openai.NotFoundError):
        await client.videos.retrieve(video.id)
    assert [one.id async for one in client.videos.list()] == [other.id]
    assert "sora-2" in [model.id async for model in client.models.list()]


@pytest.mark.full
async def test_a_reference_goes_to_the_model_of_the_family_that_takes_pictures(own, buyer, client, draw) -> None:
    video = await client.videos.create_and_poll(model=MODEL, prompt="go", input_reference=("a.png", draw.picture()))
    assert (video.model, video.status) == ("minimax/hailuo-2.3-i2v", "completed")
    boat = f"{own.origin}/samples/boat.jpg"
    body = {"model": MODEL, "prompt": "go", "input_reference": {"image_url": boat}, "seconds": "12"}
    linked = (await buyer.post("/v1/videos", body)).json
    params = json.loads((await own.row(linked["id"]))["params"])
    assert params["first_frame_image"] == boat
    assert (params["duration"], linked["seconds"]) == (10, "10")
    assert (await client.videos.poll(linked["id"])).status == "completed"


@pytest.mark.full
async def test_a_remix_or_an_edit_where_the_family_has_a_model_for_it(own, buyer, client) -> None:
    first = await client.videos.create_and_poll(model="alibaba/happyhorse-1.0-t2v", prompt="a horse", seconds="4")
    remix = await client.videos.remix(first.id, prompt="at night")
    assert (remix.model, remix.remixed_from_video_id) == ("alibaba/happyhorse-1.0-video-edit", first.id)
    edited = await buyer.post("/v1/videos/edits", {"prompt": "at night", "video": {"id": first.id}})
    assert edited.json["model"] == "alibaba/happyhorse-1.0-video-edit"
    assert edited.json["remixed_from_video_id"] == first.id
    assert (await client.videos.poll(remix.id)).status == "completed"
    assert (await client.videos.poll(edited.json["id"])).status == "completed"
    plain = await client.videos.create_and_poll(model=MODEL, prompt="a boat")
    with pytest.raises(openai.BadRequestError, match="no sibling that changes videos"):
        await client.videos.remix(plain.id, prompt="at night")
    named = await client.videos.remix(plain.id, prompt="at night", extra_body={"model": "alibaba/wan2.7-videoedit"})
    assert (named.model, named.remixed_from_video_id) == ("alibaba/wan2.7-videoedit", plain.id)
    assert named.seconds == ""  # as long as the other, which is told when it is there
    clip = (await client.videos.download_content(first.id)).read()
    with pytest.raises(openai.BadRequestError, match="name a model that changes videos") as refused:
        await client.videos.edit(prompt="at night", video=("a.mp4", clip))
    assert refused.value.param == "model"
    chosen = {"model": "alibaba/wan2.7-videoedit"}
    sent = await client.videos.edit(prompt="at night", video=("a.mp4", clip), extra_body=chosen)
    assert sent.model == chosen["model"]
    assert (await client.videos.poll(named.id)).seconds == "6"
    assert (await client.videos.poll(sent.id)).status == "completed"


async def test_an_edit_of_no_video_is_refused(buyer, client, film) -> None:
    clip = film("edit.mp4", 3)
    for video, status in ((None, 400), ({"url": "x"}, 400), (7, 400), ({"id": "task-0"}, 404)):
        assert (await buyer.post("/v1/videos/edits", {"prompt": "at night", "video": video})).status == status
    with pytest.raises(openai.NotFoundError, match="no video is extended here"):
        await client.videos.extend(prompt="on", seconds="4", video=("a.mp4", clip))
    with pytest.raises(openai.NotFoundError, match="no characters are kept here"):
        await client.videos.create_character(name="x", video=("a.mp4", clip))


async def test_a_video_that_fails_says_why_and_costs_nothing(own, buyer, client) -> None:
    video = await client.videos.create_and_poll(model=MODEL, prompt="[sandbox:moderate]")
    assert (video.status, video.error.code) == ("failed", "content_rejected")
    assert await own.balance_of(buyer) == (100_000_000, 0)
    with pytest.raises(openai.NotFoundError, match="its status is 'failed'"):
        await client.videos.download_content(video.id)
    picture = await buyer.run("alibaba/qwen-image-plus", prompt="no video")
    with pytest.raises(openai.NotFoundError):
        await client.videos.retrieve(picture["task_id"])


async def test_listed_from_either_end(own, buyer, client) -> None:
    made = [(await client.videos.create(model=MODEL, prompt=f"boat {number}")).id for number in range(3)]
    assert [video.id async for video in client.videos.list(limit=2)] == made[::-1]
    assert [video.id async for video in client.videos.list(limit=2, order="asc")] == made
    page = await client.videos.list(limit=2, order="asc", after=made[0])
    assert ([video.id for video in page.data], page.has_more) == (made[1:], True)


@pytest.mark.full
async def test_begun_in_the_words_of_xai(own, buyer, draw) -> None:
    """As @ai-sdk/xai asks, whose poll reads `status` and `video.url`."""
    body = {"model": "bytedance/seedance-2.0-t2v", "prompt": "a boat", "duration": 5, "aspect_ratio": "9:16"}
    begun = await buyer.post("/v1/videos/generations", {**body, "resolution": "480p", "seed": 4})
    name = begun.json["request_id"]
    assert name.startswith("xai-task-")
    params = json.loads((await own.row(name.removeprefix("xai-")))["params"])
    assert {key: params[key] for key in ("duration", "ratio", "resolution", "seed")} == {
        "duration": 5, "ratio": "9:16", "resolution": "480p", "seed": 4,
    }  # fmt: skip
    seen = set()
    while (state := (await buyer.get(f"/v1/videos/{name}")).json)["status"] == "pending":
        seen.add(state["status"])
        await asyncio.sleep(0.1)
    assert (state["status"], state["model"], state["video"]["respect_moderation"]) == ("done", body["model"], True)
    assert abs(state["video"]["duration"] - 5) < 0.2
    async with buyer.http.get(state["video"]["url"]) as got:
        assert (got.status, got.content_type) == (200, "video/mp4")
    assert (await buyer.get(f"/v1/videos/{name.removeprefix('xai-')}")).json["status"] == "completed"
    frame = {"url": draw.data_uri(draw.picture(640, 640, "#205080"))}
    given = {"model": "alibaba/wan2.7-t2v", "prompt": "go [sandbox:moderate]", "image": frame, "resolution": "1080p"}
    moderated = (await buyer.post("/v1/videos/generations", given)).json["request_id"]
    row = await own.reach(moderated.removeprefix("xai-"), lambda row: row["finished_at"] is not None)
    assert row["model"] == "alibaba/wan2.7-i2v"
    state = (await buyer.get(f"/v1/videos/{moderated}")).json
    assert (state["status"], state["error"]["code"]) == ("failed", "content_rejected")
    refused = await buyer.post("/v1/videos/generations", {**body, "duration": "long"})
    assert (refused.status, refused.json["error"]["param"]) == (400, "seconds")
