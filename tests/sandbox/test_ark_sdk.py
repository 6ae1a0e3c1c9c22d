"""The vendor's own client, arkruntime, works against the emulator with nothing but its address changed."""

from __future__ import annotations

import io
import time
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from arkruntime import Ark
from arkruntime._exceptions import (
    ArkAuthenticationError,
    ArkBadRequestError,
    ArkInternalServerError,
    ArkNotFoundError,
    ArkPermissionDeniedError,
    ArkRateLimitError,
)
from PIL import Image

SEEDREAM, SEEDANCE = "doubao-seedream-4-0-250828", "doubao-seedance-1-0-pro-250528"
PICTURE = {"model": SEEDREAM, "size": "1024x1024"}
CLIP = {"model": SEEDANCE, "resolution": "480p", "duration": 2}


@pytest.fixture
def ark(sandbox) -> Iterator[Ark]:
    client = Ark(base_url=f"{sandbox.origin}/ark/api/v3", api_key="sk-test", max_retries=0)
    with client:
        yield client


def text(prompt: str) -> list[dict[str, str]]:
    return [{"type": "text", "text": prompt}]


def load(url: str) -> bytes:
    with urllib.request.urlopen(url) as answer:
        return answer.read()


def size_of(url: str) -> tuple[int, int]:
    return Image.open(io.BytesIO(load(url))).size


def finish(ark: Ark, task: str) -> Any:
    for _ in range(600):
        told = ark.content_generation.tasks.get(task_id=task)
        if told.status not in ("queued", "running"):
            return told
        time.sleep(0.1)
    raise TimeoutError(task)


def test_one_picture(ark: Ark) -> None:
    told = ark.images.generate(**PICTURE, prompt="a heron at dawn", watermark=False)
    assert told.model == SEEDREAM
    assert told.usage.generated_images == 1
    (picture,) = told.data
    assert size_of(picture.url) == (1024, 1024)


def test_a_picture_from_a_picture_and_inline(ark: Ark, files: str) -> None:
    told = ark.images.generate(**PICTURE, prompt="at night", image=f"{files}/photo.png", response_format="b64_json")
    (picture,) = told.data
    assert picture.url is None
    assert len(picture.b64_json) > 1000


def test_a_set_and_what_fails_of_it(ark: Ark) -> None:
    options = {"sequential_image_generation": "auto", "sequential_image_generation_options": {"max_images": 3}}
    told = ark.images.generate(**PICTURE, **options, prompt="three seasons [sandbox:partial]")
    assert told.usage.generated_images == 2
    assert sorted(picture.error is not None for picture in told.data) == [False, False, True]


def test_a_stream(ark: Ark) -> None:
    options = {"sequential_image_generation": "auto", "sequential_image_generation_options": {"max_images": 2}}
    events = list(ark.images.generate(**PICTURE, **options, prompt="two boats", stream=True))
    assert [event.type for event in events] == [
        "image_generation.partial_succeeded",
        "image_generation.partial_succeeded",
        "image_generation.completed",
    ]
    assert size_of(events[0].url) == (1024, 1024)
    assert events[-1].usage.generated_images == 2


def test_a_clip_from_its_creation_to_its_deletion(ark: Ark) -> None:
    tasks = ark.content_generation.tasks
    made = tasks.create(**CLIP, content=text("waves"), ratio="16:9", seed=7, return_last_frame=True)
    done = finish(ark, made.id)
    assert (done.status, done.resolution, done.duration, done.seed) == ("succeeded", "480p", 2, 7)
    assert done.usage.completion_tokens > 0
    assert load(done.content.video_url)[4:8] == b"ftyp"
    assert size_of(done.content.last_frame_url) == (864, 480)
    listed = tasks.list(task_ids=[made.id, "cgt-1"], page_size=10, status="succeeded", model=SEEDANCE)
    assert (listed.total, [item.id for item in listed.items]) == (1, [made.id])
    tasks.delete(task_id=made.id)
    with pytest.raises(ArkNotFoundError):
        tasks.get(task_id=made.id)


def test_a_clip_that_is_cancelled_and_one_that_fails(ark: Ark) -> None:
    tasks = ark.content_generation.tasks
    queued = tasks.create(**CLIP, content=text("a crane [sandbox:queue=30]"))
    assert tasks.get(task_id=queued.id).status == "queued"
    tasks.delete(task_id=queued.id)
    assert tasks.get(task_id=queued.id).status == "cancelled"
    failed = finish(ark, tasks.create(**CLIP, content=text("a crane [sandbox:fail]")).id)
    assert (failed.status, failed.error.code) == ("failed", "InternalError.Algo")


@pytest.mark.parametrize(
    ("given", "error", "code"),
    [
        ({"size": "100x100"}, ArkBadRequestError, "InvalidParameter"),
        ({"prompt": None}, ArkBadRequestError, "MissingParameter"),
        ({"prompt": "[sandbox:moderate]"}, ArkBadRequestError, "InputTextSensitiveContentDetected"),
        ({"prompt": "[sandbox:arrears]"}, ArkPermissionDeniedError, "AccountOverdueError"),
        ({"prompt": "[sandbox:throttle=1] once"}, ArkRateLimitError, "RateLimitExceeded.EndpointRPMExceeded"),
        ({"prompt": "[sandbox:error=1] once"}, ArkInternalServerError, "InternalServiceError"),
        ({"model": "doubao-nothing"}, ArkNotFoundError, "InvalidEndpointOrModel.NotFound"),
    ],
)
def test_errors_are_the_client_s_own(ark: Ark, given: dict[str, Any], error: type[Exception], code: str) -> None:
    with pytest.raises(error) as caught:
        ark.images.generate(**({**PICTURE, "prompt": "a cat"} | given))
    assert caught.value.code == code
    assert caught.value.request_id


def test_a_bad_key(sandbox) -> None:
    with (
        Ark(base_url=f"{sandbox.origin}/ark/api/v3", api_key="sk-invalid", max_retries=0) as ark,
        pytest.raises(ArkAuthenticationError),
    ):
        ark.content_generation.tasks.get(task_id="cgt-1")


def test_the_client_s_own_retries_bring_it_through(sandbox) -> None:
    with Ark(base_url=f"{sandbox.origin}/ark/api/v3", api_key="sk-test", max_retries=2) as ark:
        assert ark.images.generate(**PICTURE, prompt="patience [sandbox:throttle=1]").usage.generated_images == 1
