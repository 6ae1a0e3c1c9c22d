"""The DashScope adapter against the vendor's answers: what is sent, and what is understood."""

import json
from pathlib import Path
from typing import Any

import pytest

from modellix_server.catalogue import Catalogue, ImpossibleMeasurement, Measurement, capture
from modellix_server.upstreams.adapters.dashscope import upstream
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

ANSWERS = Path(__file__).parents[1] / "contract"
CATALOGUE = Catalogue.load()
TASK = "0385dc79-5ff8-4d82-bcb6-000000000001"
FILES = "https://dashscope-result-sgp.oss-ap-southeast-1.aliyuncs.com/1d/"


def recorded(name: str) -> Answer:
    said = json.loads((ANSWERS / "dashscope" / f"{name}.json").read_text(encoding="utf-8"))
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


def order(model_id: str = "qwen-image-plus", region: str = "cn", **body: Any) -> Order:
    model = CATALOGUE.models[f"alibaba/{model_id}"]
    params = model.check(body or dict(model.example))
    return Order(attempt="task-00-1", route=model.routes[0], params=params, key="sk-test", region=region)


async def submit(answer: Answer | Exception | str, model_id: str = "qwen-image-plus"):
    wire = Wire(answer)
    try:
        return await upstream.submit(order(model_id), wire)
    finally:
        assert [call[0] for call in wire.calls] == ["POST"]


async def poll(answer: Answer | Exception | str, model_id: str = "qwen-image-plus"):
    wire = Wire(answer)
    try:
        return await upstream.poll(TASK, order(model_id), wire)
    finally:
        assert wire.calls == [("GET", f"/tasks/{TASK}", None, {"Authorization": "Bearer sk-test"})]


@pytest.mark.parametrize(
    ("metrics", "progress"),
    [
        ('{"TOTAL": 4, "SUCCEEDED": 1, "FAILED": 0}', 0.25),
        ('{"TOTAL": 4, "SUCCEEDED": 4, "FAILED": 0}', 1.0),
        ('{"TOTAL": 1, "SUCCEEDED": 0}', None),
        ('{"TOTAL": 4, "SUCCEEDED": 5}', None),
        ('{"TOTAL": 4, "SUCCEEDED": -1}', None),
        ('{"TOTAL": "many", "SUCCEEDED": 1}', None),
        ('{"TOTAL": 0, "SUCCEEDED": 0}', None),
        ("[4]", None),
    ],
)
async def test_progress_is_what_the_vendor_counts(metrics: str, progress: float | None) -> None:
    said = json.loads(recorded("running").body)
    said["output"]["task_metrics"] = json.loads(metrics)
    assert await poll(Answer(200, json.dumps(said).encode(), {})) == Pending(progress)


TASK_HEADERS = {"Authorization": "Bearer sk-test", "X-Request-Id": "task-00-1", "X-DashScope-Async": "enable"}
SYNC_HEADERS = {"Authorization": "Bearer sk-test", "X-Request-Id": "task-00-1"}
P1, P2 = "https://example.com/1.png", "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAA"
SENT = [
    (
        order(prompt="A cat", size="1472*1140", negative_prompt="dogs", seed=0),
        "/services/aigc/text2image/image-synthesis",
        TASK_HEADERS,
        {
            "model": "qwen-image-plus",
            "input": {"prompt": "A cat", "negative_prompt": "dogs"},
            "parameters": {"size": "1472*1104", "n": 1, "seed": 0, "prompt_extend": True, "watermark": False},
        },
    ),
    (
        order("wan2.6-t2i", prompt="A cat", size="1440*1440", negative_prompt="dogs"),
        "/services/aigc/image-generation/generation",
        TASK_HEADERS,
        {
            "model": "wan2.6-t2i",
            "input": {"messages": [{"role": "user", "content": [{"text": "A cat"}]}]},
            "parameters": {
                "size": "1440*1440",
                "n": 4,
                "prompt_extend": True,
                "watermark": False,
                "negative_prompt": "dogs",
            },
        },
    ),
    (
        order("qwen-image-edit-plus", prompt="Swap them", images=[P1, P2], n=2),
        "/services/aigc/multimodal-generation/generation",
        SYNC_HEADERS,
        {
            "model": "qwen-image-edit-plus",
            "input": {"messages": [{"role": "user", "content": [{"image": P1}, {"image": P2}, {"text": "Swap them"}]}]},
            "parameters": {"n": 2, "prompt_extend": True, "watermark": False},
        },
    ),
    (
        order(
            "wan2.6-t2v",
            "us",
            prompt="Rain",
            audio_url="https://example.com/a.mp3",
            shot_type="multi",
            prompt_extend=True,
        ),
        "/services/aigc/video-generation/video-synthesis",
        TASK_HEADERS,
        {
            "model": "wan2.6-t2v-us",
            "input": {"prompt": "Rain", "audio_url": "https://example.com/a.mp3"},
            "parameters": {
                "size": "1920*1080",
                "duration": 5,
                "prompt_extend": True,
                "shot_type": "multi",
                "watermark": False,
            },
        },
    ),
    (
        order("wan2.2-i2v-flash", img_url=P2),
        "/services/aigc/video-generation/video-synthesis",
        TASK_HEADERS,
        {
            "model": "wan2.2-i2v-flash",
            "input": {"img_url": P2},
            "parameters": {"resolution": "720P", "duration": 5, "prompt_extend": False, "watermark": False},
        },
    ),
    (
        order("wan2.2-i2v-flash", img_url=P1, seed=0, resolution="480P"),
        "/services/aigc/video-generation/video-synthesis",
        TASK_HEADERS,
        {
            "model": "wan2.2-i2v-flash",
            "input": {"img_url": P1},
            "parameters": {"resolution": "480P", "duration": 5, "prompt_extend": False, "seed": 0, "watermark": False},
        },
    ),
    (
        order("wan2.2-kf2v-flash", first_frame_url=P1, last_frame_url=P2, template="glow", prompt="Grow"),
        "/services/aigc/image2video/video-synthesis",
        TASK_HEADERS,
        {
            "model": "wan2.2-kf2v-flash",
            "input": {"first_frame_url": P1, "last_frame_url": P2, "template": "glow", "prompt": "Grow"},
            "parameters": {"resolution": "720P", "duration": 5, "prompt_extend": True, "watermark": False},
        },
    ),
]


