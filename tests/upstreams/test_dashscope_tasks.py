"""DashScope's less common tasks: what each is sent, where its results are, and what it bills."""

import json
from pathlib import Path
from typing import Any

import pytest

from modellix_server.catalogue import Catalogue, Measurement
from modellix_server.upstreams.adapters.dashscope import upstream
from modellix_server.upstreams.contract import Answer, Done, Failed, Order, Polled, UnmappedAnswer

ANSWERS = Path(__file__).parents[1] / "contract" / "dashscope"
CATALOGUE = Catalogue.load()
MODELS = [model for model in CATALOGUE if model.routes[0].upstream == "dashscope"]
TASK = "0385dc79-5ff8-4d82-bcb6-000000000001"
FILES = "https://dashscope-result-sgp.oss-ap-southeast-1.aliyuncs.com/1d/"
A, B, C = (f"https://example.com/{name}" for name in "abc")


class Wire:
    """Plays one answer and keeps what was sent."""

    def __init__(self, answer: str | dict) -> None:
        said = (
            json.loads((ANSWERS / f"{answer}.json").read_text("utf-8"))["body"] if isinstance(answer, str) else answer
        )
        self.answer = Answer(status=200, body=json.dumps(said).encode(), headers={})
        self.sent: list[Any] = []

    async def call(self, method, path, *, json=None, headers=None) -> Answer:
        self.sent.append((path, json, "X-DashScope-Async" in headers))
        return self.answer


def order(model_id: str, region: str = "cn", **body: Any) -> Order:
    model = CATALOGUE.models[f"alibaba/{model_id}"]
    return Order("task-00-1", model.routes[0], model.check(body or dict(model.example)), "sk-test", region)


async def poll(answer: str | dict, model_id: str) -> Polled:
    return await upstream.poll(TASK, order(model_id), Wire(answer))


SENT = [
    (
        order("wan2.7-i2v", last_frame=B, first_frame=A, driving_audio=C, resolution="720P"),
        {
            "media": [
                {"type": "first_frame", "url": A},
                {"type": "last_frame", "url": B},
                {"type": "driving_audio", "url": C},
            ]
        },
        {"resolution": "720P", "duration": 5, "prompt_extend": True, "watermark": False},
    ),
    (
        order("happyhorse-1.0-video-edit", input_video_url=A, prompt="x", reference_images=[B, C]),
        {
            "prompt": "x",
            "media": [
                {"type": "video", "url": A},
                {"type": "reference_image", "url": B},
                {"type": "reference_image", "url": C},
            ],
        },
        {"resolution": "1080P", "audio_setting": "auto", "watermark": False},
    ),
    (
        order("wan2.6-image", enable_interleave=True, prompt="x", images=[A]),
        {"messages": [{"role": "user", "content": [{"image": A}, {"text": "x"}]}]},
        {
            "size": "1280*1280",
            "n": 1,
            "prompt_extend": True,
            "enable_interleave": True,
            "max_images": 3,
            "watermark": False,
        },
    ),
    (
        order("wan2.5-i2i-preview", prompt="x", images=[A, B]),
        {"prompt": "x", "images": [A, B]},
        {"size": "1280*1280", "n": 4, "prompt_extend": True, "watermark": False},
    ),
    (
        order("image-out-painting", image_url=A, x_scale=2),
        {"image_url": A},
        {"x_scale": 2, "best_quality": False, "limit_image_size": True, "add_watermark": False},
    ),
    (order("wanx-style-repaint-v1", image_url=A, style_index=3), {"image_url": A, "style_index": 3}, None),
    (
        order("wordart-texture", text={"text_content": "ABC"}, prompt="x"),
        {"text": {"text_content": "ABC"}, "prompt": "x", "texture_style": "material"},
        {"image_short_size": 704, "n": 1, "alpha_channel": False},
    ),
    (
        order("wan2.2-animate-move", image_url=A, video_url=B, mode="wan-pro"),
        {"image_url": A, "video_url": B, "watermark": False},
        {"mode": "wan-pro", "check_image": True},
    ),
    (
        order("wan2.6-i2v-flash", img_url=A),
        {"img_url": A},
        {"resolution": "1080P", "duration": 5, "prompt_extend": False, "audio": False, "watermark": False},
    ),
    (order("aitryon-parsing-v1", image_url=A, clothes_type=["dress"]), {"image_url": A}, {"clothes_type": ["dress"]}),
]


