"""Every model name is called once, the way its own page says, and delivers."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from PIL import Image, ImageDraw

from modellix_server.sandbox.protocols.dashscope import rules, table
from modellix_server.sandbox.rendering import footage
from modellix_server.sandbox.rendering.clips import Clip, film
from modellix_server.sandbox.rendering.footage import Take

TEXT2IMAGE = "aigc/text2image/image-synthesis"
DIRECT = "aigc/multimodal-generation/generation"
MESSAGES = "aigc/image-generation/generation"
IMAGE2IMAGE = "aigc/image2image/image-synthesis"
CLIP = "aigc/video-generation/video-synthesis"
KEYFRAMES = "aigc/image2video/video-synthesis"

Call = tuple[str, dict[str, Any], dict[str, Any]]


def said(*images: str) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": [*({"image": image} for image in images), {"text": "a fox"}]}]}


def listed(prompt: str = "a fox", **items: str | list[str]) -> dict[str, Any]:
    links = {kind: [value] if isinstance(value, str) else value for kind, value in items.items()}
    return {"prompt": prompt, "media": [{"type": kind, "url": url} for kind, urls in links.items() for url in urls]}


FOX = {"prompt": "a fox"}
PHOTO, CUT, FILM, TONE = "@/photo.png", "@/cut.png", "@/clip.mp4", "@/tone.wav"
I2V = {"img_url": PHOTO}
TRYON = {"person_image_url": PHOTO, "top_garment_url": PHOTO}
LOW, HD = {"resolution": "480P"}, {"resolution": "720P"}
SMALL = {"size": "832*480"}

CALLS: dict[str, Call] = {
    **dict.fromkeys(("qwen-image", "qwen-image-plus"), (TEXT2IMAGE, FOX, {"size": "1104*1472"})),
    **dict.fromkeys(("qwen-image-max", "z-image-turbo"), (DIRECT, said(), {"size": "1328*1328"})),
    **dict.fromkeys(("qwen-image-2.0", "qwen-image-2.0-pro"), (DIRECT, said(PHOTO), {"n": 2})),
    **dict.fromkeys(
        ("qwen-image-edit-plus", "qwen-image-edit-plus-2025-10-30", "qwen-image-edit-plus-2025-12-15"),
        (DIRECT, said(PHOTO, PHOTO), {"size": "512*512"}),
    ),
    "qwen-image-edit-max": (DIRECT, said(PHOTO), {"size": "512*512"}),
    "qwen-image-edit": (DIRECT, said(PHOTO), {}),
    "wan2.6-t2i": (MESSAGES, said(), {"n": 1}),
    "wan2.5-t2i-preview": (TEXT2IMAGE, FOX, {"n": 1}),
    **dict.fromkeys(
        (
            *("wan2.2-t2i-plus", "wan2.2-t2i-flash", "wanx2.1-t2i-plus", "wanx2.1-t2i-turbo"),
            *("wan2.1-t2i-plus", "wan2.1-t2i-turbo", "wanx2.0-t2i-turbo"),
        ),
        (TEXT2IMAGE, FOX, {"size": "512*768", "n": 2}),
    ),
    "wan2.6-image": (MESSAGES, said(PHOTO), {"n": 1, "size": "768*768"}),
    "wan2.7-image": (MESSAGES, said(), {"size": "1K", "n": 6, "enable_sequential": True}),
    "wan2.7-image-pro": (MESSAGES, said(PHOTO), {"size": "1K", "n": 1, "bbox_list": [[[0, 0, 100, 100]]]}),
    "wan2.5-i2i-preview": (IMAGE2IMAGE, {**FOX, "images": [PHOTO]}, {"n": 1}),
    "wan2.6-t2v": (CLIP, {**FOX, "audio_url": TONE}, {"size": "960*960", "duration": 2}),
    "wan2.6-t2v-us": (CLIP, FOX, {"size": "960*960", "duration": 5}),
    "wan2.5-t2v-preview": (CLIP, FOX, SMALL),
    **dict.fromkeys(("wan2.2-t2v-plus", "wanx2.1-t2v-turbo", "wan2.1-t2v-turbo"), (CLIP, FOX, SMALL)),
    **dict.fromkeys(("wanx2.1-t2v-plus", "wan2.1-t2v-plus"), (CLIP, FOX, {"size": "960*960"})),
    "wan2.7-t2v": (CLIP, FOX, {**HD, "ratio": "9:16", "duration": 2}),
    **dict.fromkeys(("wan2.2-i2v-flash", "wan2.2-i2v-plus", "wan2.5-i2v-preview"), (CLIP, I2V, LOW)),
    **dict.fromkeys(("wan2.6-i2v",), (CLIP, I2V, {**HD, "duration": 2})),
    "wan2.6-i2v-us": (CLIP, I2V, {**HD, "duration": 5}),
    "wan2.6-i2v-flash": (CLIP, I2V, {**HD, "duration": 2, "audio": False}),
    **dict.fromkeys(("wanx2.1-i2v-turbo", "wan2.1-i2v-turbo"), (CLIP, I2V, {**LOW, "duration": 3})),
    **dict.fromkeys(("wanx2.1-i2v-plus", "wan2.1-i2v-plus"), (CLIP, I2V, {})),
    "wan2.2-kf2v-flash": (KEYFRAMES, {"first_frame_url": PHOTO}, LOW),
    **dict.fromkeys(
        ("wanx2.1-kf2v-plus", "wan2.1-kf2v-plus"), (KEYFRAMES, {"first_frame_url": PHOTO, "last_frame_url": PHOTO}, {})
    ),
    "wan2.7-i2v": (CLIP, listed(first_clip=FILM, last_frame=PHOTO), {**HD, "duration": 3}),
    **dict.fromkeys(
        ("wan2.6-r2v", "wan2.6-r2v-flash"),
        (CLIP, {**FOX, "reference_urls": [FILM, PHOTO]}, {"size": "960*960", "duration": 2}),
    ),
    "wan2.7-r2v": (CLIP, listed(reference_image=[PHOTO], reference_video=[FILM]), {**HD, "duration": 2}),
    "wan2.7-videoedit": (CLIP, listed(video=FILM, reference_image=PHOTO), HD),
    **dict.fromkeys(
        ("wanx2.1-vace-plus", "wan2.1-vace-plus"),
        (CLIP, {**FOX, "function": "video_outpainting", "video_url": FILM}, {"top_scale": 1.5}),
    ),
    **dict.fromkeys(
        ("wan2.2-animate-move", "wan2.2-animate-mix"),
        (KEYFRAMES, {"image_url": PHOTO, "video_url": FILM, "watermark": False}, {"mode": "wan-std"}),
    ),
    **dict.fromkeys(
        ("happyhorse-1.0-t2v", "happyhorse-1.1-t2v"), (CLIP, FOX, {**HD, "duration": 3, "watermark": False})
    ),
    **dict.fromkeys(
        ("happyhorse-1.0-i2v", "happyhorse-1.1-i2v"), (CLIP, listed(first_frame=PHOTO), {**HD, "duration": 3})
    ),
    **dict.fromkeys(
        ("happyhorse-1.0-r2v", "happyhorse-1.1-r2v"),
        (CLIP, listed(reference_image=[PHOTO] * 2), {**HD, "duration": 3, "ratio": "1:1"}),
    ),
    "happyhorse-1.0-video-edit": (CLIP, listed(video=FILM), {**HD, "audio_setting": "origin"}),
    **dict.fromkeys(("aitryon", "aitryon-plus"), (IMAGE2IMAGE, TRYON, {"resolution": 1024})),
    "aitryon-refiner": (IMAGE2IMAGE, {**TRYON, "coarse_image_url": PHOTO}, {"gender": "man"}),
    "aitryon-parsing-v1": ("vision/image-process/process", {"image_url": PHOTO}, {"clothes_type": ["upper", "lower"]}),
    "image-out-painting": (
        "aigc/image2image/out-painting",
        {"image_url": PHOTO},
        {"x_scale": 1.5, "add_watermark": False},
    ),
    "qwen-mt-image": (
        IMAGE2IMAGE,
        {"image_url": PHOTO, "source_lang": "en", "target_lang": "zh", "ext": {"config": {"imageSegment": True}}},
        {},
    ),
    "wanx2.1-imageedit": (IMAGE2IMAGE, {**FOX, "function": "doodle", "base_image_url": PHOTO}, {"n": 2}),
    "wanx-background-generation-v2": (
        "aigc/background-generation/generation/",
        {"ref_prompt": "sand", "base_image_url": CUT},
        {},
    ),
    "wanx-sketch-to-image-lite": (
        IMAGE2IMAGE + "/",
        {**FOX, "sketch_image_url": PHOTO},
        {"n": 1, "sketch_color": [[0, 0, 0]]},
    ),
    "wanx-style-repaint-v1": (MESSAGES, {"image_url": PHOTO, "style_index": 31}, {}),
    "wordart-semantic": ("aigc/wordart/semantic", {**FOX, "text": "TEA"}, {"n": 2}),
    "wordart-texture": ("aigc/wordart/texture", {**FOX, "text": {"text_content": "TEA"}}, {"alpha_channel": True}),
}


def test_every_name_is_called():
    assert CALLS.keys() == table.load().keys()


@pytest.fixture(scope="module")
def inputs(files, material, tmp_path_factory) -> str:
    """The place of input files, with a clip and a cut-out thing."""
    folder = tmp_path_factory.mktemp("inputs")
    film(Clip("waves", 3, "m", 3, (832, 480), dubbed=True), folder / "clip.mp4")
    thing = Image.new("RGBA", (640, 480))
    ImageDraw.Draw(thing).ellipse((200, 100, 440, 400), fill="red")
    material.serve("/clip.mp4", (folder / "clip.mp4").read_bytes())
    material.serve("/cut.png", material.png(thing))
    return files


def links(value: Any) -> list[str]:
    """Every link anywhere in an answer's output."""
    if isinstance(value, dict):
        return [link for part in value.values() for link in links(part)]
    if isinstance(value, list):
        return [link for part in value for link in links(part)]
    return [value] if isinstance(value, str) and value.startswith("http") else []


