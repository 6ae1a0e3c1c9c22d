"""MiniMax' emulator is as strict as the vendor: each row breaks one rule of a good request."""

from __future__ import annotations

import asyncio
import base64
import io
from dataclasses import dataclass
from typing import Any

import pytest
from PIL import Image

from modellix_server.sandbox.protocols.minimax import rules, table

LINK = "http://127.0.0.1:1/a.png"
MODELS = table.load()
SUBJECT = [{"type": "character", "image": [LINK]}]
PORTRAIT = [{"type": "character", "image_file": LINK}]

T2V = {"model": "MiniMax-Hailuo-02", "prompt": "a"}
I2V = {"model": "MiniMax-Hailuo-2.3-Fast", "first_frame_image": LINK}
FL2V = {"model": "MiniMax-Hailuo-02", "last_frame_image": LINK}
OLD = {"model": "T2V-01", "prompt": "a"}
LIVE = {"model": "I2V-01-live", "first_frame_image": LINK}
S2V = {"model": "S2V-01", "subject_reference": SUBJECT}
T2I = {"model": "image-01", "prompt": "a"}
DRAWN = {"model": "image-01-live", "prompt": "a"}

GOOD = [
    T2V | {"duration": 10, "resolution": "768P", "prompt_optimizer": True, "fast_pretreatment": False},
    T2V | {"resolution": "1080P", "aigc_watermark": False, "duration": None},
    I2V | {"prompt": "[Pan left, Zoom in] go [Static shot]"},
    FL2V | {"first_frame_image": "data:image/jpeg;base64,iVBORw0KGgo=", "duration": 6},
    T2V | {"first_frame_image": LINK, "resolution": "512P", "duration": 10},
    OLD | {"resolution": "1080P"},
    LIVE | {"duration": 6, "resolution": "720P"},
    S2V | {"prompt": "runs"},
    T2I | {"aspect_ratio": "21:9", "n": 9, "seed": -1, "response_format": "base64"},
    T2I | {"width": 512, "height": 2048},
    DRAWN | {"subject_reference": PORTRAIT},
]
BAD_CLIPS = [
    {"prompt": "a"},
    T2V | {"model": "MiniMax-Hailuo-03"},
    T2V | {"model": ["MiniMax-Hailuo-02"]},
    T2V | {"prompt": ""},
    T2V | {"prompt": "x" * 2001},
    T2V | {"prompt": 7},
    T2V | {"duration": 7},
    T2V | {"duration": "6"},
    T2V | {"duration": True},
    T2V | {"duration": 10, "resolution": "1080P"},
    T2V | {"resolution": "768p"},
    T2V | {"resolution": "512P"},
    T2V | {"prompt_optimizer": "yes"},
    T2V | {"seed": 1},
    T2V | {"callback_url": "nowhere"},
    T2V | {"prompt": "[sandbox:dance]"},
    T2V | {"prompt": "[sandbox:fail=Nonsense]"},
    I2V | {"first_frame_image": None, "prompt": "a"},
    I2V | {"first_frame_image": "a.png"},
    I2V | {"first_frame_image": [LINK]},
    I2V | {"last_frame_image": LINK},
    FL2V | {"resolution": "512P"},
    OLD | {"duration": 10},
    OLD | {"fast_pretreatment": False},
    OLD | {"first_frame_image": LINK},
    LIVE | {"resolution": "1080P"},
    S2V | {"duration": 6},
    S2V | {"subject_reference": []},
    S2V | {"subject_reference": SUBJECT * 2},
    S2V | {"subject_reference": PORTRAIT},
    S2V | {"subject_reference": [{"type": "character", "image": [LINK, LINK]}]},
    S2V | {"subject_reference": [{"type": "animal", "image": [LINK]}]},
    S2V | {"first_frame_image": LINK},
    T2V | {"subject_reference": SUBJECT},
    T2I,
]
BAD_PICTURES = [
    T2I | {"prompt": "x" * 1501},
    T2I | {"aspect_ratio": "5:4"},
    T2I | {"n": 0},
    T2I | {"n": 10},
    T2I | {"width": 512},
    T2I | {"width": 516, "height": 512},
    T2I | {"width": 504, "height": 512},
    T2I | {"seed": 2**63},
    T2I | {"response_format": "b64_json"},
    T2I | {"subject_reference": SUBJECT},
    T2I | {"stream": True},
    DRAWN | {"aspect_ratio": "21:9"},
    DRAWN | {"width": 512, "height": 512},
    T2V,
]


@pytest.mark.parametrize("body", GOOD)
def test_a_good_request_is_taken(body) -> None:
    makes = MODELS[body["model"]].makes
    assert rules.read(body, MODELS, makes).model == body["model"]