@pytest.mark.parametrize(("order_", "input_", "parameters"), SENT)
async def test_what_is_sent_field_by_field(order_: Order, input_: dict, parameters: dict | None) -> None:
    sync = order_.route.wire["mode"] == "sync"
    wire = Wire("sync_parsing" if sync else "accepted")
    await upstream.submit(order_, wire)
    ((path, body, asynchronous),) = wire.sent
    rest = {} if parameters is None else {"parameters": parameters}
    assert body == {"model": order_.route.models["cn"], "input": input_, **rest}
    assert path == f"/{order_.route.wire['path']}"
    assert asynchronous is not sync


@pytest.mark.parametrize(
    ("name", "model_id", "files", "measured"),
    [
        ("done_single", "qwen-mt-image", ["1.jpg"], Measurement(images=1)),
        ("done_single", "aitryon-plus", ["1.jpg"], Measurement(images=1)),
        ("done_out_painting", "image-out-painting", ["1.png"], Measurement(images=1)),
        ("done_repaint", "wanx-style-repaint-v1", ["1.jpg"], Measurement(images=1)),
        ("done_interleaved", "wan2.6-image", ["1.png", "2.png"], Measurement(images=2)),
        ("done_animate", "wan2.2-animate-mix", ["a.mp4"], Measurement(milliseconds=5040)),
        ("done_clip", "wan2.2-animate-mix", ["a.mp4?Expires=1770000000"], Measurement(milliseconds=5000)),
        ("done_reference", "wan2.6-r2v", ["a.mp4"], Measurement(milliseconds=5000, input_milliseconds=4500)),
        ("done_reference_odd", "wan2.6-r2v", ["a.mp4"], Measurement()),
    ],
)
async def test_where_results_are(name: str, model_id: str, files: list[str], measured: Measurement) -> None:
    done = await poll(name, model_id)
    assert isinstance(done, Done)
    assert [(file.url.removeprefix(FILES), file.role) for file in done.files] == [(file, "primary") for file in files]
    assert done.measured == measured
    assert done.data == {}


async def test_letters_come_as_a_picture_and_as_svg() -> None:
    done = await poll("done_wordart", "wordart-semantic")
    assert isinstance(done, Done)
    assert [(file.url.removeprefix(FILES), file.kind, file.role) for file in done.files] == [
        ("1.png", "image", "primary"),
        ("1.svg", "vector", "alternative"),
    ]
    assert done.measured == Measurement(images=1)


async def test_clothes_are_told_with_their_boxes_and_charged_as_one_picture() -> None:
    done = await upstream.submit(order("aitryon-parsing-v1"), Wire("sync_parsing"))
    assert isinstance(done, Done)
    assert [(file.url.removeprefix(FILES), file.role) for file in done.files] == [
        ("1.png", "primary"),
        ("2.png", "alternative"),
        ("3.jpg", "alternative"),
    ]
    assert done.measured == Measurement(images=1)
    assert done.data == {"bbox": [[1, 2, 30, 40], [5, 6, 70, 80]]}
    nothing = await upstream.submit(order("aitryon-parsing-v1"), Wire("sync_parsing_nothing"))
    assert nothing == Failed("invalid_input", "the vendor found nothing of what was asked for in the input")


async def test_what_is_absurdly_long_is_left_out() -> None:
    said = json.loads((ANSWERS / "sync_parsing.json").read_text("utf-8"))["body"]
    said["output"]["bbox"] = [[0] * 10_000]
    done = await upstream.submit(order("aitryon-parsing-v1"), Wire(said))
    assert isinstance(done, Done)
    assert done.data == {}


async def test_a_link_that_is_none_is_not_passed_on() -> None:
    said = json.loads((ANSWERS / "sync_parsing.json").read_text("utf-8"))["body"]
    said["output"]["crop_img_url"] = ["file:///etc/passwd"]
    with pytest.raises(UnmappedAnswer):
        await upstream.submit(order("aitryon-parsing-v1"), Wire(said))


@pytest.mark.parametrize("model", MODELS, ids=[model.id for model in MODELS])
async def test_every_model_is_sent_to_the_right_place(model: Any) -> None:
    route = model.routes[0]
    assert ("cn" in route.models) >= ("intl" in route.models)
    wire = Wire("accepted")
    sync = route.wire["mode"] == "sync"
    for region, name in route.models.items():
        try:
            await upstream.submit(Order("task-00-1", route, model.check(model.example), "sk-test", region), wire)
        except UnmappedAnswer:
            assert sync  # a ticket is no answer to a synchronous call
        path, body, asynchronous = wire.sent[-1]
        assert (path, body["model"], asynchronous) == (f"/{route.wire['path']}", name, not sync)
        assert 'watermark": true' not in json.dumps(body)
    answer = await upstream.submit(Order("task-00-1", route, {}, "sk-test", "moon"), wire)
    assert isinstance(answer, Failed)
    assert "in: cn" in answer.message
    assert len(wire.sent) == len(route.models)
