"""Every model of ByteDance in the catalogue: its example through the adapter and the emulator, checked file by file."""

from __future__ import annotations

import asyncio
import io
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import imageio_ffmpeg
import pytest
from PIL import Image, ImageChops, ImageStat
from pymediainfo import MediaInfo

from modellix_server.catalogue import Catalogue, Model, capture
from modellix_server.upstreams.adapters.ark import upstream
from modellix_server.upstreams.contract import Answer, Done, Failed, Order, Pending, Ticket

CATALOGUE = Catalogue.load()
MODELS = [model for model in CATALOGUE if model.provider == "bytedance"]


class Http:
    """The emulator as the engine reaches it."""

    def __init__(self, origin: str, session: aiohttp.ClientSession) -> None:
        self.base = f"{origin}/ark/api/v3"
        self.session = session
        self.posts: list[Any] = []

    async def call(self, method, path, *, json=None, headers=None) -> Answer:
        if method == "POST":
            self.posts.append(json)
        async with self.session.request(method, self.base + path, json=json, headers=headers) as answer:
            return Answer(answer.status, await answer.read(), {k.lower(): v for k, v in answer.headers.items()})

    async def load(self, url: str) -> bytes:
        async with self.session.get(url) as answer:
            assert answer.status == 200
            return await answer.read()


@pytest.fixture
async def http(sandbox) -> AsyncIterator[Http]:
    async with aiohttp.ClientSession() as session:
        yield Http(sandbox.origin, session)


async def run(http: Http, model: Model, given: dict[str, Any], region: str = "cn") -> Done | Failed:
    order = Order(f"task-{model.id}-1", model.routes[0], model.check(given), "sk-test", region)
    said = await upstream.submit(order, http)
    if not isinstance(said, Ticket):
        assert isinstance(said, Done | Failed), said
        return said
    for _ in range(600):
        polled = await upstream.poll(said.id, order, http)
        if not isinstance(polled, Pending):
            return polled
        await asyncio.sleep(0.1)
    raise TimeoutError(model.slug)


@pytest.fixture(scope="session")
def source_clip(sandbox) -> str:
    """Link to a clip of four seconds: one that the emulator made itself."""

    async def make() -> str:
        async with aiohttp.ClientSession() as session:
            model = CATALOGUE.models["bytedance/seedance-2.0-mini-t2v"]
            given = {"prompt": "a walk in the snow", "resolution": "480p", "duration": 4, "generate_audio": False}
            done = await run(Http(sandbox.origin, session), model, given)
            assert isinstance(done, Done)
            return done.files[0].url

    with asyncio.Runner() as runner:
        return runner.run(make())


def test_all_of_them_are_there() -> None:
    assert len(MODELS) == 25


def measure(body: bytes) -> tuple[float, tuple[int, int]]:
    video = next(track for track in MediaInfo.parse(io.BytesIO(body)).tracks if track.track_type == "Video")
    return float(video.duration) / 1000, (video.width, video.height)


def has_sound(body: bytes) -> bool:
    return any(track.track_type == "Audio" for track in MediaInfo.parse(io.BytesIO(body)).tracks)


def frames(body: bytes, folder: Path) -> list[Image.Image]:
    path = folder / "clip.mp4"
    path.write_bytes(body)
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", str(path), "-vf", "scale=64:36"]
    raw = subprocess.run([*command, "-f", "rawvideo", "-pix_fmt", "rgb24", "-"], check=True, capture_output=True).stdout
    size = 64 * 36 * 3
    return [Image.frombytes("RGB", (64, 36), raw[start : start + size]) for start in range(0, len(raw), size)]


def unlike(one: Image.Image, other: Image.Image) -> float:
    """Mean difference of two pictures, 0 to 255."""
    small = [picture.convert("RGB").resize((64, 36)) for picture in (one, other)]
    return sum(ImageStat.Stat(ImageChops.difference(*small)).mean) / 3


async def test_a_set_has_as_many_pictures_as_allowed_and_what_fails_costs_nothing(http: Http) -> None:
    model = CATALOGUE.models["bytedance/seedream-4.0-t2i"]
    given = {
        "prompt": "four seasons [sandbox:partial]",
        "size": "1280x720",
        "sequential_image_generation": "auto",
        "sequential_image_generation_max_images": 4,
    }
    done = await run(http, model, given)
    assert isinstance(done, Done)
    assert (len(done.files), done.measured.images) == (3, 3)
    quote = model.quote(model.check(given), None, live=True)
    assert (quote.amount_micros, capture(quote, done.measured)) == (4 * 31_000, 3 * 31_000)