def distinct() -> list[str]:
    """Names that differ in how they work or are called: the others only have other limits."""
    models = table.load()
    found: dict[object, str] = {}
    for name, (path, given, parameters) in CALLS.items():
        model = models[name]
        kind = (model.work, path, str(given), model.sound, "n" in parameters, *model.route.values())
        found.setdefault(kind, name)
    return list(found.values())


@pytest.mark.parametrize("name", CALLS)
async def test_it_is_taken(name):
    path, given, parameters = CALLS[name]
    body = json.loads(
        json.dumps({"model": name, "input": given, "parameters": parameters}).replace('"@/', '"http://a/')
    )
    job = rules.check(body, *rules.read(body, table.load(), path.rstrip("/")))
    assert (job.model, job.count) == (name, parameters.get("n", 1))


@pytest.mark.full  # in `make test` tests/journeys/test_models_all.py runs one of each kind, with its example
@pytest.mark.parametrize("name", distinct())
async def test_it_delivers(client, inputs, tmp_path, name):
    path, given, parameters = CALLS[name]
    body = {"model": name, "input": given, "parameters": parameters}
    body = json.loads(json.dumps(body).replace('"@/', f'"{inputs}/'))
    route = table.load()[name].route[path.rstrip("/")]
    status, answer = await client.submit(path, body, task=route.mode == "async")
    assert status == 200, answer
    if route.mode == "async":
        answer = await client.finish(answer["output"]["task_id"])
        assert answer["output"]["task_status"] == "SUCCEEDED", answer
    assert answer["usage"].keys() == set(route.usage)
    found = links(answer["output"])
    count = parameters.get("n", 1)
    assert len(found) == {"wordart": 2 * count, "parsing": 4}.get(route.gives, count)
    for link in found:
        data = await client.load(link)
        if link.endswith(".mp4"):
            clip = footage.develop(Take(data, 1 << 30), tmp_path / "a.mp4")
            seconds = answer["usage"].get(
                "output_video_duration", next(v for k, v in answer["usage"].items() if "duration" in k)
            )
            assert abs(clip.seconds - seconds) < 0.1
            if "size" in parameters:
                assert "{}*{}".format(*clip.size) == parameters["size"]
        elif link.endswith(".svg"):
            assert data.startswith(b"<svg")
        else:
            size = Image.open(io.BytesIO(data)).size
            assert parameters.get("size", "1K") in ("1K", "{}*{}".format(*size))