@pytest.mark.parametrize(("order_", "path", "headers", "body"), SENT)
async def test_what_is_sent_field_by_field(order_: Order, path: str, headers: dict, body: dict) -> None:
    wire = Wire("accepted" if headers is TASK_HEADERS else "sync_done")
    await upstream.submit(order_, wire)
    assert wire.calls == [("POST", path, body, headers)]


async def test_a_region_without_the_model_is_refused_without_a_call() -> None:
    wire = Wire("accepted")
    answer = await upstream.submit(order("wan2.2-kf2v-flash", "intl"), wire)
    assert answer == Failed("upstream_refused", "the vendor offers this model not in its region 'intl' but in: cn")
    assert wire.calls == []


async def test_accepted() -> None:
    assert await submit("accepted") == Ticket(TASK)


async def test_a_synchronous_answer_is_done_at_once() -> None:
    done = await submit("sync_done", "qwen-image-edit-plus")
    assert isinstance(done, Done)
    assert [(file.url, file.kind) for file in done.files] == [(FILES + "1.png", "image"), (FILES + "2.png", "image")]
    assert done.measured == Measurement(images=2)
    assert done.request_id == "4909100c-7b5a-9f92-bfe5-000000000001"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("refused_parameter", Failed("invalid_input", "parameters.size must be in the list of sizes")),
        ("refused_url", Failed("invalid_input", "Download of the file timed out")),
        ("refused_content", Failed("content_rejected", "Input data may contain inappropriate content.")),
        ("model_not_exist", Failed("upstream_refused", "the vendor does not offer this model any more")),
        ("model_not_found", Failed("upstream_refused", "the vendor does not offer this model any more")),
        (
            "throttled",
            Busy("Throttling.RateQuota: Requests rate limit exceeded, please try again later.", retry_in_s=7.0),
        ),
        ("throttled_plain", Busy("Throttling: Requests throttling triggered.")),
    ],
)
async def test_refusals_are_told_apart_by_code(name: str, expected: object) -> None:
    assert await submit(name) == expected


@pytest.mark.parametrize(
    "name", ["arrears", "bad_key", "not_purchased", "wrong_mode", "free_quota", "overdue", "quota"]
)
async def test_faults_of_our_account_are_for_the_operator(name: str) -> None:
    answer = await submit(name)
    assert isinstance(answer, Busy)
    assert answer.operator
    assert "1234567890123456" not in answer.reason
    assert "sk-" not in answer.reason


@pytest.mark.parametrize(
    "name",
    [
        "internal_error",
        "capacity",
        "throttled_500",
        "garbage",
        "gateway",
        "cut_off",
        "no_id",
        "two_ids",
        "same_key_twice",
        "id_and_error",
        "odd_id",
        "sync_done",
    ],
)
async def test_whatever_proves_nothing_leaves_the_outcome_unknown(name: str) -> None:
    with pytest.raises(UnmappedAnswer):
        await submit(name)


@pytest.mark.parametrize("error", [AnswerLost("cut"), NotSent("no such host")])
async def test_a_lost_answer_is_passed_on(error: Exception) -> None:
    for ask in (submit, poll):
        with pytest.raises(type(error)):
            await ask(error)


@pytest.mark.parametrize("name", ["pending", "running", "throttled", "internal_error", "gateway"])
async def test_waiting(name: str) -> None:
    assert await poll(name) == Pending()


