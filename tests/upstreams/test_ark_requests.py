"""What the Ark adapter sends, field by field, and the routes it refuses at start."""

import json
from typing import Any

import pytest

from modellix_server.catalogue import Catalogue, Route
from modellix_server.upstreams.adapters.ark import upstream
from modellix_server.upstreams.contract import Answer, Failed, Order

CATALOGUE = Catalogue.load()
P1, P2, V1, A1 = (f"https://example.com/{name}" for name in ("1.png", "2.png", "1.mp4", "1.mp3"))


class Wire:
    """Accepts whatever comes and keeps it."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str, Any, dict[str, str]]] = []

    async def call(self, method, path, *, json=None, headers=None) -> Answer:
        self.calls.append((method, path, json, dict(headers or {})))
        return Answer(200, ACCEPTED, {})


ACCEPTED = json.dumps({"id": "cgt-1", "data": [{"url": P1}]}).encode()


def order(model_id: str, region: str = "cn", **body: Any) -> Order:
    model = CATALOGUE.models[f"bytedance/{model_id}"]
    return Order("task-00-1", model.routes[0], model.check(body), key="sk-test", region=region)


def text(words: str) -> dict[str, Any]:
    return {"type": "text", "text": words}


def medium(kind: str, url: str, role: str) -> dict[str, Any]:
    return {"type": f"{kind}_url", f"{kind}_url": {"url": url}, "role": role}


PICTURE = {"response_format": "url", "stream": False, "watermark": False}
CLIP = {"watermark": False, "execution_expires_after": 172_800, "return_last_frame": False}
ONE = CLIP | {"duration": 5, "seed": -1, "camera_fixed": False, "service_tier": "default"}
TWO = CLIP | {"ratio": "adaptive", "resolution": "720p", "duration": 5, "generate_audio": True}
SENT = [
    (
        order("seedream-3.0-t2i", "intl", prompt="A cat", guidance_scale=3.5, seed=0),
        PICTURE
        | {
            "model": "seedream-3-0-t2i-250415",
            "prompt": "A cat",
            "size": "1024x1024",
            "seed": 0,
            "guidance_scale": 3.5,
        },
    ),
    (  # the limit of a set says nothing where there is none
        order("seedream-4.0-t2i", prompt="A cat"),
        PICTURE
        | {
            "model": "doubao-seedream-4-0-250828",
            "prompt": "A cat",
            "size": "2048x2048",
            "sequential_image_generation": "disabled",
            "optimize_prompt_options": {"mode": "standard"},
        },
    ),
    (
        order(
            "seedream-5.0-lite-edit",
            "eu",
            prompt="Join",
            image=[P1, P2],
            size="2K",
            sequential_image_generation="auto",
            sequential_image_generation_max_images=3,
            output_format="png",
        ),
        PICTURE
        | {
            "model": "seedream-5-0-260128",
            "prompt": "Join",
            "image": [P1, P2],
            "size": "2K",
            "sequential_image_generation": "auto",
            "sequential_image_generation_options": {"max_images": 3},
            "optimize_prompt_options": {"mode": "standard"},
            "output_format": "png",
        },
    ),
    (
        order("seededit-3.0-i2i", prompt="Snow", image=P1),
        PICTURE
        | {
            "model": "doubao-seededit-3-0-i2i-250628",
            "prompt": "Snow",
            "image": P1,
            "size": "adaptive",
            "seed": -1,
            "guidance_scale": 5.5,
        },
    ),
    (
        order("seedance-1.0-lite-t2v", prompt="Rain --dur 12", ratio="adaptive", frames=57),
        ONE
        | {
            "model": "doubao-seedance-1-0-lite-t2v-250428",
            "content": [text("Rain --dur 12")],
            "ratio": "16:9",
            "resolution": "720p",
            "frames": 57,
        },
    ),
    (
        order("seedance-1.0-pro-i2v", first_frame_image=P1, last_frame_image=P2, prompt="Grow"),
        ONE
        | {
            "model": "doubao-seedance-1-0-pro-250528",
            "content": [text("Grow"), medium("image", P1, "first_frame"), medium("image", P2, "last_frame")],
            "ratio": "adaptive",
            "resolution": "1080p",
        },
    ),
    (
        order("seedance-1.0-lite-i2v", reference_images=[P1, P2]),
        ONE
        | {
            "model": "doubao-seedance-1-0-lite-i2v-250428",
            "content": [medium("image", P1, "reference_image"), medium("image", P2, "reference_image")],
            "ratio": "16:9",
            "resolution": "720p",
        },
    ),
    (
        order("seedance-1.5-pro-t2v", prompt="Waves", generate_audio=False, service_tier="flex"),
        ONE
        | {
            "model": "doubao-seedance-1-5-pro-251215",
            "content": [text("Waves")],
            "ratio": "adaptive",
            "resolution": "720p",
            "generate_audio": False,
            "service_tier": "flex",
        },
    ),
    (  # neither seed nor camera_fixed: the model has no such fields
        order("seedance-2.0-v2v", "intl", prompt="x", video_urls=[V1], audio_urls=[A1], seed=4, camera_fixed=True),
        TWO
        | {
            "model": "dreamina-seedance-2-0-260128",
            "content": [text("x"), medium("video", V1, "reference_video"), medium("audio", A1, "reference_audio")],
        },
    ),
]


@pytest.mark.parametrize(("order_", "body"), SENT, ids=[one.route.models["cn"] for one, _ in SENT])
async def test_what_is_sent_field_by_field(order_: Order, body: dict) -> None:
    path = "/contents/generations/tasks" if "content" in body else "/images/generations"
    wire = Wire()
    await upstream.submit(order_, wire)
    headers = {"Authorization": "Bearer sk-test", "X-Client-Request-Id": "task-00-1"}
    assert wire.calls == [("POST", path, body, headers)]


async def test_a_draft_is_finished_by_its_id() -> None:
    route = Route("ark", {"cn": "m"}, {"kind": "video"}, {"draft": "content.draft_task", "seed": "-"})
    upstream.check(route)
    wire = Wire()
    await upstream.submit(Order("task-00-1", route, {"draft": "cgt-1", "seed": 1}, "sk-test", "cn"), wire)
    assert wire.calls[0][2] == {"model": "m", "content": [{"type": "draft_task", "draft_task": {"id": "cgt-1"}}]}


async def test_a_region_without_the_model_is_refused_without_a_call() -> None:
    wire = Wire()
    answer = await upstream.submit(order("seedream-4.0-t2i", "eu", prompt="A cat"), wire)
    assert answer == Failed("upstream_refused", "this model is not offered in the vendor's region 'eu'")
    assert wire.calls == []


@pytest.mark.parametrize(
    ("wire", "path"),
    [
        ({"kind": "sound"}, "prompt"),
        ({"kind": "image", "extra": 1}, "prompt"),
        ({"kind": "image"}, "content.text"),
        ({"kind": "video"}, "content.middle_frame"),
        ({"kind": "video"}, "content"),
        ({"kind": "video"}, "model"),
        ({"kind": "video"}, "a.b.c"),
        ({"kind": "video"}, ""),
    ],
)
def test_a_route_that_makes_no_sense_is_refused_at_start(wire: dict, path: str) -> None:
    with pytest.raises(ValueError, match="route"):
        upstream.check(Route("ark", {"cn": "m"}, wire, {"prompt": path}))
