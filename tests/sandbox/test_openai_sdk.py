"""The OpenAI emulator as the vendor's own client speaks to it."""

from __future__ import annotations

import asyncio
import base64
import io
import re
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI
from PIL import Image, ImageChops, ImageStat

from modellix_server.sandbox import directives

WITHOUT_TASKS = {"vanish", "badword"}
"""Directives about tasks that are asked for again, which this vendor has none of."""


@pytest.fixture
async def sdk(sandbox) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=f"{sandbox.origin}/openai/v1", api_key="sk-test", max_retries=0) as client:
        yield client


@pytest.fixture
async def bill(client):
    async def read(attempt: str) -> dict[str, Any]:
        async with client.http.get(f"{client.running.origin}/openai/_bill", params={"attempt": attempt}) as answer:
            (line,) = (await answer.json())["lines"]
        return line

    return read


def asked(name: str) -> str:
    return f"[sandbox:{name}] a boat"


def opened(item: Any) -> Image.Image:
    image = Image.open(io.BytesIO(base64.b64decode(item.b64_json)))
    image.load()
    return image


def file(colour: str, size: tuple[int, int] = (300, 200), kind: str = "PNG") -> io.BytesIO:
    buffer = io.BytesIO()
    image = Image.new("RGB", size, colour)
    image.paste("black", (0, 0, size[0] // 2, size[1]))
    image.save(buffer, kind)
    buffer.seek(0)
    buffer.name = f"a.{kind.lower()}"
    return buffer


def hole(size: tuple[int, int] = (300, 200)) -> io.BytesIO:
    """A mask that lets the upper half be changed."""
    mask = Image.new("RGBA", size, "white")
    mask.paste((0, 0, 0, 0), (0, 0, size[0], size[1] // 2))
    buffer = io.BytesIO()
    mask.save(buffer, "PNG")
    buffer.seek(0)
    buffer.name = "mask.png"
    return buffer


def difference(one: Image.Image, other: Image.Image) -> float:
    return sum(ImageStat.Stat(ImageChops.difference(one.convert("RGB"), other.convert("RGB"))).mean)


@pytest.mark.parametrize(
    ("model", "size"),
    [("gpt-image-1.5", "1536x1024"), ("gpt-image-2", "1024x1536"), ("gpt-image-2", "2048x1152")],
)
async def test_generate(sdk: AsyncOpenAI, model: str, size: str) -> None:
    made = await sdk.images.generate(model=model, prompt="a boat", size=size, quality="low")
    again = await sdk.images.generate(model=model, prompt="a boat", size=size, quality="low")
    image = opened(made.data[0])
    assert (f"{image.width}x{image.height}", image.format, image.mode) == (size, "PNG", "RGB")
    assert (made.size, made.quality, made.output_format, made.background) == (size, "low", "png", "opaque")
    assert made.data[0].b64_json != again.data[0].b64_json  # there is no seed
    assert made.data[0].url is None
    assert made.usage.total_tokens == made.usage.input_tokens + made.usage.output_tokens
    assert made._request_id.startswith("req_")


async def test_several_and_other_formats(sdk: AsyncOpenAI, bill) -> None:
    made = await sdk.images.generate(
        model="gpt-image-1.5",
        prompt="a boat",
        n=3,
        output_format="webp",
        output_compression=60,
        background="transparent",
        moderation="low",
        user="u",
        extra_headers={"X-Client-Request-Id": "task-sdk-several-1"},
    )
    images = [opened(item) for item in made.data]
    assert [(image.size, image.format) for image in images] == [((1024, 1024), "WEBP")] * 3
    assert len({item.b64_json for item in made.data}) == 3
    for image in images:
        assert image.getchannel("A").getpixel((0, 0)) == 0
        assert image.getchannel("A").getpixel((512, 512)) == 255
    line = await bill("task-sdk-several-1")
    assert (line["accepted"], line["images"], line["state"], line["model"]) == (True, 3, "succeeded", "gpt-image-1.5")


async def test_edit_of_one_picture(sdk: AsyncOpenAI) -> None:
    made = await sdk.images.edit(model="gpt-image-1.5", image=file("red"), prompt="snow", input_fidelity="high", n=2)
    images = [opened(item) for item in made.data]
    assert [image.size for image in images] == [(1024, 1024)] * 2
    for image in images:  # black on the left, as the input
        grey = image.convert("L")
        left, right = (ImageStat.Stat(grey.crop(box)).mean[0] for box in ((100, 100, 400, 700), (620, 100, 920, 700)))
        assert right - left > 40
    assert made.usage.input_tokens_details.image_tokens > 0


async def test_edit_of_several_pictures_with_a_mask(sdk: AsyncOpenAI) -> None:
    pictures = [file("red"), file("blue", kind="JPEG"), file("green", (64, 64), "WEBP")]
    made = await sdk.images.edit(
        model="gpt-image-2", image=pictures, mask=hole(), prompt="join", size="1536x1024", quality="low"
    )
    image = opened(made.data[0])
    assert image.size == (1536, 1024)
    given = Image.open(file("red")).resize((1536, 1024), Image.Resampling.BICUBIC)
    lower, upper = (0, 520, 1536, 1024), (0, 0, 1536, 500)
    assert difference(image.crop(lower), given.crop(lower)) < 3
    assert difference(image.crop(upper), given.crop(upper)) > 10


BAD: list[tuple[dict[str, Any], str]] = [
    ({"size": "1000x1000"}, "invalid_value"),
    ({"size": "2048x2048"}, "invalid_value"),
    ({"model": "gpt-image-2", "size": "1024x1030"}, "invalid_value"),
    ({"model": "gpt-image-2", "size": "3840x3840"}, "invalid_value"),
    ({"model": "gpt-image-2", "size": "3840x1024"}, "invalid_value"),
    ({"model": "gpt-image-2", "size": "256x256"}, "invalid_value"),
    ({"size": "１024x1024"}, "invalid_value"),  # noqa: RUF001 - a digit that is not ASCII
    ({"quality": "hd"}, "invalid_value"),
    ({"background": "blue"}, "invalid_value"),
    ({"background": "transparent", "output_format": "jpeg"}, "invalid_value"),
    ({"output_compression": 50}, "invalid_value"),
    ({"output_format": "gif"}, "invalid_value"),
    ({"moderation": "none"}, "invalid_value"),
    ({"n": 11}, "invalid_value"),
    ({"n": 0}, "invalid_value"),
    ({"prompt": "x" * 32_001}, "string_above_max_length"),
    ({"prompt": ""}, "missing_required_parameter"),
    ({"response_format": "url"}, "unknown_parameter"),
    ({"style": "vivid"}, "unknown_parameter"),
    ({"extra_body": {"input_fidelity": "low"}}, "unknown_parameter"),
    ({"extra_body": {"seed": 1}}, "unknown_parameter"),
    ({"prompt": "[sandbox:dance]"}, "invalid_value"),
    ({"prompt": "[sandbox:vanish]"}, "invalid_value"),
    ({"prompt": "[sandbox:badword]"}, "invalid_value"),
]


@pytest.mark.parametrize(("given", "code"), BAD, ids=lambda value: str(value)[:50])
async def test_what_the_vendor_refuses(sdk: AsyncOpenAI, given: dict[str, Any], code: str) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        await sdk.images.generate(**{"model": "gpt-image-1.5", "prompt": "a boat", **given})
    assert (refused.value.code, refused.value.type) == (code, "invalid_request_error")


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"image": io.BytesIO(b"no picture")}, "invalid_image_file"),
        ({"image": file("red", kind="GIF")}, "invalid_image_file"),
        ({"image": [file("red")] * 17}, "array_above_max_length"),
        ({"image": [], "extra_body": {"a": "b"}}, "unknown_parameter"),
        ({"image": file("red"), "mask": hole((64, 64))}, "invalid_image_file"),
        ({"image": file("red"), "mask": file("red")}, "invalid_image_file"),
        ({"image": file("red"), "n": 11}, "invalid_value"),
        ({"image": file("red"), "extra_body": {"moderation": "low"}}, "unknown_parameter"),
        ({"image": file("red"), "model": "gpt-image-2", "input_fidelity": "low"}, "unsupported_parameter"),
    ],
    ids=[
        "no_picture",
        "gif",
        "too_many",
        "no_image",
        "small_mask",
        "mask_without_alpha",
        "n",
        "moderation",
        "fidelity",
    ],
)
async def test_what_the_vendor_refuses_of_edits(sdk: AsyncOpenAI, given: dict[str, Any], code: str) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        await sdk.images.edit(**{"model": "gpt-image-1.5", "prompt": "snow", **given})
    assert refused.value.code == code


