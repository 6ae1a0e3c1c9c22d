"""The Ark emulator's rules broken one by one, on the wire as the vendor's own client writes it (arkruntime 0.17.0).

Each field it knows is sent, null where it is unset, and `filter.task_ids` is repeated. The client itself is at work in
test_ark_sdk.py; it lets no rule be broken that it checks itself.
"""

from __future__ import annotations

import asyncio
import base64
import io
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from PIL import Image

PICTURE_FIELDS = (
    "prompt", "image", "stream", "response_format", "seed", "guidance_scale", "image_guidance_scale", "size",
    "watermark", "sequential_image_generation", "sequential_image_generation_options", "optimize_prompt_options",
    "tools", "output_format", "background", "layer_decomposition",
)  # fmt: skip
TASK_FIELDS = (
    "content", "callback_url", "return_last_frame", "service_tier", "execution_expires_after", "generate_audio",
    "camera_fixed", "watermark", "seed", "resolution", "ratio", "duration", "frames", "subdivision_level",
    "file_format", "draft", "optimize_prompt", "tools", "reasoning_effort", "human_face_mode", "safety_identifier",
)  # fmt: skip
S4, S3, EDIT = "doubao-seedream-4-0-250828", "seedream-3-0-t2i-250415", "doubao-seededit-3-0-i2i-250628"
LITE, PRO, V15 = "seedance-1-0-lite-t2v-250428", "doubao-seedance-1-0-pro-250528", "doubao-seedance-1-5-pro-251215"
LITE_I2V, V20 = "doubao-seedance-1-0-lite-i2v-250428", "dreamina-seedance-2-0-260128"


class Client:
    def __init__(self, origin: str, http: aiohttp.ClientSession) -> None:
        self.base, self.bill_url, self.http = f"{origin}/ark/api/v3", f"{origin}/ark/_bill", http
        self.headers = {"Authorization": "Bearer sk-test", "X-Client-Request-Id": "task-ab-1"}

    async def call(self, method: str, path: str, **about: Any) -> tuple[int, Any]:
        about = {"headers": self.headers, **about}
        async with self.http.request(method, self.base + path, **about) as answer:
            assert answer.headers["x-request-id"]
            return answer.status, await answer.json()

    async def draw(self, model: str = S4, prompt: str | None = "a cat", **given: Any) -> tuple[int, Any]:
        body = dict.fromkeys(PICTURE_FIELDS) | {"model": model, "prompt": prompt} | given
        return await self.call("POST", "/images/generations", json=body)

    async def create(self, model: str, *content: dict[str, Any], **given: Any) -> tuple[int, Any]:
        body = dict.fromkeys(TASK_FIELDS) | {"model": model, "content": list(content)} | given
        return await self.call("POST", "/contents/generations/tasks", json=body)

    async def get(self, task: str) -> tuple[int, Any]:
        return await self.call("GET", f"/contents/generations/tasks/{task}")

    async def delete(self, task: str) -> tuple[int, Any]:
        return await self.call("DELETE", f"/contents/generations/tasks/{task}")

    async def finish(self, task: str) -> Any:
        for _ in range(600):
            _, said = await self.get(task)
            if said["status"] not in ("queued", "running"):
                return said
            await asyncio.sleep(0.05)
        raise TimeoutError(task)


@pytest.fixture
async def ark(sandbox) -> AsyncIterator[Client]:
    async with aiohttp.ClientSession() as http:
        yield Client(sandbox.origin, http)


def text(words: str = "waves") -> dict[str, Any]:
    return {"type": "text", "text": words, "image_url": None, "role": None}


def medium(kind: str, url: str, role: str | None) -> dict[str, Any]:
    return {"type": f"{kind}_url", f"{kind}_url": {"url": url}, "role": role}


def small(width: int = 400, height: int = 400) -> str:
    file = io.BytesIO()
    Image.new("RGB", (width, height), "teal").save(file, "PNG")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


async def test_a_picture_and_its_tokens(ark: Client) -> None:
    status, said = await ark.draw(size="1280x720")
    assert status == 200
    assert said["usage"] == {"generated_images": 1, "output_tokens": 3600, "total_tokens": 3600}
    assert [set(item) for item in said["data"]] == [{"url", "size"}]


async def test_a_picture_inline(ark: Client) -> None:
    _, said = await ark.draw(S3, size="512x512", response_format="b64_json", seed=1, guidance_scale=4)
    with Image.open(io.BytesIO(base64.b64decode(said["data"][0]["b64_json"]))) as picture:
        assert (picture.format, picture.size) == ("JPEG", (512, 512))


