"""What was decided about paths, times, filters, masks and pictures."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path

import pytest
from PIL import Image
from tests.journeys.test_uploads import upload

MODEL, EDIT, MASKED = "alibaba/qwen-image-plus", "alibaba/qwen-image-edit-plus", "openai/gpt-image-2-edit"
FRAME = "bytedance/seedance-1.5-pro-i2v"
PICTURES = Path(__file__).parents[1] / "results/pictures"
ALONE = "Resource not found: no such route: a model is named with its provider, as in"
EMPTY = "Resource not found: no such route: the path has an empty part ('//')"
ENDED = "Resource not found: no such route: the path must not end with '/'"


@pytest.mark.parametrize(
    ("method", "path", "message"),
    [
        ("GET", "//api/v1/tasks", EMPTY),
        ("POST", f"//api/v1/{MODEL}/async", EMPTY),
        ("GET", "/api//v1/tasks", EMPTY),
        ("GET", "/api/v1//tasks", EMPTY),
        ("POST", f"/api/v1//{MODEL}/async", EMPTY),
        ("POST", "/api/v1/alibaba//qwen-image-plus/async", EMPTY),
        ("POST", f"/api/v1/{MODEL}/async/", ENDED),
        ("POST", f"/api/v1/text-to-image/{MODEL}/async/", ENDED),
        ("POST", f"/api/v1/{MODEL}/", ENDED),
        ("GET", "/api/v1/tasks/", ENDED),
        ("GET", "/api/v1/models/", ENDED),
        ("GET", "/api/v1/team/balance/", ENDED),
        ("POST", "/api/v1/quote/", ENDED),
        ("GET", "/api/", ENDED),
        ("GET", "/api/v1/nothing", "Resource not found: no such route"),
        ("POST", "/api/v1/qwen-image-plus", f"{ALONE} 'alibaba/qwen-image-plus'"),
        ("POST", "/api/v1/nothing/async", f"{ALONE} 'provider/model'"),
        ("GET", "///api/v1/models", EMPTY),
        ("GET", "//api//v1/models", EMPTY),
    ],
)
async def test_a_slip_in_a_path_is_named(team, method, path, message) -> None:
    (await team.call(method, path, data=b"{}" if method == "POST" else None)).refused(404, message)


@pytest.mark.parametrize(
    "path", ["/v1//images/generations", "//v1/images/generations", "//images/generations", "//v1//videos"]
)
async def test_a_slip_in_an_address_of_openai_is_named_in_its_form(team, path) -> None:
    """A base URL that ends with `/`, before a path that begins with one."""
    answer = await team.call("POST", path, data=b"{}")
    assert (answer.status, json.loads(answer.body)["error"]["message"]) == (404, EMPTY)


@pytest.mark.parametrize(
    "time",
    [
        "2026-01-31T08:00:00+08:00",
        "2026-01-31T08:00:00.5+08:00",
        "2026-01-31T08:00+08",
        "2026-01-31T08+0800",
        "2026-01-31 08:00:00+08:00",
        "20260131T080000+0800",
        "2026-01-31T08:00:00%2B08:00",
        "2026-01-31 08:00",
        "2026-01-31T08:00:00-05:00",
        "2026-01-31T08:00:00Z",
        "2026-01-31t08:00:00z",
        "2026-01-31",
    ],
)
async def test_a_plus_that_was_not_encoded_is_the_sign_of_a_time(team, time) -> None:
    for path in ("tasks", "logs", "team/ledger", "team/usage"):
        answer = await team.get(f"/api/v1/{path}?from={time.replace(' ', '%20')}")
        assert answer.status == 200, answer.body


async def test_filters_take_our_own_names_and_refuse_what_can_match_nothing(team) -> None:
    done = await team.run(MODEL, prompt="x")
    for name in ("qwen-image-plus", MODEL):
        found = (await team.get(f"/api/v1/tasks?model={name}")).data["tasks"]
        assert [one["task_id"] for one in found] == [done["task_id"]]
    assert (await team.get("/api/v1/logs?model=qwen-image-plus")).status == 200
    assert (await team.get("/api/v1/tasks?model=wan2.6-t2i")).data["tasks"] == []
    for name in ("qwen-image-plus", MODEL):
        asked = {"model": name, "input": {"prompt": "x"}}
        assert (await team.post("/api/v1/quote", asked)).data["model"] == MODEL
    unknown = {"model": "qwen-image-plus2", "input": {"prompt": "x"}}
    (await team.post("/api/v1/quote", unknown)).refused(404, "Resource not found: model 'qwen-image-plus2' not found")
    for path in ("tasks", "logs"):
        for name in ("qwen-image-plus2", "alibaba/nothing", "openai/qwen-image-plus", "", "%20"):
            refused = await team.get(f"/api/v1/{path}?model={name}")
            assert refused.status == 400
            assert refused.json["message"].startswith(
                "Value out of range: parameter 'model' must be a model that there is"
            )
        refused = await team.get(f"/api/v1/{path}?key_id=999999999")
        refused.refused(
            400, "Value out of range: parameter 'key_id' must be the id of a key of this team, got 999999999"
        )


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("provider=Alibaba", "parameter 'provider' must be one of alibaba, "),
        ("provider=acme&type=text-to-image", "parameter 'provider' must be one of alibaba, "),
        ("type=text-to-images", "parameter 'type' must be one of image-to-image, "),
        ("category=videos", "parameter 'category' must be one of image, video, audio, got 'videos'"),
        ("category=o", "parameter 'category' must be one of image, video, audio, got 'o'"),
    ],
)
async def test_a_filter_of_models_that_can_match_nothing_is_refused(team, query, told) -> None:
    refused = await team.get(f"/api/v1/models?{query}")
    assert refused.status == 400
    assert refused.json["message"].startswith(f"Value out of range: {told}")
    for harmless in ("type=&provider=", "category=audio", "category=video&provider=alibaba", "later=1"):
        assert (await team.get(f"/api/v1/models?{harmless}")).status == 200


def mask(size: tuple[int, int], mode: str = "RGBA") -> str:
    out = io.BytesIO()
    Image.new(mode, size).save(out, "PNG")
    return "data:image/png;base64," + base64.b64encode(out.getvalue()).decode()


async def test_a_mask_that_cannot_work_is_refused_before_the_hold(team, draw) -> None:
    before, picture = await team.balance(), draw.data_uri(draw.picture(640, 480))
    opaque = "Invalid format: parameter 'mask' must have transparency (an alpha channel)"
    other = "Invalid format: parameter 'mask' must have the size of 'images', 640*480, got"
    held = (await upload(team, draw.picture(640, 480))).data["file_id"]
    for given in (mask((640, 480), "RGB"), mask((640, 480), "L"), held):
        (await team.submit(MASKED, prompt="x", images=[picture], mask=given)).refused(400, opaque)
    for size in ((480, 640), (639, 480)):
        for image in (picture, held):
            refused = await team.submit(MASKED, prompt="x", images=[image], mask=mask(size))
            refused.refused(400, f"{other} {size[0]}*{size[1]}")
    assert await team.balance() == before
    out, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (640, 480)).save(out, "JPEG", exif=exif.tobytes())
    turned = "data:image/jpeg;base64," + base64.b64encode(out.getvalue()).decode()
    for size, status in (((480, 640), 200), ((640, 480), 200), ((480, 480), 400)):  # as shown, as stored, neither
        assert (await team.submit(MASKED, prompt="x", images=[turned], mask=mask(size))).status == status
    repaint = {"function": "description_edit_with_mask", "prompt": "x", "base_image_url": mask((640, 512), "RGB")}
    (await team.submit("alibaba/wanx2.1-imageedit", **repaint, mask_image_url=mask((64, 64), "L"))).refused(
        400, "Invalid format: parameter 'mask_image_url' must have the size of 'base_image_url', 640*512, got 64*64"
    )
    own = (await team.run(MODEL, prompt="x"))["result"]["resources"][0]["url"]
    before = await team.balance()
    (await team.submit(MASKED, prompt="x", images=[picture], mask=own)).refused(400, opaque)
    for given in (mask((640, 480), "RGB"), held, own):  # a quote is as strict, and keeps nothing
        asked = {"model": MASKED, "input": {"prompt": "x", "images": [picture], "mask": given}}
        (await team.post("/api/v1/quote", asked)).refused(400, opaque)
    asked = {"model": MASKED, "input": {"prompt": "x", "images": [picture], "mask": mask((640, 480))}}
    assert (await team.post("/api/v1/quote", asked)).data["cost_micros"] > 0
    assert await team.balance() == before
    for mode in ("RGBA", "LA"):
        good = await team.submit(MASKED, prompt="x", images=[picture], mask=mask((640, 480), mode))
        assert good.status == 200, good.body


async def test_pictures_of_phones_are_taken_where_the_vendor_takes_them(team) -> None:
    heic, avif = ((PICTURES / name).read_bytes() for name in ("turn6.heic", "plain.avif"))
    for content in (heic, heic + b"MotionPhoto_Data" + bytes(70_000), avif):
        kept = await upload(team, content, "IMG_1.HEIC")
        assert (kept.status, kept.data["type"]) == (200, "image"), kept.body
    sent = "data:image/heic;base64," + base64.b64encode(heic).decode()
    made = await team.run(FRAME, prompt="x", first_frame_image=sent, resolution="480p", duration=4)
    assert made["status"] == "success", made
    sent = "data:image/avif;base64," + base64.b64encode(avif).decode()
    for model, given in (
        (FRAME, {"first_frame_image": sent}),
        (EDIT, {"images": [sent]}),
        (MASKED, {"images": [sent]}),
    ):
        refused = await team.submit(model, prompt="x", **given)
        assert refused.status == 400
        assert "avif" in refused.json["message"].lower(), refused.body


async def test_a_password_in_a_link_reaches_no_log(team) -> None:
    links = (
        "https://me:hush-hush@example.com/a.png",
        "https://me:hush-/hush@example.com/a.png?x=@",
        "HTTPS://me:hush-@[::1",
    )
    for link in links:
        assert (await team.submit(EDIT, prompt="x", images=[link])).status == 400
    shown = (await team.get("/api/v1/logs")).body
    assert b"hush" not in shown
    assert (await team.get("/api/v1/tasks")).data["tasks"] == []


async def test_an_api_key_is_stored_nowhere_by_mistake(team) -> None:
    """What is stored as it is given, and shown again, may not hold one."""
    body = {"prompt": "x"}
    for key in (team.text, f"run-{team.text}", "mdlx-0123456789"):
        refused = await team.post(f"/api/v1/{MODEL}", body, headers={"Idempotency-Key": key})
        refused.refused(400, "Invalid format: header 'Idempotency-Key' must not hold an API key")
        link = f"https://example.com/hook?token={key}"
        for answer in (
            await team.post(f"/api/v1/{MODEL}", body, headers={"X-Webhook-URL": link}),
            await team.post("/api/v1/webhooks", {"url": link}),
        ):
            assert answer.status == 400
            assert answer.json["message"].endswith("must not hold an API key")
    assert (await team.post(f"/api/v1/{MODEL}", body, headers={"Idempotency-Key": "mdlx-"})).status == 200
