"""The vendor's own client works against the emulator, with nothing but its address changed."""

from __future__ import annotations

import io
import urllib.request

import dashscope
import pytest
from dashscope import ImageSynthesis, MultiModalConversation, VideoSynthesis
from dashscope.aigc.image_generation import ImageGeneration
from dashscope.api_entities.http_request import close_shared_sync_session
from dashscope.common.error import InvalidTask
from dashscope.v2.errors import BadRequestError
from PIL import Image


@pytest.fixture(autouse=True)
def pointed_at_the_emulator(sandbox, monkeypatch):
    monkeypatch.setattr(dashscope, "base_http_api_url", sandbox.base)
    monkeypatch.setattr(dashscope, "api_key", "sk-test")
    yield
    close_shared_sync_session()


def load(url: str) -> bytes:
    with urllib.request.urlopen(url) as answer:
        return answer.read()


def size_of(url: str) -> tuple[int, int]:
    return Image.open(io.BytesIO(load(url))).size


def said(prompt: str, *images: str) -> list[dict]:
    return [{"role": "user", "content": [*({"image": image} for image in images), {"text": prompt}]}]


def test_a_picture_task():
    answer = ImageSynthesis.async_call("qwen-image-plus", "a fox in the snow", size="1104*1472", n=1, seed=7)
    assert answer.status_code == 200
    assert answer.output.task_status == "PENDING"
    done = ImageSynthesis.wait(answer)
    assert done.output.task_status == "SUCCEEDED"
    assert done.usage.image_count == 1
    (result,) = done.output.results
    assert result.orig_prompt == "a fox in the snow"
    assert size_of(result.url) == (1104, 1472)


def test_a_picture_task_of_the_message_form():
    answer = ImageGeneration.async_call("wan2.6-t2i", messages=said("two birds"), n=2, size="1280*1280")
    assert answer.status_code == 200, answer
    done = ImageGeneration.wait(answer)
    assert done.output.task_status == "SUCCEEDED"
    urls = [choice.message.content[0]["image"] for choice in done.output.choices]
    assert len(set(urls)) == 2
    assert {size_of(url) for url in urls} == {(1280, 1280)}
    assert done.usage["image_count"] == 2


def test_a_synchronous_edit(files):
    answer = MultiModalConversation.call(
        "qwen-image-edit-plus", messages=said("make it night", f"{files}/photo.png"), n=2, watermark=False
    )
    assert answer.status_code == 200, answer
    urls = [part["image"] for part in answer.output.choices[0].message.content]
    assert len(urls) == 2
    width, height = size_of(urls[0])
    assert abs(width / height - 1.5) < 0.05
    assert abs(width * height - 1024 * 1024) < 40_000
    assert (answer.usage["width"], answer.usage["height"]) == (width, height)


def test_clips(files):
    """Started together and awaited in turn, as they take the longest."""
    from_text = VideoSynthesis.async_call("wan2.6-t2v", "rain", size="1280*720", duration=2)
    from_picture = VideoSynthesis.async_call(
        "wan2.2-i2v-flash", "wind", img_url=f"{files}/photo.png", resolution="480P"
    )
    between = VideoSynthesis.async_call(
        "wan2.2-kf2v-flash", first_frame_url=f"{files}/red.png", last_frame_url=f"{files}/blue.png", resolution="480P"
    )
    for started in (from_text, from_picture, between):
        assert started.status_code == 200, started
    text, picture, keyframes = (VideoSynthesis.wait(started) for started in (from_text, from_picture, between))
    assert text.usage["duration"] == 2
    assert text.usage["SR"] == 720
    assert text.usage["size"] == "1280*720"
    assert (picture.usage["duration"], picture.usage["SR"], picture.usage["video_count"]) == (5, 480, 1)
    assert (keyframes.usage["video_duration"], keyframes.usage["SR"]) == (5, 480)
    for done in (text, picture, keyframes):
        assert load(done.output.video_url)[4:8] == b"ftyp"


def test_refusals_as_the_client_sees_them():
    answer = ImageSynthesis.async_call("qwen-image-plus", "x", size="10*10")
    assert (answer.status_code, answer.code) == (400, "InvalidParameter")
    answer = ImageSynthesis.async_call("qwen-image-plus", "x", api_key="invalid")
    assert (answer.status_code, answer.code) == (401, "InvalidApiKey")
    answer = ImageSynthesis.async_call("no-such-model", "x")
    assert (answer.status_code, answer.message) == (400, "Model not exist.")
    with pytest.raises(InvalidTask, match="Throttling"):
        ImageSynthesis.call("qwen-image-plus", "seen by the client [sandbox:throttle]")
    answer = ImageSynthesis.call("qwen-image-plus", "x [sandbox:fail=DataInspectionFailed]")
    assert answer.status_code == 200
    assert answer.output.task_status == "FAILED"
    assert answer.output.code == "DataInspectionFailed"


def test_unknown_task_list_and_cancel():
    assert ImageSynthesis.fetch("00000000-0000-0000-0000-000000000000").output.task_status == "UNKNOWN"
    queued = ImageSynthesis.async_call("qwen-image-plus", "[sandbox:queue=60]")
    assert ImageSynthesis.cancel(queued).status_code == 200
    assert ImageSynthesis.fetch(queued).output.task_status == "CANCELED"
    assert ImageSynthesis.cancel(queued).code == "UnsupportedOperation"
    listed = ImageSynthesis.list(model_name="qwen-image-plus", status="CANCELED", page_size=1)
    assert listed.output["data"][0]["task_id"] == queued.output.task_id
    assert listed.output["data"][0]["gmt_create"] > 1_700_000_000_000


def test_the_client_of_version_2(sandbox, files):
    client = dashscope.Client(api_key="sk-test", base_url=sandbox.base)
    job = client.images.generate(model="qwen-image-plus", prompt="an owl", size="1664*928", poll_interval=0.1)
    assert job.status == "SUCCEEDED"
    assert size_of(job.image_urls[0]) == (1664, 928)
    assert job.usage.image_count == 1
    at_once = client.images.generate(model="wan2.6-t2i", prompt="an owl", size="1280*1280", n=1)
    assert size_of(at_once.image_urls[0]) == (1280, 1280)
    queued = client.videos.jobs.create(model="wan2.6-t2v", prompt="[sandbox:queue=60]")
    assert queued.task_id in [task.task_id for task in client.videos.jobs.list(model_name="wan2.6-t2v").tasks]
    client.videos.jobs.cancel(queued.task_id)
    assert client.videos.jobs.fetch(queued.task_id).status == "CANCELED"
    with pytest.raises(BadRequestError) as refused:
        client.images.jobs.create(model="qwen-image-plus", prompt="x", size="10*10")
    assert refused.value.code == "InvalidParameter"
    client.close()