async def test_a_stream_numbers_good_and_bad_pictures_alike(ark: Client) -> None:
    given = {
        "stream": True,
        "size": "1280x720",
        "sequential_image_generation": "auto",
        "sequential_image_generation_options": {"max_images": 2},
    }
    body = dict.fromkeys(PICTURE_FIELDS) | {"model": S4, "prompt": "two [sandbox:partial]"} | given
    async with ark.http.post(f"{ark.base}/images/generations", json=body, headers=ark.headers) as answer:
        assert answer.content_type == "text/event-stream"
        *frames, done = (await answer.text()).strip().split("\n\n")
    assert done == "data: [DONE]"
    events = [json.loads(frame.partition("\ndata: ")[2]) for frame in frames]
    assert [frame.partition("\n")[0] for frame in frames] == [f"event: {event['type']}" for event in events]
    assert [(event["type"].partition(".")[2], event.get("image_index")) for event in events] == [
        ("partial_succeeded", 0),
        ("partial_failed", 1),
        ("completed", None),
    ]
    assert events[-1]["usage"]["generated_images"] == 1


@pytest.mark.parametrize(
    ("given", "status", "code"),
    [
        ({"model": "nope"}, 404, "InvalidEndpointOrModel.NotFound"),
        ({"model": PRO}, 404, "UnsupportedModel"),
        ({"model": None}, 400, "MissingParameter"),
        ({"prompt": None}, 400, "MissingParameter"),
        ({"size": "1024*1024"}, 400, "InvalidParameter"),
        ({"size": "640x640"}, 400, "InvalidParameter"),
        ({"size": "9600x512"}, 400, "InvalidParameter"),
        ({"size": "3K"}, 400, "InvalidParameter"),
        ({"seed": 1}, 400, "InvalidParameter"),
        ({"guidance_scale": 2}, 400, "InvalidParameter"),
        ({"watermark": "no"}, 400, "InvalidParameter"),
        ({"output_format": "png"}, 400, "InvalidParameter"),
        ({"optimize_prompt_options": {"mode": "slow"}}, 400, "InvalidParameter"),
        ({"sequential_image_generation_options": {"max_images": 16}}, 400, "InvalidParameter"),
        ({"tools": [{"type": "web_search"}]}, 400, "InvalidParameter"),
        ({"negative_prompt": "dogs"}, 400, "InvalidParameter"),
        ({"image": ["x"] * 15}, 400, "InvalidParameter"),
        ({"image": "ftp://example.com/1.png"}, 400, "InvalidImageURL.InvalidFormat"),
        ({"image": small(400, 20)}, 400, "InvalidParameter"),
        ({"image": "data:image/png;base64,AAAA"}, 400, "InvalidParameter.UnsupportedImageFormat"),
        ({"model": S3, "image": small()}, 400, "InvalidParameter"),
        ({"model": S3, "stream": True}, 400, "InvalidParameter"),
        ({"model": EDIT}, 400, "MissingParameter"),
        ({"model": EDIT, "image": small(), "size": "1024x1024"}, 400, "InvalidParameter"),
        ({"model": EDIT, "image": small(400, 100)}, 400, "InvalidParameter"),
    ],
)
async def test_pictures_are_refused(ark: Client, given: dict, status: int, code: str) -> None:
    told = await ark.draw(**given)
    assert (told[0], told[1]["error"]["code"]) == (status, code), told
    assert set(told[1]["error"]) == {"code", "message", "param", "type"}


async def test_a_key_is_needed(ark: Client) -> None:
    for headers in ({}, {"Authorization": "Bearer sk-invalid"}):
        told = await ark.call("POST", "/images/generations", json={}, headers=headers)
        assert (told[0], told[1]["error"]["code"], told[1]["error"]["type"]) == (
            401,
            "AuthenticationError",
            "Unauthorized",
        )


FIRST, LAST = medium("image", small(), "first_frame"), medium("image", small(), "last_frame")
REFERENCE = medium("image", small(), "reference_image")
SOUND = medium("audio", "https://example.com/a.mp3", "reference_audio")