@pytest.mark.parametrize("body", BAD_CLIPS, ids=str)
def test_a_bad_request_for_a_clip_is_refused(body) -> None:
    with pytest.raises(rules.MiniMaxRefusal) as refused:
        rules.read(body, MODELS, "clip")
    assert refused.value.code == 2013


@pytest.mark.parametrize("body", BAD_PICTURES, ids=str)
def test_a_bad_request_for_pictures_is_refused(body) -> None:
    with pytest.raises(rules.MiniMaxRefusal) as refused:
        rules.read(body, MODELS, "picture")
    assert refused.value.code == 2013


def test_defaults_are_the_vendors() -> None:
    job = rules.read(T2V, MODELS, "clip")
    assert (job.resolution, job.seconds) == ("768P", 6)
    assert rules.read(OLD, MODELS, "clip").resolution == "720P"
    assert rules.read(T2I, MODELS, "picture").size == (1024, 1024)
    shaped = T2I | {"aspect_ratio": "16:9", "width": 512, "height": 512}
    assert rules.read(shaped, MODELS, "picture").size == (1280, 720)  # the ratio wins


@dataclass
class Vendor:
    """Speaks the protocol by hand, as the vendor's own client does."""

    client: Any

    async def call(self, method: str, path: str, key: str = "sk-test", **about: Any) -> tuple[int, Any]:
        url = f"{self.client.running.origin}/minimax/v1{path}"
        headers = {"Authorization": f"Bearer {key}", "MM-API-Source": "Minimax-MCP", **about.pop("headers", {})}
        async with self.client.http.request(method, url, headers=headers, **about) as answer:
            assert answer.headers["Trace-Id"]
            return answer.status, await answer.json()

    async def post(self, kind: str, body: dict[str, Any], **about: Any) -> tuple[int, Any]:
        return await self.call("POST", f"/{kind}_generation", json=body, **about)

    async def query(self, task_id: str, **about: Any) -> Any:
        _, said = await self.call("GET", f"/query/video_generation?task_id={task_id}", **about)
        return said

    async def finish(self, task_id: str) -> Any:
        for _ in range(600):
            said = await self.query(task_id)
            if said["status"] in ("Success", "Fail"):
                return said
            await asyncio.sleep(0.05)
        raise TimeoutError(task_id)

    async def bill(self, **query: str) -> Any:
        async with self.client.http.get(f"{self.client.running.origin}/minimax/_bill", params=query) as answer:
            return await answer.json()


@pytest.fixture
def vendor(client) -> Vendor:
    return Vendor(client)


GOOD_END = {"status_code": 0, "status_msg": "success"}


@pytest.mark.full
async def test_the_three_steps_of_a_clip(vendor, files) -> None:
    body = {"model": "I2V-01", "prompt": "x [sandbox:queue=1][sandbox:badword=1]"}
    status, said = await vendor.post("video", body | {"first_frame_image": f"{files}/photo.png"})
    assert (status, said["base_resp"]) == (200, GOOD_END)
    task_id = said["task_id"]
    seen = set()
    while (said := await vendor.query(task_id))["status"] != "Success":
        assert said["base_resp"] == GOOD_END
        assert (said["task_id"], said["file_id"], said["video_width"], said["video_height"]) == (task_id, "", 0, 0)
        seen.add(said["status"])
        await asyncio.sleep(0.02)
    assert {"Queueing", "Dreaming"} <= seen <= {"Preparing", "Queueing", "Processing", "Dreaming"}
    assert abs(said["video_width"] / said["video_height"] - 1.5) < 0.05
    _, found = await vendor.call("GET", f"/files/retrieve?file_id={said['file_id']}")
    file = found["file"]
    assert (str(file["file_id"]), file["purpose"]) == (said["file_id"], "video_generation")
    assert len(await vendor.client.load(file["download_url"])) == file["bytes"]


@pytest.mark.full
async def test_only_the_account_that_made_a_task_sees_it(vendor) -> None:
    _, said = await vendor.post("video", OLD)
    assert (await vendor.query(said["task_id"], key="sk-other"))["base_resp"]["status_code"] == 2013
    assert (await vendor.query("1"))["base_resp"]["status_code"] == 2013
    done = await vendor.finish(said["task_id"])
    path = f"/files/retrieve?file_id={done['file_id']}"
    assert (await vendor.call("GET", path, key="sk-other"))[1]["base_resp"]["status_code"] == 2013
    assert (await vendor.call("GET", path))[1]["base_resp"] == GOOD_END