async def test_a_cut_picture_is_refused_and_not_charged(sdk: AsyncOpenAI, bill) -> None:
    cut = io.BytesIO(file("red", (900, 900), "JPEG").getvalue()[:3000])
    cut.name = "a.jpg"
    with pytest.raises(openai.BadRequestError, match="decoded"):
        await sdk.images.edit(
            model="gpt-image-2", image=cut, prompt="x", extra_headers={"X-Client-Request-Id": "task-sdk-cut-1"}
        )
    assert (await bill("task-sdk-cut-1"))["images"] == 0


async def test_keys_and_models(sdk: AsyncOpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as missing:
        await sdk.images.generate(model="dall-e-9", prompt="x")
    assert missing.value.code == "model_not_found"
    assert (await sdk.models.retrieve("gpt-image-2")).id == "gpt-image-2"
    with pytest.raises(openai.NotFoundError):
        await sdk.models.retrieve("gpt-image-9")
    with pytest.raises(openai.AuthenticationError) as refused:
        await sdk.with_options(api_key="sk-invalid").images.generate(model="gpt-image-2", prompt="x")
    assert refused.value.code == "invalid_api_key"


@pytest.mark.parametrize(
    ("name", "error", "code"),
    [
        ("refuse", openai.BadRequestError, "invalid_value"),
        ("moderate", openai.BadRequestError, "moderation_blocked"),
        ("arrears", openai.RateLimitError, "insufficient_quota"),
        ("throttle", openai.RateLimitError, "rate_limit_exceeded"),
        ("error", openai.InternalServerError, None),
        ("error-accepted", openai.InternalServerError, None),
        ("fail", openai.InternalServerError, None),
        ("fail=DataInspectionFailed", openai.BadRequestError, "moderation_blocked"),
        ("fail=InvalidParameter", openai.BadRequestError, "invalid_value"),
        ("partial", openai.BadRequestError, "moderation_blocked"),
        ("lost", openai.APIConnectionError, None),
    ],
)
async def test_directives_that_end_in_an_error(sdk: AsyncOpenAI, bill, name: str, error: type, code) -> None:
    attempt = f"task-sdk-{name}-1"
    with pytest.raises(error) as refused:
        await sdk.images.generate(
            model="gpt-image-1.5", prompt=asked(name), extra_headers={"X-Client-Request-Id": attempt}
        )
    assert getattr(refused.value, "code", None) == code
    assert (await bill(attempt))["images"] == (1 if name in ("lost", "error-accepted") else 0)


async def test_directives_that_end_in_pictures(sdk: AsyncOpenAI, bill) -> None:
    begun = time.monotonic()
    await sdk.images.generate(model="gpt-image-1.5", prompt=asked("slow=0.4") + asked("queue=0.3"))
    assert time.monotonic() - begun > 0.7
    made = await sdk.images.generate(model="gpt-image-1.5", prompt=asked("partial"), n=2)
    assert len(made.data) == 1
    await sdk.images.generate(
        model="gpt-image-1.5", prompt=asked("overbill"), extra_headers={"X-Client-Request-Id": "task-sdk-over-1"}
    )
    assert (await bill("task-sdk-over-1"))["images"] == 2
    made = await sdk.images.generate(model="gpt-image-1.5", prompt=asked("mistyped"))
    assert base64.b64decode(made.data[0].b64_json).startswith(b"<!doctype html>")


async def test_directives_without_an_end(sdk: AsyncOpenAI, client) -> None:
    with pytest.raises(openai.APITimeoutError):
        await sdk.with_options(timeout=0.5).images.generate(model="gpt-image-1.5", prompt=asked("never"))
    body = {"model": "gpt-image-1.5", "prompt": asked("huge")}
    url, headers = f"{client.running.origin}/openai/v1/images/generations", {"Authorization": "Bearer sk-test"}
    async with client.http.post(url, json=body, headers=headers) as answer:
        assert (await answer.content.readexactly(20_000_000))[:23] == b'{"data": [{"b64_json": '
    async with client.http.post(url, json=body | {"prompt": asked("garbage")}, headers=headers) as answer:
        assert (answer.status, answer.content_type) == (200, "text/html")


async def test_a_client_that_leaves_is_charged(sdk: AsyncOpenAI, bill) -> None:
    with pytest.raises(openai.APITimeoutError):
        await sdk.with_options(timeout=1).images.generate(
            model="gpt-image-1.5", prompt=asked("slow=2"), extra_headers={"X-Client-Request-Id": "task-sdk-left-1"}
        )
    for _ in range(1000):
        if (await bill("task-sdk-left-1"))["images"] == 1:
            return
        await asyncio.sleep(0.05)
    raise TimeoutError


def test_every_directive_is_tried() -> None:
    source = Path(__file__).read_text()
    untried = {name for name in directives.KNOWN if not re.search(rf'\("{name}["=]', source)}
    assert untried == WITHOUT_TASKS