async def test_mixed_text_and_pictures(client):
    parameters = {"enable_interleave": True, "n": 1, "max_images": 2}
    _, answer = await client.submit(MESSAGES, {"model": "wan2.6-image", "input": said(), "parameters": parameters})
    done = await client.finish(answer["output"]["task_id"])
    content = done["output"]["choices"][0]["message"]["content"]
    assert [part["type"] for part in content] == ["text", "image", "text", "image"]
    assert done["usage"]["image_count"] == 2


async def test_input_seconds_are_billed(client, inputs):
    given = listed(video=f"{inputs}/clip.mp4")
    body = {"model": "wan2.7-videoedit", "input": given, "parameters": {**HD, "duration": 2}}
    _, answer = await client.submit(CLIP, body)
    usage = (await client.finish(answer["output"]["task_id"]))["usage"]
    assert (usage["duration"], usage["input_video_duration"], usage["output_video_duration"]) == (4, 2, 2)
    assert usage["SR"] == 720


BROKEN = [
    ("wan2.7-i2v", listed(), {}),
    ("wan2.7-i2v", listed(first_frame=PHOTO, first_clip=FILM), {}),
    ("wan2.7-i2v", listed(video=FILM), {}),
    ("wan2.7-i2v", {"prompt": "a", "media": {"type": "first_frame"}}, {}),
    ("wan2.7-r2v", listed(first_frame=PHOTO), {}),
    ("wan2.7-r2v", listed(reference_image=[PHOTO] * 3, reference_video=[FILM] * 3), {}),
    ("wan2.7-image", said(), {"n": 6}),
    ("wan2.7-image", said(), {"size": "4K"}),
    ("wan2.6-image", said(), {}),
    ("wan2.6-image", said(PHOTO, PHOTO), {"enable_interleave": True, "n": 1}),
    ("aitryon", {"person_image_url": PHOTO}, {}),
    ("aitryon-refiner", {**TRYON, "coarse_image_url": PHOTO}, {}),
    ("aitryon-parsing-v1", {"image_url": PHOTO}, {"clothes_type": []}),
    ("aitryon-parsing-v1", {"image_url": PHOTO}, {"clothes_type": ["shoes"]}),
    ("wanx2.1-imageedit", {**FOX, "function": "description_edit_with_mask", "base_image_url": PHOTO}, {}),
    ("wanx2.1-imageedit", {**FOX, "function": "expand", "base_image_url": PHOTO}, {"top_scale": 2.5}),
    ("wanx2.1-vace-plus", {**FOX, "function": "video_edit", "video_url": FILM}, {}),
    ("wanx-style-repaint-v1", {"image_url": PHOTO, "style_index": -1}, {}),
    ("wordart-semantic", FOX, {}),
    ("wordart-texture", FOX, {}),
    ("wordart-texture", {**FOX, "text": {"text_content": "TEA", "size": 1}}, {}),
    ("wordart-texture", {**FOX, "text": {"text_content": "TEA"}}, {"image_short_size": 513}),
    ("wanx2.1-kf2v-plus", {"first_frame_url": PHOTO}, {}),
    ("happyhorse-1.0-i2v", listed(), {}),
    ("qwen-mt-image", {"image_url": PHOTO, "source_lang": "en"}, {}),
]


@pytest.mark.parametrize(("name", "given", "parameters"), BROKEN)
async def test_rules_across_fields(client, name, given, parameters):
    path = CALLS[name][0]
    body = {"model": name, "input": given, "parameters": parameters}
    body = json.loads(json.dumps(body).replace('"@/', '"http://127.0.0.1:1/'))
    mode = table.load()[name].route[path.rstrip("/")].mode
    status, answer = await client.submit(path, body, task=mode == "async")
    assert (status, answer["code"]) == (400, "InvalidParameter"), answer