async def test_pictures_by_link_and_in_base64(vendor) -> None:
    _, said = await vendor.post("image", T2I | {"n": 2, "aspect_ratio": "21:9"})
    assert said["base_resp"] == GOOD_END
    assert said["metadata"] == {"success_count": "2", "failed_count": "0"}
    assert len(said["data"]["image_urls"]) == 2
    _, said = await vendor.post("image", T2I | {"response_format": "base64"})
    assert base64.b64decode(said["data"]["image_base64"][0])[1:4] == b"PNG"
    _, said = await vendor.post("image", T2I | {"prompt": "[sandbox:partial]", "n": 3})
    assert said["metadata"] == {"success_count": "2", "failed_count": "1"}


async def test_the_vendors_mark_is_there_only_when_asked_for(vendor) -> None:
    shown = []
    for asked in ({}, {"aigc_watermark": False}, {"aigc_watermark": True}):
        _, said = await vendor.post("image", T2I | {"seed": 3} | asked)
        shown.append(await vendor.client.load(said["data"]["image_urls"][0]))
    assert shown[0] == shown[1] != shown[2]


@pytest.mark.parametrize(
    ("mark", "status", "code"),
    [
        ("refuse", 200, 2013),
        ("moderate", 200, 1026),
        ("arrears", 200, 1008),
        ("throttle", 200, 1002),
        ("error", 500, 1000),
    ],
)
async def test_refusals_on_request(vendor, mark, status, code) -> None:
    for kind, body in (("video", OLD), ("image", T2I)):
        prompt = f"{kind} [sandbox:{mark}]"
        got, said = await vendor.post(kind, body | {"prompt": prompt}, headers={"X-Request-Id": f"{mark}-{kind}-1"})
        assert (got, said["base_resp"]["status_code"]) == (status, code)
        assert not said.keys() - {"base_resp"}
        (line,) = (await vendor.bill(attempt=f"{mark}-{kind}-1"))["lines"]
        assert (line["accepted"], line["code"], line["prompt"]) == (False, str(code), prompt)


async def test_a_throttled_prompt_is_taken_the_second_time(vendor) -> None:
    body = T2I | {"prompt": "once more [sandbox:throttle]"}
    assert (await vendor.post("image", body))[1]["base_resp"]["status_code"] == 1002
    assert (await vendor.post("image", body))[1]["base_resp"] == GOOD_END


@pytest.mark.parametrize("key", ["", "invalid", "sk-invalid"])
async def test_a_bad_key(vendor, key) -> None:
    for status, said in (await vendor.post("video", OLD, key=key), await vendor.call("GET", "/nothing", key=key)):
        assert (status, said["base_resp"]["status_code"]) == (200, 1004)  # the one code its client takes for this


async def test_what_is_not_json_and_what_is_not_there(vendor) -> None:
    for data, kind in ((b"{", "application/json"), (b"[]", "application/json"), (b"{}", "text/plain")):
        _, said = await vendor.call("POST", "/video_generation", data=data, headers={"Content-Type": kind})
        assert said["base_resp"]["status_code"] == 2013
    assert (await vendor.call("GET", "/video_generation"))[0] == 404


@pytest.mark.parametrize(
    ("size", "form", "good"),
    [
        ((301, 301), "PNG", True),
        ((750, 301), "WEBP", True),
        ((300, 600), "JPEG", False),
        ((900, 301), "PNG", False),
        ((400, 400), "BMP", False),
    ],
)
def test_the_limits_of_a_frame(size, form, good) -> None:
    assert _accepted(size, form, rules.FRAME) is good


def test_the_limits_of_a_portrait() -> None:
    assert _accepted((100, 900), "JPEG", rules.PORTRAIT)
    assert not _accepted((400, 400), "WEBP", rules.PORTRAIT)
    with pytest.raises(rules.MiniMaxRefusal, match="smaller"):
        rules.check(b"\0" * (10 * rules.MIB + 1), rules.PORTRAIT)


def _accepted(size: tuple[int, int], form: str, limits: rules.MiniMaxLimits) -> bool:
    file = io.BytesIO()
    Image.new("RGB", size, "red").save(file, form)
    try:
        rules.check(file.getvalue(), limits)
    except rules.MiniMaxRefusal:
        return False
    return True


@pytest.mark.parametrize(
    "picture", ["{files}/none.png", "{files}/text.txt", "{files}/small.png", "data:image/png;base64,!"]
)
async def test_an_input_picture_that_cannot_be_used_fails_the_task(vendor, files, picture) -> None:
    _, said = await vendor.post("video", {"model": "I2V-01", "first_frame_image": picture.format(files=files)})
    done = await vendor.finish(said["task_id"])
    assert (done["status"], done["base_resp"]["status_code"], done["file_id"]) == ("Fail", 2013, "")