@pytest.mark.parametrize(
    ("model", "content", "given"),
    [
        (LITE, [], {}),
        (LITE, [{"type": "text"}], {}),
        (LITE, [{"type": "song"}], {}),
        (LITE, [FIRST], {}),
        (LITE, [text()], {"ratio": "adaptive"}),
        (LITE, [text()], {"duration": 1}),
        (LITE, [text()], {"duration": -1}),
        (LITE, [text()], {"duration": 5.0}),
        (LITE, [text()], {"frames": 30}),
        (LITE, [text()], {"resolution": "4k"}),
        (LITE, [text()], {"generate_audio": True}),
        (LITE, [text()], {"draft": True}),
        (LITE, [text()], {"execution_expires_after": 60}),
        (LITE, [text()], {"callback_url": "nowhere"}),
        (LITE, [text()], {"subdivision_level": "high"}),
        (PRO, [LAST], {}),
        (PRO, [FIRST, FIRST], {}),
        (PRO, [medium("image", small(), None)] * 2, {}),
        (PRO, [text(), REFERENCE], {}),
        (LITE_I2V, [REFERENCE], {"resolution": "1080p"}),
        (LITE_I2V, [REFERENCE], {"ratio": "adaptive"}),
        (LITE_I2V, [REFERENCE] * 5, {}),
        (LITE_I2V, [REFERENCE, FIRST], {}),
        (V15, [text()], {"draft": True, "resolution": "720p"}),
        (V15, [text()], {"frames": 57}),
        (V15, [text(), {"type": "draft_task", "draft_task": {"id": "cgt-1"}}], {}),
        (V20, [text(), SOUND], {}),
        (V20, [text()], {"seed": 1}),
        (V20, [text()], {"camera_fixed": True}),
        (V20, [text()], {"service_tier": "flex"}),
    ],
)
async def test_clips_are_refused(ark: Client, model: str, content: list, given: dict) -> None:
    status, said = await ark.create(model, *content, **given)
    assert status == 400, said
    assert said["error"]["code"] in ("InvalidParameter", "MissingParameter")


async def test_an_input_that_breaks_a_limit_fails_the_task(ark: Client) -> None:
    _, said = await ark.create(PRO, medium("image", small(300, 400), None))
    task = await ark.finish(said["id"])
    assert (task["status"], task["error"]["code"]) == ("failed", "InvalidParameter")


async def test_queued_tasks_are_listed_and_cancelled_once(ark: Client) -> None:
    ids = [(await ark.create(LITE, text("[sandbox:queue=60]")))[1]["id"] for _ in range(2)]
    query = [("filter.task_ids", one) for one in ids]
    _, said = await ark.call("GET", "/contents/generations/tasks", params=query)
    assert ([task["id"] for task in said["items"]], said["total"]) == (ids[::-1], 2)
    assert await ark.delete(ids[0]) == (200, {})
    assert (await ark.get(ids[0]))[1]["status"] == "cancelled"
    assert (await ark.delete(ids[0]))[0] == 400
    _, said = await ark.call("GET", "/contents/generations/tasks", params=[*query, ("filter.status", "queued")])
    assert [task["id"] for task in said["items"]] == ids[1:]
    assert (await ark.call("GET", "/contents/generations/tasks", params={"page_size": "501"}))[0] == 400
    assert await ark.delete(ids[1]) == (200, {})


@pytest.mark.full
async def test_a_draft_is_finished_and_a_finished_task_forgotten(ark: Client) -> None:
    _, draft = await ark.create(V15, text("a heron"), draft=True, duration=4, ratio="1:1", seed=5)
    told = await ark.finish(draft["id"])
    assert (told["draft"], told["seed"], told["resolution"], told["duration"]) == (True, 5, "480p", 4)
    finished = {"type": "draft_task", "draft_task": {"id": draft["id"]}}
    _, final = await ark.create(V15, finished, duration=4)
    told = await ark.finish(final["id"])
    assert (told["status"], told["draft_task_id"], told["ratio"]) == ("succeeded", draft["id"], "1:1")
    assert told["usage"]["completion_tokens"] == told["usage"]["total_tokens"] > 0
    assert await ark.delete(draft["id"]) == (200, {})
    assert (await ark.get(draft["id"]))[0] == 404
    assert (await ark.create(V15, finished))[1]["error"]["code"] == "NotFound.task_id"


@pytest.mark.parametrize(
    ("directive", "status", "code"),
    [
        ("refuse", 400, "InvalidParameter"),
        ("moderate", 400, "InputTextSensitiveContentDetected"),
        ("arrears", 403, "AccountOverdueError"),
        ("throttle", 429, "RateLimitExceeded.EndpointRPMExceeded"),
        ("error", 500, "InternalServiceError"),
        ("fail=OutputImageRiskDetection", 400, "OutputImageRiskDetection"),
        ("nonsense", 400, "InvalidParameter"),
    ],
)
async def test_directives(ark: Client, directive: str, status: int, code: str) -> None:
    told = await ark.draw(S3, f"please [sandbox:{directive}]", size="512x512")
    assert (told[0], told[1]["error"]["code"]) == (status, code)


async def test_what_is_lost_is_on_the_bill(ark: Client) -> None:
    ark.headers["X-Client-Request-Id"] = "task-lost-1"
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await ark.draw(S3, "[sandbox:lost]", size="512x512")
    for _ in range(1000):
        async with ark.http.get(ark.bill_url, params={"task": "task-lost"}) as answer:
            totals = (await answer.json())["totals"]
        if totals["images"]:
            break
        await asyncio.sleep(0.05)
    assert totals == {"posts": 1, "accepted": 1, "images": 1, "seconds": 0.0}
