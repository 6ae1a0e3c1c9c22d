"""The OpenAI adapter against the vendor's answers: what is sent, and what is understood."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from PIL import Image

from modellix_server.catalogue import Catalogue, Measurement, Route
from modellix_server.upstreams.adapters.openai import upstream
from modellix_server.upstreams.contract import (
    Answer,
    AnswerLost,
    Busy,
    Done,
    Failed,
    InlineFile,
    NotSent,
    Order,
    Part,
    RemoteFile,
    UnmappedAnswer,
)

ANSWERS = Path(__file__).parents[1] / "contract" / "openai"
CATALOGUE = Catalogue.load()
REQUEST_ID = "req_4f0c1d2e3b5a69788796a5b4c3d2e1f0"
HEADERS = {"Authorization": "Bearer sk-test", "X-Client-Request-Id": "task-00-1"}


def recorded(name: str) -> Answer:
    said = json.loads((ANSWERS / f"{name}.json").read_text(encoding="utf-8"))
    body = said["body"] if isinstance(said["body"], str) else json.dumps(said["body"])
    return Answer(status=said["status"], body=body.encode(), headers=said["headers"])


class Wire:
    """Plays one answer and keeps what was sent."""

    def __init__(self, answer: Answer | Exception) -> None:
        self.answer = answer
        self.calls: list[tuple[str, str, Any, list[Part] | None, dict[str, str]]] = []

    async def call(self, method, path, *, json=None, form=None, headers=None) -> Answer:
        self.calls.append((method, path, json, form, dict(headers or {})))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def uri(colour: str, kind: str = "png") -> tuple[str, bytes]:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), colour).save(buffer, kind)
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}", buffer.getvalue()


RED, RED_BYTES = uri("red")
BLUE, BLUE_BYTES = uri("blue", "jpeg")


def order(model_id: str = "gpt-image-1.5", region: str = "intl", **body: Any) -> Order:
    model = CATALOGUE.models[f"openai/{model_id}"]
    given = {**model.example, **body}
    if "images" in given:
        given["images"] = [one if one.startswith("data:") else RED for one in given["images"]]
    return Order("task-00-1", model.routes[0], model.check(given), key="sk-test", region=region)


async def submit(answer: str | Exception, asked: Order | None = None):
    wire = Wire(recorded(answer) if isinstance(answer, str) else answer)
    try:
        return await upstream.submit(asked or order(), wire)
    finally:
        assert [call[0] for call in wire.calls] == ["POST"]


async def sent(asked: Order) -> tuple[str, Any, Any]:
    wire = Wire(recorded("pictures"))
    await upstream.submit(asked, wire)
    ((_, path, body, form, headers),) = wire.calls
    assert headers == HEADERS
    return path, body, form


# -- what is sent


async def test_a_generation_is_json() -> None:
    path, body, form = await sent(order(prompt="a boat", size="1536x1024", quality="high", background="transparent"))
    assert (path, form) == ("/images/generations", None)
    assert body == {
        "model": "gpt-image-1.5",
        "prompt": "a boat",
        "size": "1536x1024",
        "quality": "high",
        "background": "transparent",
        "output_format": "png",
    }


async def test_an_edit_is_a_form_with_its_pictures_in_order() -> None:
    asked = order("gpt-image-1.5-edit", prompt="join", images=[RED, BLUE], mask=RED, input_fidelity="high")
    path, body, form = await sent(asked)
    assert (path, body) == ("/images/edits", None)
    files = [part for part in form if part.filename]
    assert files == [
        Part("image[]", RED_BYTES, "image-1.png", "image/png"),
        Part("image[]", BLUE_BYTES, "image-2.jpeg", "image/jpeg"),
        Part("mask", RED_BYTES, "mask-1.png", "image/png"),
    ]
    assert {part.name: part.data for part in form if not part.filename} == {
        "model": "gpt-image-1.5",
        "prompt": "join",
        "size": "1024x1024",
        "quality": "low",
        "background": "auto",
        "input_fidelity": "high",
        "output_format": "png",
    }


async def test_numbers_of_a_form_are_texts() -> None:
    asked = order("gpt-image-2-edit")
    route = msgspec.structs.replace(asked.route, to={**asked.route.to, "n": "n"}, constants={"output_compression": 80})
    upstream.check(route)
    _, _, form = await sent(Order("task-00-1", route, {**asked.params, "n": 10}, key="sk-test"))
    assert {"n": "10", "output_compression": "80"}.items() <= {part.name: part.data for part in form}.items()


async def test_another_region_is_not_offered() -> None:
    wire = Wire(recorded("pictures"))
    assert isinstance(await upstream.submit(order(region="cn"), wire), Failed)
    assert wire.calls == []


async def test_what_is_no_picture_is_not_sent() -> None:
    asked = order("gpt-image-2-edit")
    wire = Wire(recorded("pictures"))
    for image in ("https://example.com/a.png", "data:text/html;base64,AAAA", "data:image/png;base64,A"):
        with pytest.raises(ValueError, match=r"picture|Incorrect|padding|base64"):
            await upstream.submit(Order("a", asked.route, {**asked.params, "images": [image]}, key="k"), wire)
    assert wire.calls == []


# -- what is understood


PICTURE = base64.b64decode(json.loads((ANSWERS / "pictures.json").read_text())["body"]["data"][0]["b64_json"])


@pytest.mark.parametrize(
    ("name", "count"), [("pictures", 1), ("pictures_ten", 10), ("pictures_null_error", 1), ("pictures_revised", 1)]
)
async def test_pictures(name: str, count: int) -> None:
    assert PICTURE.startswith(b"\x89PNG")
    assert await submit(name) == Done(
        (InlineFile(PICTURE, "image"),) * count, Measurement(images=count), request_id=REQUEST_ID
    )


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "moderation_blocked",
            Failed(
                "content_rejected",
                "Your request was rejected by the safety system. If you believe this is an error, contact us at "
                "help.openai.com and include the request ID …. safety_violations=[sexual].",
            ),
        ),
        (
            "content_policy",
            Failed("content_rejected", "Your request was rejected as a result of our safety system."),
        ),
        (
            "invalid_value",
            Failed(
                "invalid_input",
                "Invalid value: '1000x1000'. Supported values are: '1024x1024', '1024x1536', '1536x1024', and 'auto'.",
            ),
        ),
        ("unknown_parameter", Failed("invalid_input", "Unknown parameter: 'response_format'.")),
        (
            "invalid_image",
            Failed("invalid_input", "Invalid image file or mode for image 1, please check your image file."),
        ),
        ("unknown_code_of_input", Failed("invalid_input", "Something about your request.")),
        ("too_large", Failed("invalid_input", "Maximum content size limit exceeded")),
    ],
)
async def test_refusals_are_told_apart_by_code_and_type(name: str, expected: Failed) -> None:
    assert await submit(name) == expected
    assert await submit(name, order("gpt-image-2-edit")) == expected


@pytest.mark.parametrize(
    ("name", "retry_in_s"), [("rate_limit", 12.0), ("rate_limit_images", 51.81557421875), ("rate_limit_no_code", None)]
)
async def test_a_rate_limit_is_waited_out(name: str, retry_in_s: float | None) -> None:
    answer = await submit(name)
    assert isinstance(answer, Busy)
    assert (answer.retry_in_s, answer.operator) == (retry_in_s, False)
    assert "org-" not in answer.reason


@pytest.mark.parametrize(
    "name",
    ["insufficient_quota", "hard_limit", "bad_key", "bad_organization", "country", "not_verified", "no_access"],
)
async def test_faults_of_our_account_are_for_the_operator(name: str) -> None:
    answer = await submit(name)
    assert isinstance(answer, Busy)
    assert answer.operator
    assert "sk-" not in answer.reason
    assert "proj_" not in answer.reason


UNKNOWN = (
    *("pictures_none", "pictures_missing", "pictures_broken", "pictures_empty", "pictures_and_error"),
    *("server_error", "server_blocked"),
    *("overloaded", "unmapped_success_code", "gateway", "garbage", "cut_off", "same_key_twice", "a_list"),
)


@pytest.mark.parametrize("name", UNKNOWN)
async def test_whatever_proves_nothing_leaves_the_outcome_unknown(name: str) -> None:
    with pytest.raises(UnmappedAnswer):
        await submit(name)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("error_text", "something went wrong"),
        ("no_error", "HTTP 403"),
        ("unknown_error", "Something happened."),
        ("no_such_path", "Invalid URL (POST /v1/images/generation)"),
        ("conflict", "The request conflicts"),
    ],
)
async def test_a_refusal_that_nobody_knows_is_told_in_its_own_words(name: str, words: str) -> None:
    answer = await submit(name)
    assert isinstance(answer, Failed)
    assert (answer.code, answer.message) == ("upstream_refused", f"the vendor refused it: {words}")
    assert answer.unmapped


async def test_a_link_in_place_of_the_picture_is_fetched() -> None:
    done = await submit("pictures_link")
    assert done.files == (RemoteFile("https://example.com/1.png", "image"),)


async def test_202_with_the_pictures_is_a_success() -> None:
    assert (await submit("accepted_202")).files == (InlineFile(PICTURE, "image"),)


TEXT = base64.b64encode(PICTURE).decode()


@pytest.mark.parametrize(
    "text",
    [
        f"data:image/png;base64,{TEXT}",
        f"DATA:image/png;charset=utf-8;BASE64,{TEXT}",
        f"data:;base64, {TEXT}\n",
        "\r\n".join(TEXT[at : at + 76] for at in range(0, len(TEXT), 76)) + "\r\n",
        TEXT.rstrip("="),
        TEXT.replace("+", "-").replace("/", "_"),
    ],
    ids=["data-uri", "capitals", "no-type", "lines", "no-padding", "url-safe"],
)
async def test_base64_in_every_form_is_a_picture(text: str) -> None:
    said = json.loads((ANSWERS / "pictures.json").read_text())["body"]
    said["data"][0]["b64_json"] = text
    wire = Wire(Answer(200, json.dumps(said).encode(), {}))
    assert (await upstream.submit(order(), wire)).files == (InlineFile(PICTURE, "image"),)


def test_every_recorded_answer_is_tried() -> None:
    text = Path(__file__).read_text(encoding="utf-8")
    assert [path.stem for path in ANSWERS.glob("*.json") if f'"{path.stem}"' not in text] == []


@pytest.mark.parametrize("error", [AnswerLost("cut"), NotSent("no such host")])
async def test_a_lost_answer_is_passed_on(error: Exception) -> None:
    with pytest.raises(type(error)):
        await submit(error)


async def test_nothing_can_be_polled() -> None:
    wire = Wire(recorded("bad_key"))
    with pytest.raises(UnmappedAnswer):
        await upstream.poll("t-1", order(), wire)
    assert wire.calls == []


@pytest.mark.parametrize(
    ("wire", "to"),
    [
        ({"kind": "video"}, {"prompt": "prompt"}),
        ({"kind": "edit"}, {"prompt": "prompt"}),
        ({"kind": "generation"}, {"prompt": "prompt", "images": "image[]"}),
        ({"kind": "generation", "n": 1}, {"prompt": "prompt"}),
        ({"kind": "generation"}, {"prompt": "input.prompt"}),
    ],
)
def test_a_route_that_makes_no_sense_is_refused_at_start(wire: dict[str, Any], to: dict[str, str]) -> None:
    upstream.check(Route("openai", {"intl": "m"}, {"kind": "generation"}, {"prompt": "prompt"}))
    with pytest.raises(ValueError, match=r"wire|flat|image"):
        upstream.check(Route("openai", {"intl": "m"}, wire, to))
