"""The MiniMax adapter against the vendor's answers: what is sent, and what is understood."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from modellix_server.catalogue import Catalogue, Measurement, Route
from modellix_server.upstreams.adapters.minimax import upstream
from modellix_server.upstreams.contract import (
    Answer,
    AnswerLost,
    Busy,
    Done,
    Failed,
    NotSent,
    Order,
    Pending,
    RemoteFile,
    Ticket,
    UnmappedAnswer,
)

ANSWERS = Path(__file__).parents[1] / "contract" / "minimax"
CATALOGUE = Catalogue.load()
TASK, FILE = "106916112212032", "205258526306433"
LINK = (
    "https://public-cdn-video-data-algeng.oss-cn-wulanchabu.aliyuncs.com/inference_output/video/output.mp4"
    "?Expires=1770000000&Signature=x"
)
KEY = {"Authorization": "Bearer sk-test"}
QUERY = ("GET", f"/query/video_generation?task_id={TASK}", None, KEY)
RETRIEVE = ("GET", f"/files/retrieve?file_id={FILE}", None, KEY)


def recorded(name: str) -> Answer:
    said = json.loads((ANSWERS / f"{name}.json").read_text(encoding="utf-8"))
    body = said["body"] if isinstance(said["body"], str) else json.dumps(said["body"])
    return Answer(status=said["status"], body=body.encode(), headers=said["headers"])


class Wire:
    """Plays answers in turn and keeps what was sent."""

    def __init__(self, *answers: Answer | Exception | str) -> None:
        self.answers = [recorded(answer) if isinstance(answer, str) else answer for answer in answers]
        self.calls: list[tuple[str, str, Any, dict[str, str]]] = []

    async def call(self, method, path, *, json=None, headers=None) -> Answer:
        self.calls.append((method, path, json, dict(headers or {})))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def order(model_id: str = "hailuo-02-t2v", region: str = "intl", **body: Any) -> Order:
    model = CATALOGUE.models[f"minimax/{model_id}"]
    params = model.check(body or dict(model.example))
    return Order(attempt="task-00-1", route=model.routes[0], params=params, key="sk-test", region=region)


async def submit(answer: Answer | Exception | str, model_id: str = "hailuo-02-t2v", **body: Any):
    wire = Wire(answer)
    try:
        return await upstream.submit(order(model_id, **body), wire)
    finally:
        assert [call[0] for call in wire.calls] == ["POST"]


async def poll(*answers: Answer | Exception | str):
    wire = Wire(*answers)
    try:
        return await upstream.poll(TASK, order(duration=10, prompt="x"), wire)
    finally:
        assert wire.calls == [QUERY, RETRIEVE][: len(answers)]


P1, P2 = "https://example.com/1.png", "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAA"
SENT = [
    (
        order(prompt="[Pan left, Zoom in] A cat [Shake]", resolution="1080P"),
        "/video_generation",
        {
            "model": "MiniMax-Hailuo-02",
            "prompt": "[Pan left, Zoom in] A cat [Shake]",
            "prompt_optimizer": True,
            "fast_pretreatment": False,
            "duration": 6,
            "resolution": "1080P",
            "aigc_watermark": False,
        },
    ),
    (
        order("hailuo-02-i2v", first_frame_image=P2, resolution="512P", duration=10),
        "/video_generation",
        {
            "model": "MiniMax-Hailuo-02",
            "first_frame_image": P2,
            "prompt_optimizer": True,
            "fast_pretreatment": False,
            "duration": 10,
            "resolution": "512P",
            "aigc_watermark": False,
        },
    ),
    (
        order("hailuo-02-fl2v", first_frame_image=P1, last_frame_image=P2),
        "/video_generation",
        {
            "model": "MiniMax-Hailuo-02",
            "first_frame_image": P1,
            "last_frame_image": P2,
            "prompt_optimizer": True,
            "duration": 6,
            "resolution": "768P",
            "aigc_watermark": False,
        },
    ),
    (
        order("minimax-s2v-01", subject_reference_images=[P1], prompt="She runs"),
        "/video_generation",
        {
            "model": "S2V-01",
            "subject_reference": [{"type": "character", "image": [P1]}],
            "prompt": "She runs",
            "prompt_optimizer": True,
            "aigc_watermark": False,
        },
    ),
    (
        order("minimax-image-01-t2i", prompt="A cat", width=512, height=520, seed=0, n=9),
        "/image_generation",
        {
            "model": "image-01",
            "prompt": "A cat",
            "width": 512,
            "height": 520,
            "seed": 0,
            "n": 9,
            "prompt_optimizer": False,
            "response_format": "url",
            "aigc_watermark": False,
        },
    ),
    (
        order("minimax-image-01-live-i2i", prompt="A cat", subject_reference_images=[P1, P2], aspect_ratio="3:4"),
        "/image_generation",
        {
            "model": "image-01-live",
            "prompt": "A cat",
            "aspect_ratio": "3:4",
            "n": 1,
            "prompt_optimizer": False,
            "subject_reference": [
                {"type": "character", "image_file": P1},
                {"type": "character", "image_file": P2},
            ],
            "response_format": "url",
            "aigc_watermark": False,
        },
    ),
]


@pytest.mark.parametrize(("order_", "path", "body"), SENT)
async def test_what_is_sent_field_by_field(order_: Order, path: str, body: dict) -> None:
    wire = Wire("accepted" if path == "/video_generation" else "pictures")
    await upstream.submit(order_, wire)
    assert wire.calls == [("POST", path, body, {**KEY, "X-Request-Id": "task-00-1"})]


async def test_a_region_without_the_model_is_refused_without_a_call() -> None:
    wire = Wire()
    answer = await upstream.submit(order(region="moon"), wire)
    assert answer == Failed("upstream_refused", "this model is not offered in the vendor's region 'moon'")
    assert wire.calls == []


@pytest.mark.parametrize("name", ["accepted", "accepted_number"])
async def test_accepted(name: str) -> None:
    assert await submit(name) == Ticket(TASK)


@pytest.mark.parametrize(
    ("name", "files", "images"),
    [
        ("pictures", 2, 2),
        ("pictures_number", 2, 2),
        ("pictures_without_counters", 1, 1),
        ("pictures_partial", 1, 1),
    ],
)
async def test_pictures_are_done_at_once(name: str, files: int, images: int) -> None:
    done = await submit(name, "minimax-image-01-t2i", prompt="x", n=2)
    assert isinstance(done, Done)
    assert [file.kind for file in done.files] == ["image"] * files
    assert done.measured == Measurement(images=images)


async def test_pictures_that_were_all_blocked() -> None:
    answer = await submit("pictures_all_blocked", "minimax-image-01-t2i", prompt="x", n=2)
    assert answer == Failed("content_rejected", "the vendor's content check refused every picture")


@pytest.mark.parametrize(
    ("count", "images"), [("2", 2), (3, 3), (True, None), ("two", None), (-1, -1), (1.5, None), (10**30, None)]
)
async def test_a_count_is_read_and_never_guessed(count: object, images: int | None) -> None:
    said = json.loads(recorded("pictures").body) | {"metadata": {"success_count": count}}
    done = await submit(Answer(200, json.dumps(said).encode(), {}), "minimax-image-01-t2i", prompt="x", n=2)
    assert done.measured == Measurement(images=images)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "refused_parameter",
            Failed("invalid_input", "invalid params, model MiniMax-Hailuo-02 does not support 10 seconds at 1080P"),
        ),
        ("refused_url", Failed("invalid_input", "invalid params, cannot load …")),
        ("refused_characters", Failed("invalid_input", "too many invisible characters")),
        ("refused_content", Failed("content_rejected", "input new_sensitive")),
        ("throttled", Busy("1002: rate limit exceeded(RPM)", retry_in_s=7.0)),
        ("throttled_connections", Busy("1041: conn limit")),
        ("throttled_growth", Busy("2045: rate growth limit")),
        ("throttled_http", Busy("HTTP 429", retry_in_s=9.0)),
        ("unauthorized", Busy("HTTP 401", operator=True)),
    ],
)
async def test_refusals_are_told_apart_by_code(name: str, expected: object) -> None:
    for model_id in ("hailuo-02-t2v", "minimax-image-01-t2i"):
        assert await submit(name, model_id) == expected


@pytest.mark.parametrize(
    "name", ["bad_login", "bad_key", "no_balance", "plan_quota", "plan_window", "plan_without_model", "not_verified"]
)
async def test_faults_of_our_account_are_for_the_operator(name: str) -> None:
    answer = await submit(name)
    assert isinstance(answer, Busy)
    assert answer.operator
    assert "sk-" not in answer.reason
    assert "1234567890123456" not in answer.reason


@pytest.mark.parametrize(
    "name",
    [
        *("no_id", "odd_id", "id_and_error", "no_base_resp", "same_key_twice", "cut_off", "garbage", "gateway"),
        *("unknown_error", "internal_error", "timeout", "system_error", "pictures"),
    ],
)
async def test_whatever_proves_nothing_leaves_the_outcome_unknown(name: str) -> None:
    with pytest.raises(UnmappedAnswer):
        await submit(name)


@pytest.mark.parametrize(
    "name", ["accepted", "pictures_none_and_no_reason", "pictures_base64", "pictures_odd_link", "garbage", "gateway"]
)
async def test_pictures_that_cannot_be_had_leave_the_outcome_unknown(name: str) -> None:
    with pytest.raises(UnmappedAnswer):
        await submit(name, "minimax-image-01-t2i")


@pytest.mark.parametrize("error", [AnswerLost("cut"), NotSent("no such host")])
async def test_a_lost_answer_is_passed_on(error: Exception) -> None:
    for ask in (lambda: submit(error), lambda: poll(error), lambda: poll("success", error)):
        with pytest.raises(type(error)):
            await ask()


@pytest.mark.parametrize(
    "name",
    [
        *("preparing", "queueing", "processing", "throttled", "throttled_http", "internal_error", "unknown_error"),
        *("system_error", "gateway"),
    ],
)
async def test_waiting(name: str) -> None:
    assert await poll(name) == Pending()


@pytest.mark.parametrize("name", ["success", "success_number"])
@pytest.mark.parametrize("file", ["file", "file_text_id"])
async def test_a_success_fetches_a_fresh_link_in_the_same_poll(name: str, file: str) -> None:
    done = await poll(name, file)
    assert done == Done(
        files=(RemoteFile(LINK, "video"),),
        measured=Measurement(milliseconds=10_000),
        request_id="04e0ea5a3f4b4c2f8b0d7a1c9e6f2b11",
    )


@pytest.mark.parametrize("name", ["throttled", "throttled_http", "unknown_error", "gateway", "internal_error"])
async def test_a_link_that_cannot_be_had_now_is_asked_for_again(name: str) -> None:
    assert await poll("success", name) == Pending()


@pytest.mark.parametrize(
    ("word", "verdict"),
    [
        ("success", Done),
        ("SUCCESS", Done),
        ("Succeeded", Done),
        ("fail", Failed),
        ("Failed", Failed),
        ("processing", Pending),
        ("Running", Pending),
        ("Queued", Pending),
    ],
)
async def test_states_in_other_spellings(word: str, verdict: type) -> None:
    said = json.loads(recorded("success").body) | {"status": word}
    answers = [Answer(200, json.dumps(said).encode(), {}), *(["file"] if verdict is Done else [])]
    assert isinstance(await poll(*answers), verdict)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("failed", Failed("upstream_refused", "the vendor could not finish the task")),
        ("failed_other_spelling", Failed("upstream_refused", "the vendor could not finish the task")),
        ("failed_content", Failed("content_rejected", "output new_sensitive")),
        ("failed_content_plain", Failed("content_rejected", "output new_sensitive")),
        ("failed_input", Failed("invalid_input", "invalid params, image could not be decoded")),
    ],
)
async def test_definite_failures(name: str, expected: Failed) -> None:
    assert await poll(name) == expected


@pytest.mark.parametrize(
    "name",
    [
        *("strange_word", "other_task", "success_without_file", "unknown_task", "unknown_code", "bad_login", "no_id"),
        *("garbage", "cut_off", "no_base_resp", "unauthorized"),
    ],
)
async def test_no_verdict(name: str) -> None:
    with pytest.raises(UnmappedAnswer):
        await poll(name)


@pytest.mark.parametrize("name", ["file_of_another", "file_without_link", "file_gone", "accepted", "garbage"])
async def test_a_file_that_makes_no_sense_is_no_verdict(name: str) -> None:
    with pytest.raises(UnmappedAnswer):
        await poll("success", name)


GOOD = {"prompt": "prompt", "duration": "duration"}


@pytest.mark.parametrize(
    ("wire", "to"),
    [
        ({"kind": "audio"}, GOOD),
        ({"kind": "video", "path": "x"}, GOOD),
        ({"kind": "video"}, {"prompt": "input.prompt", "duration": "duration"}),
        ({"kind": "video"}, {"prompt": "prompt"}),
        ({"kind": "image"}, {"pictures": "subject_reference[].url"}),
    ],
)
def test_a_route_that_makes_no_sense_is_refused_at_start(wire: dict, to: dict) -> None:
    upstream.check(Route("minimax", {"cn": "m"}, {"kind": "video"}, GOOD))
    upstream.check(Route("minimax", {"cn": "m"}, {"kind": "image"}, {"pictures": "subject_reference[].image_file"}))
    with pytest.raises(ValueError, match=r"route|body"):
        upstream.check(Route("minimax", {"cn": "m"}, wire, to))
