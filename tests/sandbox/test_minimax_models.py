"""Every MiniMax model of the catalogue, from its documented example to the delivered file: adapter and emulator."""

from __future__ import annotations

import asyncio
import io
import json
import subprocess
from dataclasses import dataclass
from typing import Any

import aiohttp
import imageio_ffmpeg
import pytest
from PIL import Image, ImageChops, ImageStat
from pymediainfo import MediaInfo

from modellix_server.catalogue import Catalogue, Measurement
from modellix_server.upstreams.adapters.minimax import upstream
from modellix_server.upstreams.contract import Answer, Done, Failed, Order, Pending, Ticket, UnmappedAnswer

MODELS = {model.id: model for model in Catalogue.load() if model.provider == "minimax"}
PROGRAM = imageio_ffmpeg.get_ffmpeg_exe()


@dataclass
class Http:
    """The adapter's door to the emulator."""

    session: aiohttp.ClientSession
    base: str

    async def call(self, method, path, *, json=None, headers=None) -> Answer:
        async with self.session.request(method, self.base + path, json=json, headers=headers) as answer:
            found = {name.lower(): value for name, value in answer.headers.items()}
            return Answer(answer.status, await answer.read(), found)


@pytest.fixture
async def http(client):
    return Http(client.http, f"{client.running.origin}/minimax/v1")


def order(model_id: str, given: dict[str, Any], attempt: str = "task-0-1") -> Order:
    model = MODELS[model_id]
    return Order(attempt, model.routes[0], model.check(given), "sk-sandbox", "cn")


async def run(http: Http, wanted: Order) -> Done | Failed:
    """What the engine does, without waiting long."""
    answer = await upstream.submit(wanted, http)
    if isinstance(answer, Ticket):
        ticket = answer.id
        for _ in range(900):
            answer = await upstream.poll(ticket, wanted, http)
            if answer != Pending():
                break
            await asyncio.sleep(0.1)
    assert isinstance(answer, Done | Failed), answer
    return answer


async def load(http: Http, done: Done | Failed) -> list[bytes]:
    assert isinstance(done, Done), done
    found = []
    for file in done.files:
        async with http.session.get(file.url) as answer:
            assert answer.status == 200
            found.append(await answer.read())
    return found


def ends(clip: bytes, size: tuple[int, int]) -> tuple[Image.Image, Image.Image]:
    """The first and the last frame."""
    options = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-vf", "scale=in_color_matrix=bt709"]
    command = [PROGRAM, "-v", "error", "-i", "pipe:0", *options, "pipe:1"]
    raw = subprocess.run(command, input=clip, capture_output=True, check=True).stdout
    length = size[0] * size[1] * 3
    first, last = (Image.frombytes("RGB", size, part) for part in (raw[:length], raw[-length:]))
    return first, last


def difference(one: Image.Image, other: Image.Image) -> float:
    return sum(ImageStat.Stat(ImageChops.difference(one.resize((64, 64)), other.resize((64, 64)))).mean) / 3


CLIPS = {
    "hailuo-02-t2v": (1366, 768),
    "hailuo-2.3-t2v": (1366, 768),
    "minimax-t2v-01": (1280, 720),
    "minimax-t2v-01-director": (1280, 720),
    "hailuo-02-i2v": 912 * 512,
    "hailuo-2.3-i2v": 1366 * 768,
    "hailuo-2.3-fast-i2v": 1366 * 768,
    "hailuo-02-fl2v": 1366 * 768,
    "minimax-i2v-01": 1280 * 720,
    "minimax-i2v-01-director": 1280 * 720,
    "minimax-i2v-01-live": 1280 * 720,
    "minimax-s2v-01": (1280, 720),
}
"""Model -> the size of its example's clip, or its area where it follows a picture."""
PICTURES = {
    "minimax-image-01-t2i": (1280, 720),
    "minimax-image-01-i2i": (1024, 1024),
    "minimax-image-01-live-i2i": (1024, 1024),
}


def test_every_model_is_tried() -> None:
    assert MODELS.keys() == CLIPS.keys() | PICTURES.keys()
    assert len(MODELS) == 15


def filled(model_id: str, files: str) -> dict[str, Any]:
    """The documented example with pictures that exist."""
    given = dict(MODELS[model_id].example)
    given |= {name: f"{files}/photo.png" for name in given if name == "first_frame_image"}
    given |= {name: f"{files}/red.png" for name in given if name == "last_frame_image"}
    given |= {name: [f"{files}/photo.png"] for name in given if name == "subject_reference_images"}
    return given


