"""The Ark adapter against the vendor's answers: what is understood. What is sent is in test_ark_requests.py."""

import json
from pathlib import Path
from typing import Any

import pytest

from modellix_server.catalogue import Catalogue, Measurement
from modellix_server.upstreams.adapters.ark import upstream
from modellix_server.upstreams.contract import (
    Answer,
    AnswerLost,
    Busy,
    Done,
    Failed,
    NotSent,
    Order,
    Pending,
    Ticket,
    UnmappedAnswer,
)

ANSWERS = Path(__file__).parents[1] / "contract" / "ark"
CATALOGUE = Catalogue.load()
TASK = "cgt-20260205100000-ab12c"
FILES = "https://ark-content-generation-v2-cn-beijing.tos-cn-beijing.volces.com/doubao/"
REQUEST = "0217701000000000000000000000000000000000000000000000000ab12cd"


def recorded(name: str) -> Answer:
    said = json.loads((ANSWERS / f"{name}.json").read_text(encoding="utf-8"))
    body = said["body"] if isinstance(said["body"], str) else json.dumps(said["body"])
    return Answer(status=said["status"], body=body.encode(), headers=said["headers"])


class Wire:
    """Plays one answer and keeps what was sent."""

    def __init__(self, answer: Answer | Exception | str) -> None:
        self.answer = recorded(answer) if isinstance(answer, str) else answer
        self.calls: list[tuple[str, str, Any, dict[str, str]]] = []

    async def call(self, method, path, *, json=None, headers=None) -> Answer:
        self.calls.append((method, path, json, dict(headers or {})))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def order(model_id: str, region: str = "cn", **body: Any) -> Order:
    model = CATALOGUE.models[f"bytedance/{model_id}"]
    params = model.check(body or dict(model.example))
    return Order(attempt="task-00-1", route=model.routes[0], params=params, key="sk-test", region=region)


async def submit(answer: Answer | Exception | str, model_id: str = "seedance-1.0-pro-t2v"):
    wire = Wire(answer)
    try:
        return await upstream.submit(order(model_id), wire)
    finally:
        assert [call[0] for call in wire.calls] == ["POST"]


async def draw(answer: Answer | Exception | str):
    return await submit(answer, "seedream-4.0-t2i")


async def poll(answer: Answer | Exception | str):
    wire = Wire(answer)
    try:
        return await upstream.poll(TASK, order("seedance-1.0-pro-t2v"), wire)
    finally:
        path = f"/contents/generations/tasks/{TASK}"
        assert wire.calls == [("GET", path, None, {"Authorization": "Bearer sk-test"})]


async def test_accepted() -> None:
    assert await submit("accepted") == Ticket(TASK)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "refused_parameter",
            Failed(
                "invalid_input",
                "The parameter `size` specified in the request is not valid: image size must be at least 3686400"
                " pixels. …",
            ),
        ),
        ("refused_parameter_by_name", Failed("invalid_input", "The image could not be decoded. …")),
        (
            "missing_parameter",
            Failed("invalid_input", "The request failed because it is missing `content` parameter. …"),
        ),
        (
            "refused_content",
            Failed(
                "content_rejected",
                "The request failed because the input text may contain sensitive information. …",
            ),
        ),
        (
            "refused_copyright",
            Failed(
                "content_rejected",
                "The request failed because the input image may be related to copyright restrictions. …",
            ),
        ),
        (
            "refused_risk",
            Failed(
                "content_rejected",
                "The request failed because the output image may contain sensitive information. …",
            ),
        ),
        ("model_not_found", Failed("upstream_refused", "the vendor does not offer this model any more")),
        ("unsupported_model", Failed("upstream_refused", "the vendor does not offer this model any more")),
    ],
)
async def test_refusals_are_told_apart_by_code(name: str, expected: object) -> None:
    assert await submit(name) == expected
    assert await draw(name) == expected


@pytest.mark.parametrize(("name", "wait_s"), [("throttled", 7.0), ("throttled_ms", 1.5), ("overloaded", None)])
async def test_throttled(name: str, wait_s: float | None) -> None:
    answer = await draw(name)
    assert isinstance(answer, Busy)
    assert (answer.retry_in_s, answer.operator) == (wait_s, False)


@pytest.mark.parametrize("name", ["bad_key", "account_status", "overdue", "not_open", "denied", "quota"])
async def test_faults_of_our_account_are_for_the_operator(name: str) -> None:
    answer = await submit(name)
    assert isinstance(answer, Busy)
    assert answer.operator
    assert "2100123456" not in answer.reason


@pytest.mark.parametrize(
    "name",
    [
        "internal_error",
        "throttled_500",
        "garbage",
        "gateway",
        "cut_off",
        "no_id",
        "odd_id",
        "same_key_twice",
        "id_and_error",
        "pictures",
    ],
)
async def test_whatever_proves_nothing_leaves_the_outcome_unknown(name: str) -> None:
    with pytest.raises(UnmappedAnswer):
        await submit(name)


@pytest.mark.parametrize(("name", "words"), [("unknown_code", "I am a teapot. …"), ("error_without_code", "HTTP 400")])
async def test_a_refusal_that_nobody_knows_is_told_in_its_own_words(name: str, words: str) -> None:
    answer = await submit(name)
    assert (answer.code, answer.message) == ("upstream_refused", f"the vendor refused it: {words}")