async def test_a_picture_refused_as_a_whole_is_the_contents_fault(http: Http) -> None:
    said = await run(http, CATALOGUE.models["bytedance/seedream-3.0-t2i"], {"prompt": "x [sandbox:partial]"})
    assert isinstance(said, Failed)
    assert said.code == "content_rejected"
    assert "Request id" not in said.message


async def test_png_where_it_is_asked_for(http: Http) -> None:
    model = CATALOGUE.models["bytedance/seedream-5.0-lite"]
    done = await run(http, model, {"prompt": "a seal", "size": "2560x1440", "output_format": "png"}, "eu")
    with Image.open(io.BytesIO(await http.load(done.files[0].url))) as picture:
        assert picture.format == "PNG"


async def test_frames_beat_the_duration_and_are_billed_as_they_are(http: Http) -> None:
    model = CATALOGUE.models["bytedance/seedance-1.0-pro-t2v"]
    given = {"prompt": "a comet", "resolution": "480p", "duration": 12, "frames": 29, "seed": 7}
    done = await run(http, model, given)
    seconds, _ = measure(await http.load(done.files[0].url))
    assert done.measured.milliseconds == 1208
    assert seconds == pytest.approx(29 / 24, abs=0.05)
    quote = model.quote(model.check(given), None, live=True)
    assert (quote.amount_micros, capture(quote, done.measured)) == (13 * 34_500, 41_676)


async def test_the_clip_runs_from_the_first_frame_to_the_last_which_comes_along(http: Http, files, tmp_path) -> None:
    model = CATALOGUE.models["bytedance/seedance-1.0-pro-i2v"]
    given = {
        "first_frame_image": f"{files}/red.png",
        "last_frame_image": f"{files}/blue.png",
        "resolution": "480p",
        "duration": 2,
        "return_last_frame": True,
    }
    done = await run(http, model, given)
    assert [(file.kind, file.role) for file in done.files] == [("video", "primary"), ("image", "last_frame")]
    shown = frames(await http.load(done.files[0].url), tmp_path)
    assert unlike(shown[0], Image.new("RGB", (64, 36), (220, 30, 30))) < 12
    assert unlike(shown[-1], Image.new("RGB", (64, 36), (20, 40, 220))) < 12
    last = Image.open(io.BytesIO(await http.load(done.files[1].url)))
    assert last.format == "PNG"
    assert unlike(last, shown[-1]) < 6


async def test_references_show_in_the_clip_and_exclude_frames(http: Http, files: str, tmp_path) -> None:
    model = CATALOGUE.models["bytedance/seedance-2.0-mini-i2v"]
    given = {
        "prompt": "[Image 1] turns into [Image 2] to [Audio 1]",
        "reference_images": [f"{files}/red.png", f"{files}/blue.png"],
        "audio_urls": [f"{files}/tone.wav"],
        "resolution": "480p",
        "duration": 4,
    }
    done = await run(http, model, given)
    body = await http.load(done.files[0].url)
    assert has_sound(body)
    shown = frames(body, tmp_path)
    assert unlike(shown[0], Image.new("RGB", (64, 36), (220, 30, 30))) < 12
    assert unlike(shown[-1], Image.new("RGB", (64, 36), (20, 40, 220))) < 12


async def test_a_clip_made_of_a_clip_begins_like_it(http: Http, source_clip: str, tmp_path) -> None:
    model = CATALOGUE.models["bytedance/seedance-2.0-v2v"]
    given = {"prompt": "as a drawing", "video_urls": [source_clip], "resolution": "480p", "duration": 4}
    done = await run(http, model, given)
    made = frames(await http.load(done.files[0].url), tmp_path)
    source = frames(await http.load(source_clip), tmp_path)
    assert unlike(made[0], source[0]) < 12
    assert unlike(made[-1], source[-1]) < 12
    given["first_frame_image"] = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAA"
    said = await run(http, model, given)
    assert isinstance(said, Failed)
    assert said.code == "invalid_input"