# tests/journeys/test_models_all.py runs examples too, with fewer looks at the film.
@pytest.mark.full
@pytest.mark.parametrize("model_id", CLIPS)
async def test_the_example_of_a_clip(http, client, files, material, model_id) -> None:
    attempt = f"task-{model_id}-1"
    given = filled(model_id, files)
    done = await run(http, order(model_id, given, attempt))
    (clip,) = await load(http, done)
    assert isinstance(done, Done)
    assert (done.measured, done.files[0].kind) == (Measurement(milliseconds=6000), "video")
    (video,) = MediaInfo.parse(io.BytesIO(clip)).video_tracks
    assert abs(float(video.duration) - 6000) < 50
    size = (video.width, video.height)
    wanted = CLIPS[model_id]
    if isinstance(wanted, tuple):
        assert size == wanted
    else:
        assert abs(size[0] * size[1] - wanted) < 30_000
        assert abs(size[0] / size[1] - 1.5) < 0.05
    begin, end = ends(clip, size)
    photo = material.photo(900, 600)
    assert difference(begin, end) > 3
    if "first_frame_image" in given:
        assert difference(begin, photo) < 4
    if "last_frame_image" in given:
        assert difference(end, Image.new("RGB", (64, 64), (220, 30, 30))) < 6
    if "subject_reference_images" in given:
        assert difference(begin, photo.crop((0, 47, 900, 553))) < 6
    async with http.session.get(f"{client.running.origin}/minimax/_bill", params={"attempt": attempt}) as answer:
        (line,) = (await answer.json())["lines"]
    assert (line["seconds"], line["state"]) == (6, "Success")
    assert line["prompt"] == given["prompt"]  # camera commands and all


@pytest.mark.parametrize("model_id", PICTURES)
async def test_the_example_of_a_picture(http, files, material, model_id) -> None:
    done = await run(http, order(model_id, {**filled(model_id, files), "n": 2}))
    images = [Image.open(io.BytesIO(body)) for body in await load(http, done)]
    assert [image.size for image in images] == [PICTURES[model_id]] * 2
    assert isinstance(done, Done)
    assert done.measured == Measurement(images=2)
    assert difference(images[0].convert("RGB"), images[1].convert("RGB")) > 1
    if "i2i" in model_id:  # the portrait is seen, and is not simply handed back
        side = material.photo(900, 600).crop((150, 0, 750, 600))
        assert 3 < difference(images[0].convert("L").convert("RGB"), side.convert("L").convert("RGB")) < 60


async def test_the_most_pictures_of_odd_sides(http) -> None:
    given = {"prompt": "tiles", "width": 512, "height": 2048, "n": 9}
    done = await run(http, order("minimax-image-01-t2i", given))
    assert [Image.open(io.BytesIO(body)).size for body in await load(http, done)] == [(512, 2048)] * 9


@pytest.mark.full
async def test_a_clip_that_only_ends_with_a_picture_and_a_subject_in_the_vendors_own_form(http, files) -> None:
    last, subject = await asyncio.gather(
        run(http, order("hailuo-02-fl2v", {"last_frame_image": f"{files}/blue.png", "duration": 10})),
        run(
            http,
            order("minimax-s2v-01", {"subject_reference": [{"type": "character", "image": [f"{files}/photo.png"]}]}),
        ),
    )
    (clip,) = await load(http, last)
    assert isinstance(last, Done)
    assert last.measured == Measurement(milliseconds=10_000)
    (video,) = MediaInfo.parse(io.BytesIO(clip)).video_tracks
    assert abs(float(video.duration) - 10_000) < 50
    begin, end = ends(clip, (video.width, video.height))
    blue = Image.new("RGB", (64, 64), (20, 40, 220))
    assert difference(end, blue) < 6 < 20 < difference(begin, blue)
    assert isinstance(subject, Done)


@pytest.mark.full
@pytest.mark.parametrize(("resolution", "duration", "area"), [("1080P", 6, 1920 * 1080), ("512P", 10, 912 * 512)])
async def test_other_resolutions(http, files, resolution, duration, area) -> None:
    given = {"first_frame_image": f"{files}/photo.png", "resolution": resolution, "duration": duration}
    done = await run(http, order("hailuo-02-i2v", given))
    (clip,) = await load(http, done)
    (video,) = MediaInfo.parse(io.BytesIO(clip)).video_tracks
    assert abs(video.width * video.height - area) < 30_000
    assert abs(float(video.duration) - duration * 1000) < 50