@pytest.mark.parametrize("name", ["accepted", "pictures_none", "pictures_odd_link", "pictures_odd_item", "cut_off"])
async def test_pictures_that_make_no_sense(name: str) -> None:
    with pytest.raises(UnmappedAnswer):
        await draw(name)


@pytest.mark.parametrize(
    ("name", "links", "images"),
    [
        ("pictures", ["1.jpeg?X-Tos-Expires=86400", "2.jpeg"], 2),
        ("pictures_partial", ["1.jpeg", "3.jpeg"], 2),
        ("pictures_without_usage", ["1.jpeg"], 1),
    ],
)
async def test_pictures(name: str, links: list[str], images: int) -> None:
    done = await draw(name)
    assert isinstance(done, Done)
    assert [(file.url, file.kind, file.role) for file in done.files] == [
        (FILES + link, "image", "primary") for link in links
    ]
    assert (done.measured, done.request_id) == (Measurement(images=images), REQUEST)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "pictures_all_refused",
            Failed("content_rejected", "The output image may contain sensitive information. …"),
        ),
        ("pictures_error", Failed("upstream_refused", "the vendor could not finish the task")),
    ],
)
async def test_no_picture_and_the_reason_why(name: str, expected: Failed) -> None:
    assert await draw(name) == expected


@pytest.mark.parametrize("error", [AnswerLost("cut"), NotSent("no such host")])
async def test_a_lost_answer_is_passed_on(error: Exception) -> None:
    for ask in (submit, draw, poll):
        with pytest.raises(type(error)):
            await ask(error)


@pytest.mark.parametrize("name", ["queued", "running", "throttled", "internal_error", "gateway"])
async def test_waiting(name: str) -> None:
    assert await poll(name) == Pending()


@pytest.mark.parametrize(
    ("name", "files", "milliseconds"),
    [
        ("succeeded", [("a.mp4?X-Tos-Expires=86400", "video", "primary")], 5_000),
        ("succeeded_frames", [("a.mp4?X-Tos-Expires=86400", "video", "primary")], 2_375),
        (
            "succeeded_last_frame",
            [("a.mp4?X-Tos-Expires=86400", "video", "primary"), ("a.png", "image", "last_frame")],
            5_000,
        ),
    ],
)
async def test_a_clip(name: str, files: list[tuple[str, str, str]], milliseconds: int) -> None:
    done = await poll(name)
    assert isinstance(done, Done)
    assert [(file.url, file.kind, file.role) for file in done.files] == [
        (FILES + link, kind, role) for link, kind, role in files
    ]
    assert (done.measured, done.request_id) == (Measurement(milliseconds=milliseconds), REQUEST)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "failed_content",
            Failed("content_rejected", "The output video may be related to copyright restrictions. …"),
        ),
        ("failed_input", Failed("invalid_input", "The resource … could not be read. …")),
        ("failed_vendor", Failed("upstream_refused", "the vendor could not finish the task")),
        ("failed_without_reason", Failed("upstream_refused", "the vendor could not finish the task")),
        ("cancelled", Failed("upstream_refused", "the vendor canceled the task")),
        ("expired", Failed("upstream_refused", "the vendor gave the task up: it was not finished in time")),
    ],
)
async def test_definite_failures(name: str, expected: Failed) -> None:
    assert await poll(name) == expected


@pytest.mark.parametrize(
    "name",
    [
        "strange_word",
        "unknown_task",
        "other_task",
        "succeeded_without_clip",
        "succeeded_without_content",
        "garbage",
        "cut_off",
        "bad_key",
        "no_id",
    ],
)
async def test_no_verdict(name: str) -> None:
    with pytest.raises(UnmappedAnswer):
        await poll(name)


@pytest.mark.parametrize(
    ("told", "images"),
    [
        ("3", 3),
        ("1.0", 1),
        ("1.5", None),
        ("NaN", None),
        ("Infinity", None),
        ("true", None),
        ("[]", None),
        ('"1"', None),
    ],
)
async def test_the_count_of_pictures_is_never_guessed(told: str, images: int | None) -> None:
    body = recorded("pictures").body.replace(b'"generated_images": 2', b'"generated_images": ' + told.encode())
    assert (await draw(Answer(200, body, {}))).measured == Measurement(images=images)


@pytest.mark.parametrize(
    ("told", "milliseconds"),
    [
        ('"duration": 5.5', 5_500),
        ('"duration": "5"', None),
        ('"duration": -5', None),
        ('"duration": 1e300', None),
        ('"duration": true', None),
        ('"duration": null, "frames": 24', 1_000),
        ('"frames": 24, "framespersecond": 0', None),
        ('"frames": "24"', None),
        ('"x": 1', None),
    ],
)
async def test_the_length_of_a_clip_is_never_guessed(told: str, milliseconds: int | None) -> None:
    text_ = recorded("succeeded").body.decode().replace('"duration": 5', told)
    if "framespersecond" in told:
        text_ = text_.replace('"framespersecond": 24, ', "")
    assert (await poll(Answer(200, text_.encode(), {}))).measured == Measurement(milliseconds=milliseconds)