@pytest.mark.parametrize("word", ["PRE-PROCESSING", "POST-PROCESSING", "SUSPENDED"])
async def test_rarer_words_for_waiting(word: str) -> None:
    body = json.dumps({"output": {"task_id": TASK, "task_status": word}}).encode()
    assert await poll(Answer(200, body, {})) == Pending()


@pytest.mark.parametrize(
    ("name", "model_id", "links", "kind", "measured"),
    [
        ("done_results", "qwen-image-plus", ["a.png?Expires=1770000000&Signature=x"], "image", Measurement(images=1)),
        ("done_choices", "wan2.6-t2i", ["1.png", "2.png"], "image", Measurement(images=2)),
        ("partial", "qwen-image-plus", ["a.png", "c.png"], "image", Measurement(images=2)),
        ("done_clip", "wan2.6-t2v", ["a.mp4?Expires=1770000000"], "video", Measurement(milliseconds=5_000)),
        ("done_clip_older", "wan2.2-kf2v-flash", ["b.mp4"], "video", Measurement(milliseconds=5_000)),
    ],
)
async def test_done(name: str, model_id: str, links: list[str], kind: str, measured: Measurement) -> None:
    done = await poll(name, model_id)
    assert isinstance(done, Done)
    assert [(file.url, file.kind, file.role) for file in done.files] == [
        (FILES + one, kind, "primary") for one in links
    ]
    assert done.measured == measured


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("failed_content", Failed("content_rejected", "Input data may contain inappropriate content.")),
        ("failed_input", Failed("invalid_input", "The image resolution is invalid: …")),
        ("failed_vendor", Failed("upstream_refused", "the vendor could not finish the task")),
        ("all_items_failed", Failed("content_rejected", "Output data may contain inappropriate content.")),
        ("canceled", Failed("upstream_refused", "the vendor canceled the task")),
    ],
)
async def test_definite_failures(name: str, expected: Failed) -> None:
    assert await poll(name) == expected


@pytest.mark.parametrize(
    "name",
    ["strange_word", "unknown_task", "other_task", "done_without_results", "garbage", "cut_off", "bad_key", "no_id"],
)
async def test_no_verdict(name: str) -> None:
    with pytest.raises(UnmappedAnswer):
        await poll(name)


async def test_a_result_link_must_be_a_link() -> None:
    for link in ("file:///etc/passwd", "", 7, ["https://example.com"], {"url": "https://example.com"}):
        body = json.dumps({"output": {"task_id": TASK, "task_status": "SUCCEEDED", "video_url": link}}).encode()
        with pytest.raises(UnmappedAnswer):
            await poll(Answer(200, body, {}), "wan2.6-t2v")


@pytest.mark.parametrize(
    ("usage", "images"),
    [
        ("null", 1),  # absent: what is there is counted
        ("{}", 1),
        ('{"image_count": "1"}', 1),
        ('{"image_count": 1.0}', 1),
        ('{"image_count": 3}', 3),  # more than delivered: kept as told, the engine compares
        ('{"image_count": 1.5}', None),
        ('{"image_count": NaN}', None),
        ('{"image_count": Infinity}', None),
        ('{"image_count": "1e999999999"}', None),
        ('{"image_count": "1e-999999999"}', None),
        ('{"image_count": true}', None),
        ('{"image_count": []}', None),
        ("[]", None),
    ],
)
async def test_usage_of_pictures_is_read_leniently_and_never_guessed(usage: str, images: int | None) -> None:
    assert (await poll(_with_usage("done_results", usage))).measured == Measurement(images=images)


@pytest.mark.parametrize(
    ("usage", "milliseconds"),
    [
        ('{"duration": 5}', 5_000),
        ('{"duration": "5.0416"}', 5_042),
        ('{"video_duration": 2.5}', 2_500),
        ('{"output_video_duration": 4}', 4_000),
        ('{"duration": 7, "output_video_duration": 5}', 7_000),
        ('{"duration": -5}', -5_000),
        ('{"duration": "five"}', None),
        ('{"duration": 1e300}', None),
        ('{"duration": "-1e999999999"}', None),
        ('{"duration": "1e-999999999"}', 0),
        ("{}", None),
        ("null", None),
    ],
)
async def test_usage_of_clips(usage: str, milliseconds: int | None) -> None:
    done = await poll(_with_usage("done_clip", usage), "wan2.6-t2v")
    assert done.measured == Measurement(milliseconds=milliseconds)
    if milliseconds is None or milliseconds < 0:  # the result is kept, the charge is for a person to judge
        model = CATALOGUE.models["alibaba/wan2.6-t2v"]
        with pytest.raises(ImpossibleMeasurement):
            capture(model.quote(model.check({"prompt": "x"}), None, live=True), done.measured)


def _with_usage(name: str, usage: str) -> Answer:
    body = json.loads(recorded(name).body) | {"usage": "USAGE"}
    return Answer(200, json.dumps(body).replace('"USAGE"', usage).encode(), {})