@pytest.mark.parametrize(
    ("model_id", "prompt", "code"),
    [
        ("minimax-t2v-01", "[sandbox:fail=DataInspectionFailed]", "content_rejected"),
        ("minimax-t2v-01", "[sandbox:fail=InvalidParameter]", "invalid_input"),
        ("minimax-t2v-01", "[sandbox:fail]", "upstream_refused"),
        ("minimax-t2v-01", "[sandbox:moderate]", "content_rejected"),
        ("minimax-t2v-01", "[sandbox:refuse]", "invalid_input"),
        ("minimax-image-01-t2i", "[sandbox:partial]", "content_rejected"),
        ("minimax-image-01-t2i", "[sandbox:moderate]", "content_rejected"),
    ],
)
async def test_failures_on_request_are_understood(http, model_id, prompt, code) -> None:
    failed = await run(http, order(model_id, {"prompt": prompt}))
    assert isinstance(failed, Failed)
    assert failed.code == code


async def test_a_part_of_the_pictures(http) -> None:
    done = await run(http, order("minimax-image-01-t2i", {"prompt": "[sandbox:partial]", "n": 3}))
    assert isinstance(done, Done)
    assert (len(done.files), done.measured) == (2, Measurement(images=2))
    done = await run(http, order("minimax-image-01-t2i", {"prompt": "[sandbox:overbill]", "n": 1}))
    assert (len(done.files), done.measured) == (1, Measurement(images=2))


@pytest.mark.parametrize("mark", ["lost", "garbage", "error-accepted"])
async def test_what_was_accepted_is_charged_though_its_answer_is_bad(http, client, mark) -> None:
    attempt = f"task-{mark}-1"
    with pytest.raises((UnmappedAnswer, aiohttp.ClientError)):
        await upstream.submit(order("minimax-image-01-t2i", {"prompt": f"[sandbox:{mark}]", "n": 2}, attempt), http)
    for _ in range(1000):
        async with http.session.get(f"{client.running.origin}/minimax/_bill", params={"attempt": attempt}) as answer:
            totals = (await answer.json())["totals"]
        if totals["images"]:
            break
        await asyncio.sleep(0.05)
    assert totals == {"posts": 1, "accepted": 1, "images": 2, "seconds": 0}


async def test_each_poll_of_a_finished_clip_gives_a_fresh_link(http, files) -> None:
    wanted = order("hailuo-02-i2v", {"first_frame_image": f"{files}/photo.png", "resolution": "512P"})
    ticket = await upstream.submit(wanted, http)
    assert isinstance(ticket, Ticket)
    links = set()
    for _ in range(600):
        answer = await upstream.poll(ticket.id, wanted, http)
        if isinstance(answer, Done):
            links.add(answer.files[0].url)
        if len(links) == 2:
            break
        await asyncio.sleep(0.1)
    assert len(links) == 2
    for link in links:
        async with http.session.get(link) as file:
            assert (await file.read())[4:8] == b"ftyp"


def test_what_the_catalogue_refuses_before_the_vendor_would() -> None:
    portrait = "https://example.com/p.png"
    own_form = [{"type": "character", "image": [portrait]}]
    for model_id, given, says in (
        ("hailuo-02-t2v", {"prompt": "x", "resolution": "1080P", "duration": 10}, "must be 6 when"),
        ("hailuo-02-t2v", {"prompt": "x", "resolution": "512P"}, "768P"),
        ("hailuo-2.3-fast-i2v", {"prompt": "x"}, "first_frame_image"),
        ("minimax-s2v-01", {"prompt": "x"}, "is required"),
        ("minimax-s2v-01", {"subject_reference": own_form, "subject_reference_images": [portrait]}, "exclude"),
        ("minimax-image-01-t2i", {"prompt": "x", "width": 516, "height": 512}, "multiple of 8"),
        ("minimax-image-01-t2i", {"prompt": "x", "height": 512}, "needs 'width'"),
        ("minimax-image-01-live-i2i", {"prompt": "x", "aspect_ratio": "21:9"}, "must be one of"),
    ):
        with pytest.raises(Exception, match=says) as refused:
            MODELS[model_id].check(given)
        assert refused.type.__module__ == "modellix_server.base.errors", json.dumps(given)
